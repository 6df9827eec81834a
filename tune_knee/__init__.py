"""Run a study of segmentation networks and losses on dynamic knee X-rays."""
