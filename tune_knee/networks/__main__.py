"""``python -m tune_knee.networks SRC.pth OUT.pt``: a checkpoint's weights alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tune_knee.networks.checkpoint_file import EXTRACT_COMMAND, extract_weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=EXTRACT_COMMAND,
        description="Take the weights out of a checkpoint, without running what it holds.",
    )
    parser.add_argument("source", metavar="SRC.pth", type=Path, help="a checkpoint of MMEngine")
    parser.add_argument("target", metavar="OUT.pt", type=Path, help="the new file")
    asked = parser.parse_args(arguments)
    try:
        left_out = extract_weights(asked.source, asked.target)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{asked.target}; left out: {', '.join(left_out) or 'nothing'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
