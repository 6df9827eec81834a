"""How a report begins: what was studied, and what a reader must know before all else."""

from collections.abc import Iterator, Sequence
from typing import Final

from analysis.device_time import HOUR_S, device_seconds
from analysis.figures.style import region_title
from analysis.load import FAILURE, STATUS, Study
from analysis.report.contents import Terms
from analysis.report.sections.ranking import NO_RANKING
from analysis.report.sources import Sources
from analysis.spacing import NO_MILLIMETRES, spacing_words
from analysis.tables.design import first_line, status_words
from analysis.tables.trial_columns import trial_labels
from tune_knee import keys
from tune_knee.config import LOSS_TERMS, PAPER_BUDGET, Budget

_NAMED: Final = 5  # failures in the notice; the table of the design has all
_LISTED: Final = 8  # names in a fact
_BOUNDARY_TERM: Final = "boundary"


def study_facts(sources: Sources) -> Terms:
    """Name, budget, data, trials and cost."""
    study, frames = sources.study, sources.frames
    trials = study.trials
    cases = len(frames[keys.CASE].unique())
    count = len(frames[[keys.CASE, keys.FRAME]].drop_duplicates())
    items = (
        ("Study", f"{study.name}, id {study.study_id}"),
        ("Started", f"{study.started:%Y-%m-%d %H:%M} UTC"),
        ("Budget", f"{study.budget.name}: {_budget_words(study.budget)}"),
        ("Trials", f"{study.planned:,} planned: {status_words(study)}"),
        ("Tested on", f"{count:,} frames of {cases} cases"),
        ("Regions", ", ".join(region_title(region) for region in study.regions)),
        ("Pixel spacing", _spacing(study)),
        ("Hardest region", region_title(study.hardest_region)),
        ("Networks", _listed(trials[keys.NETWORK].unique().tolist())),
        ("Losses", _listed(trials[keys.LOSS].unique().tolist())),
        ("Boundary loss", _boundary_kinds(study)),
        ("Checkpoint", f"best mean IoU on the {study.budget.select_on} set"),
        ("Device-hours", f"{device_seconds(trials).sum() / HOUR_S:,.2f}"),
        ("Data", f"fingerprint {study.fingerprint}"),
    )
    return Terms(items=items)


def notices(sources: Sources) -> tuple[str, ...]:
    """What limits all that follows, the gravest first; nothing where nothing does."""
    found = list(_notices(sources.study))
    if sources.refined is not None:
        found.append(
            "These points were recommended by a search. What is said of the ranking is among them "
            "alone; the section on refined points has them beside the grid's."
        )
    if sources.findings is None:
        found.append(f"There is no ranking. {NO_RANKING.reason}")
    return tuple(found)


def _notices(study: Study) -> Iterator[str]:
    budget = study.budget
    if budget.name != PAPER_BUDGET.name:
        yield (
            f"Budget “{budget.name}”: {_budget_words(budget)}. These are no results of the "
            "paper's budget and do not stand beside its figures."
        )
    if budget.select_on == "test":
        yield (
            "The checkpoint of each trial was chosen on the test set itself, on which it is "
            "tested here: every result is flattered."
        )
    if study.running:
        yield (
            f"The study is not finished: {status_words(study)}, of {study.planned:,} planned. All "
            "that follows is of the trials tested so far."
        )
    elif len(study.trials) < study.planned:
        yield f"The study ended early: {status_words(study)}, of {study.planned:,} planned."
    failed = study.trials[study.trials[STATUS] == keys.STATUS_FAILED]
    if len(failed):
        labels = trial_labels(failed)
        named = [
            f"{labels[trial]} ({first_line(failure)})"
            for trial, failure in failed[[keys.TRIAL, FAILURE]].head(_NAMED).itertuples(index=False)
        ]
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        yield f"Failed, and without results: {'; '.join(named)}{more}."


def _spacing(study: Study) -> str:
    if not study.spacing_source:
        return NO_MILLIMETRES
    return f"{spacing_words(study.spacing_source)}; distances are in mm too, the ranking takes px"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _budget_words(budget: Budget) -> str:
    return (
        f"frames of {budget.image_size_px} px, networks at {budget.width:.0%} of "
        f"their width, at most {budget.max_steps:,} steps"
    )


def _boundary_kinds(study: Study) -> str:
    trials = study.trials
    with_boundary = [loss for loss, terms in LOSS_TERMS.items() if _BOUNDARY_TERM in terms]
    kinds = trials.loc[trials[keys.LOSS].isin(with_boundary), keys.BOUNDARY].unique()
    return ", ".join(kinds) or "in no loss"
