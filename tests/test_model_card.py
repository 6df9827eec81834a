from dataclasses import replace

import numpy as np
import pandas as pd
from made_model import FACTS

from tune_knee import keys
from tune_knee.config import TrialConfig
from tune_knee.model_card import CardFacts, Standing, model_card

FIRST = Standing(rank=1, scored=50, score=400.0, equal=0, beside=None)


def metrics(**changed: float) -> pd.DataFrame:
    rows = [(region, name, 0.81251, 0.7, 0.9) for region in FACTS.regions for name in keys.METRICS]
    table = pd.DataFrame(rows, columns=["region", "metric", "mean", "low", "high"])
    for column, value in changed.items():
        table.loc[table["region"] == "bar", column] = value
    return table


def frames(spacing_source: str = "patient", test_cases: int = 3) -> pd.DataFrame:
    cases = [*(f"a{n}" for n in range(5)), "b", *(f"c{n}" for n in range(test_cases))]
    splits = ["train"] * 5 + ["validation"] + ["test"] * test_cases
    table = pd.DataFrame({"case": cases, "split": splits, "spacing_source": spacing_source})
    return pd.concat([table, table], ignore_index=True)


def facts(**changes: object) -> CardFacts:
    made = CardFacts(
        model=replace(FACTS, budget="paper"),
        params={**{k: str(v) for k, v in TrialConfig(network="segformer_b2").params().items()},
                keys.SEED: "7"},
        frames=frames(),
        select_on="validation",
        standing=FIRST,
        metrics=metrics(),
        missed={"bar": 4, "disc": 0},
        version="0.1.0",
    )  # fmt: skip
    return replace(made, **changes)


def test_says_what_it_is_not_for_at_the_top() -> None:
    card = model_card(facts())
    assert card.splitlines()[0] == "# segformer_b2 ce2"
    assert card.splitlines()[2].startswith("**Not a medical device.**")


def test_says_preview_wherever_that_was_the_budget() -> None:
    assert "preview" not in model_card(facts())
    card = model_card(facts(model=replace(FACTS, budget="preview+mine")))
    assert "**Budget preview+mine**" in card
    assert "its figures are not the paper's" in card


def test_counts_frames_and_cases_of_each_split() -> None:
    card = model_card(facts())
    assert "- **train**: 10 frames of 5 cases\n" in card
    assert "- **validation**: 2 frames of 1 case\n" in card
    assert "- **test**: 6 frames of 3 cases\n" in card


def test_the_phantom_is_no_patient() -> None:
    assert "no patient" in model_card(facts(frames=frames("phantom")))
    assert "no patient" not in model_card(facts())


def test_metrics_stand_with_their_intervals() -> None:
    lines = model_card(facts()).splitlines()
    (bar,) = (line for line in lines if line.startswith("| bar"))
    cells = [cell.strip() for cell in bar.strip("|").split("|")]
    assert cells[1:5] == ["0.813 (0.700–0.900)"] * 4
    assert cells[5:] == ["0.8 (0.7–0.9)", "0.8 (0.7–0.9)", "4"]


def test_regions_come_in_their_order() -> None:
    lines = model_card(facts()).splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith(("| disc", "| bar"))]
    assert rows == ["disc", "bar"]


def test_one_case_has_no_intervals() -> None:
    card = model_card(facts(metrics=metrics(low=np.nan, high=np.nan), frames=frames(test_cases=1)))
    assert "2 frames of 1 case at 32 px. Means over frames; there are no intervals" in card
    assert "| bar | 0.813 | 0.813 | 0.813 | 0.813 | 0.8 | 0.8 | 4 |" in card


def test_what_is_undefined_is_a_dash() -> None:
    card = model_card(facts(metrics=metrics(mean=np.nan, low=np.nan, high=np.nan)))
    assert "| bar | – | – | – | – | – | – | 4 |" in card


class TestChosen:
    def test_the_best_is_flattered_by_its_choice(self) -> None:
        card = model_card(facts())
        assert "**The best of 50 trials by their test results**: score 400, a sum" in card
        assert "so its figures are optimistic" in card
        assert "of step 6, best by mean IoU on validation." in card

    def test_a_shared_place(self) -> None:
        card = model_card(facts(standing=replace(FIRST, equal=1)))
        assert "score 400, shared with another, a sum" in card
        card = model_card(facts(standing=replace(FIRST, equal=2)))
        assert "score 400, shared with 2 others, a sum" in card

    def test_another_place(self) -> None:
        card = model_card(facts(standing=replace(FIRST, rank=7, beside="paper")))
        assert "Rank 7 of 50 trials by their test results, those of paper among them" in card
        assert "The best" not in card

    def test_no_place(self) -> None:
        standing = Standing(rank=None, scored=50, score=None, equal=0, beside=None)
        assert "By hand: it has no score. 50 trials were ranked" in model_card(
            facts(standing=standing)
        )

    def test_weights_chosen_on_the_test_set(self) -> None:
        card = model_card(facts(select_on="test"))
        assert "best by mean IoU on test, by which its figures are flattered too." in card


def test_one_region_is_listed_alone() -> None:
    one = replace(FACTS, regions=("femoral_component",), thresholds=(0.5,))
    table = metrics().query("region == 'disc'").assign(region="femoral_component")
    card = model_card(facts(model=one, metrics=table, missed={"femoral_component": 0}))
    assert "Finds femoral component on dynamic lateral X-rays" in card
