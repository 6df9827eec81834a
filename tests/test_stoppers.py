import pickle

import pytest
from ray import tune

from tune_knee import keys
from tune_knee.stoppers import StudyStopper
from tune_knee.training_config import StoppingConfig


def result(step=50, train_loss=0.1, val_iou=0.9, tendon=0.9):
    return {
        keys.STEP: step,
        keys.TRAIN_LOSS: train_loss,
        keys.VAL_IOU: val_iou,
        keys.validation("tendon", "iou"): tendon,
    }


def test_every_trial_has_a_criterion_of_its_own():
    stopper = StudyStopper(StoppingConfig(plateau_window=2), "tendon", max_steps=1000)
    assert not stopper("a", result(step=50))
    assert not stopper("b", result(step=50))
    assert stopper("a", result(step=100))
    assert not stopper.stop_all()


def test_the_last_result_says_why_and_when():
    stopper = StudyStopper(StoppingConfig(plateau_window=2), "tendon", max_steps=1000)
    first, last = result(step=50), result(step=100)
    stopper("a", first)
    stopper("a", last)
    assert first == result(step=50)
    assert last[keys.STOP_REASON].startswith("plateau")
    assert [last[keys.opened(name)] for name in keys.CRITERIA] == [50, 50, 50, 100]


def test_stopper_goes_on_from_its_pickle():
    stopper = StudyStopper(StoppingConfig(plateau_window=2), "tendon", max_steps=1000)
    stopper("a", result(step=50))
    assert pickle.loads(pickle.dumps(stopper))("a", result(step=100))


@pytest.mark.parametrize(
    "key", [keys.STEP, keys.TRAIN_LOSS, keys.VAL_IOU, keys.validation("tendon", "iou")]
)
def test_a_missing_key_is_named(key):
    incomplete = result()
    del incomplete[key]
    stopper = StudyStopper(StoppingConfig(), "tendon", max_steps=1000)
    with pytest.raises(ValueError, match=f"must have the key {key}, got keys="):
        stopper("a", incomplete)


def test_a_failure_is_no_validation():
    stopper = StudyStopper(StoppingConfig(), "tendon", max_steps=1000)
    assert not stopper("a", {keys.FAILURE: "out of memory"})


def test_tune_stops_trials_and_keeps_the_reason(local_ray, tmp_path):
    def learn(config):
        for report in config["reports"]:
            tune.report(report)

    learning, stuck = (
        [result(step=step, train_loss=loss) for step in range(50, 1000, 50)] for loss in (0.1, 0.3)
    )
    trials = tune.run(
        learn,
        config={"reports": tune.grid_search([learning, stuck])},
        stop=StudyStopper(StoppingConfig(plateau_window=3), "tendon", max_steps=250),
        storage_path=str(tmp_path),
        verbose=0,
    ).trials
    plateau, maximum = (trial.last_result for trial in trials)
    assert plateau[keys.STEP] == 150
    assert plateau[keys.opened(keys.OPENS_PLATEAU)] == 150
    assert maximum[keys.STEP] == 250
    assert maximum[keys.STOP_REASON] == "maximum of 250 steps"
