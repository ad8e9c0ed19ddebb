"""A figure is described once; the page and the file draw the same, say what leaks and show text as text."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Sheet

from evaluation.rows import CLOCK, PERSISTENCE
from report.comparison import compare
from report.comparison_page import comparison_figure
from report.figures import clouds, errors, heat_maps, losses, plotly, png, rankings
from report.figures.alpha_lambda import alpha_lambda, scatter
from report.figures.components import components
from report.figures.drawing import (
    GREY,
    RED,
    TRUTH,
    Axis,
    Band,
    Bars,
    Dots,
    Drawing,
    Figure,
    Heat,
    Line,
    Panel,
    colours,
    every,
    extremes,
    of_errors,
)
from report.figures.forecast import forecast, small_forecast
from report.page import sections
from report.run_folder import RunFolder
from tests.run_folders import (
    EVIL,
    HYBRID,
    NET,
    cell_metrics,
    cell_run,
    cell_table,
    epochs,
    quality,
    series_run,
    series_table,
)

graph_objects = pytest.importorskip("plotly.graph_objects")
NOTE = "It USES THE FUTURE: " + "the whole series, test included, was decomposed before it was split, " * 4
SERIES, CELLS = series_table(), cell_table()


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Every figure of both pages, by its name."""
    runs = [series_run(tmp_path_factory.mktemp("series")), cell_run(tmp_path_factory.mktemp("cells"), 3)]
    found = {
        f"{kind} {figure.name}": figure
        for kind, run in zip(("series", "cells"), runs, strict=True)
        for section in sections(RunFolder(run))
        for figure in section.figures
    }
    return found | {"comparison": comparison_figure(compare([cell_metrics(seeds=2)])[0])}


def texts(drawn: Sheet) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in drawn.findobj(mpl.text.Text))


def trace(spec: plotly.Spec, name: str) -> dict:
    return next(one for one in spec["data"] if one.get("name") == name)


def line_of(drawn: Sheet, panel: int, name: str) -> np.ndarray:
    return next(line.get_ydata() for line in drawn.axes[panel].lines if line.get_label() == name)


def test_every_figure_is_known_to_plotly_and_drawn_to_a_file_within_its_edges(
    figures: dict[str, Figure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "DPI", 40)  # faster
    assert len(figures) > 20
    for name, figure in figures.items():
        for drawing in figure.drawings:
            spec = plotly.spec(drawing, figure.wall)
            spec.pop("x", None)  # shared by the lines; the page hands it out
            graph_objects.Figure(spec)  # raises where it does not know an attribute
        drawn = png.sheet(figure, f"HNEI: {figure.says}", NOTE)
        drawn.draw_without_rendering()
        edges = drawn.get_window_extent()
        renderer = drawn.canvas.get_renderer()
        for text in (drawn._suptitle, drawn._supxlabel):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0, name
            assert box.x1 <= edges.x1, name
        assert drawn._supxlabel.get_color() == RED
    png.save(drawn, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [tmp_path / "figure.png"]


def test_no_two_labels_of_a_comparison_overlap(figures: dict[str, Figure]) -> None:
    drawn = png.sheet(figures["comparison"], "HNEI")
    drawn.canvas.draw()
    (axes,) = drawn.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels if label.get_text() and label.get_visible()]
        assert len(boxes) > 1
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:number])


@pytest.mark.parametrize("render", ["page", "file"])
def test_the_forecast_shows_truth_model_reference_and_intervals_and_hides_the_rest(render: str) -> None:
    drawing = forecast(SERIES, NET, PERSISTENCE, "points", "")
    truth = SERIES[SERIES["model"] == NET]["y"].to_numpy()
    if render == "page":
        spec = plotly.spec(drawing)
        shown = [one["name"] for one in spec["data"] if one.get("visible") is None and "name" in one]
        assert shown == ["95 % interval", "80 % interval", PERSISTENCE, NET, "truth"]
        np.testing.assert_allclose(trace(spec, "truth")["y"], truth, rtol=1e-5)
        assert "95 %:" in trace(spec, NET)["text"][0]
        assert len(spec["x"]) == len(truth)
        assert all("x" not in one for one in spec["data"])
    else:
        drawn = png.sheet(Figure("forecast", [drawing], "Forecasts", last=(60,)), "A walk")
        _, zoom = drawn.axes
        labels = [text.get_text() for text in zoom.get_legend().get_texts()]
        assert labels == ["95 % interval", "80 % interval", PERSISTENCE, NET, "truth"]
        np.testing.assert_array_equal(line_of(drawn, 0, "truth"), truth)
        np.testing.assert_array_equal(line_of(drawn, 1, "truth"), truth[-60:])
        assert zoom.get_title(loc="left") == "The last 60 steps (shaded above)"


def test_small_cells_have_ranges_of_their_own() -> None:
    drawings = []
    for cell, stretch in (("c00", 1), ("c01", 10)):
        rows = CELLS[CELLS["unique_id"] == cell]
        rows = rows.assign(ds=rows["ds"] * stretch, y=rows["y"] * stretch, y_hat=rows["y_hat"] * stretch)
        drawings.append(small_forecast(rows, HYBRID, CLOCK, cell, "cycles", "cycle"))
    drawn = png.sheet(Figure("rul_curves", drawings, "Cells", wall=True), "HNEI")
    short, long = drawn.axes[:2]
    assert [axes.get_title(loc="left") for axes in (short, long)] == ["c00", "c01"]
    for axes, last in ((short, 120), (long, 1210)):
        low, high = axes.get_xlim()
        assert low <= last <= high < 1.2 * last
        assert axes.get_ylim()[0] == 0
    assert {text.get_text() for text in drawn.legends[0].get_texts()} >= {"truth", HYBRID, CLOCK, "95 % interval"}


def test_components_are_stacked_below_their_sum_with_the_start_of_the_test() -> None:
    dates, walk = (
        pd.Series(pd.bdate_range("2024-01-01", periods=200)),
        np.cumsum(np.random.default_rng(0).standard_normal(200)),
    )
    values = np.stack([0.1 * walk, 0.9 * walk])
    drawing = components(dates, values, ["fast", "slow"], "points", test_start=dates[150])
    spec = plotly.spec(drawing)
    np.testing.assert_allclose(spec["data"][0]["y"], walk, rtol=1e-5)
    assert [one["text"] for one in spec["layout"]["annotations"]] == [
        "<b>sum [points]</b>",
        "<b>fast</b>",
        "<b>slow</b>",
    ]
    assert [shape["x0"] for shape in spec["layout"]["shapes"]] == [str(dates[150].date())] * 3
    drawn = png.sheet(Figure("components", [drawing], "Components"), "A walk")
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["sum [points]", "fast", "slow"]
    np.testing.assert_array_equal(drawn.axes[2].lines[0].get_ydata(), values[1])


def test_losses_mark_the_best_epoch_and_are_logarithmic_where_they_span_far() -> None:
    drawing = losses.losses(epochs(5), "one")
    spec = plotly.spec(drawing, small=True)
    assert trace(spec, "validation, best at 4")["y"] == pytest.approx([e["val/loss"] for e in epochs(5)], rel=1e-4)
    assert spec["layout"]["xaxis"]["tickvals"] == [0, 1, 2, 3, 4]
    assert spec["layout"]["title"]["text"] == "one"
    many = "two networks, without cell 03, cell 04, cell 05 and cell 06"
    wall = png.sheet(Figure("losses", [drawing, losses.losses(epochs(7), many)], "Losses", wall=True), "A walk")
    lines = wall.axes[1].get_title(loc="left").split("\n")
    assert " ".join(lines) == many
    assert max(map(len, lines)) <= png.BESIDE  # a longer one runs into the name of the next panel
    assert [text.get_text() for text in wall.legends[0].get_texts()] == ["training", "validation"]
    far = [{"epoch": k, "train/loss": 10.0**-k, "val/loss": None} for k in range(4)]
    spec = plotly.spec(losses.losses(far, "far"))
    assert spec["layout"]["yaxis"]["type"] == "log"
    assert [one["name"] for one in spec["data"]] == ["training"]
    rates = losses.over_seeds([[e | {"eta": 0.1, "beta": 0.9} for e in epochs(3)]] * 2, "rates", rates=True)
    assert [one.get("name") for one in plotly.spec(rates)["data"]].count("learning rate") == 2  # line and band


def test_alpha_lambda_has_the_cone_a_line_a_cell_and_the_share_below() -> None:
    rows = CELLS[CELLS["model"] == HYBRID]
    life = rows["y"] + rows["ds"]
    shares = {label: pd.Series([0.5, 1.0], index=[0.25, 0.75]) for label in (HYBRID, CLOCK, "Extra trees")}
    spec = plotly.spec(alpha_lambda(rows, life, shares, HYBRID, CLOCK))
    names = [one.get("name") for one in spec["data"]]
    assert {f"c0{k}" for k in range(6)} <= set(names)
    below = [one for one in spec["data"] if one.get("yaxis") == "y2"]
    assert [(one["name"], one["y"], one.get("visible")) for one in below] == [
        (HYBRID, [50, 100], None),
        ("Extra trees", [50, 100], "legendonly"),
        (CLOCK, [50, 100], None),
    ]
    cell = trace(spec, "c00")
    own = rows[rows["unique_id"] == "c00"]
    np.testing.assert_allclose(cell["x"], own["ds"] / 120, atol=1e-4)
    np.testing.assert_allclose(cell["y"], own["y_hat"] / 120, rtol=1e-4, atol=1e-6)


def test_a_scatter_and_moves_draw_the_truth_against_the_forecast() -> None:
    rows = CELLS[CELLS["model"] == HYBRID]
    spec = plotly.spec(scatter(rows, HYBRID, "cycles"))
    np.testing.assert_allclose(trace(spec, HYBRID)["x"], rows["y"], rtol=1e-3)
    assert [one["name"] for one in spec["data"]].count("15 % off") == 2
    points = np.array([[1.0, 0.5], [-2.0, 0.1]])
    spec = plotly.spec(clouds.moves(NET, points, "points", PERSISTENCE))
    assert trace(spec, NET)["y"] == [0.5, 0.1]
    assert trace(spec, PERSISTENCE)["y"] == [0, 0]
    assert spec["layout"]["xaxis"]["range"] == [-2.1, 2.1]


def test_a_few_outliers_do_not_decide_the_frame_of_samples() -> None:
    places = {kind: np.asarray(points) for kind, points in quality()["pca"].items()}
    drawing, beyond = clouds.samples(places, "condition 1", "first", "second")
    assert 1 <= beyond < 9
    assert drawing.panels[0].x.high < 10


def test_groups_coverage_lags_months_and_rankings_draw_their_numbers() -> None:
    table = pd.DataFrame({"calm": [1.2, 0.9], "wild": [1.1, 30.0]}, index=["a", "b"])
    spec = plotly.spec(errors.by_group(table, "MAE", 1.0))
    assert trace(spec, "wild")["x"] == [1.1, 30]
    assert spec["layout"]["xaxis"]["type"] == "log"
    assert spec["layout"]["yaxis"]["ticktext"] == ["a", "b"]
    held = pd.DataFrame(
        {"group": ["a", "b"], "level": 80, "coverage": [0.7, 0.9], "low": [0.6, 0.8], "high": [0.8, 0.95], "n": 9}
    )
    (dots,) = (one for one in plotly.spec(errors.coverage(held, "year"))["data"] if one["mode"] == "markers")
    assert dots["error_y"]["array"] == pytest.approx([10, 5])
    assert dots["text"][0] == "a: 70.0 % of 9"
    spec = plotly.spec(errors.at_lags([-1, 0, 1], np.array([0.1, 0.9, 0.2]), NET, 0.3, "lag", "r"))
    assert spec["data"][0]["y"] == [0.1, 0.9, 0.2]
    assert (spec["layout"]["shapes"][0]["y0"], spec["layout"]["shapes"][0]["y1"]) == (-0.3, 0.3)
    months = pd.DataFrame({PERSISTENCE: [2.0, 1.0], NET: [1.0, 3.0]}, index=[0, 30])
    drawn = png.sheet(Figure("m", [errors.by_month(months, NET, PERSISTENCE, "points", "month")], "Months"), "A walk")
    assert [patch.get_height() for patch in drawn.axes[1].patches] == [1.0, -2.0]
    assert "above 0 the model is better (1 of 2)" in texts(drawn)
    spec = plotly.spec(rankings.ranking(["high", "minus"], np.array([0.9, -0.6]), "tau"))
    assert spec["data"][0]["x"] == [0.9, -0.6]
    assert spec["layout"]["yaxis"]["range"] == [1.5, -0.5]


def test_a_criterion_marks_the_number_in_use_and_knows_what_is_missing() -> None:
    table = pd.DataFrame({"n_clusters": [2, 3, 4], "silhouette": [0.4, 0.5, np.nan]})
    line, chosen = plotly.spec(rankings.criterion(table, "silhouette", "silhouette", 3))["data"]
    assert line["y"] == [0.4, 0.5, None]
    assert (list(chosen["x"]), chosen["y"]) == ([3], [0.5])


def test_attention_keeps_the_newest_on_top_and_pairs_name_the_better() -> None:
    lag = np.tile(np.arange(5), 900)
    rows = pd.DataFrame({"ds": np.repeat(np.arange(900), 5), "lag": lag, "weight": (lag == 0) * 1.0})
    spec = plotly.spec(heat_maps.attention_map(rows, "adaptive", "cycle", limit=60))
    (heat,) = spec["data"]
    assert np.shape(heat["z"]) == (5, 60)
    assert set(heat["z"][0]) == {1}
    assert set(np.ravel(heat["z"][1:])) == {0}
    assert spec["layout"]["yaxis"]["autorange"] == "reversed"
    p = pd.DataFrame([[np.nan, 0.0001], [0.0001, np.nan]], index=["a", "b"], columns=["a", "b"])
    (heat,) = plotly.spec(heat_maps.pairs(p, pd.DataFrame([[False, True], [False, False]])))["data"]
    assert heat["z"][0][1] == 4
    assert heat["z"][1][0] == -4
    assert heat["hovertext"][0][1] == "a against b: p = &lt; .001"


def test_a_comparison_draws_ours_beside_the_published_against_the_reference(figures: dict[str, Figure]) -> None:
    spec = plotly.spec(figures["comparison"].drawings[0])
    labels = spec["layout"]["yaxis"]["ticktext"]
    assert labels == ["Extra trees", HYBRID, "BiLSTM"]
    published = trace(spec, "published")
    assert dict(zip([labels[place] for place in published["y"]], published["x"], strict=True)) == {
        "BiLSTM": 0.0221,
        HYBRID: 0.0211,
    }
    assert any(value for value in trace(spec, "ours")["error_x"]["array"])
    assert spec["layout"]["shapes"][0]["x0"] == pytest.approx(
        compare([cell_metrics()])[0].error("mae_scaled"), rel=1e-5
    )


def everything(text: str) -> Figure:
    """One mark of every kind, and every place that holds text."""
    x = np.arange(2)
    marks = [
        Line(text, x, x, TRUTH, notes=[text] * 2),
        Band(text, x, x, x + 1, GREY),
        Bars(text, x, x, [GREY], legend=True),
    ]
    marks += [Dots(text, x, x, RED, notes=[text] * 2), Line("other", x, x, GREY)]
    heat = Heat(x, x, np.eye(2), title=text, words=[[text] * 2] * 2, notes=[[text] * 2] * 2)
    axes = (Axis(text, labels=[text, "b"]), Axis(text))
    return Figure("x", [Drawing(text, [Panel(marks, *axes, title=text), Panel([heat], *axes)])], text, text, text)


@pytest.mark.parametrize("text", [EVIL, "$\\frac{$"])
def test_text_is_literal_in_both_renderers(text: str, tmp_path: Path) -> None:
    figure = everything(text)
    spec = plotly.spec(figure.drawings[0])
    assert not any(word in str(spec) for word in ("<script", "<img", "\u202e", "\x1b"))
    assert ("&lt;script&gt;" in str(spec)) == ("<script>" in text)
    drawn = png.sheet(figure, text, text)
    png.save(drawn, tmp_path / "figure.png")  # a formula that is none would raise
    assert "$\\frac" in texts(drawn).replace("\\$", "$")
    wall = png.sheet(figure._replace(wall=True), text, text)
    png.save(wall, tmp_path / "figure.png")


def test_nothing_global_is_touched(figures: dict[str, Figure]) -> None:
    before = dict(mpl.rcParams)
    png.sheet(figures["series forecast"], "A walk", NOTE)
    assert dict(mpl.rcParams) == before


def test_what_does_not_fit_is_left_out_and_the_title_says_so() -> None:
    many = [losses.losses(epochs(3), str(k)) for k in range(40)]
    drawn = png.sheet(Figure("losses", many, "Losses", wall=True), "A walk: losses")
    assert len(drawn.axes) == png.SIDE_BY_SIDE
    assert f"the first {png.SIDE_BY_SIDE} of 40" in texts(drawn)
    drawn = png.sheet(Figure("losses", many, "Losses"), "A walk: losses")
    assert "losses, 0 (1 of 40)" in texts(drawn)


def test_a_model_that_diverged_can_still_be_drawn(tmp_path: Path) -> None:
    broken = CELLS.assign(y_hat=CELLS["y_hat"].where((CELLS["model"] == CLOCK) | (CELLS["ds"] < 30)))
    rows = broken[broken["model"] == HYBRID]
    for drawing in (
        small_forecast(broken[broken["unique_id"] == "c00"], HYBRID, CLOCK, "c00", "cycles", "cycle"),
        scatter(rows, HYBRID, "cycles"),
        alpha_lambda(rows, rows["y"] + rows["ds"], {}, HYBRID, CLOCK),
    ):
        plotly.spec(drawing)
        png.save(png.sheet(Figure("x", [drawing], "x"), "x"), tmp_path / "figure.png")


def test_models_keep_their_colours_and_the_reference_is_grey() -> None:
    alone, together = colours(["LSTM"]), colours(["new", "LSTM", "other", PERSISTENCE])
    assert alone["LSTM"] == together["LSTM"]
    assert together[PERSISTENCE] == colours([CLOCK])[CLOCK] == GREY
    assert len(set(together.values())) == 4


def test_long_lines_keep_their_extremes_and_numbers_their_digits() -> None:
    line = np.zeros(100_000)
    line[77_777], line[3] = 5.0, -2.0
    kept = extremes(line)
    assert kept.size < 3000
    assert {0, 3, 77_777, 99_999} <= set(kept.tolist())
    assert plotly.numbers([1234.56789, np.nan, np.inf, 2.0]) == [1234.57, None, None, 2]
    assert every(10).tolist() == list(range(10))


def test_an_axis_of_errors_is_logarithmic_only_where_it_must_be() -> None:
    assert not of_errors("MAE", [1.0, 7.0]).log
    assert of_errors("MAE", [1.0, 9.0]).log
    assert not of_errors("MAE", [0.0, 9.0]).log
    assert len(of_errors("MAE", [1e-6, 1e6]).ticks or ()) < 20
