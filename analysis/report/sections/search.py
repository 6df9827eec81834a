"""What a search found: where, how sure, and what it gains over the grid."""

from collections.abc import Sequence
from typing import Final

from tqdm import tqdm

from analysis.absent import Absent
from analysis.figures.importance import draw_importance
from analysis.figures.pareto import draw_pareto
from analysis.figures.search_history import draw_search_history
from analysis.figures.ternary import draw_response
from analysis.importance import parameter_importance
from analysis.recommendation import Recommendation, recommend
from analysis.report.contents import Block, Section, Topic
from analysis.report.sections.repeats import noise_between_seeds
from analysis.response import Response, fit_response
from analysis.search import Search
from analysis.tables.search_pareto import pareto_table
from analysis.tables.search_recommended import recommended_table
from analysis.tau_lattice import TauLattice
from tune_knee import keys

_MAPS: Final = 6  # networks


def search_section(search: Search, *, seed: int = 0) -> Section:
    """Front, response and recommended τ, history, importance, and noise between seeds.

    Args:
        search: what was tried and what was known.
        seed: of the fits and of all draws.
    """
    return Section(
        anchor="search",
        title="The search over mixing ratios",
        blocks=(
            "All of this is on validation, which chose the trials: test frames had no part in "
            "the search. Means over test frames are in the sections of the ranking.",
            draw_pareto(search),
            pareto_table(search),
            *_response(search, seed),
            Topic(
                title="How did the search go?",
                text="Each trial in the order in which it started, with the best up to it.",
            ),
            draw_search_history(search),
            *_importance(search, seed),
            *_noise(search),
        ),
    )


def _response(search: Search, seed: int) -> list[Block]:
    lattice = TauLattice.within(search.tau_low, search.tau_high)
    drawn = _best_networks(search)
    blocks: list[Block] = [
        Topic(
            title="Which mixture is best, and how sure is that?",
            text="For each network and objective a Gaussian process over the triangle of mixing "
            "ratios weighs all its trials, the grid's included. The recommended τ is the best of "
            f"its mean; draws from it say where else the best may be.{_limits(search, drawn)}",
        )
    ]
    found: list[Recommendation] = []
    for network in tqdm(search.networks, desc="fitting responses", unit="network", disable=None):
        maps: list[tuple[Response, Recommendation]] = []
        for objective in search.objectives:
            response = fit_response(search, network, objective, lattice, seed=seed)
            if isinstance(response, Absent):
                blocks.append(response)
            else:
                maps.append((response, recommend(response, seed=seed)))
        if maps and network in drawn:
            blocks.append(draw_response(maps))
        found += [recommended for _, recommended in maps]
    return blocks + [recommended_table(group) for group in _by_objective(search, found)]


def _best_networks(search: Search) -> Sequence[str]:
    """As many networks as have their maps drawn: those with the best value of any trial."""
    aim = search.objectives[0]
    values = aim.sign * search.finished[aim.key]
    best = values.groupby(search.finished[keys.NETWORK]).max().reindex(search.networks)
    return tuple(best.sort_values(ascending=False, kind="stable").index[:_MAPS])


def _limits(search: Search, drawn: Sequence[str]) -> str:
    """What the maps do not show."""
    words = ""
    left_out = len(search.networks) - len(drawn)
    if left_out:
        words += (
            f" The maps of the {len(drawn)} networks with the best {search.objectives[0].aim} are "
            f"drawn; {left_out} others are in the tables alone."
        )
    unmapped = dict.fromkeys(name for each in search.networks for name in search.unmapped(each))
    if unmapped:
        words += (
            f" A map is over τ alone: what trials of a network differ in besides "
            f"({', '.join(unmapped)}) counts as noise in it."
        )
    return words


def _importance(search: Search, seed: int) -> list[Block]:
    results = [
        parameter_importance(search, objective, seed=seed) for objective in search.objectives
    ]
    blocks: list[Block] = [result for result in results if isinstance(result, Absent)]
    found = [result for result in results if not isinstance(result, Absent)]
    return [*blocks, draw_importance(found)] if found else blocks


def _noise(search: Search) -> tuple[Block, ...]:
    blocks = noise_between_seeds(search.finished, search.networks, search.objectives)
    if blocks:
        return blocks
    reason = "Each point was trained with one seed; the option --seeds trains it with several."
    return (Absent(title="Noise between seeds", reason=reason),)


def _by_objective(search: Search, found: Sequence[Recommendation]) -> list[list[Recommendation]]:
    groups = [[one for one in found if one.objective == aim] for aim in search.objectives]
    return [group for group in groups if group]
