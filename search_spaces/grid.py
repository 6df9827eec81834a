"""A grid: the trials of a study, and what it changes about the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from search_spaces.budget_changes import changed_budget
from tune_knee import keys
from tune_knee.config import Budget, TrialConfig


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The trials of a study, in order, no two alike.

    Attributes:
        name: shown in the study, and in the name of a budget that the grid changes.
        description: one sentence on what the grid is for.
        trials: at least one.
        budget: fields of `Budget` that the grid sets itself, nested as they are there.
    """

    name: str
    description: str
    trials: tuple[TrialConfig, ...]
    budget: Mapping[str, Any] = field(default_factory=dict)

    def narrowed(self, networks: Sequence[str] = (), losses: Sequence[str] = ()) -> Self:
        """Keep the trials with one of `networks` and one of `losses`; none named, all kept.

        Raises:
            ValueError: if no trial has a named network or loss, or none has both.
        """
        for name, wanted in {keys.NETWORK: networks, keys.LOSS: losses}.items():
            present = dict.fromkeys(getattr(trial, name) for trial in self.trials)
            for value in wanted:
                if value not in present:
                    raise ValueError(
                        f"{name} must be one of {', '.join(present)} in grid {self.name}, "
                        f"got {name}={value}"
                    )
        kept = tuple(
            trial
            for trial in self.trials
            if (not networks or trial.network in networks) and (not losses or trial.loss in losses)
        )
        if not kept:
            raise ValueError(
                f"at least one trial of grid {self.name} must be left, "
                f"got networks={', '.join(networks)}, losses={', '.join(losses)}"
            )
        return replace(self, trials=kept)

    def apply_to(self, budget: Budget) -> Budget:
        """The budget with the grid's own numbers; unchanged where the grid sets none.

        A changed budget is called ``<budget>+<grid>``, so that none of its results
        passes for one of the plain budget.

        Raises:
            ValueError: if the numbers do not fit together.
        """
        return changed_budget(budget, self.budget, self.name)
