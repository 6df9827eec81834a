"""A `PointQueue` as Ray Tune wants a search."""

import json
import logging
from dataclasses import asdict
from typing import Any

from ray.tune.search import Searcher

from tune_knee import keys
from tune_knee.point_queue import PointQueue, TrialEnd
from tune_knee.search import NothingNewError
from tune_knee.study_plan import StudyPlan
from tune_knee.trial_folder import FAILED, PRUNED, TRAINED

log = logging.getLogger(__name__)


class StudySearcher(Searcher):
    """Hands Tune the trials of a queue, adds them to the plan, and tells the queue their ends.

    What it knows is in the search's own file, so Tune has nothing of it to save.
    """

    def __init__(self, queue: PointQueue, plan: StudyPlan) -> None:
        super().__init__()
        self._queue, self._plan = queue, plan
        self._running: dict[str, str] = {}  # ours by Tune's id
        self._most_at_once = 0

    def suggest(self, trial_id: str) -> Any:
        """The config of Tune's next trial, or that there is none."""
        try:
            trial = self._queue.next_trial()
        except NothingNewError as error:
            log.warning("the search ends early: %s", error)
            trial = None
        if trial is None:
            return Searcher.FINISHED
        ours = self._plan.add(trial)
        self._running[trial_id] = ours
        if len(self._running) > self._most_at_once:
            self._most_at_once = len(self._running)
            log.info("trials of the search at a time: %d", self._most_at_once)
        return {keys.TRIAL_ID: ours, keys.TRIAL_CONFIG: json.dumps(asdict(trial))}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial is trained, pruned, or failed."""
        trial = self._plan.trials[self._running.pop(trial_id)]
        if error or result is None or keys.FAILURE in result:
            self._queue.end(trial, TrialEnd(status=FAILED))
        elif keys.STOP_REASON in result:
            self._queue.end(trial, TrialEnd(status=TRAINED, values=result))
        else:
            self._queue.end(trial, TrialEnd(status=PRUNED))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""
