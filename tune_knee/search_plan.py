"""A study that searches: what it looks through, how, and from what it starts."""

import json
from dataclasses import asdict, dataclass, replace

from tune_knee import keys
from tune_knee.config import TrialConfig
from tune_knee.search_config import KnownPoint, SearchConfig, SearchSpace


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """A search's part of a study's definition.

    Attributes:
        space: where to look.
        config: how.
        points: how many points are trained.
        seeds: trials of each point, which differ by their seed.
        prunes: trials that are behind the others are stopped early.
        warm_start: address and id of the study whose results are known from the start;
            empty without one.
        known: those results.
    """

    space: SearchSpace
    config: SearchConfig
    points: int
    seeds: int = 1
    prunes: bool = False
    warm_start: tuple[str, str] | tuple[()] = ()
    known: tuple[KnownPoint, ...] = ()

    def __post_init__(self) -> None:
        self.startup(concurrency=1)

    def params(self) -> dict[str, str]:
        """What MLflow shows of it, by the names in `keys`."""
        shown = {keys.SEARCH: json.dumps({**asdict(self.config), **asdict(self.space)})}
        if self.warm_start:
            shown[keys.WARM_START] = json.dumps(self.warm_start)
        return shown

    def startup(self, *, concurrency: int) -> int:
        """Points before the sampler learns; see `SearchConfig.startup`."""
        return self.config.startup(
            trials=self.points, concurrency=concurrency, known=len(self.known)
        )


def repeated(trial: TrialConfig, seeds: int) -> tuple[TrialConfig, ...]:
    """A point's trials, which differ by their seed alone."""
    return tuple(replace(trial, repeat=number) for number in range(seeds))
