"""Where the log of a study goes: a file of the study's own, and the terminal."""

import logging
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from tune_knee import delivery


def quieten_libraries() -> None:
    """What libraries log goes where our own log goes, past handlers of their own."""
    for name in ("ray", "mlflow", "alembic", "optuna"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # It looks for results in files of Tune's that we do not have Tune write.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)


def log_to(path: Path, console: Console) -> None:
    """Log into the study's file, and that MLflow is away to the terminal.

    Without a terminal all our own lines go to stderr too.
    """
    logging.raiseExceptions = False  # a full disk has no room for the log either
    handlers: list[logging.Handler] = [logging.FileHandler(path)]
    if console.is_terminal:
        noticed = RichHandler(console=console, show_path=False)
        noticed.addFilter(logging.Filter(delivery.__name__))
        handlers.append(noticed)
    else:
        shown = logging.StreamHandler()
        shown.addFilter(logging.Filter("tune_knee"))
        handlers.append(shown)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=handlers,
        force=True,
    )
