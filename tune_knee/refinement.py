"""What a search recommends, as a grid to train at full budget and to rank with another's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from analysis.beside_grid import differences
from analysis.load import Study, load_study
from analysis.report.sources import search_of
from analysis.search import DISTANCE, OVERLAP, Objective, Search
from analysis.shortlist import Recommended, merit, shortlist, tau_distance
from search_spaces.grid import Grid
from search_spaces.search import Search as AskedSearch
from tune_knee import keys
from tune_knee.config import Budget, LossWeights, TrialConfig
from tune_knee.refinement_plan import RefinementPlan
from tune_knee.search_config import SearchSpace
from tune_knee.search_coordinates import SearchCoordinates, loss_of
from tune_knee.search_plan import repeated
from tune_knee.warm_start import known_trial

_NEIGHBOURS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """The points that a search recommends, ready to be trained.

    Attributes:
        search: which recommends them.
        grid: the trials to train, in the order of the recommendation.
        plan: its part of the study's definition.
        notes: what the points are, which are not trained, with what they are ranked; lines.
    """

    search: Study
    grid: Grid
    plan: RefinementPlan
    notes: tuple[str, ...]

    def require_data(self, fingerprint: str, regions: tuple[str, ...]) -> None:
        """What is best on other data is another question.

        Raises:
            ValueError: if the data is not the search's.
        """
        unlike = differences(self.search, self.search.budget, fingerprint, regions)
        if unlike:
            raise ValueError(
                f"--refine must name a search on the same data, got study={self.search.name}: "
                f"{unlike}; leave --data out to take the search's own, {self.search.data}"
            )


def refine(
    asked: AskedSearch,
    study: Study,
    budget: Budget,
    *,
    top: int,
    seeds: int = 1,
    grid: Study | None = None,
) -> Refinement:
    """The `top` points that a search recommends, as trials of a budget.

    Trials that the search or the grid has tested with this budget are not trained again.

    Args:
        asked: the search space as it was asked for: its networks, and the name of the study.
        study: the search.
        budget: of every trial; may be another than the search's.
        top: how many points.
        seeds: trials of each.
        grid: to be ranked with; None takes the study that the search started from.

    Raises:
        ValueError: if `study` is no search, tried none of the networks, cannot recommend so
            many points, or has trained all of them; or if the grid has other data, regions
            or budget.
    """
    search = search_of(study)
    if search is None or study.search is None:
        raise ValueError(f"--refine must name a search, got study={study.name}, which is a grid's")
    space = _space(study.search)
    coordinates = SearchCoordinates(space=space, learning_rate=search.learning_rate)
    tried = tried_points(search, coordinates)
    points = shortlist(search, top, networks=_networks(search, tried, asked))
    chosen = [point_trial(point, tried, search.objectives, coordinates) for point in points]
    beside, with_what = _grid_beside(study, grid, budget)
    known = _known(study, beside, budget)
    trials = [each for one in chosen for each in repeated(one, seeds)]
    taken = {each: known[each] for each in trials if each in known}
    _require_some_left(trials, taken, top, budget)
    address = (grid.tracking_uri, grid.study_id) if grid is not None else study.warm_start
    return Refinement(
        search=study,
        grid=Grid(
            name=asked.name,
            description=f"What the search {study.name} recommends.",
            trials=tuple(each for each in trials if each not in taken),
            budget=asked.budget,
        ),
        plan=RefinementPlan(
            search=(study.tracking_uri, study.study_id),
            top=top,
            grid=address or (),
            taken=tuple(trial for _, trial in taken.values()),
        ),
        notes=(*_notes(study, points, chosen, search.objectives), *_said(taken), with_what),
    )


def _require_some_left(
    trials: list[TrialConfig], taken: Mapping[TrialConfig, Any], top: int, budget: Budget
) -> None:
    if len(taken) == len(trials):
        raise ValueError(
            f"--top must leave something to train, got top={top}, all of which are tested with "
            f"budget {budget.name} in {_names(taken.values())}; ask for more points or --seeds"
        )


def point_trial(
    point: Recommended,
    tried: Mapping[TrialConfig, Mapping[str, float]],
    objectives: Sequence[Objective],
    coordinates: SearchCoordinates,
) -> TrialConfig:
    """The trial at a recommended point, written as the search would write it.

    What else varied (a learning rate, internal weights, ...) is taken from the best by
    `merit` of the five nearest points that were tried, the nearer of equals: of those that
    have all terms of the point's loss, where there are any, since the settings of a term say
    something beside it alone.

    Args:
        point: network and τ.
        tried: points of the search with their values of the objectives.
        objectives: by which the best is the best.
        coordinates: of the search's space.
    """
    ce, dice, boundary = (round(part, 9) for part in point.tau)  # a lattice's 1 is 1 + 2e-16
    tau = LossWeights(ce=ce, dice=dice, boundary=boundary)
    here = [each for each in tried if each.network == point.network]
    whole = [each for each in here if _terms(tau) <= _terms(each.tau)] or here
    away = tau_distance(np.array([_parts(each.tau) for each in whole]), _parts(tau))
    nearest = [whole[place] for place in np.argsort(away, kind="stable")[:_NEIGHBOURS]]
    values = pd.DataFrame([tried[each] for each in nearest])
    neighbour = nearest[int(merit(values, objectives).argmax())]
    moved = replace(neighbour, loss=loss_of(tau), tau=tau)
    return coordinates.trial(coordinates.params(moved))


def tried_points(
    search: Search, coordinates: SearchCoordinates
) -> dict[TrialConfig, dict[str, float]]:
    """Finished trials that are points of the search's space, with the means of their values.

    Repeats of one point are one; a known trial that is no point of the space is left out.
    """
    repeats: defaultdict[TrialConfig, list[dict[Any, Any]]] = defaultdict(list)
    for row in search.finished.to_dict("records"):
        try:
            point = coordinates.canonical(known_trial(row))
        except ValueError:  # of the grid, and outside of what the search looks through
            continue
        repeats[point].append(row)
    names = [OVERLAP.key, DISTANCE.key]
    return {
        point: {name: float(np.mean([row[name] for row in rows])) for name in names}
        for point, rows in repeats.items()
    }


def _space(search: Mapping[str, Any]) -> SearchSpace:
    """The space as MLflow keeps it, beside the search's configuration."""
    names = {field.name for field in fields(SearchSpace)}
    content = {name: value for name, value in search.items() if name in names}
    return TypeAdapter(SearchSpace).validate_python(content)


def _networks(search: Search, tried: Iterable[TrialConfig], asked: AskedSearch) -> list[str]:
    """Those that were asked for and have a finished trial, as the search came to them."""
    finished = {each.network for each in tried}
    wanted = finished.intersection(asked.space.networks)
    if not wanted:
        raise ValueError(
            f"--refine must name a search with finished trials of "
            f"{', '.join(asked.space.networks)}, got some of {', '.join(finished) or 'none'}"
        )
    return [network for network in search.networks if network in wanted]


def _grid_beside(study: Study, grid: Study | None, budget: Budget) -> tuple[Study | None, str]:
    """The grid to rank with, or None, and what there is to say of it."""
    if grid is not None:
        unlike = differences(grid, budget, study.fingerprint, study.regions)
        if unlike:
            raise ValueError(
                "--warm-start must be a study with the refinement's data, regions and budget, "
                f"which it is ranked with, got study={grid.name}: {unlike}"
            )
        return grid, _ranked_with(grid)
    if study.warm_start is None:
        reason = "the search started from none"
    else:
        try:
            grid = load_study(*study.warm_start)
        except ValueError as error:
            reason = str(error)
        else:
            reason = differences(grid, budget, study.fingerprint, study.regions)
            if not reason:
                return grid, _ranked_with(grid)
            reason = f"{grid.name}, from which the search started, does not compare: {reason}"
    return None, f"To be ranked with no grid: {reason}; --warm-start STUDY names one."


def _ranked_with(grid: Study) -> str:
    return f"To be ranked with the {grid.tests[keys.TRIAL].nunique()} tested trials of {grid.name}."


def _known(study: Study, grid: Study | None, budget: Budget) -> dict[TrialConfig, tuple[str, str]]:
    """Trials tested with this budget: by what was trained, the study's name and their id."""
    found = {}
    for source in (study, grid):
        if source is None or differences(source, budget, study.fingerprint, study.regions):
            continue
        tested = source.trials[keys.TRIAL].isin(source.tests[keys.TRIAL])
        for row in source.trials[tested].to_dict("records"):
            found[known_trial(row)] = (source.name, str(row[keys.TRIAL]))
    return found


def _notes(
    study: Study,
    points: Sequence[Recommended],
    trials: Sequence[TrialConfig],
    objectives: Sequence[Objective],
) -> Iterator[str]:
    yield f"Recommended by {study.name}, with what it predicts on validation at its own budget:"
    for point, trial in zip(points, trials, strict=True):
        values = ", ".join(
            f"{each.name.removesuffix('_px')} {each.text(point.predicted[each.key])}"
            for each in objectives
        )
        yield f"  {trial.label}: {values}"


def _said(taken: Mapping[TrialConfig, tuple[str, str]]) -> Iterator[str]:
    for trial, (study, identity) in taken.items():
        yield f"Not trained again, ranked as tested in {study}: {trial.label} ({identity})"


def _names(taken: Iterable[tuple[str, str]]) -> str:
    return ", ".join(dict.fromkeys(study for study, _ in taken))


def _terms(tau: LossWeights) -> set[str]:
    return {part for part in ("ce", "dice", "boundary") if getattr(tau, part)}


def _parts(tau: LossWeights) -> NDArray[np.float64]:
    return np.array([tau.ce, tau.dice, tau.boundary])
