"""Files of a study in MLflow: what trials kept, and where its report goes."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from analysis.load import RUN_ID, STATUS, Study, open_client
from tune_knee import keys

log = logging.getLogger(__name__)

_REPORT: Final = "report"


def load_frames(study: Study) -> pd.DataFrame:
    """Per-frame metrics of all tested trials: trial, case, frame, region, six metrics.

    With `keys.MM_METRICS` where the study has a spacing_source, and without them elsewhere.

    Raises:
        ValueError: if the file of a tested trial is gone.
    """
    tested = study.trials[study.trials[STATUS] == keys.STATUS_TESTED]
    frames = _load_tables(study, tested, keys.TEST_FRAMES)
    found = () if frames.empty else frames[keys.TRIAL].unique()
    gone = tested.loc[~tested[keys.TRIAL].isin(found), keys.TRIAL]
    if len(gone):
        raise ValueError(
            f"every tested trial must have its {keys.TEST_FRAMES} in MLflow, got {len(gone)} "
            f"without, e.g. trial={gone.iloc[0]}; bring the artifacts back to where they were"
        )
    if study.spacing_source:
        return frames
    return frames.drop(columns=[*keys.MM_METRICS, keys.SPACING_SOURCE], errors="ignore")


def load_histories(study: Study) -> pd.DataFrame:
    """Every report of all trials that ended: trial, step, train/loss, val/iou, ...

    Empty where no trial kept one: a trial that failed before its first validation has none.
    """
    ended = study.trials[study.trials[STATUS] != keys.STATUS_RUNNING]
    return _load_tables(study, ended, keys.HISTORY)


def load_masks(study: Study, trial: str, chosen: pd.DataFrame) -> NDArray[np.uint8] | None:
    """Predicted bit masks of some test frames, bit r region r; None if the trial kept none.

    Args:
        study: of which the trial is.
        trial: its id.
        chosen: case and frame of the n wanted, in the order of the result (n, H, W).

    Raises:
        ValueError: if the trial was not tested on one of them.
    """
    run_id = study.trials.set_index(keys.TRIAL).loc[trial, RUN_ID]
    client = open_client(study.tracking_uri)
    with _quiet_folder() as folder:
        path = _download(client, str(run_id), keys.TEST_MASKS, folder)
        if path is None:
            return None
        row = [keys.CASE, keys.FRAME]
        found = chosen[row].merge(pd.read_parquet(path), on=row, how="left")
    lacking = found[found[keys.PNG].isna()]
    if len(lacking):
        case, frame = lacking.iloc[0][row]
        raise ValueError(
            f"a trial must be tested on every frame asked for, got trial={trial} without "
            f"frame={frame} of case={case}"
        )
    return np.stack([np.asarray(Image.open(BytesIO(png))) for png in found[keys.PNG]])


def log_report(study: Study, folder: Path) -> None:
    """Keep a report's files with the study's run, in place of those of an earlier one.

    Each file replaces that of its name; what the earlier report had besides (files of the same
    folders and endings) is deleted when all of the new one is there, so that one of them is
    whole at any time. Where the store lets nothing be deleted, that is left and logged.
    """
    client = open_client(study.tracking_uri)
    client.log_artifacts(study.run_id, str(folder), _REPORT)
    new = {PurePosixPath(_REPORT, path.relative_to(folder)) for path in _files_below(folder)}
    kinds = {(path.parent, path.suffix) for path in new}
    there = {
        PurePosixPath(found.path)
        for parent in {path.parent for path in new}
        for found in client.list_artifacts(study.run_id, str(parent))
        if not found.is_dir
    }
    old = sorted(path for path in there - new if (path.parent, path.suffix) in kinds)
    if old:
        _delete(study, client.get_run(study.run_id).info.artifact_uri, old)


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _delete(study: Study, artifact_uri: str, paths: Sequence[PurePosixPath]) -> None:
    repository = get_artifact_repository(artifact_uri, tracking_uri=study.tracking_uri)
    try:
        for path in paths:
            repository.delete_artifacts(str(path))  # type: ignore[no-untyped-call]
    except (MlflowException, NotImplementedError, OSError) as error:
        log.warning(
            "files of an earlier report are left in %s, which deletes none, e.g. %s: %s",
            study.tracking_uri,
            paths[0],
            error,
        )


def _load_tables(study: Study, trials: pd.DataFrame, name: str) -> pd.DataFrame:
    client = open_client(study.tracking_uri)
    tables = []
    with _quiet_folder() as folder:
        for trial, run_id in tqdm(
            zip(trials[keys.TRIAL], trials[RUN_ID], strict=True),
            total=len(trials),
            desc=f"loading {name.partition('.')[0]}",
            unit="trial",
            disable=None,
        ):
            path = _download(client, run_id, name, folder)
            if path is not None:
                table = pd.read_parquet(path)
                table.insert(0, keys.TRIAL, trial)
                tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _download(client: MlflowClient, run_id: str, name: str, folder: Path) -> Path | None:
    if name not in {artifact.path for artifact in client.list_artifacts(run_id)}:
        return None
    # A folder each, with a name of our own: who tells run ids is a server.
    return Path(client.download_artifacts(run_id, name, mkdtemp(dir=folder)))


@contextmanager
def _quiet_folder() -> Iterator[Path]:
    """A folder to download to, without the bar that MLflow would draw for each file."""
    before = MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.get()  # type: ignore[no-untyped-call]
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
    try:
        with TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(before)  # type: ignore[no-untyped-call]
