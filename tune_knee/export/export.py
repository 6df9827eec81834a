"""Export of one model: written aside, compared with ours, and only then put in its place."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from torch.jit import TracingCheckError  # type: ignore[attr-defined]

from tune_knee.checks import must_be_one_of
from tune_knee.export.agreement import TOLERANCE, Agreement, compare
from tune_knee.export.formats import FORMATS, Format
from tune_knee.export.graph import ExportedNetwork, metadata
from tune_knee.segmenter.saved_model import SavedModel

# What PyTorch's exporters raise on a network that they cannot follow; most are RuntimeErrors.
_REFUSED: Final = (
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TracingCheckError,
    TypeError,
    ValueError,
)

_log = logging.getLogger(__name__)


def must_be_exportable(out: Path, format_name: str) -> None:
    """Raise ValueError unless a file of this format can be written here."""
    must_be_one_of(tuple(FORMATS), format=format_name)
    form = FORMATS[format_name]
    if out.suffix != form.suffix:
        raise ValueError(f"out must end in {form.suffix} for format={format_name}, got out={out}")
    if out.exists():
        raise ValueError(f"out must not exist, got out={out}; remove it or name another file")
    if missing := form.missing_packages():
        raise ValueError(
            f"format={format_name} must have its packages installed, got no "
            f"{', '.join(missing)}; pip install -c constraints.txt -e '.[export]'"
        )


def export_model(model: SavedModel, out: Path, format_name: str) -> Agreement:
    """Write a model's file in another format; there is none unless it agrees with ours.

    Returns:
        How near the file, as its user would load it, comes to our own computation.

    Raises:
        ValueError: if the file cannot be written here, the format cannot hold the network,
            or what it computes is not equal to `TOLERANCE`.
    """
    must_be_exportable(out, format_name)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        aside = Path(folder) / out.name
        agreement = _written(model, aside, FORMATS[format_name], format_name)
        if not agreement.holds:
            raise ValueError(
                f"an exported model must be equal to ours to {TOLERANCE:g}, got format="
                f"{format_name} of network={model.facts.network} off by "
                f"{agreement.probabilities:.2g} in probabilities and {agreement.logits:.2g} in "
                "logits; nothing is written; choose another --format"
            )
        aside.replace(out)
    return agreement


def _written(model: SavedModel, aside: Path, form: Format, format_name: str) -> Agreement:
    facts = model.facts
    network = ExportedNetwork(model)
    try:
        _log.info("writing %s as %s", facts.network, format_name)
        form.write(network, facts.image_size_px, metadata(facts), aside)
        _log.info("comparing it with ours, at %d px", facts.image_size_px)
        return compare(model, form.load(aside))
    except _REFUSED as error:
        told = str(error).strip().splitlines()
        raise ValueError(
            f"a network must be one that format={format_name} can hold, got network="
            f"{facts.network} ({type(error).__name__}: {told[0] if told else 'no reason given'}); "
            "nothing is written; choose another --format"
        ) from error
