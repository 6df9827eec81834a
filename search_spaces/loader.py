"""Reads grids: those that ship by name, a user's own by path."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from search_spaces.grid import Grid, merged
from search_spaces.grid_file import Experiment, GridFile, problems_of
from search_spaces.yaml_reader import read_yaml
from tune_knee.config import LOSS_TERMS, PAPER_BUDGET, LossWeights, TrialConfig

_SUFFIXES = (".yaml", ".yml")

_Placed = tuple[str, TrialConfig]  # a trial, and what asks for it


def grid_names() -> tuple[str, ...]:
    """Names of the grids that ship, in alphabetical order."""
    files = (Path(file.name) for file in resources.files("search_spaces").iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def load_grid(name_or_path: str) -> Grid:
    """Read a grid that ships by its name, or a user's own by a path ending in .yaml or .yml.

    Raises:
        ValueError: if there is no such grid, or its file is not a valid one; the message
            lists all problems of the file, each with its field and the choices.
    """
    return _load(_find(name_or_path, Path()), {}, ())


def _find(name_or_path: str, folder: Path) -> Traversable:
    if name_or_path.endswith(_SUFFIXES):
        path = folder / name_or_path
        if not path.is_file():
            raise ValueError(f"grid file must exist, got path={path}")
        return path
    if name_or_path not in grid_names():
        raise ValueError(
            f"grid must be one of {', '.join(grid_names())}, or a path ending in .yaml, "
            f"got grid={name_or_path}"
        )
    return resources.files("search_spaces") / f"{name_or_path}.yaml"


def _load(source: Traversable, defaults: Mapping[str, Any], below: tuple[str, ...]) -> Grid:
    """Read a file whose `defaults` and whose users (`below`, through extends) are given."""
    if str(source) in below:
        _reject(source, ["extends: must not come back to the file itself"])
    raw = read_yaml(source)
    budget = raw.get("budget", {}) if isinstance(raw, dict) else {}
    content = _validated(source, raw, budget)
    defaults = {**content.defaults.given(), **defaults}
    name = content.name or Path(source.name).stem

    trials: list[_Placed] = []
    if content.extends is not None:
        base = _extended(source, content, defaults, below)
        budget = merged(base.budget, budget)
        trials += ((f"trial {i + 1} of {base.name}", each) for i, each in enumerate(base.trials))
    for i, experiment in enumerate(content.experiments):
        trials += _expanded(f"experiments[{i}]", experiment, defaults)
    _must_differ(source, trials)
    return Grid(
        name=name,
        description=content.description,
        trials=tuple(trial for _, trial in trials),
        budget=budget,
    )


def _validated(source: Traversable, raw: object, budget: object) -> GridFile:
    problems = []
    if isinstance(raw, dict) and isinstance(budget, dict):
        if "name" in budget:
            problems.append("budget.name: must be left out, it follows from the grid's name")
        # The numbers are checked as changes of a whole budget, here of the paper's.
        raw = {**raw, "budget": merged(asdict(PAPER_BUDGET), {**budget, "name": "grid"})}
    try:
        # As JSON, strictly: 64 is no text and true no number, but a list may be a tuple.
        content = GridFile.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        _reject(source, problems + problems_of(error))
    if problems:
        _reject(source, problems)
    return content


def _extended(
    source: Traversable, content: GridFile, defaults: Mapping[str, Any], below: tuple[str, ...]
) -> Grid:
    assert content.extends is not None
    folder = source.parent if isinstance(source, Path) else Path()
    try:
        base = _find(content.extends, folder)
    except ValueError as error:
        _reject(source, [f"extends: {error}"])
    grid = _load(base, defaults, (*below, str(source)))
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


def _reject(source: Traversable, problems: list[str]) -> NoReturn:
    listed = "".join(f"\n  {problem}" for problem in problems)
    raise ValueError(f"{source} must be a valid grid, got {len(problems)} problem(s):{listed}")
