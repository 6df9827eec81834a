"""Run a study of segmentation networks and losses on dynamic knee X-rays."""

import os

# Patients' data: no usage reports to anyone. MLflow and Ray read these when imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
