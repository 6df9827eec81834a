"""Which of a dataset's regions plays which part in the knee."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Names of the regions that measures of the joint need; None where there is none."""

    patella: str | None = None
    femur: str | None = None
    tibia: str | None = None
    patellar_tendon: str | None = None

    @classmethod
    def among(cls, regions: Sequence[str]) -> Self:
        """Take the regions that are named as their part is, e.g. ``Patellar tendon``.

        Capitals do not matter, and a space, ``_``, ``-`` and ``.`` are one. What no region
        is named after is None.
        """
        known = {re.sub(r"[ .-]+", "_", region).lower(): region for region in regions}
        return cls(**{part.name: known.get(part.name) for part in fields(cls)})

    def must_be_among(self, regions: Sequence[str]) -> None:
        """Raise ValueError if a region named here is not one of the dataset's."""
        for part in fields(self):
            region = getattr(self, part.name)
            if region is not None and region not in regions:
                raise ValueError(
                    f"{part.name} must be one of the regions {', '.join(regions)}, "
                    f"got {part.name}={region}"
                )

    def missing(self, *parts: str) -> tuple[str, ...]:
        """Those of some parts that no region plays."""
        return tuple(part for part in parts if getattr(self, part) is None)
