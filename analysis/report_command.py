"""``python -m analysis report``: a study's tables, figures and verdict."""

import argparse
import shlex
from pathlib import Path
from typing import Final

from rich.console import Console

from analysis.command_line import Commands, new_parser

_WHAT: Final = "Write a study's report: tables, figures, and what its ranking is worth."
_MORE: Final = """\
OUT gets report.html, which needs nothing beside it, figures/ as PNG and SVG, and tables/ as
CSV and LaTeX; the same goes to the study's run in MLflow. A former report there is replaced.
A study that still runs is reported as far as it is tested.

example:
  python -m analysis report --study paper --tracking-uri sqlite:///out/paper/mlflow.db \\
      --out report"""


def add_parser(commands: Commands) -> None:
    """Declare ``report``."""
    parser = new_parser(commands, "report", _WHAT, _MORE)
    parser.add_argument("--study", required=True, metavar="NAME", help="its name, or its id")
    parser.add_argument("--tracking-uri", required=True, metavar="URI",
                        help="of MLflow, e.g. sqlite:///out/paper/mlflow.db")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="OUT", help="folder to write")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="its dataset, for pictures [where the study had it]")  # fmt: skip
    parser.add_argument("--draws", type=_positive, default=1000, metavar="N",
                        help="of the bootstrap over cases [1000]")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap [0]")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Load, find, draw, write, and keep it with the study's run."""
    # MLflow, scipy and matplotlib take seconds to import, which other commands need not wait for.
    from analysis.artifacts import log_report
    from analysis.load import load_study
    from analysis.report.build import build_contents
    from analysis.report.folder import require_free, write_report
    from analysis.report.sources import gather

    require_free(arguments.out)
    study = load_study(arguments.tracking_uri, arguments.study)
    data = arguments.data or study.data
    sources = gather(study, data, draws=arguments.draws, seed=arguments.seed)
    contents = build_contents(sources, _command(arguments))
    page = write_report(contents, arguments.out)
    log_report(study, arguments.out)
    if contents.verdict is not None:
        console.print(contents.verdict.headline, style="bold", highlight=False, markup=False)
        for sentence in contents.verdict.sentences:
            console.print(sentence, highlight=False, markup=False)
    for notice in contents.notices:
        console.print(notice, style="yellow", highlight=False, markup=False)
    console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _command(arguments: argparse.Namespace) -> str:
    given = {
        "study": arguments.study,
        "tracking-uri": arguments.tracking_uri,
        "out": arguments.out,
        "data": arguments.data,
        "draws": arguments.draws,
        "seed": arguments.seed,
    }
    options = [
        part
        for name, value in given.items()
        if value is not None
        for part in (f"--{name}", str(value))
    ]
    return shlex.join(["python", "-m", "analysis", "report", *options])


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value
