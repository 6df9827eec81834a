"""The table of docs/faults.md, which the tests of faults write."""

from dataclasses import dataclass, field
from pathlib import Path

_HEAD = """\
# What a study on a cluster survived

Written by `make test-faults`; what the words mean stands in [cluster.md](cluster.md).

| fault | what happened | what was lost |
|---|---|---|
"""
_UNDISTURBED = "Undisturbed: "

Row = tuple[str, str, str]


@dataclass
class FaultMatrix:
    """What happened under each fault that was done, and in a study without one."""

    rows: list[Row] = field(default_factory=list)
    undisturbed: str = ""

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

    def write(self, path: Path) -> None:
        """Write the table; what was not done this time stays as it was."""
        before = path.read_text().splitlines() if path.exists() else []
        rows = {row[0]: row for row in [*filter(None, map(_row, before)), *self.rows]}
        was = next((line for line in before if line.startswith(_UNDISTURBED)), "")
        study = _UNDISTURBED + self.undisturbed if self.undisturbed else was
        table = "".join(f"| {' | '.join(row)} |\n" for row in rows.values())
        path.write_text(_HEAD + table + (f"\n{study}\n" if study else ""))


def _row(line: str) -> Row | None:
    """A fault's row; None of another line."""
    cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
    is_row = line.startswith("| ") and len(cells) == 3 and cells[0] != "fault"
    return (cells[0], cells[1], cells[2]) if is_row else None
