"""The command line of ``python -m tune_knee.training``: one configuration, without Ray."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd
import torch
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tune_knee import keys, preflight
from tune_knee.checkpoints import Checkpoints
from tune_knee.config import (
    BOUNDARY_KINDS,
    BUDGETS,
    LOSS_TERMS,
    NETWORKS,
    Budget,
    LossWeights,
    TrialConfig,
    trial_id,
    trial_seed,
)
from tune_knee.data.dataset import KneeDataset, open_dataset
from tune_knee.data.phantom import make_phantom
from tune_knee.resumable import ResumableTrainer
from tune_knee.segmenter.saved_model import THRESHOLD, ModelFacts, SavedModel
from tune_knee.stopping import Decision, SeriesCriterion
from tune_knee.storage import FolderStorage
from tune_knee.testing import aggregate_frames, evaluate_trial, spacing_source
from tune_knee.training import NonFiniteLossError, Report, Trainer
from tune_knee.trial_folder import TRAINED, Outcome, TrialFolder

log = logging.getLogger(__name__)

_DESCRIPTION: Final = """\
Train one network with one loss, stop by the paper's criteria, and test its best checkpoint.

All is saved in --out; the same command goes on from there."""
_INTERRUPTED: Final = 130  # exit status after Ctrl-C, as shells have it
_PLAIN_WIDTH: Final = 120  # where no terminal has a width


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What was asked for."""

    network: str
    loss: str
    tau: str
    boundary: str
    budget: str
    steps: int | None
    seed: int | None
    data: Path | None
    out: Path

    def trial(self) -> TrialConfig:
        """Network and loss."""
        tau = LossWeights.parse(self.loss, self.tau)
        return TrialConfig(network=self.network, loss=self.loss, tau=tau, boundary=self.boundary)

    def whole_budget(self) -> Budget:
        """The budget, with the number of steps asked for."""
        budget = BUDGETS[self.budget]
        return budget if self.steps is None else replace(budget, max_steps=self.steps)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, on what, and where it is kept.

    Attributes:
        dataset: at the budget's size.
        prepared_size_px: side of its frames before.
        name: of the folder below ``<out>/trials``: the trial's id, and the seed if one was
            asked for.
    """

    trial: TrialConfig
    budget: Budget
    dataset: KneeDataset
    prepared_size_px: int
    out: Path
    name: str
    seed: int

    @property
    def folder(self) -> TrialFolder:
        """Where outcome and test are."""
        return TrialFolder.of(self.out, self.name)

    @property
    def checkpoints(self) -> Checkpoints:
        """Last state and best weights, in the same folder."""
        return Checkpoints.of(FolderStorage(self.out), self.name)

    @property
    def model_path(self) -> Path:
        """The model's file, in the same folder."""
        return self.folder.root / "model.pt"


def parse(arguments: Sequence[str] | None) -> Arguments:
    """Read the command line; exits with 2 and one line if it is off."""
    parser = argparse.ArgumentParser(
        prog="python -m tune_knee.training",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    default_budget = preflight.choose_budget("auto")[0].name
    add = parser.add_argument
    add("--network", required=True, metavar="NAME",
        help=f"{', '.join(NETWORKS)}, or smp:ARCHITECTURE:ENCODER")  # fmt: skip
    add("--loss", default="ce2", choices=tuple(LOSS_TERMS), help="[ce2]")
    add("--tau", default="1", metavar="A:B:C",
        help="weights of the loss's terms in its name's order, 1 together [1]")  # fmt: skip
    add("--boundary", default=BOUNDARY_KINDS[0], choices=BOUNDARY_KINDS,
        help=f"kind of boundary loss [{BOUNDARY_KINDS[0]}]")  # fmt: skip
    add("--budget", default=default_budget, choices=tuple(BUDGETS),
        help="how much to spend [paper on a GPU, else preview]")  # fmt: skip
    add("--steps", type=int, metavar="N", help="optimizer steps at most [the budget's]")
    add("--seed", type=int, metavar="N", help="[derived from the configuration, as in a study]")
    add("--data", type=Path, metavar="DIR",
        help="a prepared data set, resized to the budget [the phantom, made in --out]")  # fmt: skip
    add("--out", type=Path, default=Path("out/training"), metavar="DIR", help="[out/training]")
    return Arguments(**vars(parser.parse_args(arguments)))


def open_job(arguments: Arguments) -> Job:
    """Check what was asked for and open the data; makes the phantom where none is named.

    Raises:
        ValueError: if something is not as it must be.
    """
    trial, budget = arguments.trial(), arguments.whole_budget()
    if arguments.seed is not None and not 0 <= arguments.seed < 2**32:
        raise ValueError(f"seed must be in [0, 2**32), got seed={arguments.seed}")
    data = arguments.data
    if data is None:
        data = arguments.out / "data" / f"phantom_{budget.image_size_px}px"
        if not data.exists():
            make_phantom(data, size_px=budget.image_size_px)
    prepared = open_dataset(data)
    dataset = prepared.resized(budget.image_size_px)
    preflight.check_dataset(dataset, budget)
    identity = trial_id(trial, budget, dataset.fingerprint)
    return Job(
        trial=trial,
        budget=budget,
        dataset=dataset,
        prepared_size_px=prepared.size_px,
        out=arguments.out,
        name=identity if arguments.seed is None else f"{identity}-seed{arguments.seed}",
        seed=trial_seed(identity) if arguments.seed is None else arguments.seed,
    )


def train(job: Job) -> None:
    """Train until a stopping criterion or the maximum of steps; goes on from what is saved.

    Raises:
        NonFiniteLossError: if the training loss becomes NaN or infinite.
    """
    if job.folder.read_outcome() is not None:
        log.info("%s is trained already, in %s", job.trial.label, job.folder.root)
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(job.trial, job.budget, job.dataset, seed=job.seed, device=device)
    training = ResumableTrainer(trainer, job.checkpoints)
    criterion = SeriesCriterion(stopping=job.budget.stopping, max_steps=job.budget.max_steps)
    hardest = preflight.hardest_region(job.budget.stopping, job.dataset)
    decision = Decision(stop=False, reason="", opened={})
    for report in trainer.progress.reports:
        decision = _observe(criterion, report, hardest)
    start = trainer.progress.step
    if start:
        log.info("%s goes on from step %d in %s", job.trial.label, start, job.folder.root)
    with (
        logging_redirect_tqdm(),
        tqdm(total=job.budget.max_steps, initial=start, unit="step", disable=None) as bar,
    ):
        while not decision.stop:
            report = training.run_interval()
            decision = _observe(criterion, report, hardest)
            bar.update(trainer.progress.step - bar.n)
    training.save()
    step, wall_time_s = trainer.progress.step, trainer.progress.reports[-1][keys.WALL_TIME_S]
    log.info("%s stopped at step %d: %s", job.trial.label, step, decision.reason)
    job.folder.write_outcome(
        Outcome(
            status=TRAINED,
            reason=decision.reason,
            opened=decision.opened,
            steps=step,
            wall_time_s=wall_time_s,
        )
    )


def _observe(criterion: SeriesCriterion, report: Report, hardest_region: str) -> Decision:
    return criterion.observe(
        int(report[keys.STEP]),
        report[keys.TRAIN_LOSS],
        report[keys.VAL_IOU],
        report[keys.validation(hardest_region, "iou")],
    )


def test(job: Job) -> pd.DataFrame:
    """Test the trained trial, unless it was tested; a row per frame and region."""
    if not job.folder.frames_path.is_file():
        tested = evaluate_trial(job.checkpoints, job.trial, job.budget, job.dataset)
        job.folder.write_test(tested.frames, tested.masks)
    return pd.read_parquet(job.folder.frames_path)


def save_model(job: Job) -> None:
    """Write the best weights as a model's file, which predict and export take."""
    if job.model_path.is_file():
        return
    step, weights = job.checkpoints.load_best()
    regions = job.dataset.regions
    facts = ModelFacts(
        network=job.trial.network,
        width=job.budget.width,
        regions=regions,
        thresholds=(THRESHOLD,) * len(regions),
        prepared_size_px=job.prepared_size_px,
        image_size_px=job.budget.image_size_px,
        batch_size=job.budget.batch_size,
        budget=job.budget.name,
        fingerprint=job.dataset.fingerprint,
        study=job.out.resolve().name,
        study_id="",
        trial_id=job.name,
        label=job.trial.label,
        step=step,
    )
    SavedModel(facts, weights).write(job.model_path)


def results_table(job: Job, frames: pd.DataFrame) -> Group:
    """Test means of the six metrics, distances in mm where they are known; one row a region."""
    metrics, source = aggregate_frames(frames), spacing_source(frames)
    shown = (*keys.METRICS, *(keys.MM_METRICS if source else ()))
    best_step, _ = job.checkpoints.load_best()
    tested = len(frames) // len(job.dataset.regions)
    title = Text(
        f"{job.trial.label}, budget {job.budget.name}, best of step {best_step}, "
        f"{tested} test frames{f', pixel spacing: {source}' if source else ''}"
    )
    rows = Table()
    rows.add_column("region")
    for metric in (*shown, keys.MISSED_FRAMES):
        rows.add_column(metric, justify="right")
    for region in job.dataset.regions:
        values = (metrics[keys.test(region, metric)] for metric in shown)
        missed = metrics[keys.test(region, keys.MISSED_FRAMES)]
        rows.add_row(region, *(f"{value:.4f}" for value in values), f"{missed:.0f}")
    return Group(title, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    asked = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    try:
        job = open_job(asked)
        train(job)
        frames = test(job)
        save_model(job)
    except KeyboardInterrupt:
        log.warning("interrupted; the same command goes on from the last state in %s", asked.out)
        return _INTERRUPTED
    except (ValueError, NonFiniteLossError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, soft_wrap=True)
        return 2
    console.print(results_table(job, frames))
    console.print(f"Model: {job.model_path}", soft_wrap=True, markup=False)
    return 0
