"""The networks of a study."""

from tune_knee.networks.base import SegmentationNetwork
from tune_knee.networks.mmseg import load_mmseg_checkpoint
from tune_knee.networks.registry import build_network

__all__ = ["SegmentationNetwork", "build_network", "load_mmseg_checkpoint"]
