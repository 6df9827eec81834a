"""The table of docs/faults.md, which the tests of faults write."""

from dataclasses import dataclass, field
from pathlib import Path

_HEAD = """\
# What a study on a cluster survived

Written by `make test-faults`; what the words mean stands in [cluster.md](cluster.md).
"""


@dataclass
class FaultMatrix:
    """What happened under each fault that was done, in the order of the tests."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)

    def add(self, fault: str, happened: str, lost: int | None) -> None:
        """A fault that the study survived.

        Args:
            fault: what was done.
            happened: what the study did.
            lost: validation intervals that were trained twice; None where none can be.
        """
        plural = "" if lost == 1 else "s"
        intervals = f"{lost} validation interval{plural} trained twice" if lost else "nothing"
        self.rows.append((fault, happened, intervals))

    def add_study(self, what: str) -> None:
        """A study that no fault disturbed: what it was, and what it took."""
        self.studies.append(what)

    def write(self, path: Path) -> None:
        """Write the table, and what ran beside it; nothing without rows."""
        if not self.rows:
            return
        lines = [_HEAD, "| fault | what happened | what was lost |", "|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        lines += ["", *self.studies] if self.studies else []
        path.write_text("\n".join(lines) + "\n")
