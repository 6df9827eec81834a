"""What is wrong with a source folder, gathered so that it can be mended in one go."""

from dataclasses import dataclass, field


@dataclass
class Problems:
    """One line for each thing that must be mended."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: object, must: str, *, got: object, mend: str) -> None:
        """Note that at `where` (a file, most often) something must hold and does not."""
        self.lines.append(f"{where}: {must}, got {got}; {mend}")

    def raise_if_any(self, source: object, before: str = "it is a dataset") -> None:
        """Raise one ValueError that lists all problems, if there are any.

        `before` says what they prevent.
        """
        if self.lines:
            listed = "\n  ".join(self.lines)
            raise ValueError(
                f"{source} must be mended before {before}, "
                f"got {len(self.lines)} problems:\n  {listed}"
            )
