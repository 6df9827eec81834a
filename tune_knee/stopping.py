"""When a trial has trained enough: the paper's criteria in series, as pure functions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tune_knee import keys
from tune_knee.training_config import StoppingConfig


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a validation leads to.

    Attributes:
        stop: the trial has trained enough.
        reason: why it stops; empty while it goes on.
        opened: criterion, one of `keys.CRITERIA`, to the step of the first validation at
            which it and all before it held.
    """

    stop: bool
    reason: str
    opened: Mapping[str, int]


def relative_fluctuation(values: list[float]) -> float:
    """(max - min) / mean of positive values; 0 where all are alike."""
    return (max(values) - min(values)) * len(values) / sum(values)


@dataclass(kw_only=True)
class SeriesCriterion:
    """The four criteria of a trial, fed with its validations in the order of their steps.

    In series: a criterion is looked at only in a validation in which all before it hold.
    A criterion whose value falls back closes again: the plateau's window counts
    consecutive validations in which the first three held, and begins anew after one in
    which they did not. All bounds are strict; a NaN never holds.

    Everything is kept by step: a validation at a step already seen means that the trial
    was set back, and takes the place of that step and all later ones. The decisions are
    then those of a trial that never took the other way.
    """

    stopping: StoppingConfig
    max_steps: int
    # By step: val_iou of a validation, NaN where one of the first three did not hold.
    _held: dict[int, float] = field(default_factory=dict, init=False)
    _opened: dict[str, int] = field(default_factory=dict, init=False)

    def observe(self, step: int, train_loss: float, val_iou: float, hardest_iou: float) -> Decision:
        """Take in a validation and decide.

        Args:
            step: optimizer steps made so far.
            train_loss: mean training loss since the last validation.
            val_iou: validation IoU, mean over frames and regions, in [0, 1].
            hardest_iou: the same of the hardest region alone.
        """
        self._set_back(step)
        holds = {
            keys.OPENS_TRAIN_LOSS: train_loss < self.stopping.train_loss_below,
            keys.OPENS_VAL_IOU: val_iou > self.stopping.val_iou_above,
            keys.OPENS_HARDEST_IOU: hardest_iou > self.stopping.hardest_iou_above,
        }
        self._held[step] = val_iou if all(holds.values()) else math.nan
        fluctuation = self._fluctuation()
        holds[keys.OPENS_PLATEAU] = fluctuation < self.stopping.plateau_fluctuation
        for criterion in keys.CRITERIA:
            if not holds[criterion]:
                break
            self._opened.setdefault(criterion, step)
        else:
            return self._decision(
                f"plateau: {keys.VAL_IOU} fluctuates by {fluctuation:.2g} "
                f"over {self.stopping.plateau_window} validations"
            )
        return self._decision(
            f"maximum of {self.max_steps} steps" if step >= self.max_steps else ""
        )

    def _set_back(self, step: int) -> None:
        self._held = {seen: iou for seen, iou in self._held.items() if seen < step}
        self._opened = {name: seen for name, seen in self._opened.items() if seen < step}

    def _fluctuation(self) -> float:
        window = list(self._held.values())[-self.stopping.plateau_window :]
        if len(window) < self.stopping.plateau_window:
            return math.nan
        return relative_fluctuation(window)

    def _decision(self, reason: str) -> Decision:
        return Decision(stop=bool(reason), reason=reason, opened=dict(self._opened))
