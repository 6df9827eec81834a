"""Run a study: ``python -m tune_knee.run --grid paper``. The composition root."""

import logging
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from ray.tune import TuneError
from rich.console import Console

from analysis.console import ranking_table
from analysis.load import load_study
from analysis.ranking import score_metrics, score_trials
from tune_knee import keys, preflight
from tune_knee.cli import Arguments, parse
from tune_knee.cluster import Cluster, join_cluster, plan_study, start_ray
from tune_knee.driver_lock import sole_driver
from tune_knee.dry_run import dry_run
from tune_knee.interruption import Interruption
from tune_knee.last_words import LastWords
from tune_knee.model_sources import TrainedStudy
from tune_knee.opening import OpenedStudy, open_study, resume_command
from tune_knee.point_queue import PointQueue
from tune_knee.progress import ProgressView, StudyProgress
from tune_knee.registration import register_trial
from tune_knee.search import TauSearch, storage_in
from tune_knee.search_plan import repeated
from tune_knee.study import run_study
from tune_knee.study_log import log_to, quieten_libraries
from tune_knee.study_plan import SearchSession, StudyPlan
from tune_knee.summary import announce, external_weights_by_region, mlflow_command
from tune_knee.tracking import StudyTracker
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED

log = logging.getLogger("tune_knee")

_PLAIN_WIDTH: Final = 120  # where no terminal has a width
_INTERRUPTED: Final = 130  # exit status after Ctrl-C, as shells have it
_UNSENT: Final = "unsent.jsonl"  # what MLflow was not told yet
_OPEN_CLUSTER: Final = (
    "warning: this Ray cluster asks for no token: who reaches its ports runs code on its nodes; "
    "start it again with RAY_AUTH_MODE=token (docs/security.md)"
)
_PATIENCE_INTERRUPTED_S: Final = 5.0  # who presses Ctrl-C does not wait a minute for MLflow


def open_tracker(opened: OpenedStudy) -> StudyTracker:
    """The study's tracker; artifacts lie in the study's folder, unless a server has them."""
    manifest = opened.manifest
    weights = external_weights_by_region(opened.dataset)
    is_server = manifest.tracking_uri.startswith("http")
    return StudyTracker(
        manifest.tracking_uri,
        manifest.study,
        study_id=manifest.study_id,
        outbox=opened.out / _UNSENT,
        budget=manifest.budget,
        fingerprint=manifest.fingerprint,
        regions=opened.dataset.regions,
        artifact_root=None if is_server else opened.out / "mlartifacts",
        manifest={
            keys.GRID: manifest.grid,
            keys.DATA: str(manifest.data),
            keys.PLANNED: str(manifest.planned),
            keys.HARDEST_REGION: preflight.hardest_region(manifest.budget.stopping, opened.dataset),
            **({} if manifest.search is None else manifest.search.params()),
            **({} if manifest.refines is None else manifest.refines.params()),
            **{f"external_weight/{region}": f"{weight:.4f}" for region, weight in weights.items()},
        },
    )


def open_search(plan: StudyPlan, opened: OpenedStudy) -> SearchSession | None:
    """The study's search with all that it remembers; its trials so far go to the plan."""
    asked = opened.manifest.search
    if asked is None:
        return None
    search = TauSearch(
        asked.space,
        asked.config,
        startup=asked.startup(concurrency=plan.max_concurrent),
        budget=plan.budget,
        storage=storage_in(plan.root),
        name=opened.manifest.study,
    )
    for line in search.add_known(asked.known):
        log.info("no point of the search, and not taken over: %s", line)
    for each in search.history():
        if not each.known:
            for trial in repeated(each.trial, asked.seeds):
                plan.add(trial)
    queue = PointQueue(
        search,
        points=asked.points,
        seeds=asked.seeds,
        objectives=asked.config.objectives,
        ended=plan.end_of,
    )
    return SearchSession(queue=queue, trials=opened.manifest.planned, prunes=asked.prunes)


def progress_of(plan: StudyPlan, planned: int) -> StudyProgress:
    """Where the study stands before it goes on."""
    outcomes = plan.outcomes().values()
    statuses = [outcome.status for outcome in outcomes]
    return StudyProgress(
        title=f"{plan.root.name} ({plan.budget.name})",
        trials=planned,
        max_steps=plan.budget.max_steps,
        finished=statuses.count(TRAINED) + statuses.count(PRUNED),
        failed=statuses.count(FAILED),
        tested=sum(outcome.tested for outcome in outcomes),
    )


def run_session(
    arguments: Arguments, opened: OpenedStudy, cluster: Cluster | None, console: Console
) -> int:
    """Train and test what is left of a study, and rank it; on this machine without a cluster."""
    log_to(opened.out / "study.log", console)
    dashboard = start_ray() if cluster is None else cluster.dashboard
    plan = plan_study(arguments, opened)
    if arguments.retry_failed:
        for trial_id, outcome in plan.outcomes().items():
            if outcome.status == FAILED:
                plan.folder(trial_id).forget_outcome()
    search = open_search(plan, opened)
    announce(opened, plan, dashboard, console)
    command = resume_command(opened.out, arguments.address)
    early = f"The study ended too early; what was saved is safe. Go on with:\n  {command}"
    tracker = open_tracker(opened)
    with LastWords(early):
        return train_and_conclude(opened, plan, tracker, search, console, command)


def train_and_conclude(
    opened: OpenedStudy,
    plan: StudyPlan,
    tracker: StudyTracker,
    search: SearchSession | None,
    console: Console,
    command: str,
) -> int:
    """Train and test what is left, and rank it; the exit status."""
    progress = progress_of(plan, opened.manifest.planned)
    go_on = f"go on with:\n  {command}"
    with Interruption() as interruption:
        try:
            with ProgressView(progress, console) as view:
                run_study(plan, opened.dataset, tracker, view, interruption, search)
        except KeyboardInterrupt:
            tracker.finish_study("KILLED", _PATIENCE_INTERRUPTED_S)
            console.print(f"Stopped at once, without what was not yet saved; {go_on}")
            return _INTERRUPTED
        except (OSError, TuneError) as error:
            reason = str(error).strip().splitlines()[-1]
            console.print(
                f"The study stopped: {reason}; what was saved is safe. Then {go_on}",
                style="red",
                soft_wrap=True,
            )
            return 1
    if interruption.requested:
        tracker.finish_study("KILLED", _PATIENCE_INTERRUPTED_S)
        console.print(f"Interrupted, and all is saved; {go_on}")
        return _INTERRUPTED
    return conclude(opened, plan, tracker, console, command)


def conclude(
    opened: OpenedStudy, plan: StudyPlan, tracker: StudyTracker, console: Console, command: str
) -> int:
    """Rank what is tested, write the scores to MLflow, and name what failed."""
    manifest, outcomes = opened.manifest, plan.outcomes()
    if unsent := tracker.flush():
        return leave_unsent(opened, unsent, console, command)
    trained = None
    if any(outcome.tested for outcome in outcomes.values()):
        trained = TrainedStudy.ranked(
            opened.out,
            manifest,
            load_study(manifest.tracking_uri, manifest.study_id),
            opened.dataset.frames,
            opened.prepared_size_px,
        )
        field = trained.field
        scores = score_metrics(score_trials(field.study.tests))
        # A refinement's scores are those beside the grid; the grid's own stay what they are.
        tracker.log_scores({each: scores[each] for each in scores if each in plan.trials})
        console.print(ranking_table(field.study, refined=field.refined, notes=field.notes))
        console.print(f"MLflow: {mlflow_command(manifest.tracking_uri)}", soft_wrap=True)
    for trial_id, outcome in outcomes.items():
        if not outcome.tested and outcome.status != PRUNED:
            what = "failed" if outcome.status == FAILED else "not tested"
            console.print(
                f"{plan.trials[trial_id].label} ({trial_id}) {what}: {outcome.reason}",
                style="red",
                soft_wrap=True,
            )
    whole = all(each.tested or each.status == PRUNED for each in outcomes.values())
    if unsent := tracker.finish_study("FINISHED" if whole else "FAILED"):
        return leave_unsent(opened, unsent, console, command)
    if trained is not None:
        register_best(trained, console)
    if not whole and manifest.search is None:
        console.print(
            f"Take them up again with:\n  {command} --retry-failed",
            soft_wrap=True,
        )
    return 0 if whole else 1


def register_best(study: TrainedStudy, console: Console) -> None:
    """Register the winner; where that cannot be, say how to do it later: the study is whole."""
    command = f"python -m tune_knee.register {shlex.quote(str(study.folder))}"
    if not study.scored:
        text = f"No trial has a score, so no model is the best; register one with:\n  {command}"
        console.print(f"{text} --trial ID", soft_wrap=True)
        return
    try:
        (trial,) = study.best()
        address = register_trial(study, trial, best=True)
    except (ValueError, OSError, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        log.warning("the study's best model was not registered: %s", reason)
        console.print(
            f"The best model was not registered: {reason}. Register it later with:\n  {command}",
            style="red",
            soft_wrap=True,
            markup=False,
        )
        return
    console.print(f"Best model: {address} (trial {trial})", soft_wrap=True)


def leave_unsent(opened: OpenedStudy, unsent: int, console: Console, command: str) -> int:
    """Say what MLflow lacks and how it gets it, a minute after the study's end."""
    console.print(
        f"MLflow was not told everything: {unsent} entries wait in {opened.out / _UNSENT} (why: "
        f"{opened.out / 'study.log'}). Once it answers, send them and rank the trials with:\n"
        f"  {command}",
        style="red",
        soft_wrap=True,
    )
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    asked = parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    quieten_libraries()
    try:
        # Before the study is opened, as its budget depends on the cluster's GPUs.
        cluster = join_cluster(asked.address)
        if cluster and not cluster.asks_for_token:
            Console(stderr=True).print(_OPEN_CLUSTER, style="yellow", soft_wrap=True)
        gpus = None if cluster is None else cluster.gpus
        if asked.dry_run:
            dry_run(asked, console, gpus)
            return 0
        opened = open_study(asked, console, gpus)
        with sole_driver(opened.out):
            return run_session(asked, opened, cluster, console)
    except ValueError as error:
        Console(stderr=True).print(f"error: {error}", style="red", highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:  # outside of the training, or once more while MLflow is told
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
