"""Write a trained model as ONNX, TorchScript or torch.export, checked against our own."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tune_knee.export.export import export_model, must_be_exportable
from tune_knee.export.formats import FORMATS
from tune_knee.export.graph import NOTICE
from tune_knee.model_sources import find_models


def main(arguments: Sequence[str] | None = None) -> int:
    """Export and say how near it comes. Returns the exit code: 2 where the user can mend it."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        must_be_exportable(options.out, options.format)  # before a model is fetched from afar
        (model,) = find_models(options.model, tracking_uri=options.tracking_uri)
        agreement = export_model(model, options.out, options.format)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    facts = model.facts
    size = facts.image_size_px
    sys.stdout.write(
        f"{options.out}: {facts.label}, {facts.budget} budget; squares (N, 1, {size}, {size}) to "
        f"{', '.join(facts.regions)}\n"
        f"equal to PyTorch's within {agreement.probabilities:.1e} (probabilities) and "
        f"{agreement.logits:.1e} (logits)\n"
        f"{NOTICE}\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tune_knee.export", description=__doc__)
    parser.add_argument(
        "--model",
        required=True,
        metavar="MODEL",
        help="a model's file, a study's folder (its best), runs:/ID or models:/NAME/VERSION",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file")
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="onnx",
        help="(default: %(default)s); files end in "
        + ", ".join(f"{form.suffix} for {name}" for name, form in FORMATS.items()),
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's, for runs:/ and models:/ (default: MLFLOW_TRACKING_URI)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
