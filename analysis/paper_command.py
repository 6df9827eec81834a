"""``python -m analysis paper``: the paper's scores, recomputed from its own tables."""

import argparse
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import published
from analysis.command_line import Commands, add_ties, new_parser, print_json
from analysis.published import HIGHEST, LOWEST, PUBLISHED
from analysis.ranking import RANK
from analysis.score_table import plain_table, region_header
from tune_knee import keys

_WHAT: Final = "Recompute the paper's scores from its tables, and say what ties decide."
_MORE: Final = """\
The 50 scored models of Tables 5 to 8 ship with this package. Their means are
printed to four decimals: where two are equal there, the tie rule decides the
points, and the paper does not say which it used. Printed scores are compared
with those by --ties, and with the interval between the fewest points (min) and
the most (max).

With --compare a study of yours stands beside the paper: its trials are matched
by network, loss and tau, and both are ranked anew among the models that both
have.

examples:
  python -m analysis paper
  python -m analysis paper --ties max --json
  python -m analysis paper --compare paper \\
    --tracking-uri sqlite:///out/paper/mlflow.db"""
_TOP: Final = 10
_PRINTED_TO: Final = 0.5e-4 + 1e-9  # half of the fourth decimal


def add_parser(commands: Commands) -> None:
    """Declare ``paper``."""
    parser = new_parser(commands, "paper", _WHAT, _MORE)
    parser.add_argument(
        "--compare", metavar="STUDY", help="set this study, by name or id, beside it"
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="where MLflow keeps that study")
    add_ties(parser)
    parser.add_argument("--json", action="store_true",
                        help="one JSON object instead of the tables")  # fmt: skip


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Recompute, compare, and print."""
    if (arguments.compare is None) != (arguments.tracking_uri is None):
        raise ValueError("--compare and --tracking-uri must come together, got one of them")
    table = published.load_published()
    beside = None
    if arguments.compare is not None:
        # MLflow takes seconds to import, which the paper's own tables need not wait for.
        from analysis.paper_comparison_view import load_beside

        beside = load_beside(arguments.tracking_uri, arguments.compare, table, ties=arguments.ties)
    if arguments.json:
        more = {} if beside is None else {"comparison": beside.as_json()}
        print_json(console, {**_as_json(table, arguments.ties), **more})
        return 0
    _print(console, table, arguments.ties)
    if beside is not None:
        beside.print(console)
    return 0


def _as_json(table: pd.DataFrame, ties: Any) -> dict[str, Any]:
    scores = published.recompute(table, ties=ties)
    impossible = scores[~published.is_possible(scores)]
    return {
        "ties": ties,
        "agreement": published.agreement(scores),
        "inconsistent": _named(impossible),
        "winners": _named(published.winners(table)),
        "scores": _named(scores),
        "totals": _named(published.total(scores)),
    }


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={keys.TRIAL: "model"})


def _print(console: Console, table: pd.DataFrame, ties: Any) -> None:
    scores = published.recompute(table, ties=ties)
    totals = published.total(scores)
    console.print(_agreement_table(published.agreement(scores), ties))
    console.print(Text("\n".join([*_inconsistent(scores), _table_4(table)]) + "\n"))
    console.print(_top_table(totals, ties))
    console.print(_winner_table(published.winners(table)))


def _agreement_table(counts: pd.DataFrame, ties: str) -> Table:
    table = plain_table()
    table.title = "The paper's scores, recomputed from its Tables 5 to 8"
    table.add_column(keys.REGION)
    for title in ("models", f"equal, ties {ties}", "possible under ties"):
        table.add_column(title, justify="right")
    for region, *numbers in counts.itertuples(index=False):
        table.add_row(region_header(region.replace("_", " ")), *map(str, numbers))
    table.add_section()
    table.add_row("all", *(str(counts[name].sum()) for name in ("models", "equal", "possible")))
    return table


def _inconsistent(scores: pd.DataFrame) -> list[str]:
    lines = []
    for row in scores[~published.is_possible(scores)].to_dict("records"):
        region = scores[scores[keys.REGION] == row[keys.REGION]]
        models = len(region)
        lines.append(
            f"Not possible: {row[keys.REGION]}, {row[keys.TRIAL]}: printed {row[PUBLISHED]}, "
            f"possible {row[LOWEST]:g} to {row[HIGHEST]:g}; the printed scores of that region sum "
            f"to {region[PUBLISHED].sum()}, not N(N + 1) = {models * (models + 1)}."
        )
    return lines


def _table_4(table: pd.DataFrame) -> str:
    pairs = published.compare_tables_4_and_8(table)
    known = pairs["printed"].notna()
    equal = ((pairs["printed"] - pairs["table_4"]).abs() <= _PRINTED_TO).sum()
    lost = pairs[~known]
    found = (
        f"{value:.5f} ({model})"
        for model, value in zip(lost[keys.TRIAL], lost["table_4"], strict=True)
    )
    return (
        f"Table 4's ce2 metrics give {equal} of the {known.sum()} means that Table 8 prints, and "
        f"for the one that our copy lost: {', '.join(found)}."
    )


def _top_table(totals: pd.DataFrame, ties: str) -> Table:
    table = plain_table()
    table.title = f"The first {_TOP} as published, and what ties allow"
    table.add_column("model", overflow="fold")
    for title in (PUBLISHED, LOWEST, HIGHEST, f"ties {ties}", RANK):
        table.add_column(title, justify="right")
    as_published = totals.sort_values(PUBLISHED, ascending=False, kind="stable")
    for row in as_published.head(_TOP).to_dict("records"):
        numbers = (row[name] for name in (PUBLISHED, LOWEST, HIGHEST, keys.SCORE, RANK))
        table.add_row(row[keys.TRIAL], *(f"{number:g}" for number in numbers))
    return table


def _winner_table(winners: pd.DataFrame) -> Table:
    table = plain_table()
    table.title = "Who wins hangs on equal fourth decimals"
    table.add_column("ties")
    for model in winners[keys.TRIAL]:
        table.add_column(Text(model), justify="right", overflow="fold")
    for rule in published.RULES:
        best = winners[rule].max()
        cells = (Text(f"{total:g}", "bold" if total == best else "") for total in winners[rule])
        table.add_row("as published" if rule == PUBLISHED else rule, *cells)
    return table
