"""Datasets on the command line: prepare folders of X-rays, make a phantom, check either."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tune_knee.data.preparation import PAPER_SHARES, Preparation, prepare
from tune_knee.data.splitting import Shares, parse_shares


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        The exit code: 1 where `check` has findings, 2 where nothing can be done before
        the user mends something.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.command == "prepare":
            _prepare(options)
        elif options.command == "phantom":
            _phantom(options)
        elif _check(options):
            return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _prepare(options: argparse.Namespace) -> None:
    preparation = Preparation(
        size_px=options.size,
        regions=None
        if options.regions is None
        else tuple(name.strip() for name in options.regions.split(",")),
        case_from=options.case_from,
        split=_split(options.split),
        seed=options.seed,
        salt_path=options.salt_file,
    )
    dataset = prepare(options.src, options.out, preparation)
    _say_written(options.out, len(dataset), dataset.regions)


def _phantom(options: argparse.Namespace) -> None:
    from tune_knee.data.phantom import make_phantom  # numba takes a while to import

    dataset = make_phantom(
        options.out, size_px=options.size, seed=options.seed, cases=options.cases
    )
    _say_written(options.out, len(dataset), dataset.regions)


def _check(options: argparse.Namespace) -> int:
    from tune_knee.data.check import check  # so does torch, which prepare does without

    return check(options.data, sheet=options.out, augmented=options.augmented)


def _say_written(out: Path, frames: int, regions: Sequence[str]) -> None:
    sys.stdout.write(
        f"{out}: {frames} frames, regions {', '.join(regions)}\n"
        f"Look at it with: python -m tune_knee.data check {out}\n"
    )


def _split(text: str) -> Shares | Path:
    path = Path(text)
    return path if path.suffix.lower() == ".csv" else parse_shares(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tune_knee.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_prepare(
        commands.add_parser(
            "prepare",
            help="make a dataset of DICOM objects or images with their labels",
            description="Make a dataset of DICOM sequences, or of PNG, JPEG or TIFF images (8 or "
            "16 bit), and their labels (LabelMe JSON, mask PNG, NIfTI, DICOM segmentation): "
            "centre square, resized, one mask bit a region, split by case.",
        )
    )
    _add_phantom(
        commands.add_parser(
            "phantom",
            help="make a dataset of synthetic dynamic lateral knees",
            description="Make a dataset of synthetic dynamic lateral knees.",
        )
    )
    _add_check(
        commands.add_parser(
            "check",
            help="count, weigh, question and picture a dataset",
            description="Counts by split and region, area shares and the weights that follow, "
            "overlaps, exposure, what looks wrong and what to do about it (exit code 1 then), "
            "and pictures to look at.",
        )
    )
    return parser


def _add_prepare(command: argparse.ArgumentParser) -> None:
    command.add_argument("src", type=Path, metavar="SRC", help="folder, searched in depth")
    _add_out(command)
    command.add_argument(
        "--regions",
        metavar="A,B,C",
        help="names in order; any other label is then an error (default: the labels found)",
    )
    command.add_argument(
        "--case-from",
        metavar="PATTERN",
        help="regular expression with one group, searched for in each file's path in SRC; what "
        "the group finds is the case (default: an image's folder, a DICOM object's patient), "
        "e.g. '^([^/]+)/' for a patient's folder that holds several sequences",
    )
    command.add_argument(
        "--split",
        default=":".join(str(share) for share in PAPER_SHARES),
        metavar="TRAIN:VALIDATION:TEST|FILE.csv",
        help="shares of the frames, whole cases each, or a CSV with the columns case and split "
        "(default: %(default)s)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the shuffle of cases (default: 0)")
    command.add_argument(
        "--salt-file",
        type=Path,
        metavar="FILE",
        help="secret that patients' names in DICOM objects are hidden with, made where it is "
        "not there; keep it, and beside no dataset (default: ~/.tune_knee/salt)",
    )


def _add_phantom(command: argparse.ArgumentParser) -> None:
    _add_out(command)
    command.add_argument("--cases", type=int, default=64, help="(default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=Path, metavar="DIR", help="dataset folder")
    command.add_argument(
        "--out",
        type=Path,
        metavar="PNG",
        help="contact sheet with outlines (default: DIR/contact_sheet.png)",
    )
    command.add_argument(
        "--augmented", type=Path, metavar="PNG", help="training frames beside augmented ones"
    )


def _add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    command.add_argument(
        "--size", type=int, default=512, metavar="PX", help="side of the frames (default: 512)"
    )


if __name__ == "__main__":
    sys.exit(main())
