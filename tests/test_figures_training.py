import numpy as np
import pandas as pd
import pytest
from drawn_figures import check_figure, unreadable, words_of
from hypothesis import given
from hypothesis import strategies as st
from made_study import made_study
from matplotlib.colors import to_hex

from analysis.absent import Absent
from analysis.figures.cost import COST, add_cost, amount, draw_cost
from analysis.figures.cost_benefit import draw_cost_benefit
from analysis.figures.figure import Figure
from analysis.figures.learning_curves import draw_learning_curves, thin_history
from analysis.figures.save import save_figure
from analysis.figures.stopping import draw_stopping
from analysis.figures.style import INK
from analysis.load import opened_column
from tune_knee import keys
from tune_knee.config import NETWORKS, PAPER_BUDGET

HARDEST = "patellar_tendon"
NAN = float("nan")
LONG_NAMES = tuple(f"smp:UnetPlusPlus{n}:timm-efficientnet-b{n}" for n in range(13))


def trained(networks: tuple[str, ...], **columns: object) -> pd.DataFrame:
    """Trials of the paper's budget that reached the plateau, the later ones later."""
    study, _ = made_study(networks=networks, cases=1, frames=1)
    steps = np.linspace(20_000, 50_000, len(study.trials)).round(-2)
    opened = {opened_column(name): steps * share for name, share in OPENED.items()}
    return study.trials.assign(
        **{
            keys.STEP: steps,
            keys.BEST_STEP: steps - 50,
            keys.BEST_IOU: np.linspace(0.7, 0.9, len(steps)),
            keys.WALL_TIME_S: steps / 2,
            "cpus": 4.0,
            "gpus": 0.5,
            **opened,
            **columns,
        }
    )


OPENED = dict(zip(keys.CRITERIA, (0.1, 0.4, 0.7, 1.0), strict=True))


def histories_of(trials: pd.DataFrame, interval: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    tables = []
    for trial, last in zip(trials["trial"], trials["step"], strict=True):
        steps = np.arange(interval, last + 1, interval)
        learned = 1 - np.exp(-steps / 8_000)
        tables.append(
            pd.DataFrame(
                {
                    keys.TRIAL: trial,
                    keys.STEP: steps,
                    keys.TRAIN_LOSS: 0.7 * (1.02 - learned) * rng.uniform(0.8, 1.2, len(steps)),
                    keys.VAL_IOU: 0.9 * learned,
                    keys.validation(HARDEST, "iou"): 0.8 * learned**2,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def curves(trials: pd.DataFrame, histories: pd.DataFrame) -> Figure:
    figure = draw_learning_curves(histories, trials, PAPER_BUDGET, HARDEST)
    assert isinstance(figure, Figure)
    return figure


def marks(axes: object, marker: str) -> list[tuple[float, float]]:
    """Places of ink markers of a kind in an axes."""
    return [
        place
        for line in axes.get_lines()
        if line.get_marker() == marker and to_hex(line.get_color()) == INK
        for place in zip(*line.get_data(), strict=True)
    ]


class TestThinHistory:
    def test_medians_of_runs_counted_from_the_end(self):
        history = pd.DataFrame({"step": [1, 2, 3, 4, 5], "loss": [9.0, 1.0, 5.0, 4.0, NAN]})
        thinned = thin_history(history, 3)
        assert thinned["step"].tolist() == [1, 2.5, 4.5]
        assert thinned["loss"].tolist() == [9.0, 3.0, 4.0]

    @given(st.integers(1, 300), st.integers(1, 50))
    def test_as_few_as_asked_in_order_and_all_if_they_fit(self, rows, points):
        history = pd.DataFrame({"step": np.arange(rows)})
        steps = thin_history(history, points)["step"].to_numpy()
        assert len(steps) <= points
        assert len(steps) == rows or rows > points
        assert (np.diff(steps) > 0).all()
        assert steps.mean() == pytest.approx(history["step"].mean(), abs=rows / len(steps))


class TestLearningCurves:
    @pytest.mark.parametrize("networks", [NETWORKS[:1], NETWORKS, LONG_NAMES[:3]])
    def test_readable(self, networks):
        trials = trained(networks)
        check_figure(curves(trials, histories_of(trials)))

    def test_55_trials_of_1000_validations_are_small_on_disk(self, tmp_path):
        trials = trained((*NETWORKS, *LONG_NAMES[:6]), step=50_000.0)
        figure = curves(trials, histories_of(trials, 50))
        _, svg = save_figure(figure, tmp_path)
        assert svg.stat().st_size < 1_000_000
        assert "medians of up to 10 validations in a row" in figure.caption
        assert "of the 8 best networks" in figure.caption
        assert len(figure.drawing.axes) == 8 * 3

    def test_each_criterion_is_marked_on_its_own_quantity(self):
        opened = {opened_column(name): NAN for name in keys.CRITERIA}
        opened[opened_column(keys.OPENS_TRAIN_LOSS)] = 4_000.0
        opened[opened_column(keys.OPENS_VAL_IOU)] = 6_000.0
        trials = trained(NETWORKS[:1], **opened).head(1)
        history = histories_of(trials)
        mean, hardest, loss = curves(trials, history).drawing.axes
        assert marks(mean, "|") == [(6_000, pytest.approx(history[keys.VAL_IOU][2]))]
        assert marks(hardest, "|") == []
        assert marks(loss, "|") == [(4_000, pytest.approx(history[keys.TRAIN_LOSS][1]))]
        assert marks(mean, "d") == []
        trials[opened_column(keys.OPENS_PLATEAU)] = 20_000.0
        mean = curves(trials, history).drawing.axes[0]
        assert [step for step, _ in marks(mean, "d")] == [20_000]

    def test_failed_trials_end_with_a_cross(self):
        trials = trained(NETWORKS[:1]).head(2)
        history = histories_of(trials)
        assert marks(curves(trials, history).drawing.axes[0], "x") == []
        trials["status"] = [keys.STATUS_TESTED, keys.STATUS_FAILED]
        figure = curves(trials, history)
        for axes in figure.drawing.axes:
            assert [step for step, _ in marks(axes, "x")] == [history[keys.STEP].iloc[-1]]
        assert "failed" in [text.get_text() for text in words_of(figure.drawing)]

    def test_one_region_is_not_drawn_twice(self):
        trials = trained(NETWORKS[:1])
        history = histories_of(trials)
        history[keys.validation(HARDEST, "iou")] = history[keys.VAL_IOU]
        assert len(curves(trials, history).drawing.axes) == 2

    def test_a_loss_below_zero_has_a_linear_scale(self):
        trials = trained(NETWORKS[:1])
        history = histories_of(trials)
        assert curves(trials, history).drawing.axes[-1].get_yscale() == "log"
        history.loc[0, keys.TRAIN_LOSS] = -0.1
        assert curves(trials, history).drawing.axes[-1].get_yscale() == "linear"

    def test_caption_counts_what_opened(self):
        trials = trained(NETWORKS[:1])
        trials.loc[0, opened_column(keys.OPENS_PLATEAU)] = NAN
        caption = curves(trials, histories_of(trials)).caption
        assert "below 0.2 in 5 trials, then the mean IoU above 0.8 in 5" in caption
        assert "and 4 reached the plateau" in caption
        assert f"The best mean IoU is 0.900, of {trials['label'].iloc[-1]}." in caption
        assert "medians" not in caption

    def test_trials_without_a_history_are_no_error(self):
        trials = trained(NETWORKS[:2])
        kept = histories_of(trials.head(3))
        assert curves(trials, kept).caption.startswith("3 trials")
        absent = draw_learning_curves(kept.head(0), trials, PAPER_BUDGET, HARDEST)
        assert isinstance(absent, Absent)


class TestStopping:
    @pytest.mark.parametrize("networks", [NETWORKS[:1], LONG_NAMES])
    def test_readable(self, networks):
        figure = draw_stopping(trained(networks), PAPER_BUDGET, HARDEST)
        check_figure(figure)
        crowded = len(networks) * 5 > 60
        assert ("60 trials that validated best of 65" in figure.caption) == crowded

    def test_stages_begin_where_criteria_opened(self):
        opened = {opened_column(name): NAN for name in keys.CRITERIA}
        opened[opened_column(keys.OPENS_TRAIN_LOSS)] = 5_000.0
        opened[opened_column(keys.OPENS_VAL_IOU)] = 12_000.0
        trials = trained(NETWORKS[:1], **opened).head(1)
        figure = draw_stopping(trials, PAPER_BUDGET, HARDEST)
        bars = [(bar.get_x(), bar.get_width()) for bar in figure.drawing.axes[0].patches]
        assert bars == [(0, 5_000), (5_000, 7_000), (12_000, 8_000), (20_000, 0)]

    @pytest.mark.parametrize(
        ("status", "plateau", "step", "marker", "words"),
        [
            (keys.STATUS_TESTED, 50_000.0, 50_000.0, "D", "1 reached the plateau"),
            (keys.STATUS_TRAINED, NAN, 50_000.0, "|", "1 went to the maximum"),
            (keys.STATUS_TRAINED, NAN, 49_950.0, "s", "1 were stopped otherwise"),
            (keys.STATUS_FAILED, NAN, 50_000.0, "x", "1 failed"),
            (keys.STATUS_RUNNING, NAN, 20_000.0, ">", "1 are still running"),
        ],
    )
    def test_the_mark_at_the_end_says_why(self, status, plateau, step, marker, words):
        trials = trained(NETWORKS[:1], status=status, step=step).head(1)
        trials[opened_column(keys.OPENS_PLATEAU)] = plateau
        figure = draw_stopping(trials, PAPER_BUDGET, HARDEST)
        (axes,) = figure.drawing.axes
        assert marks(axes, marker) == [(step, 0)]
        assert words in figure.caption

    def test_nothing_yet(self):
        trials = trained(NETWORKS[:1], step=NAN)
        assert isinstance(draw_stopping(trials, PAPER_BUDGET, HARDEST), Absent)


class TestCost:
    @pytest.mark.parametrize(
        ("wall_time_s", "cpus", "gpus", "cost", "unit"),
        [
            (7_200.0, 4.0, 0.5, 1.0, "GPU-hours"),
            (7_200.0, 4.0, 0.0, 8.0, "CPU-core-hours"),
            (30.0, 2.0, 0.0, 1.0, "CPU-core-minutes"),
            (600.0, 1.0, 0.0, 1 / 6, "CPU-core-hours"),
        ],
    )
    def test_units_by_hand(self, wall_time_s, cpus, gpus, cost, unit):
        trials = trained(NETWORKS[:1], wall_time_s=wall_time_s, cpus=cpus, gpus=gpus)
        spent, named = add_cost(trials)
        assert named == unit
        assert spent[COST].tolist() == pytest.approx([cost] * 5)

    def test_devices_of_two_kinds(self):
        trials = trained(NETWORKS[:1], wall_time_s=3_600.0, gpus=[1.0, 0, 0, 0, 0])
        spent, unit = add_cost(trials)
        assert unit == "device-hours"
        assert spent[COST].tolist() == [1, 4, 4, 4, 4]

    def test_trials_that_took_no_time_yet_are_left_out(self):
        trials = trained(NETWORKS[:1], wall_time_s=[NAN, 0.0, 5.0, 5.0, 5.0])
        assert len(add_cost(trials)[0]) == 3
        nothing = trained(NETWORKS[:1], wall_time_s=NAN)
        assert isinstance(draw_cost(nothing), Absent)

    @pytest.mark.parametrize(
        ("value", "words"), [(4870.3, "4,870"), (99.96, "100"), (9.876, "9.88"), (0.0123, "0.0123")]
    )
    def test_amounts(self, value, words):
        assert amount(value) == words

    @pytest.mark.parametrize("networks", [NETWORKS[:1], NETWORKS, LONG_NAMES])
    def test_readable(self, networks):
        figure = draw_cost(trained(networks))
        check_figure(figure)
        assert ("The 10 dearest of 13 networks are drawn" in figure.caption) == (
            networks == LONG_NAMES
        )

    def test_wall_time_stands_above_only_where_shares_are_alike(self):
        alike = trained(NETWORKS[:1])
        below, above = draw_cost(alike).drawing.axes
        assert above.get_xlim()[1] == pytest.approx(below.get_xlim()[1] / 0.5)
        other = trained(NETWORKS[:1], gpus=[0.5, 0.5, 0.5, 0.5, 1.0])
        assert len(draw_cost(other).drawing.axes) == 1

    def test_caption_adds_up(self):
        trials = trained(NETWORKS[:1], wall_time_s=[3_600.0, 7_200, 10_800, 14_400, 18_000])
        trials["status"] = [keys.STATUS_FAILED, *[keys.STATUS_TESTED] * 4]
        figure = draw_cost(trials)
        assert "All 5 trials together: 7.5 GPU-hours, 15 hours one after another" in figure.caption
        assert f"Dearest: {trials['label'].iloc[-1]}, 2.5" in figure.caption
        assert figure.caption.endswith("0.5 went into 1 that failed.")
        assert marks(figure.drawing.axes[0], "x") == [(0.5, 1)]
        assert unreadable(figure.drawing) == []


class TestCostBenefit:
    @pytest.mark.parametrize("networks", [NETWORKS[:1], NETWORKS, LONG_NAMES])
    def test_readable(self, networks):
        trials = trained(networks)
        tests = pd.DataFrame(
            {"trial": trials["trial"], "region": "femur", "overlap": trials[keys.BEST_IOU]}
        )
        figure = draw_cost_benefit(trials, tests)
        assert [problem for problem in unreadable(figure.drawing) if "outside" in problem] == []
        assert f"{len(trials)} of {len(trials)} are on that front" in figure.caption

    def test_caption_weighs_the_best_against_the_cheapest(self):
        study, _ = made_study(networks=NETWORKS[:1])
        trials = trained(NETWORKS[:1], wall_time_s=[3_600.0, 7_200, 14_400, 14_400, 18_000])
        tests = study.tests.assign(overlap=np.repeat([0.5, 0.7, 0.8, 0.6, 0.75], 2))
        caption = draw_cost_benefit(trials, tests).caption
        assert "3 of 5 are on that front" in caption
        assert "4 times the cost for 0.300 more overlap" in caption
        alone = draw_cost_benefit(trials.head(1), tests).caption
        assert "none is cheaper" in alone

    def test_costs_far_apart_have_a_logarithmic_scale(self):
        study, _ = made_study(networks=NETWORKS[:1])
        near = trained(NETWORKS[:1])
        far = trained(NETWORKS[:1], wall_time_s=[3_600.0, 7_200, 14_400, 14_400, 90_000])
        scales = [
            draw_cost_benefit(trials, study.tests).drawing.axes[0].get_xscale()
            for trials in (near, far)
        ]
        assert scales == ["linear", "log"]

    def test_nothing_tested(self):
        study, _ = made_study(networks=NETWORKS[:1])
        assert isinstance(draw_cost_benefit(study.trials, study.tests.head(0)), Absent)


def test_studies_are_left_as_they_were():
    study, _ = made_study(networks=NETWORKS[:1])
    before = study.trials.copy()
    draw_cost(study.trials)
    draw_stopping(study.trials, study.budget, study.hardest_region)
    draw_cost_benefit(study.trials, study.tests)
    pd.testing.assert_frame_equal(study.trials, before)
