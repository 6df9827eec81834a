"""Every trial in every region."""

from analysis.report.contents import Section
from analysis.report.sources import Sources
from analysis.tables.millimetres import millimetres_table
from analysis.tables.region_metrics import region_metrics_table
from analysis.tables.region_scores import region_scores_table


def regions_section(sources: Sources) -> Section:
    """Overlap, distance and score, then the six metrics, a table a region each; millimetres."""
    study = sources.study
    scores = None if sources.findings is None else sources.findings.scores
    return Section(
        anchor="regions",
        title="Regions",
        blocks=(
            *(region_scores_table(study, region, scores) for region in study.regions),
            *(region_metrics_table(study, sources.frames, region) for region in study.regions),
            millimetres_table(study, sources.frames),
        ),
    )
