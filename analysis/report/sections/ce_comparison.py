"""What area-based external weights change."""

from analysis.figures.ce_comparison import draw_ce_comparison
from analysis.report.contents import Section
from analysis.report.sources import Sources
from analysis.tables.ce_comparison import ce_comparison_table


def ce_comparison_section(sources: Sources) -> Section:
    """ce1 against ce2, in every region."""
    study = sources.study
    return Section(
        anchor="ce1-ce2",
        title="CE1 against CE2",
        blocks=(
            "Both losses are the binary cross-entropies of the regions, weighted and summed: ce1 "
            "weights all regions alike, ce2 the more the smaller their area is.",
            draw_ce_comparison(study.trials, study.tests, sources.labels, study.regions),
            ce_comparison_table(study, sources.frames),
        ),
    )
