"""A study of ours beside the paper, as shown and as JSON."""

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.load import Study, load_study
from analysis.paper_comparison import (
    MOVED,
    OURS,
    PAPER,
    PaperComparison,
    compare_to_paper,
)
from analysis.ranking import RANK, Ties
from analysis.score_table import NONE, plain_table, region_header
from tune_knee import keys

_MOST: Final = 10
_PAPER_CASES: Final = "14 test knees of the paper's own, 512 px, up to 50,000 steps"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A study and what came of comparing it to the paper."""

    study: Study
    comparison: PaperComparison

    def as_json(self) -> dict[str, Any]:
        """All of it, under names of its own."""
        found = self.comparison
        return {
            "study": self.study.name,
            "study_id": self.study.study_id,
            "budget": self.study.budget.name,
            "regions": found.regions,
            "caveat": self._caveat(),
            "correlations": found.correlations,
            "places": found.places.rename(columns={keys.TRIAL: "model"}),
            "unscored": found.unscored,
            "not_in_paper": found.not_in_paper,
            "several": found.several,
            "not_in_study": found.not_in_study,
        }

    def print(self, console: Console) -> None:
        """Tables and sentences."""
        console.print()
        console.print(self._correlation_table())
        console.print(self._moves_table())
        console.print(Text("\n".join([*self._absences(), self._caveat()])))

    def _correlation_table(self) -> Table:
        table = plain_table()
        shared = len(self.comparison.places)
        table.title = f'Study "{self.study.name}" beside the paper: {shared} shared models'
        table.add_column(keys.REGION)
        table.add_column("Kendall's tau-b", justify="right")
        table.add_column("Spearman's rho", justify="right")
        for name, *values in self.comparison.correlations.itertuples(index=False):
            texts = [NONE if pd.isna(value) else f"{value:.2f}" for value in values]
            table.add_row(region_header(name.replace("_", " ")), *texts)
        return table

    def _moves_table(self) -> Table:
        places = self.comparison.places
        most = places.reindex(places[MOVED].abs().sort_values(ascending=False, kind="stable").index)
        table = plain_table()
        table.title = "Who moved most from the paper's place to ours"
        table.add_column("model", overflow="fold")
        for title in (f"{PAPER} {RANK}", f"{OURS} {RANK}", MOVED):
            table.add_column(title, justify="right")
        for row in most[most[MOVED] != 0].head(_MOST).to_dict("records"):
            table.add_row(
                row[keys.TRIAL],
                str(row[f"{PAPER}_{RANK}"]),
                str(row[f"{OURS}_{RANK}"]),
                f"{row[MOVED]:+d}",
            )
        return table

    def _absences(self) -> list[str]:
        found = self.comparison
        groups = {
            "Trials of ours whose loss the paper does not score": found.unscored,
            "Trials of ours that the paper has not": found.not_in_paper,
            "Models of the paper with several trials of ours, left out": found.several,
            "Models of the paper without a tested trial of ours": found.not_in_study,
        }
        return [f"{what}: {len(who)}: {', '.join(who)}." for what, who in groups.items() if who]

    def _caveat(self) -> str:
        study, budget = self.study, self.study.budget
        return (
            f'Not the same experiment: the paper tested on {_PAPER_CASES}; study "{study.name}" '
            f"on other data (fingerprint {study.fingerprint}: other knees, or the phantom) under "
            f"the budget {budget.name} ({budget.image_size_px} px, width {budget.width:g}, up to "
            f"{budget.max_steps:,} steps). A model that moved may show the data or the budget, "
            "not an error of either. Both are ranked among the shared models alone, over "
            f"{', '.join(self.comparison.regions)}."
        )


def load_beside(tracking_uri: str, study: str, published: pd.DataFrame, *, ties: Ties) -> Beside:
    """Read a study and compare it.

    Raises:
        ValueError: as `load_study` and `compare_to_paper`.
    """
    ours = load_study(tracking_uri, study)
    return Beside(study=ours, comparison=compare_to_paper(ours, published, ties=ties))
