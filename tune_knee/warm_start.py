"""What a finished study knows, for a search to start from."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.load import STATUS, Study, load_study
from tune_knee import keys
from tune_knee.config import Budget, LossWeights, TrialConfig
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.search_config import OBJECTIVES, KnownPoint
from tune_knee.tracking_store import sqlite_uri


@dataclass(frozen=True)
class WarmStart:
    """A study's results on validation, and what they were reached with."""

    study: Study
    points: tuple[KnownPoint, ...]

    def require_fits(self, budget: Budget, fingerprint: str, regions: tuple[str, ...]) -> None:
        """Results of other data, regions or training would mislead a search.

        Raises:
            ValueError: if it has others than the search.
        """
        mine = {"data": fingerprint, "regions": regions, "budget": replace(budget, name="")}
        theirs = {
            "data": self.study.fingerprint,
            "regions": self.study.regions,
            "budget": replace(self.study.budget, name=""),
        }
        for name, own in mine.items():
            if theirs[name] != own:
                raise ValueError(
                    f"--warm-start must have the search's {name}, got study={self.study.name} "
                    f"with {theirs[name]}; the search has {own}"
                )


def load_warm_start(study: str, tracking_uri: str | None, out: Path) -> WarmStart:
    """Read a study by its folder, or by its name or id in a store.

    Args:
        study: what was asked for.
        tracking_uri: the store; None is the one in `out`.
        out: the new study's folder.

    Raises:
        ValueError: if there is no such study, or none of its trials is tested.
    """
    if (Path(study) / FILE_NAME).is_file():
        manifest = Manifest.read(Path(study))
        found = load_study(manifest.tracking_uri, manifest.study_id)
    else:
        found = load_study(tracking_uri or sqlite_uri(out), study)
    done = found.trials[found.trials[STATUS].isin([keys.STATUS_TRAINED, keys.STATUS_TESTED])]
    return WarmStart(found, tuple(_point(row) for row in done.to_dict("records")))


def _point(row: dict[Any, Any]) -> KnownPoint:
    tau = LossWeights(ce=row[keys.TAU_CE], dice=row[keys.TAU_DICE], boundary=row[keys.TAU_BOUNDARY])
    internal = row[keys.INTERNAL_WEIGHTS]
    if internal != "balanced":
        background, foreground = internal.split(":")
        internal = (float(background), float(foreground))
    rate = row[keys.LEARNING_RATE]
    trial = TrialConfig(
        network=row[keys.NETWORK],
        loss=row[keys.LOSS],
        tau=tau,
        boundary=row[keys.BOUNDARY],
        internal_weights=internal,
        weights_in=row[keys.WEIGHTS_IN],
        pretrained=row[keys.PRETRAINED],
        learning_rate=None if math.isnan(rate) else rate,
        repeat=row[keys.REPEAT],
    )
    return KnownPoint(trial=trial, values={name: row[name] for name in OBJECTIVES})
