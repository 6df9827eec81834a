"""The command line of ``python -m tune_knee.run``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tune_knee.config import BUDGETS
from tune_knee.search_config import OBJECTIVES, SAMPLERS
from tune_knee.tracking_uri import require_no_secret

_DESCRIPTION: Final = """\
Train, test and rank a grid of networks and losses on dynamic knee X-rays.

Without --data the study runs on the phantom, knees made by this project. Without a GPU it
runs the preview budget: small frames, narrow networks, few steps."""

AUTO: Final = "auto"

# What defines a study's trials, and so cannot change when it goes on.
_DEFINING: Final = (
    "network", "loss", "pretrained", "seeds", "trials", "sampler", "objective", "warm_start",
    "pruner", "refine", "top", "storage",
)  # fmt: skip
# What a refinement has from its search.
_OF_THE_SEARCH: Final = ("loss", "pretrained", "trials", "sampler", "objective", "pruner")

_EXAMPLES: Final = """\
examples:
  the paper's study, on what is here       python -m tune_knee.run --grid paper
  on your own frames                       python -m tune_knee.run --grid paper --data knees
  what it would train, and how long        python -m tune_knee.run --grid paper --dry-run
  one network, two losses                  python -m tune_knee.run --grid paper \\
                                             --network segformer_b2 --loss ce1 --loss ce2
  a search for the best mix, from there    python -m tune_knee.run --grid continuous_tau \\
                                             --trials 30 --warm-start out/paper
  train the three best points it found     python -m tune_knee.run --grid continuous_tau \\
                                             --refine out/continuous_tau --top 3
  go on after an interruption              python -m tune_knee.run --resume --out out/paper"""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What was asked for; None where nothing was said."""

    grid: str | None
    data: Path | None
    out: Path | None
    budget: str | None
    tracking_uri: str | None
    max_concurrent: int | None
    gpus_per_trial: float | str | None
    address: str | None
    storage: str | None
    network: list[str]
    loss: list[str]
    pretrained: bool
    seeds: int | None
    trials: int | None
    sampler: str | None
    objective: list[str]
    warm_start: str | None
    pruner: str | None
    refine: str | None
    top: int | None
    resume: bool
    retry_failed: bool
    dry_run: bool
    json: bool


def parse(arguments: Sequence[str] | None) -> Arguments:
    """Read the command line; exits with 2 and one line if it is off."""
    parser = argparse.ArgumentParser(
        prog="python -m tune_knee.run",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what to try")
    what.add_argument("--grid", metavar="NAME|FILE.yaml", help="a shipped grid or your own [paper]")
    what.add_argument("--network", action="append", default=[], metavar="NAME",
                      help="only this network of the grid (repeatable)")  # fmt: skip
    what.add_argument("--loss", action="append", default=[], metavar="NAME",
                      help="only this loss of the grid (repeatable)")  # fmt: skip
    what.add_argument("--pretrained", action="store_true",
                      help="start every network from an ImageNet backbone")  # fmt: skip
    what.add_argument("--budget", choices=("auto", *BUDGETS),
                      help="how much to spend on each trial; auto is paper on a GPU, "
                      "else preview [auto]")  # fmt: skip
    what.add_argument("--seeds", type=_positive_int, metavar="K",
                      help="train everything K times, with seeds of its own [1]")  # fmt: skip
    _add_search(parser.add_argument_group("a search, such as --grid continuous_tau"))
    where = parser.add_argument_group("from where, to where")
    where.add_argument("--data", type=Path, metavar="DIR",
                       help="a prepared data set [the phantom, made in --out]")  # fmt: skip
    where.add_argument("--out", type=Path, metavar="DIR",
                       help="the study's folder, which names the study [out/GRID]")  # fmt: skip
    where.add_argument("--tracking-uri", type=_address, metavar="URI",
                       help="MLflow [sqlite in --out]")  # fmt: skip
    _add_machine(parser.add_argument_group("on what"))
    go = parser.add_argument_group("going on, and looking first")
    go.add_argument("--resume", action="store_true",
                    help="go on with the study in --out; leaves finished trials alone")  # fmt: skip
    go.add_argument("--retry-failed", action="store_true",
                    help="with --resume: take failed trials up again")  # fmt: skip
    go.add_argument("--dry-run", action="store_true",
                    help="list the trials and what they will cost; start nothing")  # fmt: skip
    go.add_argument("--json", action="store_true", help="with --dry-run: as JSON")
    found = parser.parse_args(arguments)
    _must_fit_together(parser, found)
    return Arguments(**vars(found))


def _add_machine(machine: argparse._ArgumentGroup) -> None:
    machine.add_argument("--max-concurrent", type=_positive_int, metavar="N",
                         help="trials at a time [as many as fit]")  # fmt: skip
    machine.add_argument("--gpus-per-trial", type=_share, metavar="F|auto",
                         help="share of a GPU a trial takes; auto measures what each network "
                         "needs: as many as fit share a GPU [1 where there is one]")  # fmt: skip
    machine.add_argument("--address", metavar="HOST:PORT|auto",
                         help="the Ray cluster to run on [one of this machine's own]")  # fmt: skip
    machine.add_argument("--storage", metavar="DIR|s3://BUCKET/PREFIX",
                         help="checkpoints' place, which all nodes must see [--out]")  # fmt: skip


def _add_search(search: argparse._ArgumentGroup) -> None:
    search.add_argument("--trials", type=_positive_int, metavar="N",
                        help="points to train; every search needs it")  # fmt: skip
    search.add_argument("--sampler", choices=SAMPLERS, help="what proposes them [tpe]")
    search.add_argument("--objective", action="append", default=[], choices=tuple(OBJECTIVES),
                        help="what to improve, on validation (repeatable) [both]")  # fmt: skip
    search.add_argument("--warm-start", metavar="STUDY",
                        help="start from the results of a study: its folder, or its name or id "
                        "in --tracking-uri; with --refine, rank with it [what the search "
                        "started from]")  # fmt: skip
    search.add_argument("--pruner", choices=("asha",),
                        help="stop trials that are behind the others early")  # fmt: skip
    search.add_argument("--refine", metavar="STUDY",
                        help="train what this search recommends, found as --warm-start is, and "
                        "rank it with a grid's trials")  # fmt: skip
    search.add_argument("--top", type=_positive_int, metavar="K",
                        help="with --refine: how many points")  # fmt: skip


def _must_fit_together(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    if found.json and not found.dry_run:
        parser.error("--json must come with --dry-run")
    if found.dry_run and found.resume:
        parser.error("--dry-run looks at a new study; leave --resume out")
    if found.retry_failed and not found.resume:
        parser.error("--retry-failed must come with --resume")
    if (found.refine is None) != (found.top is None):
        parser.error("--refine and --top must come together")
    for name in _DEFINING if found.resume else ():
        if getattr(found, name):
            parser.error(f"--resume goes on with the study as it is; leave {_option(name)} out")
    for name in _OF_THE_SEARCH if found.refine else ():
        if getattr(found, name):
            parser.error(f"--refine takes its points from the search; leave {_option(name)} out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _positive_int(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return int(text)


def _address(text: str) -> str:
    try:
        return require_no_secret(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> float | str:
    if text == AUTO:
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share in [0, 1] or auto, got {text}")
    return value
