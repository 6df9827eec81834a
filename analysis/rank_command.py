"""``python -m analysis rank``: the score for a file of models, or for a study."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.text import Text

from analysis.command_line import (
    Commands,
    add_outputs,
    add_ties,
    new_parser,
    print_json,
    write_csv,
)
from analysis.metric_table import MetricTable, read_metric_table
from analysis.ranking import RANK, rank_trials, score_trials
from analysis.score_table import region_scores, score_table
from tune_knee import keys

_MODEL: Final = "model"
_REFINED: Final = "refined"
_WHAT: Final = "Rank models by the paper's score: a file of yours, or a study in MLflow."
_MORE: Final = """\
The score: in each region, N points for the best of N models down to 1 for the
worst, by overlap (mean of IoU, Dice, precision, recall), and again by distance
(mean of HD95 and ASSD); added, and summed over the regions. Higher is better.

FILE.csv has a row per model and region, and these columns:
  region
  overlap,distance_px   or the six: iou,dice,precision,recall,hd95_px,assd_px
  any others            they name the model together, e.g. network,loss,tau
With the columns case and frame, and the six, rows are frames and their means
are ranked. Every model needs every region. An empty cell, "-" or NaN is a
missing value: it ranks last, and is named. Columns score, rank and
missed_frames are passed over. A file is ranked as it is, ce1 too; of a study,
ce1 is not scored, as the paper compares it with ce2 alone.

examples:
  python -m analysis rank models.csv
  python -m analysis rank models.csv --ties max --json > ranking.json
  python -m analysis rank --study paper \\
    --tracking-uri sqlite:///out/paper/mlflow.db"""


def add_parser(commands: Commands) -> None:
    """Declare ``rank``."""
    parser = new_parser(commands, "rank", _WHAT, _MORE)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.csv", help="a table of models")
    parser.add_argument("--study", metavar="NAME", help="instead of a file: a study's name, or id")
    parser.add_argument("--tracking-uri", metavar="URI",
                        help="where MLflow keeps it: sqlite:///out/paper/mlflow.db")  # fmt: skip
    add_ties(parser)
    add_outputs(parser, csv="write the table here too, a row per model")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Rank, print, and write."""
    _check(arguments)
    if arguments.file is not None:
        _rank_file(arguments, console)
    else:
        _rank_study(arguments, console)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if (arguments.file is None) == (arguments.study is None):
        raise ValueError(
            "rank must have either FILE.csv or --study, got "
            + ("neither" if arguments.file is None else "both")
        )
    if (arguments.study is None) != (arguments.tracking_uri is None):
        raise ValueError("--study and --tracking-uri must come together, got one of them")
    if arguments.csv is not None and arguments.csv == arguments.file:
        raise ValueError(f"--csv must not overwrite the file that is read, got {arguments.csv}")


def _rank_file(arguments: argparse.Namespace, console: Console) -> None:
    table = read_metric_table(arguments.file)
    scores = score_trials(table.means, ties=arguments.ties, unscored_losses=())
    models = pd.DataFrame({_MODEL: table.means[keys.TRIAL].unique()})
    models.insert(0, keys.TRIAL, models[_MODEL])
    if arguments.csv is not None:
        write_csv(_wide(scores, models).drop(columns=keys.TRIAL), arguments.csv)
    if arguments.json:
        missing = table.missing.rename(columns={keys.TRIAL: _MODEL})
        means = table.means.rename(columns={keys.TRIAL: _MODEL})
        content = {
            "file": str(arguments.file),
            "ties": arguments.ties,
            "named_by": table.named_by,
            "frames": table.frames,
            "missing": missing,
            "means": means,
            **_long(scores, models.set_index(keys.TRIAL)),
        }
        print_json(console, content)
        return
    console.print(score_table(scores, {name: name for name in models[_MODEL]}, name=_MODEL))
    console.print(Text(_notes(table, arguments.ties)))


def _rank_study(arguments: argparse.Namespace, console: Console) -> None:
    # MLflow takes seconds to import, which a file need not wait for.
    from analysis.beside_grid import beside_grid
    from analysis.console import ranking_table
    from analysis.load import LABEL, load_study

    field = beside_grid(load_study(arguments.tracking_uri, arguments.study))
    study = field.study
    scores = score_trials(study.tests, ties=arguments.ties)
    models = study.trials[[keys.TRIAL, LABEL]].rename(columns={LABEL: _MODEL})
    if field.refined:
        models[_REFINED] = models[keys.TRIAL].isin(field.refined)
    if arguments.csv is not None:
        write_csv(_wide(scores, models), arguments.csv)
    if arguments.json:
        tested = models[models[keys.TRIAL].isin(study.tests[keys.TRIAL])]
        content = {
            "study": study.name,
            "study_id": study.study_id,
            "budget": study.budget.name,
            "ties": arguments.ties,
            "notes": field.notes,
            "unscored": tested[~tested[keys.TRIAL].isin(scores[keys.TRIAL])],
            **_long(scores, models.set_index(keys.TRIAL, drop=False)),
        }
        print_json(console, content)
        return
    console.print(
        ranking_table(study, ties=arguments.ties, refined=field.refined, notes=field.notes)
    )


def _long(scores: pd.DataFrame, models: pd.DataFrame) -> dict[str, Any]:
    """``scores`` and ``totals`` for JSON, with the columns of `models` (index: trial)."""
    names: Mapping[Any, Mapping[Any, Any]] = models.to_dict("index")
    return {
        "scores": [
            {**names[trial], keys.REGION: region, keys.SCORE: score}
            for trial, region, score in scores.itertuples(index=False)
        ],
        "totals": [
            {**names[trial], keys.SCORE: score, RANK: rank}
            for trial, score, rank in rank_trials(scores).itertuples(index=False)
        ],
    }


def _wide(scores: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The table as shown: rank, the columns of `models`, a column per region, score."""
    points = region_scores(scores)
    ranked = rank_trials(scores).merge(models, on=keys.TRIAL).join(points, on=keys.TRIAL)
    regions = points.columns.tolist()
    named = models.columns.tolist()
    return ranked[[RANK, *named, *regions, keys.SCORE]]


def _notes(table: MetricTable, ties: str) -> str:
    models = table.means[keys.TRIAL].nunique()
    lines = [f"{models} model{'s'[: models != 1]}, equal values get the {ties} points"]
    if table.named_by != (_MODEL,):
        lines.append(f"models are named by: {', '.join(table.named_by)}")
    if table.frames is not None:
        lines.append(f"means over {table.frames} frames")
        missed = table.means.query("missed_frames > 0")
        if len(missed):
            lines.append(
                f"{len(missed)} of {len(table.means)} mean distances leave out frames where the "
                "region was missed; --json has how many"
            )
    missing = table.missing.groupby([keys.REGION, "measure"], sort=False)[keys.TRIAL]
    for (region, measure), trials in missing:
        lines.append(f"no {measure} in {region}, and so last there: {', '.join(trials)}")
    return "\n".join(lines)
