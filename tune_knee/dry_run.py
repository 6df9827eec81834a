"""What a study would train and cost, without starting it."""

import itertools
import json
import sys
from typing import Final

import torch
from rich.console import Console
from rich.table import Table

from search_spaces.grid import Grid
from search_spaces.search import Search
from tune_knee import cost
from tune_knee.cli import Arguments
from tune_knee.config import TrialConfig
from tune_knee.data.dataset import open_dataset
from tune_knee.opening import asked_refinement, asked_space
from tune_knee.preflight import choose_budget
from tune_knee.progress import duration
from tune_knee.search_plan import repeated

_PAPER_REGIONS: Final = 4  # of a grid that is looked at without data


def _trials_of(space: Grid | Search, arguments: Arguments) -> tuple[TrialConfig, ...]:
    """A grid's trials; for a search as many as it will train, over its networks in turn."""
    if isinstance(space, Grid):
        return space.trials
    assert arguments.trials is not None, "asked_space asks for them"
    networks = itertools.islice(itertools.cycle(space.space.networks), arguments.trials)
    return tuple(
        each
        for network in networks
        for each in repeated(TrialConfig(network=network), arguments.seeds or 1)
    )


def dry_run(arguments: Arguments, console: Console, cluster_gpus: float | None) -> None:
    """List the trials and what they will cost, of a cluster's GPUs if one is named."""
    budget, why = choose_budget(arguments.budget, cluster_gpus=cluster_gpus)
    space = asked_space(arguments)
    budget = space.apply_to(budget)
    notes: tuple[str, ...] = ()
    if arguments.refine is not None:
        refinement = asked_refinement(arguments, space, budget)
        space, notes = refinement.grid, refinement.notes
    trials = _trials_of(space, arguments)
    regions = len(open_dataset(arguments.data).regions) if arguments.data else _PAPER_REGIONS
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    costs = cost.estimate(trials, budget, regions=regions, device=device)
    hours = sum(each.hours for each in costs)
    if arguments.json:
        listed = [
            {**trial.params(), "tera_macs": each.macs / 1e12, "hours": each.hours}
            for trial, each in zip(trials, costs, strict=True)
        ]
        about = {"grid": space.name, "budget": budget.name, "hours": hours, "trials": listed}
        sys.stdout.write(json.dumps(about, indent=2) + "\n")
        return
    console.print(f"Budget {budget.name}: {why}.")
    for note in notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    rows = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("experiment", "network", "loss", "τ", "tera-MAC", "time"):
        rows.add_column(name, justify="left" if name in ("network", "loss", "τ") else "right")
    for trial, each in zip(trials, costs, strict=True):
        experiment = "" if trial.experiment is None else str(trial.experiment)
        rows.add_row(
            experiment, trial.network, trial.loss, trial.ratio,
            f"{each.macs / 1e12:,.1f}", duration(each.hours * 3600),
        )  # fmt: skip
    console.print(rows)
    if isinstance(space, Search):
        console.print("The search chooses τ as it goes: these are as many trials, without it.")
    console.print(
        f"{len(costs)} trials of at most {budget.max_steps:,} steps, roughly "
        f"{duration(hours * 3600)} on one {device.type.upper()}"
        f"{' core' if device.type == 'cpu' else ''} (training alone, at the speed of a plain "
        "convolution measured now). Nothing was started."
    )
