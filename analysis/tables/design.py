"""Table 2: the study's trials, how each went and what it cost."""

from typing import Final

import pandas as pd

from analysis.device_time import HOUR_S, device_seconds
from analysis.load import CPUS, FAILURE, GPUS, STATUS, STOP_REASON, Study
from analysis.tables.table import Column, Table, number
from analysis.tables.trial_columns import trial_columns, trial_rows
from tune_knee import keys

WALL_TIME_MIN: Final = "wall_time_min"
DEVICE_HOURS: Final = "device_hours"
_END: Final = "end"
_SHOWN_FAILURE: Final = 120  # characters of a failure's first line; the CSV has it whole
_MINUTE_S: Final = 60


def design_table(study: Study) -> Table:
    """Every trial that started: parameters, status, steps, time, and why it ended."""
    details = study.trials[
        [
            keys.TRIAL,
            STATUS,
            keys.STEP,
            keys.BEST_STEP,
            keys.WALL_TIME_S,
            CPUS,
            GPUS,
            STOP_REASON,
            FAILURE,
            keys.SEED,
        ]
    ]
    rows = trial_rows(study.trials).merge(details, on=keys.TRIAL, how="left")
    rows[WALL_TIME_MIN] = rows[keys.WALL_TIME_S] / _MINUTE_S
    rows[DEVICE_HOURS] = device_seconds(rows) / HOUR_S
    rows[_END] = rows[FAILURE].map(first_line, na_action="ignore").fillna(rows[STOP_REASON])
    return Table(
        name="table_2_design",
        number="2",
        title="Design of the study, and how each trial went",
        caption=_caption(study, rows),
        rows=rows,
        columns=(
            *trial_columns(study.trials),
            Column(title="Status", of=(STATUS,)),
            number("Steps", keys.STEP, 0),
            number("Best step", keys.BEST_STEP, 0),
            number("Wall time (min)", WALL_TIME_MIN, 1),
            number("Device-hours", DEVICE_HOURS, 3),
            Column(title="Why it ended", of=(_END,)),
        ),
    )


def status_words(study: Study) -> str:
    """How many trials stand where, e.g. ``50 tested, 2 failed, 3 not started``."""
    counts = study.trials[STATUS].value_counts()
    known = (keys.STATUS_TESTED, keys.STATUS_TRAINED, keys.STATUS_RUNNING, keys.STATUS_FAILED)
    words = [f"{counts[status]} {status}" for status in known if status in counts]
    waiting = study.planned - len(study.trials)
    return ", ".join([*words, f"{waiting} not started"] if waiting > 0 else words)


def _caption(study: Study, rows: pd.DataFrame) -> str:
    device = "GPU" if (rows[GPUS] > 0).any() else "CPU core"
    return (
        f"{study.planned} trials planned: {status_words(study)}. Best step is the one whose "
        f"checkpoint was tested, chosen on {study.budget.select_on}. Device-hours are wall time "
        f"times the share of a {device} that the trial took; together "
        f"{rows[DEVICE_HOURS].sum():,.2f}."
    )


def first_line(failure: str) -> str:
    """What a failure says first, cut where it is long."""
    line = failure.strip().splitlines()[0]
    return line if len(line) <= _SHOWN_FAILURE else line[: _SHOWN_FAILURE - 1] + "…"
