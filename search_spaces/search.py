"""A search: where to look for trials and how, and what it changes about the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from search_spaces.budget_changes import changed_budget
from tune_knee.config import Budget
from tune_knee.search_config import SearchConfig, SearchSpace


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a study searches, where a `Grid` lists its trials.

    Attributes:
        name: shown in the study, and in the name of a budget that the search changes.
        description: one sentence on what the search is for.
        space: where to look.
        config: how.
        budget: fields of `Budget` that the search sets itself, nested as they are there.
    """

    name: str
    description: str
    space: SearchSpace
    config: SearchConfig
    budget: Mapping[str, Any] = field(default_factory=dict)

    def narrowed(self, networks: Sequence[str] = (), losses: Sequence[str] = ()) -> Self:
        """Look only among `networks`; none named, all kept.

        Raises:
            ValueError: if a named network is none of the search's, or a loss is named, which
                follows from τ.
        """
        if losses:
            raise ValueError(
                f"loss must be left out in search {self.name}, where it follows from tau, "
                f"got loss={losses[0]}; set the ranges of tau in a file of your own"
            )
        for network in networks:
            if network not in self.space.networks:
                raise ValueError(
                    f"network must be one of {', '.join(self.space.networks)} in search "
                    f"{self.name}, got network={network}"
                )
        kept = tuple(each for each in self.space.networks if not networks or each in networks)
        return replace(self, space=replace(self.space, networks=kept))

    def apply_to(self, budget: Budget) -> Budget:
        """The budget with the search's own numbers; unchanged where it sets none.

        Raises:
            ValueError: if the numbers do not fit together.
        """
        return changed_budget(budget, self.budget, self.name)
