import dataclasses

import pandas as pd
import pytest
from made_study import made_study, with_trials

from analysis.trial_pairs import pair_trials


@pytest.fixture(scope="module")
def study():
    return made_study()[0]


def changed(study, of: str, **values):
    """The study, called other, with a trial's row changed."""
    trials = study.trials.copy()
    for name, value in values.items():
        trials.loc[trials["label"] == of, name] = value
    return dataclasses.replace(with_trials(study, trials), name="other")


def test_equal_trials_are_pairs_whatever_their_seed(study):
    other = study.trials.assign(trial="x" + study.trials["trial"], seed=99)
    pairs = pair_trials(study, with_trials(study, other.sample(frac=1, random_state=0)))
    assert pairs.table["trial"].tolist() == study.trials["trial"].tolist()
    assert (pairs.table["trial_other"] == "x" + pairs.table["trial"]).all()
    assert (pairs.differing, pairs.alone) == ({}, ())


def test_trials_that_differ_in_a_detail_are_pairs_and_it_is_said(study):
    other = changed(study, "fcn_unet ce2", pretrained=True, weights_in="all")
    pairs = pair_trials(study, other)
    assert len(pairs.table) == len(study.trials)
    assert pairs.differing == {"weights_in": 1, "pretrained": 1}


def test_the_equal_one_of_two_alike_is_the_partner(study):
    twin = study.trials.query("label == 'fcn_unet ce2'").assign(trial="twin", pretrained=True)
    other = with_trials(study, pd.concat([twin, study.trials]))
    pairs = pair_trials(study, dataclasses.replace(other, name="other"))
    assert pairs.table["trial_other"].tolist() == study.trials["trial"].tolist()
    assert pairs.alone == ("fcn_unet ce2 (several like it in other or made)",)


def test_two_alike_and_none_equal_are_no_pair(study):
    one = study.trials.query("label == 'fcn_unet ce2'")
    both = [one.assign(trial="u", pretrained=True), one.assign(trial="v", weights_in="all")]
    other = with_trials(study, pd.concat([*both, study.trials.drop(one.index)]))
    pairs = pair_trials(study, other)
    assert len(pairs.table) == len(study.trials) - 1
    assert "t1" not in set(pairs.table["trial"])


def test_who_has_no_partner_is_named_once_with_the_reason(study):
    other = changed(study, "fcn_unet ce2", status="failed")
    other = changed(other, "pspnet_r50c ce2", network="upernet_r50c", label="upernet_r50c ce2")
    assert pair_trials(study, other).alone == (
        "fcn_unet ce2 (failed in other)",
        "pspnet_r50c ce2 (not in other)",
        "upernet_r50c ce2 (not in made)",
    )


def test_repeats_and_learning_rates_are_paired_one_to_one(study):
    again = study.trials.assign(trial="r" + study.trials["trial"], repeat=1)
    slow = study.trials.assign(trial="s" + study.trials["trial"], learning_rate=1e-5)
    whole = with_trials(study, pd.concat([study.trials, again, slow]))
    pairs = pair_trials(whole, dataclasses.replace(whole, name="other"))
    assert pairs.table["trial"].tolist() == pairs.table["trial_other"].tolist()
    assert len(pairs.table) == 3 * len(study.trials)
    assert (pairs.differing, pairs.alone) == ({}, ())


def test_learning_rates_that_differ_are_said(study):
    pairs = pair_trials(study, changed(study, "fcn_unet ce2", learning_rate=1e-5))
    assert len(pairs.table) == len(study.trials)
    assert pairs.differing == {"learning_rate": 1}


def test_no_pair_at_all(study):
    other = made_study(networks=("segformer_b2",))[0]
    with pytest.raises(ValueError, match="must share a tested trial"):
        pair_trials(study, other)
