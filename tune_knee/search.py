"""A search over τ that is asked for trials and told what came out: Optuna, kept in a file."""

import json
import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter

from tune_knee import keys
from tune_knee.config import Budget, TrialConfig
from tune_knee.samplers import make_sampler
from tune_knee.search_config import OBJECTIVES, KnownPoint, SearchConfig, SearchSpace
from tune_knee.search_coordinates import SearchCoordinates

log = logging.getLogger(__name__)

FILE_NAME: Final = "search.db"
_LOCKED_S: Final = 60  # wait for a dashboard that reads
_TRIES: Final = 20  # for a point that is new
_OWN_TRIES: Final = 3  # of these the sampler's own; the others are quasi-random
# Attributes of Optuna's trials.
_LABEL: Final = "label"
_WARM: Final = "warm_start"  # holds the known trial
_STATES: Final = {
    TrialState.RUNNING: "open",
    TrialState.COMPLETE: "told",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "pruned",
}


class NothingNewError(RuntimeError):
    """The search proposes nothing but points that are known."""


@dataclass(frozen=True, kw_only=True)
class SearchTrial:
    """A trial of a search.

    Attributes:
        number: its number in the search, from 0.
        trial: what is to be trained.
        state: ``open``, ``told``, ``failed`` or ``pruned``.
        values: of the objectives by their names; none unless told.
        known: it comes from another study and was not trained by this one.
    """

    number: int
    trial: TrialConfig
    state: str
    values: Mapping[str, float]
    known: bool


@dataclass(frozen=True)
class _End:
    state: TrialState
    values: list[float] | None


def storage_in(folder: Path) -> RDBStorage:
    """The search's file in a study's folder; ``optuna-dashboard`` opens it at any time."""
    url = f"sqlite:///{(folder / FILE_NAME).resolve()}"
    return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _LOCKED_S}})


class TauSearch:
    """A search: `ask` for a trial, train it, `tell` what came out; several may be open.

    All of it is in the storage. Opened again, a search hands out first what it had handed out
    and was not told about, then goes on as if it had never stopped. One process at a time.

    Args:
        space: where to look.
        config: how.
        startup: trials before the sampler learns, see `SearchConfig.startup`.
        budget: what each trial may spend: its learning rate, and its image size, whose
            diagonal stands for a distance that is not defined.
        storage: see `storage_in`.
        name: of the study in the storage.
    """

    def __init__(
        self,
        space: SearchSpace,
        config: SearchConfig,
        *,
        startup: int,
        budget: Budget,
        storage: BaseStorage,
        name: str,
    ) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._config, self._startup = config, startup
        self._coordinates = SearchCoordinates(
            space=space, learning_rate=budget.optimizer.learning_rate
        )
        self._diagonal_px = math.sqrt(2) * budget.image_size_px
        self._study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[OBJECTIVES[objective] for objective in config.objectives],
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of naming them alone
            self._study.set_metric_names(list(config.objectives))
        self._open: dict[int, TrialConfig] = {}
        self._copies: defaultdict[TrialConfig, list[int]] = defaultdict(list)
        self._ended: dict[TrialConfig, _End] = {}
        self._left_over: list[FrozenTrial] = []
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state == TrialState.RUNNING:
                self._left_over.append(frozen)
            elif self._is_whole(frozen):
                self._ended.setdefault(self._point(frozen), _End(frozen.state, frozen.values))

    def ask(self) -> SearchTrial:
        """The next trial to train; one that was handed out before an interruption comes first.

        A search that knows too little to learn starts from the corners of its ranges of τ.
        A proposal that rounds to a point already told is told the same at once, one that
        rounds to an open point will be when that one is, and another is asked for.

        Raises:
            NothingNewError: if twenty proposals in a row were known or open.
        """
        while self._left_over:
            frozen = self._left_over.pop(0)
            if not self._is_whole(frozen):  # interrupted before it was handed out
                self._study.tell(frozen.number, state=TrialState.FAIL)
            elif self._is_new(frozen.number, self._point(frozen)):
                return self._handed_out(frozen.number)
        for proposal in range(_TRIES):
            asked = self._proposed(
                self._config.sampler if proposal < _OWN_TRIES else "quasi_random"
            )
            point = self._coordinates.trial(asked.params)
            asked.set_user_attr(_LABEL, point.label)
            if self._is_new(asked.number, point):
                return self._handed_out(asked.number)
        raise NothingNewError(
            f"a search must find a new point within {_TRIES} proposals, got none; "
            "widen its ranges, or stop here"
        )

    def _proposed(self, sampler: str) -> optuna.Trial:
        trials = self._study.get_trials(deepcopy=False)
        learnt = sum(end.state == TrialState.COMPLETE for end in self._ended.values())
        own = sum(_WARM not in each.user_attrs for each in trials)
        if learnt < self._startup and own < len(self._coordinates.corners):
            self._study.enqueue_trial(self._coordinates.corners[own])
        self._study.sampler = make_sampler(
            sampler,
            startup=self._startup,
            seed=self._config.seed,
            number=len(trials),
            learnt=learnt,
        )
        return self._study.ask(self._coordinates.distributions)

    def tell(self, number: int, values: Mapping[str, float]) -> None:
        """What came out of a trial: a report's values, of which the objectives are taken.

        A distance that is NaN (a region found in no frame has none) counts as the image's
        diagonal, the largest there is.

        Raises:
            ValueError: if the trial is not open, or an objective is missing or no number.
        """
        self._end(number, _End(TrialState.COMPLETE, self._objectives(values)))

    def tell_failed(self, number: int) -> None:
        """A trial came to no result; the sampler learns nothing of it."""
        self._end(number, _End(TrialState.FAIL, None))

    def tell_pruned(self, number: int) -> None:
        """A trial was stopped as hopeless; it has no values beside those that finished."""
        self._end(number, _End(TrialState.PRUNED, None))

    def add_known(self, points: Iterable[KnownPoint]) -> tuple[str, ...]:
        """Take over what another study found; a point known already is left as it is.

        Repeats of one point count once, by their means. Returns what is no point of the space
        and why, a line each.
        """
        found: defaultdict[TrialConfig, list[KnownPoint]] = defaultdict(list)
        outside = []
        for each in points:
            try:
                found[self._coordinates.canonical(each.trial)].append(each)
            except ValueError as error:
                outside.append(f"{each.trial.label}: {error}")
        for point, repeats in found.items():
            if point in self._ended:
                continue
            columns = zip(*(self._objectives(each.values) for each in repeats), strict=True)
            end = _End(TrialState.COMPLETE, [sum(column) / len(repeats) for column in columns])
            self._study.add_trial(
                optuna.create_trial(
                    state=end.state,
                    values=end.values,
                    params=self._coordinates.params(point),
                    distributions=self._coordinates.distributions,
                    user_attrs={_LABEL: point.label, _WARM: json.dumps(asdict(point))},
                    # NSGA-II breeds from trials that bear a generation alone.
                    system_attrs={"NSGAIISampler:generation": 0},
                )
            )
            self._ended[point] = end
        return tuple(outside)

    def history(self) -> list[SearchTrial]:
        """All trials by number, known ones included; a point proposed again counts once."""
        first: dict[TrialConfig, SearchTrial] = {}
        for frozen in self._study.get_trials(deepcopy=False):
            if self._is_whole(frozen):
                each = self._as_trial(frozen)
                first.setdefault(each.trial, each)
        return list(first.values())

    def _as_trial(self, frozen: FrozenTrial) -> SearchTrial:
        values = zip(self._config.objectives, frozen.values or (), strict=False)
        return SearchTrial(
            number=frozen.number,
            trial=self._point(frozen),
            state=_STATES[frozen.state],
            values=dict(values),
            known=_WARM in frozen.user_attrs,
        )

    def _handed_out(self, number: int) -> SearchTrial:
        point = self._open[number]
        return SearchTrial(number=number, trial=point, state="open", values={}, known=False)

    def _is_whole(self, frozen: FrozenTrial) -> bool:
        return frozen.params.keys() >= self._coordinates.distributions.keys()

    def _point(self, frozen: FrozenTrial) -> TrialConfig:
        known = frozen.user_attrs.get(_WARM)
        if known is not None:  # its τ may have more decimals than a search proposes
            return TypeAdapter(TrialConfig).validate_json(known)
        return self._coordinates.trial(frozen.params)

    def _is_new(self, number: int, point: TrialConfig) -> bool:
        """Open a trial if its point is new; else it shares the lot of the one that is not."""
        if point in self._ended:
            self._close(number, self._ended[point])
            return False
        if point in self._open.values():
            self._copies[point].append(number)
            return False
        self._open[number] = point
        return True

    def _end(self, number: int, end: _End) -> None:
        if number not in self._open:
            raise ValueError(
                f"a trial must be asked for and open when its end is told, got number={number}"
            )
        point = self._open.pop(number)
        self._close(number, end)
        self._ended[point] = end
        for copy in self._copies.pop(point, []):
            self._close(copy, end)

    def _close(self, number: int, end: _End) -> None:
        self._study.tell(number, values=end.values, state=end.state)

    def _objectives(self, values: Mapping[str, float]) -> list[float]:
        found = []
        for name in self._config.objectives:
            if name not in values:
                raise ValueError(f"values must hold the objective {name}, got {', '.join(values)}")
            value = float(values[name])
            if name == keys.BEST_DISTANCE_PX and math.isnan(value):
                value = self._diagonal_px
            if not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {name}={value}")
            found.append(value)
        return found
