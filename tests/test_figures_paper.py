import dataclasses

import numpy as np
import pandas as pd
import pytest
from drawn_figures import check_figure, unreadable, words_of
from made_pictures import made_pictures, made_prediction
from made_study import made_study, with_trials
from matplotlib.colors import to_hex

from analysis.absent import Absent
from analysis.figures.ce_comparison import draw_ce_comparison
from analysis.figures.figure import Figure
from analysis.figures.outlines import draw_outlines
from analysis.figures.save import save_figure
from analysis.figures.sequences import draw_region_sequences, draw_sequences
from analysis.figures.style import FAINT_INK, INK, PAGE_WIDTH_IN, region_colours
from analysis.figures.top_trials import draw_top_of_region, draw_top_trials
from analysis.figures.xray import TRUTH, Window, find_frames
from analysis.load import Study
from analysis.ranking import rank_trials, score_trials
from analysis.typical import TypicalSequence, frames_of, typical_frame, typical_sequences
from tune_knee import keys
from tune_knee.config import NETWORKS

REGIONS = ("patella", "femur", "tibia", "patellar_tendon")
EIGHT = tuple(f"{region}_of_the_{side}_knee" for side in ("right", "left") for region in REGIONS)
LONG_NAMES = tuple(f"smp:DeepLabV3Plus:timm-efficientnet-b{n}" for n in range(11))


class Drawn:
    """A made study and its figures."""

    def __init__(
        self, study: Study, frames: pd.DataFrame, sides: tuple[str, ...] = ("left", "right")
    ):
        self.study, self.frames = study, frames
        self.pictures = made_pictures(frames, study.regions, sides)
        self.labels = dict(zip(study.trials["trial"], study.trials["label"], strict=True))
        self.scores = score_trials(study.tests)

    @classmethod
    def of(cls, *, sides: tuple[str, ...] = ("left", "right"), **made: object) -> "Drawn":
        return cls(*made_study(**made), sides=sides)

    def only(self, keep: pd.Series) -> "Drawn":
        """With some of the trials."""
        study = with_trials(self.study, self.study.trials[keep].reset_index(drop=True))
        frames = self.frames[self.frames["trial"].isin(study.tests["trial"])]
        return Drawn(study, frames)

    def ce_comparison(self) -> Figure | Absent:
        study = self.study
        return draw_ce_comparison(study.trials, study.tests, self.labels, study.regions)

    def top_trials(self) -> Figure | Absent:
        study = self.study
        return draw_top_trials(self.scores, self.frames, self.labels, study.trials, study.regions)

    def top_of_region(self, region: str | None = None) -> Figure | Absent:
        study = self.study
        return draw_top_of_region(
            self.scores,
            self.frames,
            self.labels,
            study.trials,
            study.regions,
            region or study.hardest_region,
        )

    def outlines(self, *, without: tuple[str, ...] = ()) -> Figure | Absent:
        typical = typical_frame(self.frames)
        chosen = pd.DataFrame({"case": [typical.case], "frame": [typical.frame]})
        mask = made_prediction(self.pictures, find_frames(self.pictures, chosen))[0]
        predicted = {trial: mask for trial in self.frames["trial"].unique() if trial not in without}
        return draw_outlines(self.study.trials, self.frames, self.pictures, typical, predicted)

    def sequences(self, region: str | None = None) -> Figure:
        found = typical_sequences(self.frames, self.pictures.frames)
        predicted = made_prediction(self.pictures, find_frames(self.pictures, frames_of(found)))
        best = self.frames[self.frames["trial"] == "t1"]
        about = (found, self.pictures, predicted, best, self.labels["t1"])
        return draw_sequences(*about) if region is None else draw_region_sequences(*about, region)

    def chosen(self) -> tuple[TypicalSequence, ...]:
        return typical_sequences(self.frames, self.pictures.frames)


@pytest.fixture(scope="module")
def few() -> Drawn:
    """Five trials of one network on two regions."""
    return Drawn.of(networks=("fcn_unet",))


@pytest.fixture(scope="module")
def many() -> Drawn:
    """55 trials of long names on eight regions."""
    return Drawn.of(networks=LONG_NAMES, regions=EIGHT, frames=9)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in words_of(figure.drawing)]


def check_pictures(figure: Figure) -> None:
    """As `check_figure`, but that words may stand on pictures."""
    assert unreadable(figure.drawing) == []
    assert figure.drawing.get_figwidth() == PAGE_WIDTH_IN
    inks = {to_hex(text.get_color()) for text in words_of(figure.drawing)}
    assert inks <= {INK, FAINT_INK, TRUTH}
    assert figure.caption.endswith(".")
    assert "nan" not in figure.caption.lower().split()


@pytest.mark.parametrize("size", ["few", "many"])
class TestAllCanBeRead:
    @pytest.mark.parametrize("what", ["ce_comparison", "top_trials", "top_of_region"])
    def test_plots(self, size, what, request):
        check_figure(getattr(request.getfixturevalue(size), what)())

    def test_outlines(self, size, request):
        check_pictures(request.getfixturevalue(size).outlines())

    def test_sequences(self, size, request):
        drawn = request.getfixturevalue(size)
        check_pictures(drawn.sequences())
        check_pictures(drawn.sequences(drawn.study.hardest_region))


class TestCeComparison:
    def test_ends_and_differences_are_the_means(self, few):
        figure = few.ce_comparison()
        means = few.study.tests.set_index(["region", "trial"])
        equal, by_area = (means.loc["femur"].loc[trial, "overlap"] for trial in ("t0", "t1"))
        axes = figure.drawing.axes[0]
        open_, filled = (points.get_offsets()[0] for points in axes.collections[1:])
        assert open_.tolist() == [equal, 0]
        assert filled.tolist() == [by_area, 0]
        difference = f"{by_area - equal:+.3f}".replace("-", "−")
        assert difference in texts(figure)
        assert f"femur {int(by_area > equal)} ({difference})" in figure.caption

    def test_a_region_never_found_says_so(self, few):
        # t0 is the ce1 of the network, and never finds the last region.
        figure = few.ce_comparison()
        assert texts(figure).count("ce1: none") == 1
        assert "no distance is drawn (1 times)" in figure.caption

    def test_pairs_that_differ_in_anything_else_are_none(self, few):
        trials = few.study.trials.copy()
        trials.loc[0, keys.PRETRAINED] = True
        drawn = draw_ce_comparison(trials, few.study.tests, few.labels, few.study.regions)
        assert isinstance(drawn, Absent)
        assert "ce1 and ce2" in drawn.reason

    def test_too_many_pairs_are_cut_to_the_best(self, many):
        figure = many.ce_comparison()
        assert "The 6 of 11 pairs with the highest overlap are drawn." in figure.caption
        assert len(figure.drawing.axes) == 16
        # Later networks are a little better.
        words = "".join("".join(texts(figure)).split())
        assert "efficientnet-b10" in words
        assert "efficientnet-b0" not in words


class TestTopTrials:
    def test_bars_are_the_regions_scores_and_end_at_the_total(self, many):
        figure = many.top_trials()
        ranked = rank_trials(many.scores).head(10)
        bars = figure.drawing.axes[0].containers
        assert len(bars) == 8
        widths = np.array([[bar.get_width() for bar in region] for region in bars])
        np.testing.assert_allclose(widths.sum(axis=0), ranked["score"])
        points = many.scores.set_index(["trial", "region"])["score"]
        assert widths[2, 3] == points[ranked["trial"][3], EIGHT[2]]
        assert bars[2][3].get_x() == pytest.approx(widths[:2, 3].sum())
        assert f"score, at most {2 * 44 * 8:,}" in texts(figure)
        assert f"{ranked['score'][0]:,g}" in texts(figure)
        assert to_hex(bars[2][0].get_facecolor()) == region_colours(EIGHT)[EIGHT[2]]

    def test_points_are_the_best_trials_means(self, few):
        figure = few.top_trials()
        best = rank_trials(few.scores)["trial"][0]
        assert f"frames of {few.labels[best]}, each" in figure.caption
        means = few.study.tests.set_index(["trial", "region"]).loc[(best, "patellar_tendon")]
        _, overlap, distance = figure.drawing.axes
        np.testing.assert_allclose(
            overlap.containers[1].lines[0].get_ydata(), means[list(keys.OVERLAP_METRICS)].tolist()
        )
        np.testing.assert_allclose(
            distance.containers[1].lines[0].get_ydata(), means[list(keys.DISTANCE_METRICS)].tolist()
        )

    def test_the_lead_is_told(self, few):
        ranked = rank_trials(few.scores)
        first, second = ranked["trial"][:2]
        lead = ranked["score"][0] - ranked["score"][1]
        words = f"{few.labels[first]} has {ranked['score'][0]:g} and is "
        assert f"{words}{lead:g} ahead of {few.labels[second]}" in few.top_trials().caption
        level = few.scores.assign(score=3.0)
        caption = draw_top_trials(
            level, few.frames, few.labels, few.study.trials, few.study.regions
        ).caption
        assert "t1" not in caption
        assert "is level with" in caption

    def test_one_region_ranks_by_its_own_score(self, few):
        figure = few.top_of_region("femur")
        of_region = few.scores[few.scores["region"] == "femur"]
        ranked = rank_trials(of_region)
        (bars,) = figure.drawing.axes[0].containers
        assert [bar.get_width() for bar in bars] == ranked["score"].tolist()
        assert f"{few.labels[ranked['trial'][0]]}, the trial that is best on the femur" in (
            figure.caption
        )

    def test_a_region_the_best_never_finds(self, few):
        lost = few.frames.copy()
        lost.loc[lost["region"] == "femur", list(keys.OVERLAP_METRICS)] = 0.0
        lost.loc[lost["region"] == "femur", list(keys.DISTANCE_METRICS)] = np.nan
        figure = draw_top_of_region(
            few.scores, lost, few.labels, few.study.trials, few.study.regions, "femur"
        )
        check_figure(figure)
        assert "none: never found" in texts(figure)
        assert "because one of the two masks is empty: the femur on 12." in figure.caption

    def test_one_trial_and_none(self, few):
        alone = few.only(few.study.trials["trial"] == "t2")
        check_figure(alone.top_trials())
        assert "the one scored trial" in alone.top_trials().caption
        unscored = few.only(few.study.trials["loss"] == "ce1")
        assert isinstance(unscored.top_trials(), Absent)
        assert isinstance(unscored.top_of_region(), Absent)


class TestOutlines:
    def test_networks_by_losses(self):
        drawn = Drawn.of(networks=NETWORKS, regions=REGIONS)
        figure = drawn.outlines()
        (axes,) = figure.drawing.axes
        assert len(axes.images) == 25
        assert len({image.get_extent()[3] for image in axes.images}) == 5
        words = texts(figure)
        assert {"ce1", "ce2+dice", "0.50:0.50", "fcn_unet"} <= set(words)
        assert "Rows are networks" in figure.caption
        # Four true and four predicted outlines a panel; a line below each loss that has a τ;
        # five swatches.
        assert len(axes.lines) == 25 * 8 + 3 + 5

    def test_the_number_is_the_trials_overlap_on_that_frame(self, few):
        typical = typical_frame(few.frames)
        rows = few.frames.query(f"case == '{typical.case}' and frame == '{typical.frame}'")
        means = rows.groupby("trial")[list(keys.OVERLAP_METRICS)].mean().mean(axis=1)
        figure = few.outlines()
        numbers = sorted(word for word in texts(figure) if word.startswith(("0.", "1.")))
        shown = sorted(f"{mean:.2f}" for mean in means)
        assert [word for word in numbers if len(word) == 4] == shown
        assert figure.caption.startswith(f"Frame {typical.frame} of {typical.case}. ")
        best = means.idxmax()
        assert f"highest for {few.labels[best]} ({means[best]:.2f})" in figure.caption
        assert f"{typical.overlap:.3f}, is nearest to the median, {typical.median:.3f}" in (
            figure.caption
        )

    def test_what_is_not_there_says_why(self):
        study, frames = made_study(networks=NETWORKS[:2])
        status = {"t2": "failed", "t5": "running", "t7": "trained", "t8": "pruned"}
        trials = study.trials.copy()
        trials["status"] = trials["trial"].map(status).fillna("tested")
        tested = frames[~frames["trial"].isin(list(status))]
        figure = Drawn(with_trials(study, trials), tested).outlines(without=("t9",))
        check_pictures(figure)
        words = [word.replace("\n", " ") for word in texts(figure)]
        for reason in ("failed", "still training", "not tested yet", "masks not kept", "pruned"):
            assert words.count(reason) == 1
        assert len(figure.drawing.axes[0].images) == 5

    def test_trials_that_are_no_grid_stand_best_first(self):
        drawn = Drawn.of(networks=NETWORKS[:3])
        mixed = drawn.only(drawn.study.trials["trial"].isin(["t1", "t7", "t13"]))
        figure = mixed.outlines()
        check_pictures(figure)
        assert "Trials stand by their mean overlap" in figure.caption
        overlap = mixed.study.tests.groupby("trial")["overlap"].mean().sort_values()
        place = {
            "".join(text.get_text().split()): text.get_position()[0]
            for text in words_of(figure.drawing)
        }
        wanted = ["".join(mixed.labels[trial].split()) for trial in overlap.index[::-1]]
        assert sorted(wanted, key=place.__getitem__) == wanted

    def test_more_than_sixty_are_cut_to_the_best(self):
        drawn = Drawn.of(networks=tuple(f"smp:Unet:resnet{n}" for n in range(13)), cases=1)
        figure = drawn.outlines()
        assert len(figure.drawing.axes[0].images) == 60
        assert "The best 60 of 65 trials are drawn." in figure.caption
        # The first trial never finds a region, and is the worst of all.
        assert drawn.labels["t0"] not in figure.caption

    def test_no_masks_at_all(self, few):
        absent = few.outlines(without=tuple(few.labels))
        assert isinstance(absent, Absent)
        assert "No trial kept its predicted masks" in absent.reason


class TestSequences:
    def test_two_rows_for_each_side(self, few):
        figure = few.sequences()
        (axes,) = figure.drawing.axes
        right, left = few.chosen()
        assert len(axes.images) == 2 * (len(right.frames) + len(left.frames)) == 12
        words = [word.replace("\n", " ") for word in texts(figure)]
        assert f"Right knee: {right.typical.case}" in words
        assert f"Left knee: {left.typical.case}" in words
        assert words.count("ground truth") == words.count("prediction") == 2
        assert words.count("2 of 3") == 2
        shown = {image.get_array().tobytes() for image in axes.images[6:9]}
        places = find_frames(few.pictures, frames_of([left]))
        window = Window.around(few.pictures.masks[places])
        assert shown == {window.of(image).tobytes() for image in few.pictures.images[places]}
        for one in (right, left):
            told = f"{one.typical.case} ({one.typical.overlap:.3f}; median of 2 {one.side} cases"
            assert told in figure.caption

    def test_truth_stands_above_prediction(self, few):
        # The prediction is the truth moved to the right by two of 48 pixels.
        (axes,) = few.sequences().drawing.axes
        lines = [line.get_xydata() for line in axes.lines[:24]]
        truth, predicted = lines[0], lines[6]
        assert np.nanmin(truth[:, 0]) < np.nanmin(predicted[:, 0])
        assert np.nanmax(truth[:, 1]) < np.nanmin(predicted[:, 1])

    def test_numbers_are_the_trials_overlap(self, few):
        right = few.chosen()[0]
        row = (few.frames["trial"] == "t1") & (few.frames["case"] == right.typical.case)
        of_frame = few.frames[row & (few.frames["frame"] == right.frames[1])]
        overlap = of_frame[list(keys.OVERLAP_METRICS)].mean(axis=1)
        assert f"{overlap.mean():.2f}" in texts(few.sequences())
        of_region = overlap[of_frame["region"] == "femur"]
        assert f"{of_region.item():.2f}" in texts(few.sequences("femur"))

    def test_one_region_alone_in_its_colour(self, few):
        figure = few.sequences("patellar_tendon")
        (axes,) = figure.drawing.axes
        colour = region_colours(few.study.regions)["patellar_tendon"]
        assert {line.get_color() for line in axes.lines} == {colour}
        assert len(axes.lines) == 12 + 1  # and the swatch
        assert len({image.get_array().shape for image in axes.images}) == 1
        assert "the trial that is best on the patellar tendon" in figure.caption

    def test_sides_unknown(self):
        drawn = Drawn.of(networks=("fcn_unet",), frames=11, sides=("",))
        figure = drawn.sequences()
        check_pictures(figure)
        assert len(figure.drawing.axes[0].images) == 16
        assert "The dataset does not tell left from right knees." in figure.caption
        (one,) = drawn.chosen()
        assert f"Typical case: {one.typical.case}" in texts(figure)
        assert "median of 4 cases" in figure.caption


def test_the_same_study_draws_the_same_file(few, tmp_path):
    files = []
    for folder in ("a", "b"):
        figure = dataclasses.replace(few.outlines(), name="same")
        files.append(save_figure(figure, tmp_path / folder))
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
