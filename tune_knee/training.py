"""Train one configuration: the loop, in plain PyTorch, without Ray and MLflow.

Every random draw of a step is a pure function of (seed, step): a trainer that was saved
and loaded goes on exactly as one that was never interrupted.
"""

import logging
import math
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tune_knee import keys
from tune_knee.config import Budget, TrialConfig
from tune_knee.data.augmentation import augment_batch
from tune_knee.data.dataset import KneeDataset
from tune_knee.data.frame_store import FrameStore
from tune_knee.data.sampling import batch_indices, step_seed
from tune_knee.losses import LossTerms, MixedLoss
from tune_knee.networks import build_network
from tune_knee.precision import autocast
from tune_knee.schedule import lr_factor
from tune_knee.training_config import OptimizerConfig
from tune_knee.validation import Validation, validate

log = logging.getLogger(__name__)

AUXILIARY_WEIGHT: Final = 0.4
TERMS: Final = ("total", "ce", "dice", "boundary")
Report = dict[str, float]


class NonFiniteLossError(ArithmeticError):
    """The training loss became NaN or infinite; the trial cannot go on."""


@dataclass(frozen=True)
class Progress:
    """How far a trial is: what it reported, and its best validation so far."""

    reports: tuple[Report, ...] = ()
    best_iou: float = -math.inf

    @property
    def step(self) -> int:
        """Optimizer steps taken up to the last report."""
        return int(self.reports[-1][keys.STEP]) if self.reports else 0


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; norms and biases (one-dimensional parameters) do not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over the network's two parameter groups."""
    return torch.optim.AdamW(
        parameter_groups(network, config.weight_decay),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
    )


class Trainer:
    """One trial: `run_interval` trains up to the next validation and validates.

    Args:
        trial: network and loss.
        budget: size, steps, optimizer; `dataset` must have its image size.
        dataset: frames of all splits.
        seed: determines initial weights, batches, augmentation and dropout.
        device: where to train; bfloat16 autocast where a GPU has it.

    Raises:
        ValueError: if the training split holds less than a batch, or sizes differ.
    """

    def __init__(
        self,
        trial: TrialConfig,
        budget: Budget,
        dataset: KneeDataset,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        if dataset.size_px != budget.image_size_px:
            raise ValueError(
                f"frames must be {budget.image_size_px} px, got size_px={dataset.size_px}"
            )
        self.trial, self.budget, self.seed, self.device = trial, budget, seed, device
        self.regions = dataset.regions
        self.progress = Progress()
        self._train = FrameStore(dataset, "train", device)
        if len(self._train) < budget.batch_size:
            raise ValueError(
                f"the training split must hold a batch of {budget.batch_size} frames, "
                f"got {len(self._train)}"
            )
        self._validation = FrameStore(dataset, "validation", device)
        self._selection = (
            self._validation
            if budget.select_on == "validation"
            else FrameStore(dataset, "test", device)
        )
        torch.manual_seed(seed)
        network = build_network(
            trial.network,
            regions=len(dataset.regions),
            width=budget.width,
            pretrained=trial.pretrained,
        )
        self.network = network.to(device).to(memory_format=torch.channels_last)
        total_px = len(self._train) * budget.image_size_px**2
        self.loss = MixedLoss(trial, dataset.areas_px(), total_px).to(device)
        rate = trial.learning_rate or budget.optimizer.learning_rate
        self._optimizer_config = replace(budget.optimizer, learning_rate=rate)
        self._optimizer = make_optimizer(self.network, self._optimizer_config)

    @property
    def finished(self) -> bool:
        """Whether the maximum number of steps is reached."""
        return self.progress.step >= self.budget.max_steps

    def run_interval(self) -> tuple[Report, bool]:
        """Train to the next validation; say what came out and whether it is the best so far.

        Raises:
            NonFiniteLossError: if a loss is NaN or infinite; names step, term and network.
        """
        started = time.perf_counter()
        first = self.progress.step
        last = min(first + self.budget.evaluation_interval, self.budget.max_steps)
        losses = self._train_steps(first, last)
        validation = self._validate(self._validation)
        chosen = (
            validation if self._selection is self._validation else self._validate(self._selection)
        )
        improved = chosen.mean_iou > self.progress.best_iou
        report = self._report(last, losses, validation)
        report.update(self._best(chosen, last) if improved else self._previous_best())
        elapsed = time.perf_counter() - started
        before = self.progress.reports[-1][keys.WALL_TIME_S] if self.progress.reports else 0.0
        report[keys.WALL_TIME_S] = before + elapsed
        best_iou = chosen.mean_iou if improved else self.progress.best_iou
        self.progress = Progress((*self.progress.reports, report), best_iou)
        log.info(
            "%s step %d: loss %.4f, validation IoU %.4f%s",
            self.trial.label, last, report[keys.TRAIN_LOSS], report[keys.VAL_IOU],
            " (best)" if improved else "",
        )  # fmt: skip
        return report, improved

    def _train_steps(self, first: int, last: int) -> Tensor:
        """Mean over the interval of each of `TERMS`; 0 for one that the loss has not."""
        self.network.train()
        losses = torch.stack([self._train_step(step) for step in range(first, last)]).cpu()
        finite = torch.isfinite(losses)
        if not finite.all():
            row = int((~finite).any(dim=1).nonzero()[0])
            terms = [name for name, ok in zip(TERMS, finite[row], strict=True) if not ok]
            raise NonFiniteLossError(
                f"the training loss must be finite, got {terms[-1]}="
                f"{losses[row, TERMS.index(terms[-1])].item()} at step {first + row + 1} "
                f"of {self.trial.label}; lower the learning rate or set clip_norm"
            )
        return losses.double().mean(dim=0)

    def _train_step(self, step: int) -> Tensor:
        seed = step_seed(self.seed, step)
        torch.manual_seed(seed)  # dropout and stochastic depth
        draws = torch.Generator().manual_seed(seed)
        chosen = batch_indices(self.seed, step, len(self._train), self.budget.batch_size)
        images, masks = self._train.take(chosen)
        batch = augment_batch(images, masks, len(self.regions), self.budget.augmentation, draws)
        with autocast(self.device):
            main, auxiliary = self.network.head_logits(
                batch.images.contiguous(memory_format=torch.channels_last)
            )
        terms = self._loss(main, batch.targets)
        total = terms.total
        if auxiliary is not None:
            total = total + AUXILIARY_WEIGHT * self._loss(auxiliary, batch.targets).total
        factor = lr_factor(step, self.budget.max_steps, self.budget.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = self._optimizer_config.learning_rate * factor
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        if self.budget.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.budget.optimizer.clip_norm)
        self._optimizer.step()
        absent = torch.zeros((), device=self.device)
        parts = (total, terms.ce, terms.dice, terms.boundary)
        return torch.stack([absent if part is None else part.detach() for part in parts])

    def _loss(self, logits: Tensor, targets: Tensor) -> LossTerms:
        resized = functional.interpolate(
            logits.float(), size=targets.shape[-2:], mode="bilinear", align_corners=False
        )
        terms: LossTerms = self.loss(resized, targets)
        return terms

    def _validate(self, frames: FrameStore) -> Validation:
        with autocast(self.device):
            return validate(self.network, frames, len(self.regions), self.budget.batch_size)

    def _report(self, step: int, losses: Tensor, validation: Validation) -> Report:
        factor = lr_factor(step - 1, self.budget.max_steps, self.budget.schedule)
        tau = self.trial.tau
        shares = {
            keys.TRAIN_LOSS: 1.0,
            keys.TRAIN_CE: tau.ce,
            keys.TRAIN_DICE: tau.dice,
            keys.TRAIN_BOUNDARY: tau.boundary,
        }
        terms = zip(shares, losses.tolist(), strict=True)
        present = {name: value for name, value in terms if shares[name]}
        per_region = {
            keys.validation(region, metric): float(validation.overlaps[r, m])
            for r, region in enumerate(self.regions)
            for m, metric in enumerate(keys.OVERLAP_METRICS)
        }
        return {
            keys.STEP: step,
            keys.LEARNING_RATE: self._optimizer_config.learning_rate * factor,
            **present,
            keys.VAL_IOU: validation.mean_iou,
            keys.VAL_OVERLAP: validation.overlap,
            **per_region,
        }

    def _best(self, chosen: Validation, step: int) -> Report:
        return {
            keys.BEST_IOU: chosen.mean_iou,
            keys.BEST_OVERLAP: chosen.overlap,
            keys.BEST_DISTANCE_PX: chosen.distance_px(),
            keys.BEST_STEP: step,
        }

    def _previous_best(self) -> Report:
        names = (keys.BEST_IOU, keys.BEST_OVERLAP, keys.BEST_DISTANCE_PX, keys.BEST_STEP)
        return {name: self.progress.reports[-1][name] for name in names}

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on exactly."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "reports": list(self.progress.reports),
            "best_iou": self.progress.best_iou,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same trial."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(tuple(state["reports"]), state["best_iou"])


if __name__ == "__main__":
    from tune_knee.train_command import main

    sys.exit(main())
