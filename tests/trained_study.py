"""A study whose trials have random weights, tested and tracked as the driver does it, no Ray."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from tiny_knees import tiny_budget, tiny_knees

from tune_knee import keys
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import LossWeights, TrialConfig
from tune_knee.data.dataset import KneeDataset, write_dataset
from tune_knee.manifest import Manifest
from tune_knee.networks import build_network
from tune_knee.refinement_plan import RefinementPlan
from tune_knee.storage import FolderStorage
from tune_knee.testing import aggregate_frames, evaluate_trial
from tune_knee.tracking import StudyTracker
from tune_knee.tracking_store import sqlite_uri
from tune_knee.trial_folder import PRUNED, TRAINED, Outcome, TrialFolder

TESTED = "tested"
TRIALS = {
    TrialConfig(network="segformer_b2", loss="ce1"): TESTED,
    TrialConfig(network="segformer_b2", loss="ce2"): TESTED,
    TrialConfig(network="segformer_b2", loss="ce2", repeat=1): TESTED,
    TrialConfig(network="segformer_b2", loss="ce2", repeat=2): TRAINED,
    TrialConfig(network="segformer_b2", loss="ce2+dice", tau=LossWeights(ce=0.5, dice=0.5)): PRUNED,
}
BUDGET = tiny_budget(name="preview+tiny", image_size_px=32)
PREPARED_PX = 48


def knees_of_cases() -> KneeDataset:
    """Two cases in every split."""
    knees = tiny_knees(4, 2, 6, size_px=PREPARED_PX)
    numbers = knees.frames.groupby("split").cumcount() % 2
    cases = knees.frames["case"] + "_" + numbers.astype(str)
    return replace(knees, frames=knees.frames.assign(case=cases))


def trained_study(
    out: Path,
    *,
    trials: Mapping[TrialConfig, str] = MappingProxyType(TRIALS),
    tracking_uri: str | None = None,
    refines: RefinementPlan | None = None,
) -> Manifest:
    """Make a study's folder, with trials that are tested, trained only, or pruned."""
    knees = knees_of_cases()
    dataset = write_dataset(out / "data", knees.images, knees.masks, knees.frames, knees.regions)
    manifest = Manifest(
        study=out.name,
        study_id=f"id-of-{out.name}",
        grid="tiny",
        trials=tuple(trials),
        refines=refines,
        budget=BUDGET,
        data=out / "data",
        fingerprint=dataset.fingerprint,
        tracking_uri=tracking_uri or sqlite_uri(out),
        storage=str(out),
    )
    manifest.write(out)
    tracker = tracker_of(manifest, out)
    frames = dataset.resized(BUDGET.image_size_px)
    for number, (trial_id, trial) in enumerate(manifest.trials_by_id().items()):
        save_random_weights(out, trial_id, trial, seed=number)
        tracker.start_trial(trial_id, trial, seed=number)
        folder, state = TrialFolder.of(out, trial_id), trials[trial]
        if state == PRUNED:
            tracker.prune_trial(trial_id, "behind")
            folder.write_outcome(Outcome(status=PRUNED, reason="behind"))
            continue
        tracker.finish_trial(trial_id, stop_reason="maximum of 6 steps")
        folder.write_outcome(Outcome(status=TRAINED, reason="maximum", tested=state == TESTED))
        if state == TESTED:
            checkpoints = Checkpoints.of(FolderStorage(out), trial_id)
            result = evaluate_trial(checkpoints, trial, BUDGET, frames)
            folder.write_test(result.frames, result.masks)
            tracker.log_test(trial_id, aggregate_frames(result.frames), folder.frames_path)
    assert tracker.finish_study("FINISHED") == 0
    return manifest


def tracker_of(manifest: Manifest, out: Path) -> StudyTracker:
    is_server = manifest.tracking_uri.startswith("http")
    return StudyTracker(
        manifest.tracking_uri,
        manifest.study,
        study_id=manifest.study_id,
        outbox=out / "unsent.jsonl",
        budget=manifest.budget,
        fingerprint=manifest.fingerprint,
        regions=("disc", "bar"),
        artifact_root=None if is_server else out / "mlartifacts",
        manifest={
            keys.DATA: str(manifest.data),
            keys.PLANNED: str(manifest.planned),
            keys.HARDEST_REGION: "bar",
            **({} if manifest.refines is None else manifest.refines.params()),
        },
    )


def save_random_weights(out: Path, trial_id: str, trial: TrialConfig, *, seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(trial.network, regions=2, width=BUDGET.width)
    rng = np.random.default_rng(seed)
    weights = network.state_dict()
    last = next(name for name in reversed(weights) if name.endswith("bias"))
    weights[last] += float(rng.uniform(-0.1, 0.1))  # else all of them find everything
    Checkpoints.of(FolderStorage(out), trial_id).save_best(4, weights, referred=None)
