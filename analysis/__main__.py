"""Questions to a study: ``python -m analysis rank --study NAME --tracking-uri URI``."""

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from rich.console import Console

from analysis.console import ranking_table
from analysis.load import load_study
from analysis.ranking import Ties


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rank = commands.add_parser("rank", help="print a study's ranking")
    rank.add_argument("--study", required=True, help="its name, or its id")
    rank.add_argument(
        "--tracking-uri", required=True, metavar="URI", help="e.g. sqlite:///out/mlflow.db"
    )
    rank.add_argument(
        "--ties", choices=get_args(Ties), default="average", help="points of equal values"
    )
    asked = parser.parse_args(arguments)
    try:
        Console().print(ranking_table(load_study(asked.tracking_uri, asked.study), ties=asked.ties))
    except ValueError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
