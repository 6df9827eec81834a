"""What a trial's training leaves behind: its last state and its best weights.

The last state names the best weights that belong to it; weights of a later step stem from
an interrupted attempt and are dropped when the state is loaded.
"""

import io
import logging
import pickle
import uuid
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from tune_knee.networks.checkpoint_file import DAMAGED
from tune_knee.storage import FolderStorage, Storage

_STATE: Final = "last.pt"
_OWNER: Final = "attempt"


class SupersededError(RuntimeError):
    """Another attempt at the trial has begun: this one must write no more."""


class Checkpoints:
    """Files of one trial's training below ``<storage>/trials/<trial id>``.

    A node that is cut off may go on training a trial that has long begun anew elsewhere.
    So an attempt that has claimed the trial writes only while no later one has.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._attempt: str | None = None

    @classmethod
    def of(cls, storage: Storage, trial_id: str) -> "Checkpoints":
        """Those of a trial of a study."""
        return cls(storage.within("trials").within(trial_id))

    def claim(self) -> None:
        """Begin an attempt: earlier ones write no more."""
        self._attempt = uuid.uuid4().hex
        mine = self._attempt.encode()
        self.storage.write(_OWNER, lambda file: file.write(mine))

    def log_here(self) -> None:
        """From now on this process logs what the trial does into its ``train.log``.

        Where the storage is no folder, to stderr, which Ray keeps.
        """
        place: dict[str, Any] = {}
        if isinstance(self.storage, FolderStorage):
            self.storage.root.mkdir(parents=True, exist_ok=True)
            place = {"filename": self.storage.root / "train.log"}
        logging.basicConfig(
            **place,
            format="%(asctime)s %(levelname)s %(message)s",
            level=logging.INFO,
            force=True,
        )

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep a trainer's state, instead of the one before.

        Raises:
            SupersededError: if a later attempt has claimed the trial.
        """
        self._must_be_mine()
        self.storage.write(_STATE, lambda file: torch.save(dict(state), file))

    def load_state(self) -> dict[str, Any] | None:
        """The last state; None if the trial never saved one.

        Raises:
            ValueError: if it is no state, or half of one.
        """
        state: dict[str, Any] | None = self._load(_STATE)
        return state

    def save_best(self, step: int, weights: Mapping[str, Tensor], *, referred: int | None) -> None:
        """Keep the weights that were best on validation.

        Older ones go, but for those at step `referred`, which the last state refers to.

        Raises:
            SupersededError: if a later attempt has claimed the trial.
        """
        self._must_be_mine()
        self.storage.write(_best(step), lambda file: torch.save(dict(weights), file))
        for other in self._best_steps():
            if other not in (step, referred):
                self.storage.remove(_best(other))

    def drop_best_after(self, step: int) -> None:
        """Forget best weights of later steps, left by an attempt that was interrupted."""
        for other in self._best_steps():
            if other > step:
                self.storage.remove(_best(other))

    def load_best(self) -> tuple[int, dict[str, Tensor]]:
        """Step and weights of the best validation.

        Raises:
            ValueError: if there are none, or half of them.
        """
        steps = self._best_steps()
        weights = self._load(_best(steps[-1])) if steps else None
        if weights is None:
            raise ValueError(f"a trained trial must hold best weights, got none in {self.storage}")
        return steps[-1], weights

    def _load(self, name: str) -> Any:
        content = self.storage.read(name)
        if content is None:
            return None
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (*DAMAGED, pickle.UnpicklingError) as error:
            raise ValueError(
                f"a checkpoint must be whole and hold weights only, got {name} in {self.storage}; "
                "remove it, and --resume --retry-failed trains the trial from its beginning"
            ) from error

    def _must_be_mine(self) -> None:
        if self._attempt is None:
            return
        owner = self.storage.read(_OWNER)
        if owner != self._attempt.encode():
            raise SupersededError(
                f"a trial must have one attempt at a time, got a later one in {self.storage}"
            )

    def _best_steps(self) -> list[int]:
        found = (
            name.removeprefix("best-").removesuffix(".pt")
            for name in self.storage.names()
            if name.startswith("best-") and name.endswith(".pt")
        )
        return sorted(int(step) for step in found)


def _best(step: int) -> str:
    return f"best-{step}.pt"
