"""Define a new study, or take one up again; all that must hold before Ray starts."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from search_spaces.grid import Grid
from search_spaces.loader import load_grid
from tune_knee import preflight
from tune_knee.cli import Arguments
from tune_knee.data.dataset import KneeDataset, open_dataset
from tune_knee.data.phantom import make_phantom
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.tracking_store import require_reachable, sqlite_uri


@dataclass(frozen=True)
class OpenedStudy:
    """A study that is ready to run: its folder, definition and data."""

    out: Path
    manifest: Manifest
    dataset: KneeDataset


def resume_command(out: Path) -> str:
    """What to type to go on."""
    return f"python -m tune_knee.run --resume --out {shlex.quote(str(out))}"


def asked_grid(arguments: Arguments) -> Grid:
    """The grid, narrowed and changed as the command line says."""
    grid = load_grid(arguments.grid or "paper").narrowed(arguments.network, arguments.loss)
    if not arguments.pretrained:
        return grid
    return replace(grid, trials=tuple(replace(each, pretrained=True) for each in grid.trials))


def start_study(arguments: Arguments, console: Console) -> OpenedStudy:
    """Define a new study in an empty folder."""
    budget, why = preflight.choose_budget(arguments.budget)
    console.print(f"Budget {budget.name}: {why}.")
    grid = asked_grid(arguments)
    budget = grid.apply_to(budget)
    out = (arguments.out or Path("out") / grid.name).resolve()
    if (out / FILE_NAME).exists():
        raise ValueError(
            f"--out must not hold a study yet, got out={out}; go on with "
            f"'{resume_command(out)}', or name another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    data = (arguments.data or out / "data").resolve()
    if arguments.data is None and not data.exists():
        console.print(f"Data: the phantom, made now at {budget.image_size_px} px.")
        make_phantom(data, size_px=budget.image_size_px)
    dataset = open_dataset(data)
    manifest = Manifest(
        study=out.name,
        study_id=Manifest.new_id(),
        grid=grid.name,
        trials=grid.trials,
        budget=budget,
        data=data,
        fingerprint=dataset.fingerprint,
        tracking_uri=arguments.tracking_uri or sqlite_uri(out),
    )
    opened = ready(OpenedStudy(out, manifest, dataset))
    manifest.write(out)
    return opened


def resume_study(arguments: Arguments, console: Console) -> OpenedStudy:
    """Take up the study in ``--out``; what is said again must be what it was."""
    out = (arguments.out or Path("out") / (arguments.grid or "paper")).resolve()
    manifest = Manifest.read(out)
    said = {
        "--grid": (arguments.grid and load_grid(arguments.grid).name, manifest.grid),
        "--tracking-uri": (arguments.tracking_uri, manifest.tracking_uri),
    }
    for option, (value, was) in said.items():
        if value is not None and value != was:
            raise ValueError(f"{option} of a resumed study must be {was}, got {option}={value}")
    if arguments.budget not in (None, "auto", manifest.budget.name.partition("+")[0]):
        raise ValueError(
            f"--budget of a resumed study must be {manifest.budget.name}, "
            f"got --budget={arguments.budget}"
        )
    dataset = open_dataset((arguments.data or manifest.data).resolve())
    if dataset.fingerprint != manifest.fingerprint:
        raise ValueError(
            f"the data must be as at the study's start, fingerprint {manifest.fingerprint}, "
            f"got fingerprint={dataset.fingerprint} in {arguments.data or manifest.data}; "
            "bring the old data back, or start a new study"
        )
    console.print(f"Budget {manifest.budget.name}: the study's own.")
    return ready(OpenedStudy(out, manifest, dataset))


def ready(opened: OpenedStudy) -> OpenedStudy:
    """The study with its frames at the budget's size, all checked that must hold before Ray.

    Raises:
        ValueError: if something does not hold.
    """
    manifest, dataset = opened.manifest, opened.dataset
    dataset.verify()
    resized = dataset.resized(manifest.budget.image_size_px)
    preflight.check_dataset(resized, manifest.budget)
    preflight.hardest_region(manifest.budget.stopping, resized)
    left = {
        trial_id: trial
        for trial_id, trial in manifest.trials_by_id().items()
        if not (opened.out / "trials" / trial_id).exists()
    }
    preflight.check_pretrained(left, manifest.budget)
    needed = preflight.disk_needed(left, manifest.budget, len(resized.regions))
    preflight.check_disk(opened.out, needed)
    require_reachable(manifest.tracking_uri)
    return replace(opened, dataset=resized)


def open_study(arguments: Arguments, console: Console) -> OpenedStudy:
    """Define a new study, or take up the one in ``--out``.

    Raises:
        ValueError: if something that the study needs is not as it must be.
    """
    return (resume_study if arguments.resume else start_study)(arguments, console)
