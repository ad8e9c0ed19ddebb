"""The figures show what they should, say what leaks, and leave nothing global behind."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from evaluation.judge import judge
from evaluation.metrics import PERSISTENCE
from report.comparison import compare
from report.figures import (
    GREY,
    PANELS,
    RED,
    ZOOM,
    colours,
    comparison_figure,
    components_figure,
    error_by_month_figure,
    forecast_figure,
    losses_figure,
    moves_figure,
    save,
)
from report.table import Metrics
from tests.test_metrics import one_step, two_steps

MODEL = "CEEMDAN-CNN-LSTM-AM"
NOTE = "It USES THE FUTURE."
SERIES = 100 + np.cumsum(np.random.default_rng(0).standard_normal(201))
FORECASTS = one_step(SERIES, {MODEL: SERIES[1:] + 0.1})


def epochs(n: int, held_out: bool = True) -> list[dict[str, float]]:
    validation = {"val/loss": 0.5} if held_out else {}
    return [{"epoch": k, "train/loss": 1 / (k + 1), **validation} for k in range(n)]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(mpl.text.Text))


@pytest.mark.parametrize(("draw", "panels"), [(forecast_figure, 2), (error_by_month_figure, 2), (moves_figure, 1)])
def test_figures_of_forecasts_are_drawn_with_the_leak_in_red(draw, panels: int, tmp_path: Path) -> None:
    figure = draw(FORECASTS, MODEL, "points", "A walk", NOTE)
    save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure.png").stat().st_size > 20_000
    assert not (tmp_path / "figure.png.part").exists()
    assert len(figure.axes) == panels
    assert "A walk" in texts(figure)
    assert "points" in texts(figure)
    notes = [text for text in figure.findobj(mpl.text.Text) if text.get_text() == NOTE]
    assert [note.get_color() for note in notes] == [RED]
    assert NOTE not in texts(draw(FORECASTS, MODEL, "points", "A walk"))


def test_forecast_figure_draws_truth_model_and_persistence_and_enlarges_the_end() -> None:
    whole, zoom = forecast_figure(FORECASTS, MODEL, "points", "A walk").axes
    assert [line.get_label() for line in zoom.lines] == ["truth", PERSISTENCE, MODEL]
    assert [len(line.get_xdata()) for line in zoom.lines] == [ZOOM] * 3
    assert [len(line.get_xdata()) for line in whole.lines] == [200, 200]
    np.testing.assert_allclose(zoom.lines[2].get_ydata(), SERIES[-ZOOM:] + 0.1)


def test_titles_say_which_series_and_step_are_drawn() -> None:
    several = pd.concat([FORECASTS.assign(unique_id="b"), FORECASTS], ignore_index=True)
    assert "series b (1 of 2)" in texts(forecast_figure(several, MODEL, "points", "A walk"))
    assert "2 steps ahead" in texts(forecast_figure(two_steps(SERIES, 100.0), "constant", "points", "A walk"))


def test_errors_are_grouped_by_calendar_month_or_by_thirty_steps() -> None:
    above, below = error_by_month_figure(FORECASTS, MODEL, "points", "A walk").axes
    months = FORECASTS["ds"].dt.to_period("M").nunique()
    assert [len(line.get_xdata()) for line in above.lines] == [months, months]
    assert len(below.patches) == months
    np.testing.assert_allclose(above.lines[1].get_ydata(), 0.1)
    above, below = error_by_month_figure(two_steps(SERIES, 100.0), "constant", "points", "A walk").axes
    assert list(above.lines[0].get_xdata()) == [0, 30, 60, 90, 120, 150, 180]


def test_a_model_that_diverged_can_still_be_drawn(tmp_path: Path) -> None:
    broken = one_step(SERIES, {MODEL: np.where(np.arange(200) > 50, np.nan, SERIES[1:])})
    for draw in (forecast_figure, error_by_month_figure, moves_figure):
        save(draw(broken, MODEL, "points", "A walk"), tmp_path / "figure.png")


@pytest.mark.parametrize("draw", [forecast_figure, error_by_month_figure, moves_figure])
def test_a_run_of_persistence_itself_can_be_drawn(draw, tmp_path: Path) -> None:
    save(draw(FORECASTS, PERSISTENCE, "points", "A walk"), tmp_path / "figure.png")


def test_components_are_stacked_below_their_sum() -> None:
    dates = pd.Series(pd.bdate_range("2024-01-01", periods=201))
    components = np.stack([SERIES * 0.1, SERIES * 0.2, SERIES * 0.7])
    figure = components_figure(
        dates,
        components,
        "A walk",
        "points",
        names=["fast", "middle", "slow"],
        test_start=dates[150],
        leak_note=NOTE,
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["sum", "fast", "middle", "slow"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), SERIES)
    np.testing.assert_array_equal(figure.axes[3].lines[0].get_ydata(), components[2])
    assert all(len(axes.lines) == 2 for axes in figure.axes)  # the values, the start of the test
    assert NOTE in texts(figure)


def test_an_empty_component_is_called_so() -> None:
    components = np.stack([np.zeros(201), SERIES])
    figure = components_figure(pd.Series(np.arange(201)), components, "A walk", "points")
    assert [axes.get_ylabel() for axes in figure.axes] == ["sum", "component 1\n(empty)", "component 2"]


def test_losses_have_a_panel_a_network_and_mark_the_best_epoch() -> None:
    history = {"one": epochs(5), "two": epochs(4, held_out=False)}
    drawn = [axes for axes in losses_figure(history, "A walk").axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in drawn] == ["one", "two"]
    assert [line.get_label() for line in drawn[0].lines] == ["training", "validation", "best, epoch 0"]
    assert [line.get_label() for line in drawn[1].lines] == ["training"]


def test_losses_of_many_refits_are_cut_short_and_the_title_says_so() -> None:
    figure = losses_figure({str(k): epochs(3) for k in range(40)}, "A walk")
    assert len(figure.axes) == PANELS
    assert f"the first {PANELS} of 40 networks" in texts(figure)


def test_comparison_draws_published_and_leaking_numbers_apart() -> None:
    judgement = judge(FORECASTS, {"s": 1.0}, {MODEL})
    run = Metrics("csi300_paper", "csi300", "CSI 300", "points", 0, MODEL, judgement.scores, judgement.notes)
    figure = comparison_figure(compare([run, run]))
    (axes,) = figure.axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[1:] == ["published", "ours, uses the future"]
    assert legend[0].startswith(PERSISTENCE)
    assert next(label.get_text() for label in axes.get_yticklabels()) == MODEL
    assert "USES THE FUTURE" in texts(figure)


def test_models_keep_their_colours_and_persistence_is_grey() -> None:
    alone, together = colours([MODEL]), colours(["new", "LSTM", MODEL, "other", PERSISTENCE])
    assert alone[MODEL] == together[MODEL]
    assert together[PERSISTENCE] == GREY
    assert len({to_hex(colour) for colour in together.values()}) == 5


def test_nothing_global_is_touched() -> None:
    before = dict(mpl.rcParams)
    forecast_figure(FORECASTS, MODEL, "points", "A walk", NOTE)
    assert dict(mpl.rcParams) == before
