"""Take a trained model home: register it in MLflow, or write it to a file."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from tune_knee.model_registry import BEST
from tune_knee.model_sources import TrainedStudy
from tune_knee.registration import register_trial
from tune_knee.tracking_store import bound_requests

_EXAMPLES: Final = """\
examples:
  the best of a study, as its end registers it   python -m tune_knee.register out/paper
  another trial, under another name              python -m tune_knee.register out/paper \\
                                                   --trial 2039626c09e5 --name second
  a file, and no registry                        python -m tune_knee.register out/paper \\
                                                   --out model.pt"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Register or write. Returns the exit status: 2 where the user can mend something."""
    asked = _parser().parse_args(arguments)
    bound_requests()
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        return _register(asked)
    except (ValueError, OSError) as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        return 2


def _register(asked: argparse.Namespace) -> int:
    if asked.out is not None and asked.out.exists():
        raise ValueError(f"--out must name a new file, got out={asked.out}, which is there")
    study = TrainedStudy.open(asked.study)
    trial = asked.trial or study.best()[0]
    if asked.out is not None:
        model = study.model(trial)
        model.write(asked.out)
        sys.stdout.write(f"{asked.out}: {model.facts.label}, budget {model.facts.budget}\n")
        return 0
    address = register_trial(study, trial, name=asked.name, best=asked.trial is None)
    sys.stdout.write(f"{address} is trial {trial}{'' if asked.trial else f', the {BEST}'}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tune_knee.register",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="a study's folder")
    parser.add_argument("--trial", metavar="ID", help="a tested trial [the best by score]")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--name", metavar="NAME", help="of the registered model [the study's]")
    where.add_argument("--out", type=Path, metavar="FILE.pt", help="write this file instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
