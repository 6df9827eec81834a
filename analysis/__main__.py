"""Questions to a study, to a table of models, and to the paper's own numbers."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from analysis import compare_command, paper_command, rank_command, report_command
from analysis.command_line import Command

_COMMANDS: Final[dict[str, Command]] = {
    "report": report_command,
    "rank": rank_command,
    "paper": paper_command,
    "compare": compare_command,
}
_INTERRUPTED: Final = 130  # as a shell says of a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 2 after an error that the user can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description=__doc__,
        epilog="python -m analysis COMMAND --help says what it does, with examples.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS.values():
        command.add_parser(commands)
    asked = parser.parse_args(arguments)
    try:
        return _COMMANDS[asked.command].run(asked, Console())
    except ValueError as error:
        Console(stderr=True).print(
            f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True
        )
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
