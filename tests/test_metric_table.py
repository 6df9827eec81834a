import math
from pathlib import Path

import pandas as pd
import pytest

from analysis.aggregate import aggregate_frames
from analysis.metric_table import read_metric_table

MEANS = "model,region,overlap,distance_px"
SIX = "iou,dice,precision,recall,hd95_px,assd_px"
FRAMES = f"model,case,frame,region,{SIX}"


@pytest.fixture
def write(tmp_path):
    def to_file(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "models.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return to_file


class TestMeans:
    def test_overlap_and_distance_are_read_as_they_stand(self, write):
        table = read_metric_table(write(MEANS, "a,femur,0.9,1", "b,femur,0,2.5"))
        assert table.means.to_numpy().tolist() == [["a", "femur", 0.9, 1.0], ["b", "femur", 0, 2.5]]
        assert table.named_by == ("model",)
        assert table.frames is None
        assert table.missing.empty

    def test_six_metrics_are_averaged_four_and_two(self, write):
        table = read_metric_table(write(f"model,region,{SIX}", "a,femur,0.7,0.8,0.8,0.8,3,1.5"))
        assert table.means["overlap"].tolist() == pytest.approx([0.775])
        assert table.means["distance_px"].tolist() == pytest.approx([2.25])

    def test_one_of_four_missing_leaves_no_overlap(self, write):
        table = read_metric_table(write(f"model,region,{SIX}", "a,femur,0.7,,0.8,0.8,3,–"))
        assert table.means[["overlap", "distance_px"]].isna().to_numpy().all()

    def test_the_means_win_over_the_six(self, write):
        path = write(f"{MEANS},{SIX}", "a,femur,0.5,9,1,1,1,1,0,0")
        assert read_metric_table(path).means["overlap"].tolist() == [0.5]

    def test_short_and_capital_names_are_understood(self, write):
        path = write(
            "Network,Region,IoU,Dice,Precision,Recall,HD95,ASSD", "U-Net,femur,1,1,1,1,2,0"
        )
        assert read_metric_table(path).means["distance_px"].tolist() == [1.0]

    @pytest.mark.parametrize("absent", ["", "NaN", "nan", "–", "-", "—", "N/A", "na"])
    def test_missing_values_are_named(self, write, absent):
        table = read_metric_table(write(MEANS, f"a,femur,0.9,{absent}", "b,femur,0.8,1"))
        assert math.isnan(table.means["distance_px"][0])
        assert table.missing.to_numpy().tolist() == [["a", "femur", "distance_px"]]

    def test_other_columns_name_the_model_together_and_scores_do_not(self, write):
        path = write(
            "network,loss,tau,region,overlap,distance_px,score,rank,missed_frames",
            "u,ce2,,femur,0.9,1,50,1,0",
            "u,ce2+dice,0.5:0.5,femur,0.8,1,49,2,0",
        )
        table = read_metric_table(path)
        assert table.means["trial"].tolist() == ["u ce2", "u ce2+dice 0.5:0.5"]
        assert table.named_by == ("network", "loss", "tau")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_umlauts_and_a_byte_order_mark(self, write, encoding):
        table = read_metric_table(write(MEANS, "Müller,femur,0.9,1", encoding=encoding))
        assert table.means["trial"].tolist() == ["Müller"]

    def test_empty_rows_and_spaces_are_passed_over(self, write):
        table = read_metric_table(write("", MEANS, " a , femur, 0.9 ,1", ",,,", ""))
        assert table.means.to_numpy().tolist() == [["a", "femur", 0.9, 1.0]]


class TestFrames:
    ROWS = (
        "a,k1,0,femur,0.8,0.8,0.8,0.8,2,1",
        "a,k1,1,femur,0,0,0,0,,",
        "b,k1,0,femur,0.5,0.5,0.5,0.5,4,4",
        "b,k1,1,femur,0.5,0.5,0.5,0.5,4,4",
    )

    def test_their_means_are_those_of_a_study(self, write):
        path = write(FRAMES, *self.ROWS)
        table = read_metric_table(path)
        expected = aggregate_frames(pd.read_csv(path), by=("model",))
        for name in ("overlap", "distance_px", "missed_frames"):
            assert table.means[name].tolist() == expected[name].tolist()
        assert table.means["missed_frames"].tolist() == [1, 0]
        assert table.frames == 2

    def test_a_studys_own_millimetres_name_no_model(self, write):
        columns = f"{FRAMES},hd95_mm,assd_mm,spacing_source"
        table = read_metric_table(write(columns, *(f"{row},9,9,patient" for row in self.ROWS)))
        assert table.named_by == ("model",)
        assert table.means["distance_px"].tolist() == [1.5, 4]

    def test_each_model_must_have_all_of_them(self, write):
        with pytest.raises(ValueError, match=r"the same 2 frames .* got fewer in .*: b, femur: 1"):
            read_metric_table(write(FRAMES, *self.ROWS[:3]))

    def test_a_frame_must_have_its_overlap(self, write):
        path = write(FRAMES, self.ROWS[0].replace("0.8", "", 1))
        with pytest.raises(ValueError, match=r"0 where it is missed, got none in .*, line 2"):
            read_metric_table(path)

    def test_means_cannot_be_told_by_case_alone(self, write):
        with pytest.raises(ValueError, match="must have the columns case and frame"):
            read_metric_table(write(f"case,{MEANS}", "k1,a,femur,1,1"))

    def test_they_need_the_six(self, write):
        with pytest.raises(ValueError, match="of frames must have the columns region and iou"):
            read_metric_table(write(f"case,frame,{MEANS}", "k1,0,a,femur,1,1"))


BAD = {
    "a column lacks": ([MEANS[:-12], "a,femur,1"], r"got no distance_px in .*, but model, region"),
    "no region": (["model,overlap,distance_px", "a,1,1"], "got no region in"),
    "no model": ([MEANS[6:], "femur,1,1"], "a column must name the models, got only region"),
    "a row twice": (
        [MEANS, "a,femur,1,1", "b,femur,1,1", "a,femur,0.5,1"],
        r"got model a, region femur twice in .*, lines 2 and 4",
    ),
    "text": ([MEANS, "a,femur,1,1", "b,femur,good,1"], r"column overlap .* 'good' in .*, line 3"),
    "infinite": ([MEANS, "a,femur,1,inf"], r"column distance_px .* got 'inf' in .*, line 2"),
    "percentages": ([MEANS, "a,femur,95.1,1"], r"\[0, 1\], got 95.1 in .*, line 2; divide"),
    "below zero": ([MEANS, "a,femur,-0.1,1"], r"overlap must lie in \[0, 1\], got -0.1"),
    "negative distance": ([MEANS, "a,femur,1,-1"], r"distance_px must be at least 0, got -1"),
    "regions lack": (
        [MEANS, "a,femur,1,1", "a,tibia,1,1", "b,femur,1,1", "c,tibia,1,1"],
        r"got 2 of 3 without .*\(models are named by model\): b lacks tibia; c lacks femur; add",
    ),
    "many regions lack": (
        [MEANS, "a,femur,1,1", *(f"m{n},tibia,1,1" for n in range(8))],
        r"got 9 of 9 .* m3 lacks femur; and 4 more; add",
    ),
    "no name": ([MEANS, ",femur,1,1"], r"every row must have its model, got none in .*, line 2"),
    "no region's name": ([MEANS, "a,,1,1"], "every row must have its region, got none in"),
    "semicolons": (["model;region;overlap;distance_px", "a;femur;0,9;1"], "got semicolons in"),
    "tabs": ([MEANS.replace(",", "\t"), "a"], "got tabs in"),
    "decimal commas": ([MEANS, "a,femur,0,9,1"], r"as the header, 4, got 5 in .*, line 2"),
    "a short row": ([MEANS, "a,femur,1"], r"as the header, 4, got 3 in .*, line 2"),
    "an open quote": ([MEANS, 'a,femur,"1,1'], r"must be CSV, got .*, line 2: unexpected end"),
    "an unnamed column": (["," + MEANS, "0,a,femur,1,1"], "got none for column 1 in"),
    "a column twice": ([MEANS + ",overlap", "a,femur,1,1,1"], "got overlap twice in"),
    "a header alone": ([MEANS], "must have a header and rows, got 1 line in"),
    "nothing": ([""], "must have a header and rows, got 0 lines in"),
}


class TestBadFiles:
    @pytest.mark.parametrize(("lines", "message"), BAD.values(), ids=BAD.keys())
    def test_the_error_says_what_and_where(self, write, lines, message):
        path = write(*lines)
        with pytest.raises(ValueError, match=message) as error:
            read_metric_table(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    def test_lines_are_the_file_s_own(self, write):
        path = write(MEANS, "", '"a', 'a",femur,1,1', "b,femur,bad,1")
        with pytest.raises(ValueError, match="line 5"):
            read_metric_table(path)

    def test_another_encoding(self, write):
        path = write(MEANS, "Müller,femur,1,1", encoding="latin-1")
        with pytest.raises(ValueError, match=r"got byte 0xfc in .*, line 2; save it as CSV UTF-8"):
            read_metric_table(path)

    def test_no_file_and_a_folder(self, tmp_path):
        with pytest.raises(ValueError, match=r"readable file, got .*No such file"):
            read_metric_table(tmp_path / "none.csv")
        with pytest.raises(ValueError, match=r"readable file, got .*directory"):
            read_metric_table(tmp_path)
