"""Define a new study, or take one up again; all that must hold before Ray starts."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from search_spaces.grid import Grid
from search_spaces.loader import load_space
from search_spaces.search import Search
from tune_knee import preflight
from tune_knee.cli import Arguments
from tune_knee.config import Budget, TrialConfig
from tune_knee.data.dataset import KneeDataset, open_dataset
from tune_knee.data.phantom import make_phantom
from tune_knee.manifest import FILE_NAME, Manifest
from tune_knee.refinement import Refinement, refine
from tune_knee.search_plan import SearchPlan, repeated
from tune_knee.storage import FolderStorage, Storage, open_storage
from tune_knee.tracking_store import require_reachable, sqlite_uri
from tune_knee.warm_start import WarmStart, find_study, load_warm_start


@dataclass(frozen=True)
class OpenedStudy:
    """A study that is ready to run: its folder, definition and data, and how large that is kept."""

    out: Path
    manifest: Manifest
    dataset: KneeDataset
    prepared_size_px: int

    @property
    def storage(self) -> Storage:
        """Where checkpoints are."""
        return open_storage(self.manifest.storage)


def resume_command(out: Path, address: str | None = None) -> str:
    """What to type to go on, on the cluster at an address."""
    where = "" if address is None else f" --address {shlex.quote(address)}"
    return f"python -m tune_knee.run --resume --out {shlex.quote(str(out))}{where}"


def asked_space(arguments: Arguments) -> Grid | Search:
    """The grid or search, narrowed and changed as the command line says.

    Raises:
        ValueError: if it is a grid and options of a search are given, or the other way round.
    """
    space = load_space(arguments.grid or "paper").narrowed(arguments.network, arguments.loss)
    if isinstance(space, Grid):
        _refuse_search_options(space, arguments)
        trials = space.trials
        if arguments.pretrained:
            trials = tuple(replace(each, pretrained=True) for each in trials)
        seeds = arguments.seeds or 1
        return replace(space, trials=tuple(each for one in trials for each in repeated(one, seeds)))
    if arguments.refine is not None:
        return space
    if arguments.trials is None:
        raise ValueError(f"--trials must say how many points search {space.name} may train")
    config = replace(
        space.config,
        sampler=arguments.sampler or space.config.sampler,
        objectives=tuple(arguments.objective) or space.config.objectives,
    )
    pretrained = arguments.pretrained or space.space.pretrained
    return replace(space, config=config, space=replace(space.space, pretrained=pretrained))


def _refuse_search_options(grid: Grid, arguments: Arguments) -> None:
    for option, value in {
        "--trials": arguments.trials,
        "--sampler": arguments.sampler,
        "--objective": arguments.objective,
        "--warm-start": arguments.warm_start,
        "--pruner": arguments.pruner,
        "--refine": arguments.refine,
    }.items():
        if value:
            raise ValueError(
                f"{option} must come with a search such as continuous_tau, got grid={grid.name}"
            )


def asked_refinement(arguments: Arguments, space: Grid | Search, budget: Budget) -> Refinement:
    """What the search recommends that ``--refine`` names; see `refine`."""
    assert isinstance(space, Search), "asked_space refuses a grid"
    assert arguments.refine is not None, "parse asks for both"
    assert arguments.top is not None, "parse asks for both"
    uri, grid = arguments.tracking_uri, arguments.warm_start
    return refine(
        space,
        find_study(arguments.refine, uri),
        budget,
        top=arguments.top,
        seeds=arguments.seeds or 1,
        grid=None if grid is None else find_study(grid, uri),
    )


def start_study(arguments: Arguments, console: Console, cluster_gpus: float | None) -> OpenedStudy:
    """Define a new study in an empty folder."""
    budget, why = preflight.choose_budget(arguments.budget, cluster_gpus=cluster_gpus)
    console.print(f"Budget {budget.name}: {why}.")
    space = asked_space(arguments)
    budget = space.apply_to(budget)
    if isinstance(space, Search) and budget.select_on != "validation":
        raise ValueError(
            f"select_on must be validation in search {space.name}, which would else be tuned on "
            f"the test set, got select_on={budget.select_on}"
        )
    out = (arguments.out or Path("out") / _folder_name(space, arguments)).resolve()
    _require_no_study(out)
    storage = _storage_address(arguments.storage, out)
    refinement = warm = None
    if arguments.refine is not None:
        refinement = asked_refinement(arguments, space, budget)
        space = refinement.grid
        for note in refinement.notes:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
    elif arguments.warm_start is not None:
        warm = load_warm_start(arguments.warm_start, arguments.tracking_uri)
    out.mkdir(parents=True, exist_ok=True)
    data = arguments.data or (refinement and refinement.search.data)
    data = (data or _phantom_in(out, budget, console)).resolve()
    dataset = open_dataset(data)
    if warm is not None:
        warm.require_fits(budget, dataset.fingerprint, dataset.regions)
    if refinement is not None:
        refinement.require_data(dataset.fingerprint, dataset.regions)
    manifest = Manifest(
        study=out.name,
        study_id=Manifest.new_id(),
        grid=space.name,
        trials=space.trials if isinstance(space, Grid) else (),
        search=None if isinstance(space, Grid) else _search_plan(space, arguments, warm),
        refines=None if refinement is None else refinement.plan,
        budget=budget,
        data=data,
        fingerprint=dataset.fingerprint,
        tracking_uri=arguments.tracking_uri or sqlite_uri(out),
        storage=storage,
    )
    opened = ready(OpenedStudy(out, manifest, dataset, dataset.size_px))
    manifest.write(out)
    return opened


def _require_no_study(out: Path) -> None:
    if (out / FILE_NAME).exists():
        raise ValueError(
            f"--out must not hold a study yet, got out={out}; go on with "
            f"'{resume_command(out)}', or name another folder"
        )


def _storage_address(asked: str | None, out: Path) -> str:
    """The storage as it is found again from any folder."""
    storage = open_storage(asked or str(out))
    return str(storage.root) if isinstance(storage, FolderStorage) else str(asked)


def _phantom_in(out: Path, budget: Budget, console: Console) -> Path:
    data = out / "data"
    if not data.exists():
        console.print(f"Data: the phantom, made now at {budget.image_size_px} px.")
        make_phantom(data, size_px=budget.image_size_px)
    return data


def _folder_name(space: Grid | Search, arguments: Arguments) -> str:
    return space.name if arguments.refine is None else f"{space.name}_refined"


def _search_plan(search: Search, arguments: Arguments, warm: WarmStart | None) -> SearchPlan:
    assert arguments.trials is not None, "asked_space asks for them"
    return SearchPlan(
        space=search.space,
        config=search.config,
        points=arguments.trials,
        seeds=arguments.seeds or 1,
        prunes=arguments.pruner is not None,
        warm_start=() if warm is None else (warm.study.tracking_uri, warm.study.study_id),
        known=() if warm is None else warm.points,
    )


def resume_study(arguments: Arguments, console: Console) -> OpenedStudy:
    """Take up the study in ``--out``; what is said again must be what it was."""
    out = (arguments.out or Path("out") / (arguments.grid or "paper")).resolve()
    manifest = Manifest.read(out)
    said = {
        "--grid": (arguments.grid and load_space(arguments.grid).name, manifest.grid),
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
    if arguments.retry_failed and manifest.search is not None:
        raise ValueError(
            "--retry-failed must come with a grid, whose trials are fixed; a search has learnt "
            f"from its failed trials and gone on, got out={out}"
        )
    dataset = open_dataset((arguments.data or manifest.data).resolve())
    if dataset.fingerprint != manifest.fingerprint:
        raise ValueError(
            f"the data must be as at the study's start, fingerprint {manifest.fingerprint}, "
            f"got fingerprint={dataset.fingerprint} in {arguments.data or manifest.data}; "
            "bring the old data back, or start a new study"
        )
    console.print(f"Budget {manifest.budget.name}: the study's own.")
    return ready(OpenedStudy(out, manifest, dataset, dataset.size_px))


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
    left = _left(opened)
    for trials in left:
        preflight.check_pretrained(trials, manifest.budget)
    regions = len(resized.regions)
    needed = max(preflight.disk_needed(trials, manifest.budget, regions) for trials in left)
    if isinstance(opened.storage, FolderStorage):
        opened.storage.root.mkdir(parents=True, exist_ok=True)
        preflight.check_disk(opened.storage.root, needed)
    require_reachable(manifest.tracking_uri)
    return replace(opened, dataset=resized)


def _left(opened: OpenedStudy) -> list[list[TrialConfig]]:
    """What may be left to train: the grid's trials, or the search's if all had one network."""
    manifest, folder = opened.manifest, opened.out / "trials"
    if manifest.search is None:
        known = manifest.trials_by_id().items()
        return [[trial for trial_id, trial in known if not (folder / trial_id).exists()]]
    begun = sum(1 for _ in folder.iterdir()) if folder.exists() else 0
    space = manifest.search.space
    return [
        [TrialConfig(network=network, pretrained=space.pretrained)] * (manifest.planned - begun)
        for network in space.networks
    ]


def open_study(
    arguments: Arguments, console: Console, cluster_gpus: float | None = None
) -> OpenedStudy:
    """Define a new study, or take up the one in ``--out``.

    Args:
        arguments: what was asked for.
        console: what is decided is said here.
        cluster_gpus: GPUs of the cluster that is to train it; None where this machine is.

    Raises:
        ValueError: if something that the study needs is not as it must be.
    """
    if arguments.resume:
        return resume_study(arguments, console)
    return start_study(arguments, console, cluster_gpus)
