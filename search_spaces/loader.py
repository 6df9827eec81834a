"""Reads grids and searches: those that ship by name, a user's own by path."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import product
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from search_spaces.budget_changes import merged
from search_spaces.file_problems import problems_of
from search_spaces.grid import Grid
from search_spaces.grid_file import Experiment, GridFile
from search_spaces.search import Search
from search_spaces.search_file import SearchFile
from search_spaces.yaml_reader import read_yaml
from tune_knee.config import LOSS_TERMS, PAPER_BUDGET, LossWeights, TrialConfig

_SUFFIXES = (".yaml", ".yml")

_Space = TypeVar("_Space", Grid, Search)
_File = TypeVar("_File", GridFile, SearchFile)
_Placed = tuple[str, TrialConfig]  # a trial, and what asks for it


def space_names() -> tuple[str, ...]:
    """Names of the grids and searches that ship, in alphabetical order."""
    files = (Path(file.name) for file in resources.files("search_spaces").iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def load_space(name_or_path: str) -> Grid | Search:
    """Read what ships by its name, or a user's own by a path ending in .yaml or .yml.

    A file with a section `search` is a search, any other a grid.

    Raises:
        ValueError: if there is none of that name, or its file is not a valid one; the message
            lists all problems of the file, each with its field and the choices.
    """
    return _load(_find(name_or_path, Path()), {}, ())


def load_grid(name_or_path: str) -> Grid:
    """Read a grid; see `load_space`.

    Raises:
        ValueError: as there, and if it is a search.
    """
    return _load_kind(name_or_path, Grid)


def load_search(name_or_path: str) -> Search:
    """Read a search; see `load_space`.

    Raises:
        ValueError: as there, and if it is a grid.
    """
    return _load_kind(name_or_path, Search)


def _load_kind(name_or_path: str, kind: type[_Space]) -> _Space:
    found = load_space(name_or_path)
    if isinstance(found, kind):
        return found
    mismatch = (
        f"search, got a grid of {len(found.trials)} trials; leave --trials out"
        if isinstance(found, Grid)
        else "grid, got a search, whose trials follow from one another; say how many with --trials"
    )
    raise ValueError(f"{name_or_path} must be a {mismatch}")


def _find(name_or_path: str, folder: Path) -> Traversable:
    if name_or_path.endswith(_SUFFIXES):
        path = folder / name_or_path
        if not path.is_file():
            raise ValueError(f"grid file must exist, got path={path}")
        return path
    if name_or_path not in space_names():
        raise ValueError(
            f"grid must be one of {', '.join(space_names())}, or a path ending in .yaml, "
            f"got grid={name_or_path}"
        )
    return resources.files("search_spaces") / f"{name_or_path}.yaml"


def _load(
    source: Traversable, defaults: Mapping[str, Any], below: tuple[str, ...]
) -> Grid | Search:
    """Read a file whose `defaults` and whose users (`below`, through extends) are given."""
    if str(source) in below:
        _reject(source, ["extends: must not come back to the file itself"])
    raw = read_yaml(source)
    budget = raw.get("budget", {}) if isinstance(raw, dict) else {}
    if isinstance(raw, dict) and "search" in raw:
        content = _validated(source, raw, budget, SearchFile)
        return Search(
            name=content.name or Path(source.name).stem,
            description=content.description,
            space=content.search.space(),
            config=content.search.config(),
            budget=budget,
        )
    return _grid(source, _validated(source, raw, budget, GridFile), budget, defaults, below)


def _grid(
    source: Traversable,
    content: GridFile,
    budget: Mapping[str, Any],
    defaults: Mapping[str, Any],
    below: tuple[str, ...],
) -> Grid:
    defaults = {**content.defaults.given(), **defaults}
    trials: list[_Placed] = []
    if content.extends is not None:
        base = _extended(source, content, defaults, below)
        budget = merged(base.budget, budget)
        trials += ((f"trial {i + 1} of {base.name}", each) for i, each in enumerate(base.trials))
    for i, experiment in enumerate(content.experiments):
        trials += _expanded(f"experiments[{i}]", experiment, defaults)
    _must_differ(source, trials)
    return Grid(
        name=content.name or Path(source.name).stem,
        description=content.description,
        trials=tuple(trial for _, trial in trials),
        budget=budget,
    )


def _validated(source: Traversable, raw: object, budget: object, kind: type[_File]) -> _File:
    problems = []
    if isinstance(raw, dict) and isinstance(budget, dict):
        if "name" in budget:
            problems.append(
                f"budget.name: must be left out, it follows from the {_word(kind)}'s name"
            )
        # The numbers are checked as changes of a whole budget, here of the paper's.
        raw = {**raw, "budget": merged(asdict(PAPER_BUDGET), {**budget, "name": "grid"})}
    try:
        # As JSON, strictly: 64 is no text and true no number, but a list may be a tuple.
        content = kind.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        _reject(source, problems + problems_of(error, kind), kind)
    if problems:
        _reject(source, problems, kind)
    return content


def _extended(
    source: Traversable, content: GridFile, defaults: Mapping[str, Any], below: tuple[str, ...]
) -> Grid:
    assert content.extends is not None
    folder = source.parent if isinstance(source, Path) else Path()
    if not (folder / content.extends).resolve().is_relative_to(folder.resolve()):
        _reject(
            source, [f"extends: must stay in the folder of the grid, got extends={content.extends}"]
        )
    try:
        base = _find(content.extends, folder)
    except ValueError as error:
        _reject(source, [f"extends: {error}"])
    grid = _load(base, defaults, (*below, str(source)))
    if isinstance(grid, Search):
        _reject(source, [f"extends: must name a grid, got the search {grid.name}"])
    try:
        return grid.narrowed(content.only.network, content.only.loss)
    except ValueError as error:
        _reject(source, [f"only: {error}"])


def _expanded(field: str, experiment: Experiment, defaults: Mapping[str, Any]) -> list[_Placed]:
    """Trials of an experiment: networks x losses x ratios."""
    settings = {**defaults, **experiment.given()}
    trials = []
    for network, loss in product(experiment.network, experiment.loss):
        pure = len(LOSS_TERMS[loss]) == 1
        for i, ratio in enumerate(experiment.tau or ("1",) * pure):
            trial = TrialConfig(
                network=network,
                loss=loss,
                tau=LossWeights.parse(loss, ratio),
                experiment=experiment.experiment,
                **settings,
            )
            trials.append((field if pure else f"{field}.tau[{i}]", trial))
    return trials


def _must_differ(source: Traversable, trials: list[_Placed]) -> None:
    first: dict[TrialConfig, str] = {}
    problems = []
    for place, trial in trials:
        parameters = replace(trial, experiment=None)
        if parameters in first:
            problems.append(
                f"{place}: must differ from {first[parameters]}, both are {trial.label}"
            )
        first.setdefault(parameters, place)
    if problems:
        _reject(source, problems)


def _reject(
    source: Traversable, problems: list[str], kind: type[GridFile | SearchFile] = GridFile
) -> NoReturn:
    listed = "".join(f"\n  {problem}" for problem in problems)
    raise ValueError(
        f"{source} must be a valid {_word(kind)}, got {len(problems)} problem(s):{listed}"
    )


def _word(kind: type[GridFile | SearchFile]) -> str:
    return "search" if kind is SearchFile else "grid"
