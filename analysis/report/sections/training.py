"""How training went, why it stopped, and what it cost."""

from analysis.figures.cost import draw_cost
from analysis.figures.cost_benefit import draw_cost_benefit
from analysis.figures.learning_curves import draw_learning_curves
from analysis.figures.stopping import draw_stopping
from analysis.report.contents import Section
from analysis.report.sources import Sources
from analysis.tables.design import design_table
from analysis.tables.stopping import stopping_table


def training_section(sources: Sources) -> Section:
    """Learning curves, stopping criteria, and cost of every trial."""
    study = sources.study
    return Section(
        anchor="training",
        title="Training",
        blocks=(
            draw_learning_curves(
                sources.histories, study.trials, study.budget, study.hardest_region
            ),
            draw_stopping(study.trials, study.budget, study.hardest_region),
            stopping_table(study),
            draw_cost(study.trials),
            draw_cost_benefit(study.trials, study.tests),
            design_table(study),
        ),
    )
