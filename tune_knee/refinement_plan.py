"""A study that trains what a search recommends: of which search, and what it is ranked with."""

import json
from dataclasses import asdict, dataclass

from tune_knee import keys


@dataclass(frozen=True, kw_only=True)
class RefinementPlan:
    """A refinement's part of a study's definition.

    Attributes:
        search: address and id of the search whose points these are.
        top: how many points.
        grid: address and id of the study that they are ranked with; empty without one.
        taken: ids of those of their trials that the search or the grid has tested, and that
            are ranked as they are there.
    """

    search: tuple[str, str]
    top: int
    grid: tuple[str, str] | tuple[()] = ()
    taken: tuple[str, ...] = ()

    def params(self) -> dict[str, str]:
        """What MLflow shows of it, by the names in `keys`."""
        return {keys.REFINES: json.dumps(asdict(self))}
