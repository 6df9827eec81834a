"""A model's card: what it was trained on, how well it did on the test set, what it is not for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from tune_knee import keys
from tune_knee.data.dataset import SPLITS
from tune_knee.segmenter.saved_model import ModelFacts

_HEADERS: Final = {
    "iou": "IoU", "dice": "Dice", "precision": "precision", "recall": "recall",
    "hd95_px": "HD95, px", "assd_px": "ASSD, px",
}  # fmt: skip
_PREVIEW: Final = "preview"
_PHANTOM: Final = "phantom"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a trial stands among those that it was ranked with.

    Attributes:
        rank: 1 is best; None if it has no score.
        scored: how many trials have one.
        score: higher is better; None without.
        equal: how many others have the same score.
        beside: name of the study that its own is ranked with; None if it is ranked alone.
    """

    rank: int | None
    scored: int
    score: float | None
    equal: int
    beside: str | None


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card says.

    Attributes:
        model: the model's facts.
        params: of its trial, by their names in `keys`.
        frames: of its dataset, a row a frame with case, split and spacing_source.
        select_on: split whose mean IoU chose its weights.
        standing: among the trials of its study.
        metrics: region, metric, mean, low, high on the test set; NaN where there is none.
        missed: frames of each region in which its distances are undefined.
        version: of tune_knee.
    """

    model: ModelFacts
    params: Mapping[str, str]
    frames: pd.DataFrame
    select_on: str
    standing: Standing
    metrics: pd.DataFrame
    missed: Mapping[str, int]
    version: str


def model_card(facts: CardFacts) -> str:
    """The card as Markdown."""
    model = facts.model
    return "\n".join(
        [
            f"# {model.label}",
            "",
            "**Not a medical device.** For research. No decision about a patient may rest on it.",
            *_preview(model),
            "",
            f"Finds {_listed(model.regions)} on dynamic lateral X-rays of the knee, pictures of "
            "any size; regions may overlap.",
            "",
            *_list(_what(facts)),
            "",
            "## Trained on",
            "",
            *_trained_on(facts),
            "",
            "## Chosen how",
            "",
            *_chosen(facts),
            "",
            "## On the test set",
            "",
            *_tested(facts),
            "",
            "## Limits",
            "",
            *_limits(facts),
            "",
        ]
    )


def _preview(model: ModelFacts) -> Iterator[str]:
    if model.budget.startswith(_PREVIEW):
        yield ""
        yield (
            f"**Budget {model.budget}**: small frames, a narrow network, few steps. Such a model "
            "shows that the pipeline works; its figures are not the paper's."
        )


def _what(facts: CardFacts) -> dict[str, object]:
    model, params = facts.model, facts.params
    tau = ":".join(params[name] for name in (keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY))
    return {
        "network": f"{model.network}, width {model.width:g}",
        "loss": f"{params[keys.LOSS]}, τ {tau} (cross-entropy:Dice:boundary)",
        "start": "ImageNet backbone" if params[keys.PRETRAINED] == str(True) else "random weights",
        "seed": params[keys.SEED],
        "budget": model.budget,
        "sees": f"the largest square about the centre, at {model.image_size_px} px",
        "thresholds": ", ".join(
            f"{region} {threshold:g}"
            for region, threshold in zip(model.regions, model.thresholds, strict=True)
        ),
        "study, trial": f"{model.study} ({model.study_id}), {model.trial_id}",
        "dataset": model.fingerprint,
        "made with": f"tune_knee {facts.version}",
    }


def _trained_on(facts: CardFacts) -> Iterator[str]:
    frames, model = facts.frames, facts.model
    if set(frames["spacing_source"]) == {_PHANTOM}:
        yield "The phantom, knees that tune_knee draws: no patient, and no real X-ray."
    else:
        yield (
            f"The dataset of fingerprint {model.fingerprint}, frames of {model.prepared_size_px} "
            "px, split by case."
        )
    yield ""
    parts = {split: frames.loc[frames["split"] == split, keys.CASE] for split in SPLITS}
    yield from _list({split: _counted(cases) for split, cases in parts.items()})


def _counted(cases: "pd.Series[str]") -> str:
    """How many frames, of how many cases."""
    count = cases.nunique()
    return f"{len(cases)} frames of {count} {'case' if count == 1 else 'cases'}"


def _chosen(facts: CardFacts) -> Iterator[str]:
    standing = facts.standing
    beside = "" if standing.beside is None else f", those of {standing.beside} among them"
    if standing.rank is None:
        yield (
            f"By hand: it has no score. {standing.scored} trials were ranked{beside}; those of "
            "ce1 never are."
        )
    else:
        others = "another" if standing.equal == 1 else f"{standing.equal} others"
        equal = f", shared with {others}" if standing.equal else ""
        score = (
            f"{beside}: score {standing.score:g}{equal}, a sum of ranks by overlap and distance "
            "over the regions."
        )
        if standing.rank == 1:
            yield (
                f"**The best of {standing.scored} trials by their test results**{score} The frames "
                "below are those by which it was chosen, so its figures are optimistic: expect "
                "less on others, and the more trials there were, the more so."
            )
        else:
            yield (
                f"Rank {standing.rank} of {standing.scored} trials by their test results{score} "
                "If it was taken for that, its figures below are optimistic."
            )
    yield ""
    flattered = ", by which its figures are flattered too" * (facts.select_on == "test")
    yield (
        f"Its weights are those of step {facts.model.step}, best by mean IoU on "
        f"{facts.select_on}{flattered}."
    )


def _tested(facts: CardFacts) -> Iterator[str]:
    cases = facts.frames.loc[facts.frames["split"] == "test", keys.CASE]
    yield (
        f"{_counted(cases)} at {facts.model.image_size_px} px. Means over frames"
        + (
            ", with 95 % intervals of 1000 bootstrap draws of cases."
            if len(set(cases)) > 1
            else "; there are no intervals, which want two cases or more."
        )
    )
    yield ""
    yield f"| region | {' | '.join(_HEADERS.values())} | missed |"
    yield "|---" * (len(_HEADERS) + 2) + "|"
    values = {(row.region, row.metric): row for row in facts.metrics.itertuples()}
    for region in facts.model.regions:
        cells = [_interval(values[region, name], name) for name in _HEADERS]
        yield f"| {region} | {' | '.join(cells)} | {facts.missed[region]} |"
    yield ""
    yield (
        "Distances are in pixels of that size. Missed: frames in which either the labels or the "
        "model show the region and the other does not; they count in no distance."
    )


def _interval(row: object, metric: str) -> str:
    mean, low, high = (getattr(row, name) for name in ("mean", "low", "high"))
    digits = 1 if metric in keys.DISTANCE_METRICS else 3
    if mean != mean:
        return "–"
    if low != low:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _limits(facts: CardFacts) -> list[str]:
    model = facts.model
    return [
        f"- It sees {model.image_size_px} px: what is thinner than a pixel of that is lost. "
        "Outside of the centre square nothing is found.",
        "- It was tested on cases of its own dataset alone: not on other devices, hospitals, "
        "views, ages or implants.",
        "- Its outlines are drawn on any picture, one without a knee too; it does not say when it "
        "is unsure.",
        "- Probabilities are not calibrated; the thresholds were not tuned.",
    ]


def _list(rows: Mapping[str, object]) -> Iterator[str]:
    return (f"- **{name}**: {value}" for name, value in rows.items())


def _listed(names: Iterable[str]) -> str:
    *others, last = (name.replace("_", " ") for name in names)
    return f"{', '.join(others)} and {last}" if others else last
