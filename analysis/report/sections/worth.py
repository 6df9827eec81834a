"""What the ranking is worth."""

from typing import Final

from analysis.figures.agreement import draw_agreement, draw_region_agreement
from analysis.figures.critical_difference import draw_critical_difference
from analysis.figures.intervals import draw_intervals
from analysis.figures.sensitivity import draw_sensitivity, draw_tie_ranges
from analysis.figures.significance import draw_significance
from analysis.findings import Findings
from analysis.load import STATUS
from analysis.report.contents import Block, Section, Terms, Topic
from analysis.report.sections.ranking import NO_RANKING
from analysis.report.sections.repeats import noise_between_seeds
from analysis.report.sources import Sources
from analysis.search import DISTANCE, FINISHED, OVERLAP
from analysis.tables.agreement import agreement_table, region_agreement_table
from analysis.tables.alternatives import alternatives_table
from analysis.tables.bootstrap import bootstrap_table
from analysis.tables.significance import significance_table
from tune_knee import keys

_ANCHOR: Final = "worth"
_TITLE: Final = "What the ranking is worth"


def worth_section(sources: Sources) -> Section:
    """Ties, other cases, other ways to rank, tests against the leader, and agreement."""
    if sources.findings is None:
        return Section(anchor=_ANCHOR, title=_TITLE, blocks=(NO_RANKING,))
    return Section(
        anchor=_ANCHOR,
        title=_TITLE,
        blocks=(
            "A rank says who came first on these cases by this criterion. How far that holds "
            "is asked in five ways.",
            *_chance(sources, sources.findings),
            *_other_ways(sources, sources.findings),
            *_tests(sources, sources.findings),
            Topic(
                title="Do the regions agree?",
                text="Each region ranks all trials by its own score; Kendall's tau-b compares "
                "these orders two by two.",
            ),
            draw_region_agreement(sources.findings),
            region_agreement_table(sources.findings),
            *_noise(sources),
        ),
    )


def _noise(sources: Sources) -> tuple[Block, ...]:
    """For a grid; a search has it in a section of its own."""
    if sources.search is not None:
        return ()
    trials = sources.study.trials
    finished = trials[trials[STATUS].isin(FINISHED)]
    networks = tuple(dict.fromkeys(finished[keys.NETWORK]))
    return noise_between_seeds(finished, networks, (OVERLAP, DISTANCE))


def _chance(sources: Sources, findings: Findings) -> tuple[Block, ...]:
    study, labels = sources.study, sources.labels
    return (
        Topic(
            title="How are ties counted?",
            text="Equal values share their mean points. The range of a score is what breaking "
            "all ties against a trial, or all for it, would make of it.",
        ),
        draw_tie_ranges(findings, labels, study.trials),
        Topic(
            title="Would other cases rank them alike?",
            text="The test cases are drawn again with replacement, all frames of a case together, "
            "since the frames of one knee are alike; every draw is scored and ranked anew. The "
            "middle 95 % of the draws is the interval; blobs as in Wiesenfarth et al. (2021).",
        ),
        draw_intervals(findings, labels, study.trials),
        bootstrap_table(study, findings),
    )


def _other_ways(sources: Sources, findings: Findings) -> tuple[Block, ...]:
    study, labels = sources.study, sources.labels
    return (
        Topic(
            title="Does it hang on who else is ranked, or on what is counted twice?",
            text="A sum of ranks depends on the company: a network or a kind of loss is left out "
            "and the others are scored among themselves. And Dice and ASSD, which nearly repeat "
            "IoU and HD95, are left out of the means.",
        ),
        Terms(items=tuple((way.name, way.description) for way in findings.alternatives)),
        draw_sensitivity(findings, labels, study.trials),
        alternatives_table(study, findings),
        draw_agreement(findings),
        agreement_table(findings),
    )


def _tests(sources: Sources, findings: Findings) -> tuple[Block, ...]:
    study, labels = sources.study, sources.labels
    return (
        Topic(
            title="Which trials can be told from the leader?",
            text="Case by case, every trial is set against the leader: Wilcoxon's signed-rank "
            "test, two-sided, corrected for the number of trials as in Holm (1979). All mean "
            "ranks together: Friedman's test and Nemenyi's critical difference, as in Demšar "
            "(2006). Not told apart does not mean equal.",
        ),
        draw_significance(findings, labels, study.trials),
        significance_table(study, findings),
        draw_critical_difference(findings, labels, study.trials),
    )
