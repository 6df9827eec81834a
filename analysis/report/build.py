"""From a study's sources to what the report says."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from analysis.absent import Absent
from analysis.report.contents import Command, Contents, Section, Terms
from analysis.report.opening import notices, study_facts
from analysis.report.sections.ce_comparison import ce_comparison_section
from analysis.report.sections.methods import methods_section
from analysis.report.sections.pictures import pictures_section
from analysis.report.sections.ranking import ranking_section
from analysis.report.sections.refined import refined_section
from analysis.report.sections.regions import regions_section
from analysis.report.sections.search import search_section
from analysis.report.sections.training import training_section
from analysis.report.sections.worth import worth_section
from analysis.report.sources import Sources


def build_contents(sources: Sources, command: str) -> Contents:
    """Everything the report says, its figures drawn.

    Args:
        sources: of the study.
        command: that makes this report again.
    """
    sections = [
        *([] if sources.search is None else [search_section(sources.search, seed=sources.seed)]),
        *([] if sources.refined is None else [refined_section(sources.refined)]),
        ranking_section(sources),
        regions_section(sources),
        ce_comparison_section(sources),
        pictures_section(sources),
        worth_section(sources),
        training_section(sources),
        methods_section(sources),
    ]
    sections += _absent_section(sections)
    sections.append(_reproduce_section(command))
    return Contents(
        title=f"Study {sources.study.name}: which network and loss, and how sure",
        facts=study_facts(sources),
        notices=notices(sources),
        verdict=None if sources.findings is None else sources.findings.verdict,
        sections=tuple(sections),
        made=f"Made by tune_knee {version('tune-knee')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
    )


def _absent_section(sections: Sequence[Section]) -> list[Section]:
    absent = {
        block.title: block.reason
        for section in sections
        for block in section.blocks
        if isinstance(block, Absent)
    }
    if not absent:
        return []
    terms = Terms(items=tuple(absent.items()))
    return [Section(anchor="absent", title="Not in this report", blocks=(terms,))]


def _reproduce_section(command: str) -> Section:
    return Section(
        anchor="reproduce",
        title="Reproduce",
        blocks=("The command that made this report:", Command(line=command)),
    )
