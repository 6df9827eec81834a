import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.figures.outline_grid import grid_sheet, is_grid
from analysis.figures.outline_list import list_sheet
from analysis.figures.outline_sheet import Cell, Sheet
from analysis.figures.style import PAGE_WIDTH_IN
from tune_knee.config import NETWORKS

PAPER = [
    ("ce1", ""),
    ("ce2", ""),
    *itertools.product(["ce2+dice", "ce2+boundary"], ["0.90:0.10", "0.50:0.50", "0.10:0.90"]),
    *[("ce2+dice+boundary", f"0.{n}:0.10:0.10") for n in (80, 34, 50)],
]
aspects = st.floats(0.4, 2.5)


def rows_of(networks: list[str], columns: list[tuple[str, str]]) -> pd.DataFrame:
    rows = [(network, *column) for network in networks for column in columns]
    table = pd.DataFrame(rows, columns=["network", "loss", "tau"])
    table["trial"] = table["network"] + " " + table["loss"] + " " + table["tau"]
    return table.assign(label=table["trial"].str.strip())


def cells_of(sheet: Sheet) -> dict[str, Cell]:
    return {cell.trial: cell for cell in sheet.cells}


def check(sheet: Sheet, aspect: float, trials: int) -> None:
    """All trials are there, on the page, and no panel lies on another."""
    assert len(cells_of(sheet)) == len(sheet.cells) == trials
    width, height = sheet.panel_in, sheet.panel_in * aspect
    for cell in sheet.cells:
        assert 0 <= cell.x <= PAGE_WIDTH_IN - width + 1e-9
        assert 0 <= cell.y <= sheet.height_in - height + 1e-9
    for one, other in itertools.combinations(sheet.cells, 2):
        assert abs(one.x - other.x) > width - 1e-9 or abs(one.y - other.y) > height - 1e-9


class TestGrid:
    def test_the_papers_study_fills_a_page_in_bands_of_whole_losses(self):
        rows = rows_of(list(NETWORKS), PAPER)
        sheet = grid_sheet(rows, 0.7)
        check(sheet, 0.7, 55)
        assert sheet.panel_in > 1
        assert sheet.height_in < 9.5
        of_loss = rows.set_index("trial").groupby("loss").groups
        cells = cells_of(sheet)
        for trials in of_loss.values():
            first = [cells[t].y for t in trials if t.startswith("fcn_unet")]
            assert len(set(first)) == 1

    def test_one_band_of_tall_panels(self):
        sheet = grid_sheet(rows_of(list(NETWORKS), PAPER), 2.0)
        assert len({cell.y for cell in sheet.cells}) == len(NETWORKS)

    def test_networks_and_losses_in_the_papers_order_others_after(self):
        rows = rows_of(["smp:Unet:resnet18", "segformer_b2", "fcn_unet"], PAPER[:4][::-1])
        cells = cells_of(grid_sheet(rows, 1.0))
        down = ["fcn_unet", "segformer_b2", "smp:Unet:resnet18"]
        assert sorted(down, key=lambda name: cells[f"{name} ce2 "].y) == down
        # τ as the study has it.
        across = ["ce1 ", "ce2 ", "ce2+dice 0.50:0.50", "ce2+dice 0.90:0.10"]
        assert sorted(across, key=lambda name: cells[f"fcn_unet {name}"].x) == across

    def test_names_stand_at_their_rows_and_over_their_columns(self):
        sheet = grid_sheet(rows_of(["fcn_unet", "segformer_b2"], PAPER[1:4]), 1.0)
        cells, names = cells_of(sheet), {name.text: name for name in sheet.names}
        cell = cells["segformer_b2 ce2+dice 0.50:0.50"]
        assert names["segformer_b2"].y == pytest.approx(cell.y + sheet.panel_in / 2)
        assert names["segformer_b2"].upright
        assert names["0.50:0.50"].x == pytest.approx(cell.x + sheet.panel_in / 2)
        loss, ratio, single = names["ce2+dice"], names["0.50:0.50"], names["ce2"]
        assert loss.span == pytest.approx(2 * sheet.panel_in, rel=0.1)
        assert loss.y < ratio.y == single.y < cells["fcn_unet ce2 "].y
        assert single.span == 0

    def test_a_network_without_a_trial_in_a_band_has_no_row_there(self):
        rows = rows_of(list(NETWORKS), PAPER)
        later = rows["loss"].isin(["ce2+boundary", "ce2+dice+boundary"])
        some = rows[~((rows["network"] == "segformer_b2") & later)]
        sheet = grid_sheet(some, 0.7)
        check(sheet, 0.7, len(some))
        assert [name.text for name in sheet.names].count("segformer_b2") == 1

    @settings(max_examples=25)
    @given(st.integers(1, 12), st.integers(2, 11), aspects, st.randoms())
    def test_any_grid(self, networks, columns, aspect, random):
        names = [*NETWORKS, *(f"smp:DeepLabV3Plus:mobilenet_v{n}" for n in range(7))][:networks]
        rows = rows_of(names, random.sample(PAPER, columns))
        check(grid_sheet(rows, aspect), aspect, networks * columns)


class TestIsGrid:
    def test_half_filled_and_less(self):
        rows = rows_of(["a", "b"], PAPER[:2])
        assert is_grid(rows)
        assert is_grid(rows.iloc[[0, 3]])
        assert not is_grid(rows_of(["a", "b", "c"], PAPER[:3]).iloc[[0, 4, 8]])

    def test_alike_trials_one_column_and_too_many(self):
        rows = rows_of(["a"], PAPER[:2])
        assert not is_grid(pd.concat([rows, rows]))
        assert not is_grid(rows_of(["a", "b"], PAPER[:1]))
        many = [("ce2+dice", f"0.{n}:0.{100 - n}") for n in range(20, 33)]
        assert is_grid(rows_of(["a"], many[:12]))
        assert not is_grid(rows_of(["a"], many))


class TestList:
    @settings(max_examples=25)
    @given(st.integers(1, 60), aspects)
    def test_any_list_in_its_order(self, count, aspect):
        rows = rows_of(["smp:DeepLabV3Plus:mobilenet_v2", *NETWORKS], PAPER).head(count)
        sheet = list_sheet(rows, aspect)
        check(sheet, aspect, count)
        assert [cell.trial for cell in sheet.cells] == rows["trial"].tolist()
        places = [(cell.y, cell.x) for cell in sheet.cells]
        assert places == sorted(places)

    def test_names_have_the_width_of_their_panels(self):
        rows = rows_of(["smp:DeepLabV3Plus:mobilenet_v2"], PAPER)
        sheet = list_sheet(rows, 0.7)
        for name in sheet.names:
            assert max(map(len, name.text.split("\n"))) * 0.6 * name.size / 72 <= sheet.panel_in
