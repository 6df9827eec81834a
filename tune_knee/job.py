"""Start a study, or go on with it: one command for what starts its jobs again.

    python -m tune_knee.job FOLDER [OPTION ...] [-- OPTION OF THE FIRST START ...]

is ``python -m tune_knee.run --out FOLDER`` with the options before ``--``, and with those behind
it too as long as there is no study in the folder; where there is one, with ``--resume``.
"""

import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from rich.console import Console

from tune_knee import run
from tune_knee.manifest import FILE_NAME


def run_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line of `tune_knee.run` that starts the study of a folder, or resumes it.

    Raises:
        ValueError: if the folder is not named.
    """
    if not arguments or arguments[0].startswith("-"):
        raise ValueError(
            "the first argument must be the study's folder, as in "
            f"python -m tune_knee.job FOLDER [OPTION ...] [-- OPTION ...], got {list(arguments)}"
        )
    folder, *options = arguments
    always = list(takewhile(lambda option: option != "--", options))
    at_first = options[len(always) + 1 :]
    goes_on = (Path(folder) / FILE_NAME).exists()
    return ["--out", folder, *always, *(["--resume"] if goes_on else at_first)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, that of `tune_knee.run`."""
    try:
        asked = run_arguments(sys.argv[1:] if arguments is None else arguments)
    except ValueError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    return run.main(asked)


if __name__ == "__main__":
    sys.exit(main())
