"""A study out of MLflow: its trials, their parameters, tests and ends."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils import get_results_from_paginated_fn
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from analysis.aggregate import MEANS, MM_MEANS
from tune_knee import keys
from tune_knee.config import Budget
from tune_knee.tracking_uri import require_no_secret

RUN_ID: Final = "run_id"
LABEL: Final = "label"
STATUS: Final = "status"
STOP_REASON: Final = "stop_reason"
FAILURE: Final = "failure"
CPUS: Final = "cpus"
GPUS: Final = "gpus"
_PAGE: Final = 1000
_RUNNING: Final = "RUNNING"
_REGION_NAME: Final = re.compile(r"[\w. -]+")
_SQLITE: Final = "sqlite:///"
_NUMBERS: Final = (keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY)
_TEXTS: Final = (keys.NETWORK, keys.LOSS, keys.BOUNDARY, keys.INTERNAL_WEIGHTS, keys.WEIGHTS_IN)
_LATEST: Final = (
    keys.STEP,
    keys.WALL_TIME_S,
    keys.BEST_STEP,
    keys.BEST_IOU,
    keys.BEST_OVERLAP,
    keys.BEST_DISTANCE_PX,
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """What MLflow knows of a study.

    Attributes:
        tracking_uri: where it was found.
        name: of the study; several may bear it.
        study_id: its own.
        run_id: the study's run in MLflow.
        started: when, in UTC.
        budget: what every trial could spend.
        fingerprint: the dataset's identity.
        regions: their names, in the dataset's order.
        planned: how many trials the whole study has.
        running: it is not ended, or its driver died and could not say so.
        data: the dataset's folder, where the study ran.
        hardest_region: the one that the third stopping criterion looks at.
        search: how a search looked and where, by the fields of its configuration; None of a
            grid's study.
        warm_start: address and id of the study that a search started from; None without.
        refines: the search whose points these are (``search``: address and id), how many
            (``top``), the study they are ranked with (``grid``: the same, or empty) and trials
            that were trained there (``taken``: ids); None if it refines none.
        trials: a row per trial, in the order they started: trial, run_id, label, status
            (`keys.STATUS_TESTED` where it is done), the parameters by their names
            (learning_rate NaN where it is the budget's), stop_reason, failure, cpus and gpus
            that it took, the step at which each criterion opened (``opened/<criterion>``),
            step, wall_time_s, best/step, best/iou, ... (NaN where there is none).
        tests: a row per tested trial and region: trial, region, network, loss, the six
            metrics' means, overlap, distance_px, missed_frames; with a spacing_source also
            `MM_MEANS`.
        spacing_source: where the pixel spacing of all tests was measured; empty where one has
            no millimetres, or they differ: these are never mixed.
    """

    tracking_uri: str
    name: str
    study_id: str
    run_id: str
    started: datetime
    budget: Budget
    fingerprint: str
    regions: tuple[str, ...]
    planned: int
    running: bool
    data: Path
    hardest_region: str
    search: Mapping[str, Any] | None = None
    warm_start: tuple[str, str] | None = None
    refines: Mapping[str, Any] | None = None
    trials: pd.DataFrame
    tests: pd.DataFrame
    spacing_source: str = ""


def load_study(tracking_uri: str, study: str) -> Study:
    """Read a study, finished or still running, in a few queries.

    Args:
        tracking_uri: MLflow's store or server.
        study: a name, or a study id where several studies bear one name.

    Raises:
        ValueError: if there is no such store or study, it does not answer, several have the
            name, or none of its trials is tested yet.
    """
    client, parent = _find_study(tracking_uri, study)
    tags = parent.data.tags
    regions = tuple(tags[keys.TAG_REGIONS].split(","))
    _must_name_files(regions)
    runs = _trials_of(client, parent, study)
    tested = [run for run in runs if run.data.tags[keys.TAG_STATUS] == keys.STATUS_TESTED]
    spacing_source = _one_source(tested)
    means = MEANS + MM_MEANS if spacing_source else MEANS
    return Study(
        tracking_uri=tracking_uri,
        name=tags[keys.TAG_STUDY],
        study_id=tags[keys.TAG_STUDY_ID],
        run_id=parent.info.run_id,
        started=_when(parent),
        budget=TypeAdapter(Budget).validate_json(_defining(parent, keys.BUDGET)),
        fingerprint=tags[keys.TAG_FINGERPRINT],
        regions=regions,
        planned=int(_defining(parent, keys.PLANNED)),
        running=parent.info.status == _RUNNING,
        data=Path(_defining(parent, keys.DATA)),
        hardest_region=_defining(parent, keys.HARDEST_REGION),
        search=json.loads(parent.data.params.get(keys.SEARCH, "null")),
        warm_start=_pair(json.loads(parent.data.params.get(keys.WARM_START, "null"))),
        refines=json.loads(parent.data.params.get(keys.REFINES, "null")),
        trials=pd.DataFrame([_trial_row(run) for run in runs]).astype({keys.EXPERIMENT: "Int64"}),
        tests=pd.DataFrame(
            [_test_row(run, region, means) for run in tested for region in regions]
        ).astype({keys.MISSED_FRAMES: int}),
        spacing_source=spacing_source,
    )


def _one_source(tested: Sequence[Run]) -> str:
    """Where the spacing of every test was measured, if it is one place; else empty."""
    sources = {run.data.tags.get(keys.TAG_SPACING_SOURCE, "") for run in tested}
    return sources.pop() if len(sources) == 1 else ""


def _must_name_files(regions: Sequence[str]) -> None:
    for region in regions:
        if not _REGION_NAME.fullmatch(region):
            raise ValueError(
                "a region's name must be of letters, digits, spaces and '_.-', as a report's "
                f"files bear it, got region={region!r} in {keys.TAG_REGIONS}"
            )


def open_client(tracking_uri: str) -> MlflowClient:
    """A client of an MLflow store that exists.

    Raises:
        ValueError: if the URI names an SQLite file that is not there, or holds a password.
    """
    require_no_secret(tracking_uri)
    database = Path(tracking_uri.removeprefix(_SQLITE))
    if tracking_uri.startswith(_SQLITE) and not database.is_file():
        # MLflow would make an empty one.
        raise ValueError(
            f"tracking_uri must name an existing store, got tracking_uri={tracking_uri}; "
            "a study's own store is <out>/mlflow.db"
        )
    return MlflowClient(tracking_uri)


def _find_study(tracking_uri: str, study: str) -> tuple[MlflowClient, Run]:
    """A client of the store, and the study's run in it."""
    try:
        client = open_client(tracking_uri)
        return client, _find_parent(client, tracking_uri, study)
    except (MlflowException, SQLAlchemyError) as error:
        raise ValueError(
            f"tracking_uri must name a store or server that answers, got tracking_uri="
            f"{tracking_uri}: {str(error).splitlines()[0]}"
        ) from error


def _find_parent(client: MlflowClient, tracking_uri: str, study: str) -> Run:
    experiments: list[str] = [
        experiment.experiment_id
        for experiment in get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
            lambda number, token: client.search_experiments(max_results=number, page_token=token),
            max_results_per_page=_PAGE,
        )
    ]
    parents = _search(client, experiments, _is(keys.KIND_STUDY))
    names = [(run.data.tags[keys.TAG_STUDY], run.data.tags[keys.TAG_STUDY_ID]) for run in parents]
    found = [run for run, known in zip(parents, names, strict=True) if study in known]
    if not found:
        there = ", ".join(sorted({name for name, _ in names})) or "no study"
        raise ValueError(
            f"study must be one of those in {tracking_uri} ({there}), got study={study}"
        )
    if len(found) > 1:
        ids = ", ".join(
            f"{run.data.tags[keys.TAG_STUDY_ID]} of {_when(run):%Y-%m-%d %H:%M}" for run in found
        )
        raise ValueError(
            f"study must name one study, got study={study}, which {len(found)} bear; "
            f"name one by its id: {ids} (UTC)"
        )
    return found[0]


def _trials_of(client: MlflowClient, parent: Run, study: str) -> list[Run]:
    """Runs of the study's trials, of which one at least is tested, as they started."""
    study_id = parent.data.tags[keys.TAG_STUDY_ID]
    where = f"tags.`{keys.TAG_STUDY_ID}` = '{study_id}' AND {_is(keys.KIND_TRIAL)}"
    runs = _search(client, [parent.info.experiment_id], where)
    if not any(run.data.tags[keys.TAG_STATUS] == keys.STATUS_TESTED for run in runs):
        raise ValueError(
            f"at least one trial must be tested, got {len(runs)} trials, none tested, in "
            f"study={study}; wait for the first, or resume the study"
        )
    return runs


def _search(client: MlflowClient, experiment_ids: Sequence[str], where: str) -> list[Run]:
    runs: list[Run] = get_results_from_paginated_fn(  # type: ignore[no-untyped-call]
        lambda number, token: client.search_runs(
            list(experiment_ids),
            where,
            max_results=number,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        ),
        max_results_per_page=_PAGE,
    )
    return runs


def _defining(parent: Run, name: str) -> str:
    """A parameter of a study's run; a driver that died at the very start may not have set it."""
    if name not in parent.data.params:
        raise ValueError(
            f"a study's run must have the parameter {name}, got none in "
            f"study={parent.data.tags[keys.TAG_STUDY]}; resume the study, which sets it"
        )
    return str(parent.data.params[name])


def _pair(found: Sequence[str] | None) -> tuple[str, str] | None:
    return None if found is None else (found[0], found[1])


def _is(kind: str) -> str:
    return f"tags.`{keys.TAG_KIND}` = '{kind}'"


def _when(run: Run) -> datetime:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC)


def _trial_row(run: Run) -> dict[str, object]:
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    return {
        keys.TRIAL: tags[keys.TAG_TRIAL],
        RUN_ID: run.info.run_id,
        LABEL: run.info.run_name,
        STATUS: tags[keys.TAG_STATUS],
        keys.EXPERIMENT: int(params[keys.EXPERIMENT]) if keys.EXPERIMENT in params else None,
        **{name: params[name] for name in _TEXTS},
        **{name: float(params[name]) for name in _NUMBERS},
        keys.SEED: int(params[keys.SEED]),
        keys.PRETRAINED: params[keys.PRETRAINED] == str(True),
        keys.LEARNING_RATE: float(params.get(keys.LEARNING_RATE, "nan")),
        keys.REPEAT: int(params.get(keys.REPEAT, 0)),
        STOP_REASON: tags.get(keys.TAG_STOP_REASON),
        FAILURE: tags.get(keys.TAG_FAILURE),
        CPUS: float(tags[keys.TAG_CPUS]),
        GPUS: float(tags[keys.TAG_GPUS]),
        **{opened_column(name): _step(tags.get(keys.TAG_OPENED + name)) for name in keys.CRITERIA},
        **{name: metrics.get(name, float("nan")) for name in _LATEST},
    }


def opened_column(criterion: str) -> str:
    """Column of `Study.trials` with the step at which a stopping criterion opened."""
    return f"opened/{criterion}"


def _step(tag: str | None) -> float:
    return float("nan") if tag is None else float(tag)


def _test_row(run: Run, region: str, means: Sequence[str]) -> dict[str, object]:
    return {
        keys.TRIAL: run.data.tags[keys.TAG_TRIAL],
        keys.REGION: region,
        keys.NETWORK: run.data.params[keys.NETWORK],
        keys.LOSS: run.data.params[keys.LOSS],
        **{name: run.data.metrics[keys.test(region, name)] for name in means},
    }
