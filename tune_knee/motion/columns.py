"""Columns of the table of motion, one row a frame; units are in the names.

Angles in degrees, positions from the image's upper left corner, x right and y down.
"""

from typing import Final

FRAME_NUMBER: Final = "frame_number"  # from 0, in the sequence
TIME_MS: Final = "time_ms"
DOUBTFUL: Final = "doubtful"
REASONS: Final = "reasons"  # separated by "; ", empty where nothing is doubtful

FLEXION_DEG: Final = "flexion_deg"  # 0 is full extension, positive is flexion
TENDON_PX: Final = "tendon_length_px"
TENDON_MM: Final = "tendon_length_mm"
PATELLA_PX: Final = "patella_length_px"
PATELLA_MM: Final = "patella_length_mm"
INSALL_SALVATI: Final = "insall_salvati"  # tendon length / patella length
INSERTION_BY: Final = "insertion_by"  # PIVOT or CREST, of `tune_knee.motion.insertion`


def area_px(region: str) -> str:
    """Pixels of a region."""
    return f"{region}_area_px"


def area_mm2(region: str) -> str:
    """Area of a region, where the spacing is known."""
    return f"{region}_area_mm2"


def centroid_px(region: str, axis: str) -> str:
    """Centroid of a region along `axis`, x or y."""
    return f"{region}_centroid_{axis}_px"


def axis_deg(region: str) -> str:
    """Principal axis of a region, in (-90, 90], anticlockwise from the image's horizontal."""
    return f"{region}_axis_deg"


def parts(region: str) -> str:
    """Number of a region's 8-connected components."""
    return f"{region}_parts"


def touches_border(region: str) -> str:
    """Whether a region reaches the image's border."""
    return f"{region}_touches_border"
