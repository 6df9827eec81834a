"""A model that nobody trained: random weights, seeded."""

from dataclasses import replace
from typing import Any, Final

import torch
from tiny_knees import REGIONS

from tune_knee.networks import build_network
from tune_knee.segmenter.saved_model import ModelFacts, SavedModel

FACTS: Final = ModelFacts(
    network="segformer_b2",
    width=0.25,
    regions=REGIONS,
    thresholds=(0.5, 0.5),
    prepared_size_px=32,
    image_size_px=32,
    batch_size=4,
    budget="tiny",
    fingerprint="0123456789abcdef",
    study="made",
    study_id="0123456789ab",
    trial_id="ba9876543210",
    label="segformer_b2 ce2",
    step=6,
)


def made_model(seed: int = 0, **changes: Any) -> SavedModel:
    """A model of `FACTS`, with changes; its random weights are the seed's."""
    facts = replace(FACTS, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(facts.network, regions=len(facts.regions), width=facts.width)
    return SavedModel(facts, network.state_dict())
