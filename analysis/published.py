"""The paper's published tables, and its scores recomputed from them."""

from importlib.resources import files
from typing import Final

import pandas as pd

from analysis.aggregate import add_mean_metrics
from analysis.parameters import MODEL
from analysis.ranking import Ties, rank_trials, score_trials
from tune_knee import keys
from tune_knee.config import LossWeights, TrialConfig

PUBLISHED: Final = "published"
LOWEST: Final = "lowest"
HIGHEST: Final = "highest"
RULES: Final = (PUBLISHED, "average", "min", "max")
_FOLDER: Final = "published_tables"
_STATUS: Final = "status"
_LOST: Final = "best-of-column-lost"
_BEST: Final = {keys.OVERLAP: 1.0, keys.DISTANCE_PX: 0.0}  # nothing can rank before these


def load_published() -> pd.DataFrame:
    """Tables 5 to 8: the 50 scored models on the paper's four regions.

    Returns:
        a row per model and region: trial (the model in the paper's words), region,
        experiment, the parameters by our names, overlap, distance_px, published (the
        printed score), status. A value that is lost is the best of its column, and stands
        as the best there is, 1 or 0 px, so that it ranks first; "–" is NaN.
    """
    table = _read("tables_5_to_8.csv").rename(
        columns={
            "mean_metric_1": keys.OVERLAP,
            "mean_metric_2": keys.DISTANCE_PX,
            keys.SCORE: PUBLISHED,
        }
    )
    lost = table[_STATUS] == _LOST
    for measure, best in _BEST.items():
        table[measure] = table[measure].mask(lost & table[measure].isna(), best)
    models = table[list(MODEL)].itertuples(index=False)
    table.insert(0, keys.TRIAL, [_label(*model) for model in models])
    table[keys.NETWORK] = table[keys.NETWORK].map(_our_name)
    return table


def load_table_4() -> pd.DataFrame:
    """Table 4, ce1 beside ce2: region, network (our name), loss, `keys.METRICS`, their means."""
    table = _read("table_4.csv")
    table[keys.NETWORK] = table[keys.NETWORK].map(_our_name)
    table["metric"] = table["metric"].replace({"hd95": "hd95_px", "assd": "assd_px"})
    row = [keys.REGION, keys.NETWORK, keys.LOSS]
    means = table.pivot_table("mean", row, "metric", sort=False)
    return add_mean_metrics(means.reset_index().rename_axis(columns=None))


def recompute(published: pd.DataFrame, *, ties: Ties = "average") -> pd.DataFrame:
    """Scores from the printed means, beside the printed scores.

    Args:
        published: from `load_published`, all of it or some models.
        ties: points of equal values.

    Returns:
        in the same order: trial, region, score, published, and the lowest and highest score
        that ties allow. Ties are those of the fourth decimal, to which the means are printed.
    """
    scores = score_trials(published, ties=ties, unscored_losses=())
    scores[PUBLISHED] = published[PUBLISHED].to_numpy()
    scores[LOWEST] = score_trials(published, ties="min", unscored_losses=())[keys.SCORE]
    scores[HIGHEST] = score_trials(published, ties="max", unscored_losses=())[keys.SCORE]
    return scores


def total(scores: pd.DataFrame) -> pd.DataFrame:
    """Sums over the regions, best score first: trial, score, rank, published, lowest, highest."""
    bounds = [PUBLISHED, LOWEST, HIGHEST]
    return rank_trials(scores).join(scores.groupby(keys.TRIAL)[bounds].sum(), on=keys.TRIAL)


def agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """How many recomputed scores equal the printed, and how many ties can explain.

    Returns:
        region, models, equal, possible (the printed score lies from lowest to highest).
    """
    counted = scores.assign(
        models=1, equal=scores[keys.SCORE] == scores[PUBLISHED], possible=is_possible(scores)
    )
    counts = counted.groupby(keys.REGION, sort=False)[["models", "equal", "possible"]].sum()
    return counts.reset_index()


def is_possible(scores: pd.DataFrame) -> pd.Series:
    """Whether ties allow each printed score."""
    return scores[PUBLISHED].between(scores[LOWEST], scores[HIGHEST])


def winners(published: pd.DataFrame) -> pd.DataFrame:
    """Total scores of the models that are first by the print or by some tie rule.

    Returns:
        a row per such model: trial, published, average, min, max.
    """
    totals = total(recompute(published)).rename(
        columns={keys.SCORE: "average", LOWEST: "min", HIGHEST: "max"}
    )
    rules = list(RULES)
    first = (totals[rules] == totals[rules].max()).any(axis="columns")
    return totals.loc[first, [keys.TRIAL, *rules]].reset_index(drop=True)


def compare_tables_4_and_8(published: pd.DataFrame) -> pd.DataFrame:
    """Means that Table 8 prints of ce2 on the tendon, and those that Table 4's metrics give.

    Returns:
        trial, measure, printed (NaN where our copy lost it), table_4.
    """
    row = [keys.REGION, keys.NETWORK, keys.LOSS]
    both = published.merge(load_table_4(), on=row, suffixes=("", "_4"))
    tables = []
    for measure, best in _BEST.items():
        pairs = both[[keys.TRIAL]].assign(measure=measure)
        pairs["printed"] = both[measure].mask(both[measure] == best)
        pairs["table_4"] = both[f"{measure}_4"]
        tables.append(pairs)
    return pd.concat(tables, ignore_index=True)


def _read(name: str) -> pd.DataFrame:
    with files("analysis").joinpath(_FOLDER, name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def _our_name(network: str) -> str:
    return network.lower().replace("+", "plus")


def _label(network: str, loss: str, ce: float, dice: float, boundary: float) -> str:
    tau = LossWeights(ce=ce, dice=dice, boundary=boundary)
    ratio = TrialConfig(network=_our_name(network), loss=loss, tau=tau).ratio
    return " ".join(part for part in (network, loss, ratio) if part)
