"""What the words and numbers of the report mean."""

from typing import Final

from analysis.report.contents import Section, Terms, Topic
from analysis.report.sources import Sources
from tune_knee.config import Budget

_TERMS: Final = (
    (
        "Trial",
        "One network trained once with one loss. A loss is named by its terms and the shares τ "
        "of them in that order.",
    ),
    (
        "Overlap",
        "Mean of the means over test frames of IoU, Dice, precision and recall (the paper's "
        "Mean_metric 1), from 0 to 1; higher is better.",
    ),
    (
        "Distance",
        "Mean of the means of HD95 and ASSD (Mean_metric 2), in pixels of the images that the "
        "networks see; lower is better.",
    ),
    (
        "Millimetres",
        "Each frame's distance in pixels times the spacing of these pixels, then the mean. They "
        "are given where the spacing is known for all frames of the data and was measured in one "
        "plane. Scores and ranks take the distances in pixels, as the criterion does: where "
        "frames differ in spacing, the two may order trials differently.",
    ),
    (
        "Missed frame",
        "One of the two masks is empty and the other is not: overlap 0, and no distance. "
        "Such frames count in the means of overlap and in none of distance, so read the two "
        "together. Both empty: overlap 1 and distance 0.",
    ),
    (
        "Score",
        "Per region, N points for the highest overlap of N trials down to 1 for the lowest, the "
        "same for distance, lowest best; added over the regions (Wang et al.). A sum of ranks, "
        "not the Wilcoxon rank-sum test. A trial that never finds a region has the fewest "
        "points there. Trials with ce1 are compared with ce2 alone and have no score.",
    ),
    ("Rank", "Place by total score, 1 is best; equal totals share the lowest."),
    (
        "Typical",
        "What is nearest to the median of the mean overlap over all tested trials and regions: "
        "frames and sequences are found by this rule, not picked by hand.",
    ),
    (
        "Hardest region",
        "The one that the third stopping criterion looks at: named in the budget, or that of the "
        "smallest area in the training labels.",
    ),
    (
        "Interval",
        "From the 2.5th to the 97.5th percentile of what the bootstrap over cases gives.",
    ),
)
_REFERENCES: Final = (
    (
        "Demšar 2006",
        "Statistical comparisons of classifiers over multiple data sets. Journal of Machine "
        "Learning Research 7, 1–30.",
    ),
    (
        "Holm 1979",
        "A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
        "Statistics 6, 65–70.",
    ),
    (
        "Kendall 1945",
        "The treatment of ties in ranking problems. Biometrika 33, 239–251.",
    ),
    (
        "Wang et al.",
        "Dual-level weighted cross-entropy loss function and multi-object region segmentation "
        "network evaluation for dynamic knee joint X-ray radiography based on a novel scoring "
        "criterion. The criterion and the design of the study.",
    ),
    (
        "Wiesenfarth et al. 2021",
        "Methods and open-source toolkit for analyzing and visualizing challenge results. "
        "Scientific Reports 11, 2369.",
    ),
    ("Wilcoxon 1945", "Individual comparisons by ranking methods. Biometrics Bulletin 1, 80–83."),
)


def methods_section(sources: Sources) -> Section:
    """Definitions, how this study was trained, and references."""
    return Section(
        anchor="methods",
        title="Methods and definitions",
        blocks=(
            Terms(items=_TERMS),
            Topic(
                title="How this study was trained",
                text="What all of its trials have in common.",
            ),
            Terms(items=_training(sources.study.budget)),
            Topic(title="References", text="In the order of their names."),
            Terms(items=_REFERENCES),
        ),
    )


def _training(budget: Budget) -> tuple[tuple[str, str], ...]:
    optimizer, schedule, stopping = budget.optimizer, budget.schedule, budget.stopping
    return (
        (
            "Frames and networks",
            f"{budget.image_size_px} × {budget.image_size_px} px, {budget.batch_size} a step; "
            f"networks at {budget.width:g} of their width.",
        ),
        (
            "Learning rate",
            f"AdamW from {optimizer.learning_rate:g} (unless a trial has its own), weight decay "
            f"{optimizer.weight_decay:g}; linear warm-up over the first "
            f"{schedule.warmup_share:.0%} of {budget.max_steps:,} steps, polynomial decay of power "
            f"{schedule.power:g}, cosine to 0 from {schedule.cosine_from_share:.0%} on.",
        ),
        (
            "Stopping",
            f"At {budget.max_steps:,} steps, or earlier once these held in series at a validation "
            f"(every {budget.evaluation_interval:,} steps): training loss below "
            f"{stopping.train_loss_below:g}; mean validation IoU above {stopping.val_iou_above:g}; "
            f"that of the hardest region above {stopping.hardest_iou_above:g}; and the mean IoU "
            f"within a relative range of {stopping.plateau_fluctuation:g} over "
            f"{stopping.plateau_window} validations.",
        ),
        (
            "Checkpoint",
            f"Tested is the one with the highest mean IoU on the {budget.select_on} set.",
        ),
    )
