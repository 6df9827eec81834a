"""What the commands share: options, and results as JSON and CSV."""

import argparse
import json
import math
from pathlib import Path
from typing import Any, Protocol, TypeAlias, get_args

import pandas as pd
from rich.console import Console

from analysis.ranking import Ties

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # has no public name


class Command(Protocol):
    """A module that is a command."""

    def add_parser(self, commands: Commands) -> None:
        """Declare the command's name, help and arguments."""

    def run(self, arguments: argparse.Namespace, console: Console) -> int:
        """Do it, and return the exit status; ValueError where the user must change something."""


def new_parser(commands: Commands, name: str, what: str, more: str) -> argparse.ArgumentParser:
    """A command's parser, whose help begins with `what` and ends with `more` as it stands."""
    return commands.add_parser(
        name,
        help=what[0].lower() + what[1:].rstrip("."),
        description=what,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_ties(parser: argparse.ArgumentParser) -> None:
    """``--ties``."""
    parser.add_argument("--ties", choices=get_args(Ties), default="average",
                        help="points of equal values: their mean, all the fewest, or all the "
                        "most [average]")  # fmt: skip


def add_outputs(parser: argparse.ArgumentParser, *, csv: str) -> None:
    """``--json`` and ``--csv``; `csv` says what its rows are."""
    parser.add_argument("--json", action="store_true",
                        help="one JSON object instead of the table")  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help=csv)


def print_json(console: Console, content: Any) -> None:
    """One JSON object and nothing else; numbers that are not there are null."""
    plain = json.dumps(_jsonable(content), indent=1, allow_nan=False)
    console.out(plain, highlight=False)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV in UTF-8, without an index.

    Raises:
        ValueError: if it cannot be written there.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table.to_csv(file, index=False)
    except OSError as error:
        raise ValueError(
            f"the CSV must be written to a folder that is there, got {path}: {error.strerror}"
        ) from None


def _jsonable(content: Any) -> Any:
    if isinstance(content, pd.DataFrame):
        return _jsonable(content.to_dict("records"))
    if isinstance(content, dict):
        return {name: _jsonable(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_jsonable(value) for value in content]
    if isinstance(content, float):
        return None if math.isnan(content) else content
    return content
