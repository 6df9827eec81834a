import dataclasses
import math
import shutil
import subprocess
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_study import made_study, with_trials

from analysis.absent import Absent
from analysis.findings import Findings, find
from analysis.load import Study, opened_column
from analysis.ranking import score_trials
from analysis.spacing import spacing_words
from analysis.tables.agreement import agreement_table, region_agreement_table
from analysis.tables.alternatives import alternatives_table
from analysis.tables.best_trial import best_trial_table
from analysis.tables.bootstrap import bootstrap_table
from analysis.tables.ce_comparison import DIFFERENCE, ce_comparison_table
from analysis.tables.design import design_table, status_words
from analysis.tables.latex import escape_latex, to_latex
from analysis.tables.millimetres import millimetres_table
from analysis.tables.region_metrics import region_metrics_table
from analysis.tables.region_scores import region_scores_table
from analysis.tables.save import write_csv, write_latex
from analysis.tables.significance import significance_table
from analysis.tables.stopping import stopping_table
from analysis.tables.table import Column, Table, best, column_groups, number
from analysis.tables.top_trials import top_of_hardest_table, top_trials_table
from analysis.tables.trial_columns import trial_columns, trial_labels, trial_rows
from tune_knee import keys
from tune_knee.data.dataset import SpacingSource

NAN = float("nan")


def small_table(rows: int = 2) -> Table:
    return Table(
        name="small",
        title="50 % of a_b & τ",
        caption="One.",
        rows=pd.DataFrame(
            {
                "name": ["a_b", "c"] * (rows // 2),
                "iou": [0.91234567, NAN] * (rows // 2),
                "iou_sd": [0.01, NAN] * (rows // 2),
                "change": [-0.5, 0.0] * (rows // 2),
            }
        ),
        columns=(
            Column(title="Name", of=("name",)),
            Column(
                title="IoU", of=("iou", "iou_sd"), pattern="{:.2f} ± {:.2f}", bold={0}, group="Of τ"
            ),
            number("Change", "change", 1, group="Of τ"),
        ),
    )


class TestTable:
    def test_cells_show_dashes_and_minus_signs(self):
        assert small_table().cells() == [("a_b", "0.91 ± 0.01", "−0.5"), ("c", "–", "0.0")]

    def test_numbers_are_told_from_words(self):
        table = small_table()
        assert [column.is_number(table.rows) for column in table.columns] == [False, True, True]

    @pytest.mark.parametrize(
        ("value", "text"),
        [(12345.6, "12,346"), (-0.2, "0"), (pd.NA, "–"), (None, "–"), (True, "yes")],
    )
    def test_odd_values(self, value, text):
        rows = pd.DataFrame({"x": [value]}, dtype=object)
        assert number("X", "x", 0).cells(rows) == [text]

    def test_a_column_shown_once_starts_again_under_a_new_parent(self):
        rows = pd.DataFrame({"a": list("xxyy"), "b": list("ppps"), "c": range(4)})
        columns = tuple(Column(title=name, of=(name,), once=name != "c") for name in "abc")
        table = Table(name="t", title="T", caption="C.", rows=rows, columns=columns)
        assert table.cells() == [
            ("x", "p", "0"),
            ("", "", "1"),
            ("y", "p", "2"),
            ("", "s", "3"),
        ]

    def test_groups_span_their_columns(self):
        assert column_groups(small_table().columns) == [("", 1), ("Of τ", 2)]

    @pytest.mark.parametrize(
        ("values", "better", "expected"),
        [
            ([1.0, 3.0, 3.0], "max", {1, 2}),
            ([NAN, 3.0, 2.0], "min", {2}),
            ([NAN, NAN], "max", set()),
            ([], "min", set()),
        ],
    )
    def test_best(self, values, better, expected):
        assert best(pd.Series(values, dtype=float), better) == expected


class TestSave:
    def test_csv_has_full_precision_and_empty_cells(self, tmp_path):
        table = small_table()
        path = write_csv(table, tmp_path / "tables")
        assert path.name == "small.csv"
        back = pd.read_csv(path)
        pd.testing.assert_frame_equal(back, table.rows, check_exact=True, check_dtype=False)

    def test_a_short_table_floats(self):
        text = to_latex(small_table())
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
        assert r"\begin{tabular}{lrr}" in text
        assert r"\multicolumn{2}{c}{Of \ensuremath{\tau}}" in text
        assert r"\cmidrule(lr){2-3}" in text
        assert r"a\_b & \textbf{0.91 \ensuremath{\pm} 0.01} & \ensuremath{-}0.5 \\" in text
        assert r"\caption{50 \% of a\_b \& \ensuremath{\tau}. One.}" in text
        assert r"\label{tab:small}" in text

    @pytest.mark.parametrize(("rows", "long"), [(40, False), (42, True)])
    def test_a_table_over_40_rows_breaks_over_pages(self, rows, long):
        text = to_latex(small_table(rows))
        assert (r"\begin{longtable}" in text) == long
        assert text.count(r"a\_b &") == rows // 2

    def test_a_cell_of_two_lines_is_a_stack(self):
        column = Column(title="X", of=("x", "x"), pattern="{:.0f}\n({:.0f})", bold={0})
        table = Table(
            name="t", title="T", caption="C.", rows=pd.DataFrame({"x": [1.0]}), columns=(column,)
        )
        assert r"\shortstack[r]{\textbf{1}\\\textbf{(1)}} \\[2pt]" in to_latex(table)

    @given(st.text(alphabet="ab\\{}$%#&_~^τ±–−<>", max_size=12))
    def test_no_command_character_is_left_bare(self, text):
        harmless = escape_latex(text)
        for command in (
            *(r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}"),
            *(r"\ensuremath{\pm}", r"\ensuremath{\tau}", r"\ensuremath{-}"),
            *(r"\ensuremath{<}", r"\ensuremath{>}"),
            *(r"\&", r"\%", r"\$", r"\#", r"\_", r"\{", r"\}"),
        ):
            harmless = harmless.replace(command, "")
        assert set(harmless) <= set("ab-")

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX installed")
    def test_it_compiles(self, tmp_path):
        study, frames = made_study()
        tables = [small_table(), small_table(50), design_table(study)]
        tables.append(region_metrics_table(study, frames, "femur"))
        inputs = [rf"\input{{{write_latex(table, tmp_path).name}}}" for table in tables]
        text = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}"
        (tmp_path / "all.tex").write_text(text + "\n".join(inputs) + r"\end{document}")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]


class TestTrialColumns:
    def test_only_what_differs_is_shown(self):
        trials = made_study()[0].trials
        assert [c.title for c in trial_columns(trials)] == ["Exp.", "Network", "Loss", "τ"]
        trials.loc[0, "pretrained"] = True
        trials[keys.EXPERIMENT] = pd.NA
        assert [c.title for c in trial_columns(trials)] == ["Network", "Loss", "τ", "Pretrained"]

    def test_trials_alike_in_words_show_their_ids(self):
        trials = made_study()[0].trials
        trials = trials[trials[keys.LOSS] == "ce2"].iloc[[0, 0, 1]].reset_index(drop=True)
        trials.loc[1, keys.TRIAL] = "again"
        assert trial_columns(trials)[-1].title == "Trial"

    def test_rows_follow_the_experiments(self):
        study, _ = made_study()
        trials = study.trials.iloc[::-1]
        assert trial_rows(trials)[keys.EXPERIMENT].is_monotonic_increasing
        first = trial_rows(study.trials).set_index(keys.TRIAL)["tau"]
        assert pd.isna(first["t0"])
        assert first["t2"] == "0.50:0.50"
        assert first["t3"] == "0.90:0.10"
        assert first["t4"] == "0.34:0.33:0.33"


class TestDesign:
    def test_status_cost_and_what_has_not_started(self):
        study, _ = made_study()
        trials = study.trials.copy()
        trials.loc[1, ["status", "failure", "stop_reason"]] = ["failed", "no memory\nline 2", None]
        trials.loc[2, "status"] = "running"
        trials.loc[3, ["gpus", "wall_time_s"]] = [0.5, 7200.0]
        trials.loc[4, ["cpus", "wall_time_s"]] = [2.0, 3600.0]
        study = dataclasses.replace(with_trials(study, trials), planned=20)
        assert status_words(study) == "13 tested, 1 running, 1 failed, 5 not started"
        table = design_table(study)
        rows = table.rows.set_index(keys.TRIAL)
        assert rows.loc["t1", "end"] == "no memory"
        assert rows.loc["t1", "failure"] == "no memory\nline 2"
        assert rows.loc["t3", "device_hours"] == pytest.approx(1.0)
        assert rows.loc["t4", "device_hours"] == pytest.approx(2.0)
        assert table.caption.startswith("20 trials planned: 13 tested")
        assert len(table.rows) == 15


class TestCeComparison:
    def test_rows_are_the_two_and_their_paired_difference(self):
        study, frames = made_study()
        table = ce_comparison_table(study, frames)
        assert isinstance(table, Table)
        assert len(table.rows) == 2 * 3 * 3  # regions, networks, losses and difference
        rows = table.rows.set_index([keys.REGION, keys.NETWORK, keys.LOSS]).sort_index()
        own = (
            frames[frames[keys.REGION] == "femur"]
            .set_index([keys.TRIAL, keys.CASE, keys.FRAME])
            .sort_index()
        )
        equal, by_area = own.loc["t5", "iou"], own.loc["t6", "iou"]
        femur = rows.loc["Femur", "pspnet_r50c"]
        assert femur.loc["ce1", "iou"] == pytest.approx(equal.mean())
        assert femur.loc["ce2", "iou_sd"] == pytest.approx(by_area.std())
        assert femur.loc[DIFFERENCE, "iou_sd"] == pytest.approx((by_area - equal).std())
        assert rows.loc[("Patellar tendon", "fcn_unet", "ce1"), "missed_frames"] == 12
        assert math.isnan(rows.loc[("Patellar tendon", "fcn_unet", DIFFERENCE), "hd95_px"])

    def test_bold_is_the_better_of_the_two_never_the_difference(self):
        study, frames = made_study()
        table = ce_comparison_table(study, frames)
        assert isinstance(table, Table)
        for column in table.columns:
            if column.of[0] not in keys.METRICS:
                continue
            assert set(table.rows.loc[list(column.bold), keys.LOSS]) <= {"ce1", "ce2"}
            assert len(column.bold) == 6  # one a pair
        hd95 = next(column for column in table.columns if column.of[0] == "hd95_px")
        pair = table.rows.iloc[:2]
        assert (0 in hd95.bold) == (pair["hd95_px"].iloc[0] < pair["hd95_px"].iloc[1])

    def test_no_pair_is_absent(self):
        study, frames = made_study()
        trials = study.trials[study.trials[keys.LOSS] != "ce1"]
        answer = ce_comparison_table(with_trials(study, trials), frames)
        assert isinstance(answer, Absent)


class TestRegionTables:
    def test_scores_and_ranks_are_those_of_the_region(self):
        study, _ = made_study()
        scores = score_trials(study.tests)
        table = region_scores_table(study, "patellar_tendon", scores)
        assert isinstance(table, Table)
        assert table.number == "6"
        n = 12  # without ce1
        assert len(table.rows) == n
        assert table.rows[keys.SCORE].sum() == n * (n + 1)
        first = table.rows.loc[table.rows["rank"] == 1, keys.SCORE]
        assert (first == table.rows[keys.SCORE].max()).all()

    def test_without_scores_the_means_stay(self):
        study, _ = made_study()
        table = region_scores_table(study, "femur", None)
        assert isinstance(table, Table)
        assert "Score" not in [column.title for column in table.columns]
        assert "sum to" not in table.caption

    def test_only_unscored_trials_is_absent(self):
        study, _ = made_study()
        study = with_trials(study, study.trials[study.trials[keys.LOSS] == "ce1"])
        assert isinstance(region_scores_table(study, "femur", None), Absent)

    def test_six_metrics_with_their_spread(self):
        study, frames = made_study()
        table = region_metrics_table(study, frames, "patellar_tendon")
        rows = table.rows.set_index(keys.TRIAL)
        assert len(rows) == 15
        own = frames[(frames[keys.TRIAL] == "t1") & (frames[keys.REGION] == "patellar_tendon")]
        for metric in keys.METRICS:
            assert rows.loc["t1", metric] == pytest.approx(own[metric].mean())
            assert rows.loc["t1", f"{metric}_sd"] == pytest.approx(own[metric].std(ddof=1))
            assert rows.loc["t1", f"{metric}_max"] == own[metric].max()
            assert rows.loc["t1", f"{metric}_min"] == own[metric].min()
        assert rows.loc["t0", "missed_frames"] == 12
        assert math.isnan(rows.loc["t0", "hd95_px"])
        shown = table.cells()[table.rows.index[table.rows[keys.TRIAL] == "t0"][0]]
        assert shown[-2:] == ("–", "12")


class TestMillimetres:
    def test_every_trial_and_region_in_millimetres(self):
        study, frames = made_study(spacing_source="detector")
        table = millimetres_table(study, frames)
        assert isinstance(table, Table)
        assert [name for name, _ in column_groups(table.columns)][1:] == [
            "Femur (mm)",
            "Patellar tendon (mm)",
        ]
        assert "at the detector" in table.caption
        rows = table.rows.set_index(keys.TRIAL)
        own = frames[(frames[keys.TRIAL] == "t1") & (frames[keys.REGION] == "femur")]
        assert rows.loc["t1", "femur_hd95_mm"] == pytest.approx(own["hd95_px"].mean() / 2)
        assert rows.loc["t1", "femur_assd_mm_sd"] == pytest.approx(own["assd_px"].std() / 2)
        assert math.isnan(rows.loc["t0", "patellar_tendon_hd95_mm"])
        column = next(each for each in table.columns if each.of[0] == "femur_hd95_mm")
        assert column.bold == {int(table.rows["femur_hd95_mm"].argmin())}

    def test_no_one_spacing_is_absent(self):
        answer = millimetres_table(*made_study())
        assert isinstance(answer, Absent)
        assert "not known for all frames" in answer.reason

    def test_the_best_trial_has_them_too(self):
        study, frames = made_study(spacing_source="phantom")
        found = find(frames, study.tests, trial_labels(study.trials), draws=5, seed=1)
        table = best_trial_table(study, found)
        assert table.rows["distance_mm"].tolist() == pytest.approx(
            (table.rows["distance_px"] / 2).tolist()
        )
        assert "phantom's own" in table.caption
        assert "Distance (mm)" in [column.title for column in table.columns]

    def test_every_source_of_a_dataset_has_its_words(self):
        for source in set(get_args(SpacingSource)) - {""}:
            assert f"({source})" in spacing_words(source)


def test_stopping_says_which_criterion_opened():
    study, _ = made_study()
    trials = study.trials.copy()
    trials.loc[:2, opened_column("train_loss")] = [50, 65, 130]
    table = stopping_table(with_trials(study, trials))
    assert "Loss < 0.2 in 3" in table.caption
    assert "Patellar tendon IoU > 0.85 in 0" in table.caption
    assert table.rows.set_index(keys.TRIAL).loc["t2", opened_column("train_loss")] == 130


@pytest.fixture(scope="module")
def found() -> tuple[Study, Findings]:
    study, frames = made_study()
    return study, find(frames, study.tests, trial_labels(study.trials), draws=50, seed=1)


class TestWorth:
    def test_bootstrap_has_every_scored_trial_best_first(self, found):
        study, findings = found
        table = bootstrap_table(study, findings)
        assert isinstance(table, Table)
        assert table.rows[keys.TRIAL].tolist() == findings.ranking[keys.TRIAL].tolist()
        intervals = findings.bootstrap.intervals().set_index(keys.TRIAL)
        rows = table.rows.set_index(keys.TRIAL)
        for column in intervals:
            assert (rows[column] == intervals.loc[rows.index, column]).all()
        assert "50 draws of 4 cases (seed 1)" in table.caption

    def test_alternatives_leave_out_what_they_say(self, found):
        study, findings = found
        table = alternatives_table(study, findings)
        without = table.rows["rank: without fcn_unet"]
        assert without.isna().tolist() == (table.rows[keys.NETWORK] == "fcn_unet").tolist()
        way = next(one for one in findings.alternatives if one.name == "without fcn_unet")
        ranks = table.rows.set_index(keys.TRIAL)["rank: without fcn_unet"].dropna()
        assert ranks.to_dict() == way.scores.set_index(keys.TRIAL)["rank"].to_dict()
        first = next(c for c in table.columns if c.title == "Without fcn_unet")
        assert [ranks[table.rows.loc[row, keys.TRIAL]] for row in first.bold] == [1]

    def test_significance_has_all_p_of_all_trials_but_the_leader(self, found):
        study, findings = found
        table = significance_table(study, findings)
        assert isinstance(table, Table)
        tests = findings.significance.tests
        assert len(table.rows) == len(findings.ranking) - 1
        rows = table.rows.set_index(keys.TRIAL)
        for test in tests.to_dict("records"):
            name = "_".join(part for part in (test["region"], test["measure"]) if part)
            for value in ("p", "p_holm", "difference"):
                found_there = rows.loc[test[keys.TRIAL], f"{name}_{value}"]
                assert found_there == pytest.approx(test[value], nan_ok=True)
        for column in table.columns:
            if column.of[0].endswith("_p_holm"):
                below = table.rows[column.of[0]] < findings.significance.level
                assert column.bold == set(table.rows.index[below])

    def test_one_case_has_neither(self):
        study, frames = made_study(cases=1)
        findings = find(frames, study.tests, trial_labels(study.trials), draws=5)
        assert isinstance(bootstrap_table(study, findings), Absent)
        assert isinstance(significance_table(study, findings), Absent)

    def test_agreement_is_square_with_ones(self, found):
        _, findings = found
        for table, matrix in (
            (agreement_table(findings), findings.agreement),
            (region_agreement_table(findings), findings.region_agreement),
        ):
            values = table.rows.iloc[:, 1:].to_numpy()
            assert values.shape == (len(matrix), len(matrix))
            assert values == pytest.approx(matrix.to_numpy(), nan_ok=True)
            assert table.cells()[0][1] == "1.00"

    def test_the_top_is_the_rankings(self, found):
        study, findings = found
        table = top_trials_table(study, findings)
        assert table.rows[keys.TRIAL].tolist() == findings.ranking[keys.TRIAL].head(10).tolist()
        parts = table.rows[[f"score_{region}" for region in study.regions]].sum(axis=1)
        assert parts.tolist() == pytest.approx(table.rows[keys.SCORE].tolist())
        hardest = top_of_hardest_table(study, findings)
        assert hardest.name == "top_5_patellar_tendon"
        assert hardest.rows[keys.SCORE].is_monotonic_decreasing
        own = findings.scores[findings.scores[keys.REGION] == "patellar_tendon"]
        assert hardest.rows[keys.SCORE].iloc[0] == own[keys.SCORE].max()

    def test_the_best_trials_means_are_its_tests(self, found):
        study, findings = found
        table = best_trial_table(study, findings)
        leader = findings.ranking[keys.TRIAL].iloc[0]
        tests = study.tests[study.tests[keys.TRIAL] == leader]
        assert table.rows["iou"].iloc[:-1].tolist() == tests["iou"].tolist()
        assert table.rows["iou"].iloc[-1] == pytest.approx(tests["iou"].mean())
