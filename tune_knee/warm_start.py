"""What a finished study knows, for another to start from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.load import STATUS, Study, load_study
from tune_knee import keys
from tune_knee.config import Budget, LossWeights, TrialConfig
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.search_config import OBJECTIVES, KnownPoint


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


def find_study(study: str, tracking_uri: str | None) -> Study:
    """Read a study by its folder, or by its name or id in a store.

    Args:
        study: what was asked for.
        tracking_uri: the store; without one, a folder alone can be found.

    Raises:
        ValueError: if there is no such study, or none of its trials is tested.
    """
    if (Path(study) / FILE_NAME).is_file():
        manifest = Manifest.read(Path(study))
        return load_study(manifest.tracking_uri, manifest.study_id)
    if tracking_uri is None:
        raise ValueError(
            f"a study must be named by its folder, which holds {FILE_NAME}, or by its name or "
            f"id together with --tracking-uri, got study={study}"
        )
    return load_study(tracking_uri, study)


def load_warm_start(study: str, tracking_uri: str | None) -> WarmStart:
    """Read what a study knows; see `find_study`.

    Raises:
        ValueError: if there is no such study, or none of its trials is tested.
    """
    found = find_study(study, tracking_uri)
    done = found.trials[found.trials[STATUS].isin([keys.STATUS_TRAINED, keys.STATUS_TESTED])]
    points = [
        KnownPoint(trial=known_trial(row), values={name: row[name] for name in OBJECTIVES})
        for row in done.to_dict("records")
    ]
    return WarmStart(found, tuple(points))


def known_trial(row: Mapping[Any, Any]) -> TrialConfig:
    """What was trained, without the experiment's number, from a row of `Study.trials`."""
    tau = LossWeights(ce=row[keys.TAU_CE], dice=row[keys.TAU_DICE], boundary=row[keys.TAU_BOUNDARY])
    internal = row[keys.INTERNAL_WEIGHTS]
    if internal != "balanced":
        background, foreground = internal.split(":")
        internal = (float(background), float(foreground))
    rate = row[keys.LEARNING_RATE]
    return TrialConfig(
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
