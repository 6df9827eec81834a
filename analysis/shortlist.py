"""The points that a search recommends, in order: what to train at greater expense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.absent import Absent
from analysis.recommendation import Tau, recommend
from analysis.response import Response, fit_response
from analysis.search import TAU, Objective, Search
from analysis.tau_lattice import TauLattice
from tune_knee import keys

APART_STEPS: Final = 5  # of the lattice: 0.1 of τ on the whole simplex
_SLACK: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """A point that a search recommends.

    Attributes:
        network: to train.
        tau: (ce, dice, boundary), a point of the lattice.
        predicted: posterior mean of the objectives by their keys, on their own scale; NaN
            of one whose response cannot be fitted.
    """

    network: str
    tau: Tau
    predicted: Mapping[str, float]


def shortlist(
    search: Search, top: int, *, networks: Sequence[str] | None = None, seed: int = 0
) -> tuple[Recommended, ...]:
    """The `top` points to train next, best first.

    Candidates are, of each network, the lattice points where the best τ lies in 95 % of the
    draws, of any objective (`Recommendation.region`), and the best by each posterior mean.
    They are ordered by `merit` of what is predicted, over all networks together. The best of
    each network comes first, in this order, then the others; points of one network are at
    least `APART_STEPS` steps of the lattice apart, by `tau_distance`.

    Args:
        search: whose finished trials the responses are fitted to, its grid's included.
        top: how many.
        networks: of these alone; None takes all that the search tried.
        seed: of the fits and of all draws.

    Raises:
        ValueError: if no response can be fitted, or fewer points are left; says how many.
    """
    lattice = TauLattice.within(search.tau_low, search.tau_high)
    names = search.networks if networks is None else networks
    found, reasons = [], []
    for network in tqdm(names, desc="fitting responses", unit="network", disable=None):
        fits = [
            fit_response(search, network, objective, lattice, seed=seed)
            for objective in search.objectives
        ]
        responses = [fit for fit in fits if isinstance(fit, Response)]
        if responses:
            found.append(_candidates(network, responses, seed))
        reasons += [f"{fit.title}: {fit.reason}" for fit in fits if isinstance(fit, Absent)]
    if not found:
        raise ValueError(
            "a search must have trials enough to recommend a point, got too few: "
            + " ".join(reasons)
        )
    chosen = _chosen(_in_order(pd.concat(found), search.objectives), lattice.step, top)
    if len(chosen) < top:
        raise ValueError(
            f"top must be at most the {len(chosen)} points that the search recommends and that "
            f"lie apart, got top={top}"
        )
    predicted = [objective.key for objective in search.objectives]
    return tuple(_recommended(row, predicted) for _, row in chosen.iterrows())


def merit(values: pd.DataFrame, objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Sum of ranks over the objectives, as the paper's score has it; higher is better. (N,).

    Args:
        values: a column per objective, by its key; N rows. NaN is worse than every number.
        objectives: which ones.
    """
    ranks = [
        (objective.sign * values[objective.key]).rank(na_option="top") for objective in objectives
    ]
    return np.asarray(sum(rank.to_numpy() for rank in ranks), dtype=np.float64)


def tau_distance(tau: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of τ lies elsewhere, in [0, 1]: half the sum of |differences|; (..., 3)."""
    return np.asarray(np.abs(tau - other).sum(axis=-1) / 2)


def _candidates(network: str, responses: Sequence[Response], seed: int) -> pd.DataFrame:
    lattice = responses[0].lattice
    inside = np.zeros(len(lattice.tau), dtype=bool)
    for response in responses:
        inside |= recommend(response, seed=seed).region
        inside[np.argmax(response.objective.sign * response.mean)] = True
    rows = pd.DataFrame(lattice.tau[inside], columns=list(TAU)).assign(**{keys.NETWORK: network})
    for response in responses:
        rows[response.objective.key] = response.objective.from_model(response.mean[inside])
    return rows


def _in_order(candidates: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """By merit; objectives that no network has a response of become NaN."""
    whole = candidates.reset_index(drop=True)
    whole = whole.reindex(columns=[keys.NETWORK, *TAU, *(each.key for each in objectives)])
    return whole.iloc[np.argsort(-merit(whole, objectives), kind="stable")]


def _chosen(ordered: pd.DataFrame, step: float, top: int) -> pd.DataFrame:
    first = ~ordered.duplicated(keys.NETWORK)
    ordered = pd.concat([ordered[first], ordered[~first]])
    taken: list[int] = []
    for number, row in enumerate(ordered.itertuples(index=False)):
        if len(taken) == top:
            break
        rivals = ordered.iloc[taken]
        rivals = rivals.loc[rivals[keys.NETWORK] == row[0], list(TAU)].to_numpy(float)
        away = tau_distance(rivals, np.array(row[1:4], dtype=float))
        if (away >= APART_STEPS * step - _SLACK).all():
            taken.append(number)
    return ordered.iloc[taken]


def _recommended(row: "pd.Series[float]", objectives: Sequence[str]) -> Recommended:
    ce, dice, boundary = (float(row[part]) for part in TAU)
    return Recommended(
        network=str(row[keys.NETWORK]),
        tau=(ce, dice, boundary),
        predicted={name: float(row[name]) for name in objectives},
    )
