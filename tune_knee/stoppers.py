"""The paper's stopping criteria as a Ray stopper."""

from collections.abc import Mapping
from typing import Any

from ray.tune import Stopper

from tune_knee import keys
from tune_knee.stopping import SeriesCriterion
from tune_knee.training_config import StoppingConfig


class StudyStopper(Stopper):
    """Stops each trial of a study by its own `SeriesCriterion`.

    The result that ends a trial is given `keys.STOP_REASON` and, for each criterion that
    opened, `keys.opened`. Callbacks read them there, since Tune unpickles a copy of the
    stopper when it restores a study and feeds that one.

    Args:
        stopping: bounds of the criteria.
        hardest_region: name of the region of the third criterion.
        max_steps: a trial stops here at the latest.
    """

    def __init__(self, stopping: StoppingConfig, hardest_region: str, max_steps: int) -> None:
        self._stopping = stopping
        self._hardest_iou = keys.validation(hardest_region, "iou")
        self._max_steps = max_steps
        self._criteria: dict[str, SeriesCriterion] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial ends with this result; if so, the result also says why.

        A result with `keys.FAILURE` is no validation, and stops nothing.

        Raises:
            ValueError: if the result lacks a key that the criteria look at.
        """
        if keys.FAILURE in result:
            return False
        criterion = self._criteria.setdefault(
            trial_id, SeriesCriterion(stopping=self._stopping, max_steps=self._max_steps)
        )
        decision = criterion.observe(
            _value(result, keys.STEP),
            _value(result, keys.TRAIN_LOSS),
            _value(result, keys.VAL_IOU),
            _value(result, self._hardest_iou),
        )
        if decision.stop:
            del self._criteria[trial_id]  # one taken up again repeats all its results
            result[keys.STOP_REASON] = decision.reason
            result |= {keys.opened(name): step for name, step in decision.opened.items()}
        return decision.stop

    def stop_all(self) -> bool:
        """Never: a trial's end is no reason to end the study."""
        return False


def _value(result: Mapping[str, Any], key: str) -> Any:
    if key not in result:
        raise ValueError(f"a result must have the key {key}, got keys={', '.join(sorted(result))}")
    return result[key]
