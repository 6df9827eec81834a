"""The trials of a search, one after another: each point as often as asked, told when all ended."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tune_knee.config import TrialConfig
from tune_knee.search import TauSearch
from tune_knee.search_plan import repeated
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How a trial of a search ended.

    Attributes:
        status: `TRAINED`, `PRUNED` or `FAILED`.
        values: of its last report; the objectives among them, if it was trained.
    """

    status: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass
class _Point:
    number: int
    trials: tuple[TrialConfig, ...]
    ends: dict[TrialConfig, TrialEnd] = field(default_factory=dict)


class PointQueue:
    """Asks a search for points, hands out their trials, and tells the search what came out.

    Several trials may be out at a time. A point that is trained with several seeds is told
    once, by its means, when the last of its trials has ended; trials that failed or were
    pruned do not count in them.

    Args:
        search: that is asked and told.
        points: how many the search trains in all, those of earlier sessions included.
        seeds: trials of each point, which differ by their seed alone.
        objectives: names of the values that are told.
        ended: how a trial ended in an earlier session; None if it has not.
    """

    def __init__(
        self,
        search: TauSearch,
        *,
        points: int,
        seeds: int,
        objectives: Sequence[str],
        ended: Callable[[TrialConfig], TrialEnd | None],
    ) -> None:
        self._search, self._seeds, self._objectives = search, seeds, tuple(objectives)
        self._ended = ended
        done = [each for each in search.history() if not each.known and each.state != "open"]
        self._left = points - len(done)
        self._waiting: deque[TrialConfig] = deque()
        self._open: dict[TrialConfig, _Point] = {}

    def next_trial(self) -> TrialConfig | None:
        """The next trial to train; None when all points are handed out.

        Raises:
            NothingNewError: if the search finds no new point.
        """
        while not self._waiting and self._left > 0:
            self._left -= 1
            self._take_point()
        return self._waiting.popleft() if self._waiting else None

    def end(self, trial: TrialConfig, end: TrialEnd) -> None:
        """A trial that was handed out has ended."""
        point = self._open.pop(trial)
        point.ends[trial] = end
        if len(point.ends) == len(point.trials):
            self._tell(point)

    def _take_point(self) -> None:
        asked = self._search.ask()
        trials = repeated(asked.trial, self._seeds)
        point = _Point(asked.number, trials)
        for trial in trials:
            self._open[trial] = point
        for trial in trials:
            before = self._ended(trial)
            if before is None:
                self._waiting.append(trial)
            else:
                self.end(trial, before)

    def _tell(self, point: _Point) -> None:
        trained = [end.values for end in point.ends.values() if end.status == TRAINED]
        if trained:
            means = {
                name: math.fsum(values[name] for values in trained) / len(trained)
                for name in self._objectives
            }
            self._search.tell(point.number, means)
        elif any(end.status == PRUNED for end in point.ends.values()):
            self._search.tell_pruned(point.number)
        else:
            assert all(end.status == FAILED for end in point.ends.values())
            self._search.tell_failed(point.number)
