import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from made_study import made_study, with_trials

from analysis.absent import Absent
from analysis.figures.figure import Figure
from analysis.figures.style import FAINT_INK, GRID, INK, PAPER, new_figure, style
from analysis.report.build import build_contents
from analysis.report.contents import Command, Contents, Section, Terms
from analysis.report.folder import require_free, write_report
from analysis.report.opening import notices
from analysis.report.page import render_page
from analysis.report.sources import Sources, find_if_scored
from analysis.report.svg import INKS, inline_svg
from analysis.tables.table import Column, Table, number
from tune_knee import keys
from tune_knee.config import PAPER_BUDGET

VOID = {"meta", "br", "img", "link"}


def sources_of(study, frames: pd.DataFrame) -> Sources:
    return Sources(
        study=study,
        frames=frames,
        histories=pd.DataFrame(),
        pictures=Absent(title="Pictures of test frames", reason="None here."),
        masks=lambda trial, chosen: None,
        findings=find_if_scored(study, frames, draws=20, seed=0),
    )


def small_figure(name: str = "dots") -> Figure:
    with style():
        drawing = new_figure(1.0)
        axes = drawing.subplots()
        axes.plot([0, 1], [0, 1], "o", label="a")
        axes.legend()
    return Figure(name=name, title="Dots <&>", caption="Two dots.", alt='A "dot"', drawing=drawing)


def small_table(rows: int = 2) -> Table:
    return Table(
        name="small",
        title="<i>small</i>",
        caption="One & all.",
        rows=pd.DataFrame({"name": [f"n{n}" for n in range(rows)], "x": [1.5] * rows}),
        columns=(
            Column(title="Name", of=("name",)),
            Column(title="X", of=("x", "x"), pattern="{:.1f}\n({:.0f})", bold={0}, group="G"),
            number("Y", "x", 2, group="G"),
        ),
    )


def contents_of(*blocks: object, **changes: object) -> Contents:
    section = Section(anchor="one", title="One", blocks=blocks)
    plain = Contents(
        title="Study <b>",
        facts=Terms(items=(("Name", "x < y"),)),
        notices=("Mind & beware.",),
        verdict=None,
        sections=(section,),
        made="now",
    )
    return dataclasses.replace(plain, **changes)


class Page(HTMLParser):
    """What is on a page: its ids, links, figures; and whether its tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [found["href"]] if found.get("href") and tag == "a" else []
        self.sources += [found["src"]] if found.get("src") else []
        self.pictures += [found] if tag in ("svg", "img") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a made-up study, as a folder."""
    out = tmp_path_factory.mktemp("reports") / "made"
    study, frames = made_study()
    write_report(build_contents(sources_of(study, frames), "python -m analysis ..."), out)
    return out


class TestInlineSvg:
    SVG = (
        '<?xml version="1.0"?><!DOCTYPE svg>\n<svg xmlns="x" width="9pt" viewBox="0 0 90 45">'
        "<metadata>who</metadata><style>*{}</style>"
        f'<g id="axes_1"><path id="m1" style="fill: {INK}; stroke: {GRID}"/>'
        f'<use xlink:href="#m1" clip-path="url(#c2)" style="fill: {PAPER}; stroke: {FAINT_INK}"/>'
        "</g></svg>"
    )

    def test_inks_ids_and_what_is_left_out(self):
        svg = inline_svg(self.SVG, "cost", 'a "b" <c>')
        assert svg.startswith('<svg viewBox="0 0 90 45" role="img" aria-label="a &#34;b&#34; &lt;')
        assert not any(colour in svg for colour in INKS)
        assert "fill: var(--ink); stroke: var(--grid)" in svg
        assert "fill: var(--paper); stroke: var(--faint-ink)" in svg
        assert re.findall(r'id="(.*?)"', svg) == ["cost-axes_1", "cost-m1"]
        assert 'href="#cost-m1"' in svg
        assert "url(#cost-c2)" in svg
        assert "xlink" not in svg
        assert "metadata" not in svg
        assert "<style>" not in svg

    def test_what_is_no_svg_is_refused(self):
        with pytest.raises(ValueError, match="must have a root with a viewBox, got '<html>'"):
            inline_svg("<html>", "cost", "")


class TestPage:
    def test_text_is_escaped(self, tmp_path):
        text = render_page(contents_of(small_table(), Command(line="a < b && c")), tmp_path)
        Page(text)
        assert "<title>Study &lt;b&gt;</title>" in text
        assert "&lt;i&gt;small&lt;/i&gt;" in text
        assert "Mind &amp; beware." in text
        assert "<code>a &lt; b &amp;&amp; c</code>" in text

    def test_a_cell_may_be_best_a_number_and_of_two_lines(self, tmp_path):
        text = render_page(contents_of(small_table()), tmp_path)
        assert '<td class="number best">1.5<br><small>(2)</small></td>' in text
        assert "<th scope=row>n0</th>" in text
        assert '<th scope="colgroup" colspan="2">G</th>' in text

    @pytest.mark.parametrize(
        ("rows", "said"), [(200, "200 rows"), (1234, "The first 200 of 1,234 rows; the files")]
    )
    def test_a_shortened_table_says_so(self, rows, said, tmp_path):
        text = render_page(contents_of(small_table(rows)), tmp_path)
        assert said in text
        assert text.count("<th scope=row>") == 200

    def test_a_heavy_figure_is_a_picture(self, tmp_path, monkeypatch):
        out = tmp_path / "out"
        monkeypatch.setattr("analysis.report.page._HEAVIEST_SVG", 10)
        text = write_report(contents_of(small_figure()), out).read_text("utf-8")
        assert '<img src="data:image/png;base64,' in text
        assert 'alt="A &#34;dot&#34;"' in text


class TestReport:
    def test_needs_nothing_from_the_network(self, report):
        text = (report / "report.html").read_text("utf-8")
        page = Page(text)
        assert page.open == []
        assert all(source.startswith("data:") for source in page.sources)
        assert not re.search(r"https?://(?!www\.w3\.org/)", text)
        assert not re.search(r"@import|<script|<link", text)

    def test_links_lead_somewhere_and_ids_are_unique(self, report):
        page = Page((report / "report.html").read_text("utf-8"))
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            assert link[1:] in page.ids if link.startswith("#") else (report / link).is_file()
        linked = {link for link in page.links if not link.startswith("#")}
        written = {f"{path.parent.name}/{path.name}" for path in report.glob("*/*")}
        assert linked == written

    def test_every_picture_is_described(self, report):
        page = Page((report / "report.html").read_text("utf-8"))
        assert page.pictures
        assert all(found.get("alt") or found.get("aria-label") for found in page.pictures)

    def test_says_what_it_is_of_and_what_it_lacks(self, report):
        text = (report / "report.html").read_text("utf-8")
        assert text.index('<p class="headline">') < text.index("The study</h2>")
        assert "Budget “preview”" in text
        assert "12 frames of 4 cases" in text
        assert "Not in this report" in text
        assert "Pictures of test frames" in text
        assert "python -m analysis ..." in text

    def test_has_the_papers_tables(self, report):
        written = {path.stem for path in (report / "tables").glob("*.csv")}
        assert written >= {
            *("table_2_design", "table_4_ce1_ce2", "table_5_femur", "table_6_patellar_tendon"),
            *("table_a1_femur", "table_a1_patellar_tendon", "top_10", "top_5_patellar_tendon"),
            *("best_trial", "bootstrap", "alternatives", "significance", "agreement"),
            *("region_agreement", "stopping"),
        }
        assert {path.stem for path in (report / "tables").glob("*.tex")} == written

    def test_one_scored_trial_has_no_ranking_and_all_else(self):
        study, frames = made_study()
        study = with_trials(study, study.trials.iloc[:2])
        contents = build_contents(sources_of(study, frames[frames["trial"].isin(["t0", "t1"])]), "")
        assert contents.verdict is None
        assert contents.notices[-1].startswith("There is no ranking. It needs two tested trials")
        names = {table.name for table in contents.tables}
        assert names >= {"table_2_design", "table_4_ce1_ce2", "table_5_femur", "table_a1_femur"}
        assert not names & {"top_10", "bootstrap"}
        lacking = next(section for section in contents.sections if section.anchor == "absent")
        assert "The ranking" in dict(lacking.blocks[0].items)


class TestNotices:
    def test_a_finished_study_of_the_papers_budget_has_none(self):
        study, frames = made_study()
        study = dataclasses.replace(study, budget=PAPER_BUDGET)
        assert notices(sources_of(study, frames)) == ()

    def test_selection_on_the_test_set_is_said(self):
        study, frames = made_study()
        budget = dataclasses.replace(PAPER_BUDGET, select_on="test")
        (said,) = notices(sources_of(dataclasses.replace(study, budget=budget), frames))
        assert "chosen on the test set itself" in said

    def test_a_running_study_says_how_far_it_is(self):
        study, frames = made_study()
        study = dataclasses.replace(study, budget=PAPER_BUDGET, running=True, planned=55)
        (said,) = notices(sources_of(study, frames))
        assert said.startswith("The study is not finished: 15 tested, 40 not started, of 55")

    def test_failures_are_named_with_their_reasons(self):
        study, frames = made_study()
        trials = study.trials.copy()
        trials.loc[[0, 3], ["status", "failure"]] = [keys.STATUS_FAILED, "no memory\nat x"]
        study = dataclasses.replace(with_trials(study, trials), budget=PAPER_BUDGET, planned=20)
        frames = frames[~frames["trial"].isin(["t0", "t3"])]
        early, failed = notices(sources_of(study, frames))
        assert early == (
            "The study ended early: 13 tested, 2 failed, 5 not started, of 20 planned."
        )
        assert "fcn_unet ce1 (no memory); fcn_unet ce2+boundary 0.90:0.10 (no memory)" in failed


class TestFolder:
    def test_a_former_report_is_replaced_whole(self, tmp_path):
        out = tmp_path / "out"
        write_report(contents_of(small_table(), small_figure()), out)
        page = write_report(contents_of(small_figure("other")), out)
        assert page == out / "report.html"
        assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
            "other.png",
            "other.svg",
            "report.html",
        ]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize(
        "foreign", ["notes.txt", "report.html", "figures/notes.txt", "tables/deep/a.csv"]
    )
    def test_what_is_not_ours_is_left_alone(self, foreign, tmp_path):
        out = tmp_path / "out"
        if foreign != "report.html":
            write_report(contents_of(small_table(), small_figure()), out)
        (out / foreign).parent.mkdir(parents=True, exist_ok=True)
        (out / foreign).write_text("mine")
        with pytest.raises(ValueError, match="out must be a new or empty folder"):
            write_report(contents_of(), out)
        assert (out / foreign).read_text() == "mine"

    def test_a_file_is_refused_and_an_empty_folder_is_not(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(ValueError, match=r"got out=.*file"):
            require_free(tmp_path / "file")
        (tmp_path / "empty").mkdir()
        require_free(tmp_path / "empty")

    def test_a_failure_leaves_the_former_report(self, tmp_path, monkeypatch):
        out = tmp_path / "out"
        before = write_report(contents_of(small_table()), out).read_bytes()

        def fail(*_):
            raise OSError("disk full")

        monkeypatch.setattr("analysis.report.folder.render_page", fail)
        with pytest.raises(OSError, match="disk full"):
            write_report(contents_of(small_figure()), out)
        assert (out / "report.html").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


class TestMillimetres:
    def test_they_stand_beside_pixels_and_say_where_they_are_from(self) -> None:
        study, frames = made_study(networks=("fcn_unet",), spacing_source="patient")
        contents = build_contents(sources_of(study, frames), "")
        spacing = dict(contents.facts.items)["Pixel spacing"]
        assert spacing.startswith("calibrated, in the patient (patient)")
        names = [table.name for table in contents.tables]
        assert names.index("distances_mm") == names.index("table_a1_patellar_tendon") + 1

    def test_without_one_spacing_the_report_says_why_there_are_none(self) -> None:
        study, frames = made_study(networks=("fcn_unet",))
        contents = build_contents(sources_of(study, frames), "")
        assert "pixels alone" in dict(contents.facts.items)["Pixel spacing"]
        assert "distances_mm" not in [table.name for table in contents.tables]
        lacking = next(section for section in contents.sections if section.anchor == "absent")
        assert "one plane" in dict(lacking.blocks[0].items)["Distances in millimetres"]


class TestRepeatedGrid:
    def repeated(self) -> Sources:
        """A grid two of whose trials are one point, trained with two seeds."""
        study, frames = made_study(networks=("fcn_unet",))
        trials = study.trials
        mixes = trials["loss"].ne("ce1")
        point = trials.index[mixes][0]
        same = ["loss", keys.TAU_CE, keys.TAU_DICE, keys.TAU_BOUNDARY]
        trials.loc[trials.index[mixes][1], same] = trials.loc[point, same]
        trials.loc[trials.index[mixes][1], keys.REPEAT] = 1
        return sources_of(study, frames)

    def test_noise_between_seeds_is_shown_where_points_were_repeated(self) -> None:
        contents = build_contents(self.repeated(), "python -m analysis report")
        (worth,) = [each for each in contents.sections if each.anchor == "worth"]
        assert "How much is noise?" in [getattr(block, "title", "") for block in worth.blocks]

    def test_nothing_is_said_of_noise_where_none_was(self) -> None:
        study, frames = made_study(networks=("fcn_unet",))
        contents = build_contents(sources_of(study, frames), "python -m analysis report")
        (worth,) = [each for each in contents.sections if each.anchor == "worth"]
        assert "How much is noise?" not in [getattr(block, "title", "") for block in worth.blocks]
