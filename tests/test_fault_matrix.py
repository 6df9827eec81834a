"""The table of faults is written whole, and a part of the tests changes a part of it."""

from pathlib import Path

from fault_matrix import FaultMatrix


def test_what_was_not_done_this_time_stays(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    first = FaultMatrix()
    first.add("a kill", "it went on", 1)
    first.add("a full disk", "it stopped", None)
    first.undisturbed = "5 trials in 3 min."
    first.write(page)
    whole = page.read_text()
    FaultMatrix().write(page)
    assert page.read_text() == whole
    again = FaultMatrix()
    again.add("a kill", "it went on", 2)
    again.add("a cut", "it waited", 0)
    again.write(page)
    assert page.read_text().splitlines()[-6:] == [
        "|---|---|---|",
        "| a kill | it went on | 2 validation intervals trained twice |",
        "| a full disk | it stopped | nothing |",
        "| a cut | it waited | nothing |",
        "",
        "Undisturbed: 5 trials in 3 min.",
    ]
