"""A refinement's trials beside those of a grid, to be ranked together."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import pandas as pd

from analysis.load import Study, load_study
from tune_knee import keys
from tune_knee.config import Budget

_LISTED: Final = 3  # fields of a budget


@dataclass(frozen=True, kw_only=True)
class BesideGrid:
    """What is ranked together.

    Attributes:
        study: its own trials first, then those of the grid; `Study.trials` and `Study.tests`
            of both.
        refined: the recommended among them, by trial id, also those that were trained by the
            grid or the search; none if the study is no refinement.
        grid: name of the study it is ranked with; None if it is ranked alone.
        notes: with what it is ranked, or why not; sentences.
    """

    study: Study
    refined: frozenset[str] = frozenset()
    grid: str | None = None
    notes: tuple[str, ...] = ()


def beside_grid(study: Study) -> BesideGrid:
    """The study with the trials that it is ranked with; a study that refines nothing, alone.

    Tested trials of the grid are taken in if its data, regions and budget are the study's;
    those of the search that were recommended and not trained again, likewise. A trial that is
    in several of them is taken once.
    """
    if study.refines is None:
        return BesideGrid(study=study)
    taken = frozenset(study.refines["taken"])
    grid, note = _comparable(study, study.refines["grid"], "the grid")
    whole = study if grid is None else _with_trials(study, grid, grid.trials[keys.TRIAL])
    notes = [note]
    if taken - set(whole.trials[keys.TRIAL]):
        search, note = _comparable(study, study.refines["search"], "the search")
        if search is None:
            notes.append(note)
        else:
            whole = _with_trials(whole, search, taken)
    return BesideGrid(
        study=whole,
        refined=frozenset(study.trials[keys.TRIAL]) | taken,
        grid=None if grid is None else grid.name,
        notes=tuple(notes),
    )


def differences(study: Study, budget: Budget, fingerprint: str, regions: tuple[str, ...]) -> str:
    """In what a study's results were reached otherwise, in words; empty if in nothing.

    A budget's name does not count.
    """
    return "; ".join(_differences(study, budget, fingerprint, regions))


def _differences(
    study: Study, budget: Budget, fingerprint: str, regions: tuple[str, ...]
) -> Iterator[str]:
    if study.fingerprint != fingerprint:
        yield f"its data is {study.fingerprint}, not {fingerprint}"
    if study.regions != regions:
        yield f"its regions are {', '.join(study.regions)}, not {', '.join(regions)}"
    theirs, own = _flat(asdict(study.budget)), _flat(asdict(budget))
    changed = [name for name in own if name != "name" and theirs[name] != own[name]]
    if changed:
        listed = [f"{name} {theirs[name]} (not {own[name]})" for name in changed[:_LISTED]]
        if len(changed) > _LISTED:
            listed.append(f"and {len(changed) - _LISTED} other differences")
        yield f"its budget {study.budget.name} has {', '.join(listed)}"


def _flat(fields: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Fields within fields by their names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[above + name] = value
    return found


def _comparable(study: Study, address: Collection[str], what: str) -> tuple[Study | None, str]:
    """The study at an address, and what there is to say of it; None if it does not compare."""
    if not address:
        return None, "Ranked alone: no grid was named, and the search started from none."
    tracking_uri, study_id = address
    try:
        found = load_study(tracking_uri, study_id)
    except ValueError as error:
        return None, f"Ranked without {what}, which cannot be read: {error}."
    unlike = differences(found, study.budget, study.fingerprint, study.regions)
    if unlike:
        return None, f"Ranked without {what} {found.name}: {unlike}."
    tested = found.tests[keys.TRIAL].nunique()
    return found, f"Ranked with the {tested} tested trials of {found.name}."


def _with_trials(study: Study, other: Study, trials: Collection[str]) -> Study:
    """The study with those tested trials of another that it has not itself."""
    new = set(trials) & set(other.tests[keys.TRIAL]) - set(study.trials[keys.TRIAL])
    rows, tests = (table[table[keys.TRIAL].isin(new)] for table in (other.trials, other.tests))
    return replace(
        study,
        trials=pd.concat([study.trials, rows], ignore_index=True),
        tests=pd.concat([study.tests, tests], ignore_index=True),
    )
