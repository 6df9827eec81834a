"""Every metric, parameter, tag and artifact name, once.

Writers (`tracking`, `trainable`) and readers (`analysis`, `stoppers`) take the names
from here, so that a misspelt key is an import error and not an empty column.
"""

from typing import Final

# One evaluated picture has these six; the first four are shares in [0, 1], where
# higher is better, the last two are distances in pixels, where lower is better.
OVERLAP_METRICS: Final = ("iou", "dice", "precision", "recall")
DISTANCE_METRICS: Final = ("hd95_px", "assd_px")
METRICS: Final = OVERLAP_METRICS + DISTANCE_METRICS

# The same distances in millimetres: beside those in pixels where the pixel spacing of all
# frames is known and was measured in one plane. No ranking takes them.
MM_METRICS: Final = ("hd95_mm", "assd_mm")

OVERLAP: Final = "overlap"  # Mean_metric 1: mean of the first four
DISTANCE_PX: Final = "distance_px"  # Mean_metric 2: mean of the last two
DISTANCE_MM: Final = "distance_mm"  # mean of `MM_METRICS`
SCORE: Final = "score"
MISSED_FRAMES: Final = "missed_frames"  # frames where a distance is undefined

# Parameters of a trial.
NETWORK: Final = "network"
LOSS: Final = "loss"
TAU_CE: Final = "tau_ce"
TAU_DICE: Final = "tau_dice"
TAU_BOUNDARY: Final = "tau_boundary"
BOUNDARY: Final = "boundary"
INTERNAL_WEIGHTS: Final = "internal_weights"
WEIGHTS_IN: Final = "weights_in"
PRETRAINED: Final = "pretrained"
REPEAT: Final = "repeat"
EXPERIMENT: Final = "experiment"
SEED: Final = "seed"

# Parameters of a study.
BUDGET: Final = "budget"  # the whole budget as JSON
GRID: Final = "grid"
DATA: Final = "data"  # the dataset's folder
PLANNED: Final = "trials"  # how many trials the whole study has
HARDEST_REGION: Final = "hardest_region"  # that of the third stopping criterion
SEARCH: Final = "search"  # of a search: sampler, objectives and space as JSON
WARM_START: Final = "warm_start"  # address and id of the study that it started from, as JSON
REFINES: Final = "refines"  # of a refinement: search, how many points, grid, as JSON

# One report: what a trial says after every validation interval.
STEP: Final = "step"
LEARNING_RATE: Final = "learning_rate"  # of the step; as a parameter, a trial's own initial one
WALL_TIME_S: Final = "wall_time_s"  # time the trial has trained and validated so far
TRAIN_LOSS: Final = "train/loss"  # what is minimised, auxiliary head included
TRAIN_CE: Final = "train/ce"
TRAIN_DICE: Final = "train/dice"
TRAIN_BOUNDARY: Final = "train/boundary"
VAL_IOU: Final = "val/iou"  # mean over frames and regions
VAL_OVERLAP: Final = "val/overlap"
BEST_IOU: Final = "best/iou"  # the same three of the best checkpoint so far
BEST_OVERLAP: Final = "best/overlap"
BEST_DISTANCE_PX: Final = "best/distance_px"
BEST_STEP: Final = "best/step"
TEST_SCORE: Final = "test/score"

FAILURE: Final = "failure"  # instead of a report: why the trial cannot go on
OUT_OF_MEMORY: Final = "out_of_memory"  # beside it: the GPU's memory was too little
TRIAL_ID: Final = "trial_id"  # what Tune's config holds: this
TRIAL_CONFIG: Final = "trial_config"  # and the trial as JSON; Tune replaces objects

STOP_REASON: Final = "stop/reason"  # in the last report only, with `opened`

# Stopping criteria, in series.
OPENS_TRAIN_LOSS: Final = "train_loss"
OPENS_VAL_IOU: Final = "val_iou"
OPENS_HARDEST_IOU: Final = "hardest_iou"
OPENS_PLATEAU: Final = "plateau"
CRITERIA: Final = (OPENS_TRAIN_LOSS, OPENS_VAL_IOU, OPENS_HARDEST_IOU, OPENS_PLATEAU)

# Tags of MLflow runs.
TAG_STUDY: Final = "tune_knee.study"
TAG_STUDY_ID: Final = "tune_knee.study_id"  # tells studies of one name apart
TAG_TRIAL: Final = "tune_knee.trial_id"
TAG_KIND: Final = "tune_knee.kind"  # KIND_STUDY or KIND_TRIAL
KIND_STUDY: Final = "study"
KIND_TRIAL: Final = "trial"
TAG_BUDGET: Final = "tune_knee.budget"
TAG_FINGERPRINT: Final = "tune_knee.dataset_fingerprint"
TAG_REGIONS: Final = "tune_knee.regions"  # comma-separated, in the dataset's order
TAG_STATUS: Final = "tune_knee.status"  # one of the five below
STATUS_RUNNING: Final = "running"
STATUS_TRAINED: Final = "trained"
STATUS_TESTED: Final = "tested"
STATUS_FAILED: Final = "failed"
STATUS_PRUNED: Final = "pruned"  # stopped early as hopeless, never ranked beside the others
TAG_STOP_REASON: Final = "tune_knee.stop_reason"
TAG_SPACING_SOURCE: Final = "tune_knee.spacing_source"  # of a test with millimetres
TAG_FAILURE: Final = "tune_knee.failure"
TAG_CPUS: Final = "tune_knee.cpus"  # what a trial takes of a node while it trains
TAG_GPUS: Final = "tune_knee.gpus"
TAG_LABEL: Final = "tune_knee.label"  # of a model: its trial in words
TAG_THRESHOLDS: Final = "tune_knee.thresholds"  # comma-separated, in the order of the regions
TAG_MODEL: Final = "tune_knee.model"  # identity of a model, its facts and weights
TAG_OPENED: Final = "tune_knee.opened."  # and a stopping criterion's name: step it first held

# Artifacts of a trial's run, and files of its folder.
TEST_FRAMES: Final = "test_frames.parquet"
TEST_MASKS: Final = "test_masks.parquet"  # case, frame, and the predicted bit mask as PNG
HISTORY: Final = "history.parquet"
FAILURE_TEXT: Final = "failure.txt"

# Columns of TEST_FRAMES, one row per frame and region, and of the tables made from it.
TRIAL: Final = "trial"
CASE: Final = "case"
FRAME: Final = "frame"
REGION: Final = "region"
SPACING_SOURCE: Final = "spacing_source"  # with `MM_METRICS`: where the spacing was measured
PNG: Final = "png"


def validation(region: str, metric: str) -> str:
    """Name of a region's validation metric, e.g. ``val/femur/iou``."""
    return f"val/{region}/{metric}"


def test(region: str, metric: str) -> str:
    """Name of a region's test metric, e.g. ``test/femur/iou``."""
    return f"test/{region}/{metric}"


def opened(criterion: str) -> str:
    """Name of the step at which a stopping criterion first held, e.g. ``stop/plateau``."""
    return f"stop/{criterion}"


def is_report(name: str) -> bool:
    """Whether a name of Tune's results is of a trial's report, not of Tune's own."""
    return name in (STEP, LEARNING_RATE, WALL_TIME_S) or name.startswith(
        ("train/", "val/", "best/")
    )
