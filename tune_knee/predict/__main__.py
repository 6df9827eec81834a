"""Predict X-rays with a trained model: masks, overlays, animations, LabelMe files, DICOM SEG."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tune_knee.predict.formats import DEFAULT_FORMATS, FORMATS, parse_formats

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict, or go on. Returns the exit code: 2 where the user can mend something."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _predict(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on where it was\n")
        return _INTERRUPTED
    return 0


def _predict(options: argparse.Namespace) -> None:
    formats = parse_formats(options.formats)
    # torch takes a while to import
    from tune_knee.model_sources import find_models
    from tune_knee.predict.prediction import Prediction, predict
    from tune_knee.segmenter.segmenter import Segmenter

    models = find_models(options.model, tracking_uri=options.tracking_uri, top=options.ensemble)
    segmenter = Segmenter(models, mirrored=options.tta)
    done = predict(
        options.src,
        options.out,
        segmenter,
        Prediction(formats=formats, case_from=options.case_from, salt_path=options.salt_file),
    )
    before = done.frames - done.predicted
    lines = [
        f"{options.out}: {_count(done.frames, 'frame')} in {_count(done.sequences, 'sequence')} of "
        f"{_count(done.cases, 'case')}, {', '.join(formats)}"
        + (f"; {before} were there already" if before else "")
    ]
    if done.empty:
        lines.append(f"No region was found in {_count(done.empty, 'frame')}.")
    lines.append(f"Measure motion with: python -m tune_knee.motion {options.out} --out motion")
    sys.stdout.write("\n".join(lines) + "\n")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tune_knee.predict",
        description="Predict the frames of X-rays with a trained model. Every file is read first; "
        "if anything is wrong with any, all of it is listed, nothing is written, and the exit "
        "code is 2. An interrupted run goes on with the same command.",
    )
    parser.add_argument(
        "src",
        type=Path,
        metavar="SRC",
        help="folder of DICOM objects or PNG, JPEG or TIFF images, searched in depth; or one file",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a model's file, a study's folder (its best), runs:/ID or models:/NAME/VERSION",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new folder, or one to go on in"
    )
    parser.add_argument(
        "--formats",
        default=",".join(DEFAULT_FORMATS),
        metavar="A,B",
        help=f"of {', '.join(FORMATS)}; masks always. dicom-seg names the patient, as its source "
        "does (default: %(default)s)",
    )
    _add_how_to_predict(parser)
    return parser


def _add_how_to_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta",
        action="store_true",
        help="mean of each frame's and the mirrored frame's probabilities; takes twice the time",
    )
    parser.add_argument(
        "--ensemble",
        type=int,
        default=1,
        metavar="K",
        help="mean of the probabilities of a study's K best models (default: 1)",
    )
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow, for runs:/ and models:/ (default: MLflow's)"
    )
    parser.add_argument(
        "--case-from",
        metavar="PATTERN",
        help="as of data prepare: regular expression with one group, which finds the case in a "
        "file's path in SRC",
    )
    parser.add_argument(
        "--salt-file",
        type=Path,
        metavar="FILE",
        help="as of data prepare: secret that patients' names are hidden with "
        "(default: ~/.tune_knee/salt)",
    )


if __name__ == "__main__":
    sys.exit(main())
