"""Who leads, by how much, and where."""

from analysis.absent import Absent
from analysis.figures.top_trials import draw_top_of_region, draw_top_trials
from analysis.report.contents import Section
from analysis.report.sources import Sources
from analysis.tables.best_trial import best_trial_table
from analysis.tables.top_trials import top_of_hardest_table, top_trials_table

NO_RANKING = Absent(
    title="The ranking",
    reason="It needs two tested trials or more whose loss is scored (ce1 is not).",
)


def ranking_section(sources: Sources) -> Section:
    """The first of the ranking, in total and on the hardest region, and the best one's means."""
    study, findings = sources.study, sources.findings
    if findings is None:
        return Section(anchor="ranking", title="Ranking", blocks=(NO_RANKING,))
    drawn_from = (findings.scores, sources.frames, sources.labels, study.trials, study.regions)
    return Section(
        anchor="ranking",
        title="Ranking",
        blocks=(
            "In each region the trials get points by overlap and again by distance, most for the "
            "best and one for the worst; equal values share theirs. The sum over regions ranks "
            "them. Higher is better.",
            top_trials_table(study, findings),
            draw_top_trials(*drawn_from),
            best_trial_table(study, findings),
            top_of_hardest_table(study, findings),
            draw_top_of_region(*drawn_from, study.hardest_region),
        ),
    )
