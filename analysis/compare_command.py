"""``python -m analysis compare``: two or more studies side by side."""

import argparse
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from analysis.command_line import Commands, add_outputs, new_parser, print_json, write_csv

_WHAT: Final = "Set studies side by side: the same trial in each, paired by case."
_MORE: Final = """\
Each study is compared with the first. Trials are the same where all their
parameters are; what is left is paired by network, loss and tau, and what
differs is said, as are other budgets and data. Where both were tested on the
same cases and frames (by their names), Wilcoxon's signed-rank test over cases
tells which differences are more than chance, Holm-corrected over the trials of
a region and measure. Trials and regions that one study lacks are named and
left out; ranks are among the shared trials.

examples:
  python -m analysis compare paper again --tracking-uri sqlite:///out/mlflow.db
  python -m analysis compare paper 3f2a90c1d4e5 --csv differences.csv \\
    --tracking-uri sqlite:///out/a/mlflow.db \\
    --tracking-uri sqlite:///out/b/mlflow.db"""


def add_parser(commands: Commands) -> None:
    """Declare ``compare``."""
    parser = new_parser(commands, "compare", _WHAT, _MORE)
    parser.add_argument("studies", nargs="+", metavar="STUDY", help="two or more, by name or id")
    parser.add_argument("--tracking-uri", action="append", required=True, metavar="URI",
                        help="where MLflow keeps them: one for all, or one for each study "
                        "in their order")  # fmt: skip
    add_outputs(parser, csv="write all differences here too, a row per trial, region, measure")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Load, compare, print, and write."""
    uris = _uris(arguments.studies, arguments.tracking_uri)
    # MLflow and scipy take seconds to import, which other commands need not wait for.
    from analysis.artifacts import load_frames
    from analysis.comparison import compare_studies
    from analysis.comparison_view import as_json, as_rows, name_apart, print_comparison
    from analysis.load import load_study

    studies = name_apart(
        [load_study(uri, name) for uri, name in zip(uris, arguments.studies, strict=True)]
    )
    first, *others = studies
    frames = load_frames(first)
    found = [compare_studies(first, other, frames, load_frames(other)) for other in others]
    if arguments.csv is not None:
        write_csv(as_rows(found), arguments.csv)
    if arguments.json:
        print_json(console, {"comparisons": [as_json(one) for one in found]})
        return 0
    for one in found:
        print_comparison(one, console)
    return 0


def _uris(studies: Sequence[str], uris: Sequence[str]) -> Sequence[str]:
    if len(studies) < 2:
        raise ValueError(f"compare must have two studies or more, got {len(studies)}")
    if len(uris) not in (1, len(studies)):
        raise ValueError(
            "--tracking-uri must be given once, or once for each study, "
            f"got {len(uris)} for {len(studies)} studies"
        )
    return uris if len(uris) > 1 else list(uris) * len(studies)
