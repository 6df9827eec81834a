"""From a study's trial to a registered model: facts, card, and the registry."""

from collections import Counter
from importlib.metadata import version

import pandas as pd

from analysis.load import RUN_ID
from analysis.ranking import RANK, rank_trials, score_trials
from analysis.region_intervals import region_intervals
from tune_knee import keys
from tune_knee.model_card import CardFacts, Standing, model_card
from tune_knee.model_registry import BEST, Registry
from tune_knee.model_sources import TrainedStudy
from tune_knee.trial_folder import TrialFolder


def register_trial(
    study: TrainedStudy, trial_id: str, *, name: str | None = None, best: bool
) -> str:
    """Register a tested trial's model; one that is registered already stays as it is.

    Args:
        study: of which the trial is.
        trial_id: its id.
        name: of the registered model; None takes the study's.
        best: the registry's alias `BEST` goes to it.

    Returns:
        Its address, ``models:/NAME/VERSION``.

    Raises:
        ValueError: if the trial is not tested, its weights are gone, the name is none that
            MLflow takes, or the store, the disk or the artifact store does not take it.
        OSError: if the storage of the weights does not answer.
    """
    model = study.model(trial_id)
    trials = study.field.study.trials.set_index(keys.TRIAL)[RUN_ID].to_dict()
    registry = Registry(study.manifest.tracking_uri)
    run = registry.run(trials[trial_id])
    frames = pd.read_parquet(TrialFolder.of(study.folder, trial_id).frames_path)
    undefined = frames.loc[frames[list(keys.DISTANCE_METRICS)].isna().any(axis=1), keys.REGION]
    card = model_card(
        CardFacts(
            model=model.facts,
            params=run.data.params,
            frames=study.frames,
            select_on=study.manifest.budget.select_on,
            standing=standing_of(study, trial_id),
            metrics=region_intervals(frames),
            missed=Counter(undefined),
            version=version("tune-knee"),
        )
    )
    registered = registry.register(model, card, run, name=name or study.manifest.study)
    if best:
        registry.call(registered, BEST)
    return registered.address


def standing_of(study: TrainedStudy, trial_id: str) -> Standing:
    """How a trial stands where it is ranked."""
    field = study.field
    ranking = rank_trials(score_trials(field.study.tests))
    places = ranking.set_index(keys.TRIAL).to_dict("index")
    if trial_id not in places:
        return Standing(rank=None, scored=len(places), score=None, equal=0, beside=field.grid)
    place = places[trial_id]
    return Standing(
        rank=place[RANK],
        scored=len(places),
        score=place[keys.SCORE],
        equal=sum(each[RANK] == place[RANK] for each in places.values()) - 1,
        beside=field.grid,
    )
