"""The figures of remaining life show what they should and say what leaks."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from evaluation.life_metrics import CLOCK, STAGES, alpha_lambda, stage_scores
from report.figures import GREY, RED, TRUTH, save
from report.life_comparison import compare
from report.life_figures import (
    CELLS,
    FACTORS,
    LAMBDAS,
    alpha_lambda_figure,
    attention_figure,
    comparison_figure,
    factors_figure,
    rul_curves_figure,
    scatter_figure,
    stage_error_figure,
)
from tests.test_life_comparison import a_run
from tests.test_life_metrics import lived, several

NOTE = "It USES THE FUTURE."
LIVES, FORECASTS = several(5)
OF_FORECASTS = [rul_curves_figure, alpha_lambda_figure, scatter_figure]


def texts(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(mpl.text.Text))


def lines_of(axes, label: str):
    return [line for line in axes.lines if line.get_label() == label]


@pytest.mark.parametrize("draw", OF_FORECASTS)
def test_figures_of_forecasts_carry_the_leak_in_red(draw) -> None:
    figure = draw(FORECASTS, LIVES, "net", "Cells", NOTE)
    notes = [text for text in figure.findobj(mpl.text.Text) if text.get_text() == NOTE]
    assert [note.get_color() for note in notes] == [RED]
    assert "Cells" in texts(figure)
    assert NOTE not in texts(draw(FORECASTS, LIVES, "net", "Cells"))


def test_every_cell_has_a_panel_with_truth_clock_forecast_and_both_intervals(tmp_path: Path) -> None:
    own = FORECASTS["model"] == "net"
    bounds = {
        f"{side}_{level}": np.where(own, FORECASTS["y_hat"] + sign * reach, np.nan)
        for level, reach in ((80, 5), (95, 9))
        for side, sign in (("lo", -1), ("hi", 1))
    }
    figure = rul_curves_figure(FORECASTS.assign(**bounds), LIVES, "net", "Cells")
    save(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    drawn = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left").split(":")[0] for axes in drawn] == list(LIVES)
    first = drawn[0]
    (truth,) = lines_of(first, "truth")
    (clock,) = lines_of(first, CLOCK)
    (ours,) = lines_of(first, "net")
    assert (truth.get_color(), clock.get_color()) == (TRUTH, GREY)
    np.testing.assert_allclose(truth.get_ydata(), 59.0 - np.arange(60))
    np.testing.assert_allclose(truth.get_xdata(), 1.0 + np.arange(60))  # the age [cycles]
    rows = FORECASTS[own & (FORECASTS["unique_id"] == "c00")]
    np.testing.assert_allclose(ours.get_ydata(), rows["y_hat"])
    assert [band.get_label() for band in first.collections] == ["95 % interval", "80 % interval"]
    assert not rul_curves_figure(FORECASTS, LIVES, "net", "Cells").axes[0].collections


def test_more_cells_than_fit_are_said_to_be_left_out() -> None:
    lives, table = several(CELLS + 2)
    figure = rul_curves_figure(table, lives, "net", "Cells")
    assert f"(the first {CELLS} of {CELLS + 2} cells)" in texts(figure)
    assert len([axes for axes in figure.axes if axes.axison]) == CELLS


def test_alpha_lambda_draws_a_line_a_cell_and_the_share_in_the_cone() -> None:
    above, below = alpha_lambda_figure(FORECASTS, LIVES, "net", "Cells").axes
    assert len(above.lines) == len(LIVES) + 1  # and the truth
    np.testing.assert_allclose(above.lines[0].get_xdata()[-1], 1)
    (ours,) = lines_of(below, "net")
    shares = alpha_lambda(FORECASTS, LIVES, LAMBDAS)
    np.testing.assert_allclose(ours.get_ydata(), 100 * shares.loc[shares["model"] == "net", "share"])
    (clock,) = lines_of(below, CLOCK)
    assert clock.get_color() == GREY


def test_scatter_draws_the_forecasts_of_one_model_only() -> None:
    (axes,) = scatter_figure(FORECASTS, LIVES, "net", "Cells").axes
    own = FORECASTS[FORECASTS["model"] == "net"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), own["y"])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), own["y_hat"])


def test_a_model_that_diverged_can_still_be_drawn(tmp_path: Path) -> None:
    broken = FORECASTS.assign(y_hat=FORECASTS["y_hat"].where((FORECASTS["model"] == CLOCK) | (FORECASTS["ds"] < 30)))
    for draw in OF_FORECASTS:
        save(draw(broken, LIVES, "net", "Cells"), tmp_path / "figure.png")
    stage_error_figure(stage_scores(broken, LIVES), "net", "Cells")


def test_errors_by_stage_have_a_line_a_model_and_mark_the_leak() -> None:
    stages = stage_scores(FORECASTS, LIVES)
    (axes,) = stage_error_figure(stages, "net", "Cells", ["net"], NOTE).axes
    (ours,) = lines_of(axes, "net, uses the future")
    assert ours.get_markeredgecolor() == RED
    np.testing.assert_allclose(ours.get_ydata(), stages.loc[stages["model"] == "net", "mae"])
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{stage} third of life" for stage in STAGES]
    assert axes.get_yscale() == "linear"
    far = lived(LIVES, {"net": dict.fromkeys(LIVES, 90.0), CLOCK: dict.fromkeys(LIVES, 1.0)})
    assert stage_error_figure(stage_scores(far, LIVES), "net", "Cells").axes[0].get_yscale() == "log"


def test_factors_are_ranked_by_the_size_of_their_tau() -> None:
    factors = pd.DataFrame({"factor": ["low", "minus", "high"], "kendall_tau": [0.1, -0.6, 0.9]})
    (axes,) = factors_figure(factors, "Factors").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["high", "minus", "low"]
    assert [patch.get_width() for patch in axes.patches] == [0.9, -0.6, 0.1]
    two = factors_figure(factors.assign(importance=[0.2, 0.5, 0.3]), "Factors").axes
    assert [axes.get_xlabel() for axes in two] == ["Kendall's tau with the remaining life", "importance"]
    many = pd.DataFrame({"factor": [f"f{k}" for k in range(40)], "kendall_tau": np.linspace(0, 1, 40)})
    figure = factors_figure(many, "Factors")
    assert f"(the first {FACTORS} of 40)" in texts(figure)
    assert len(figure.axes[0].patches) == FACTORS


def attended(n_cycles: int, cells: tuple[str, ...] = ("a",)) -> pd.DataFrame:
    """Attention that looks at the newest cycle alone."""
    lag = np.tile(np.arange(5), n_cycles)
    rows = pd.DataFrame({"ds": np.repeat(np.arange(n_cycles) + 15, 5), "lag": lag, "weight": (lag == 0) * 1.0})
    names = ("adaptive", "hierarchical")
    return pd.concat([rows.assign(name=name, unique_id=cell) for cell in cells for name in names])


@pytest.mark.parametrize("n_cycles", [1, 30, 1200])
def test_attention_is_a_map_of_cycles_and_lags_with_the_newest_on_top(n_cycles: int, tmp_path: Path) -> None:
    figure = attention_figure(attended(n_cycles, ("a", "b")), "Cells")
    save(figure, tmp_path / "figure.png")
    maps = [axes for axes in figure.axes if axes.get_ylabel() == "cycles before"]
    assert [axes.get_title(loc="left").split(" ")[0] for axes in maps] == ["adaptive", "hierarchical"]
    weights = np.asarray(maps[0].collections[0].get_array()).reshape(5, -1)
    np.testing.assert_array_equal(weights[0], 1)
    np.testing.assert_array_equal(weights[1:], 0)
    assert maps[0].yaxis_inverted()
    assert "cell a (1 of 2)" in texts(figure)


def test_a_comparison_draws_ours_beside_the_published_against_the_clock(tmp_path: Path) -> None:
    comparisons = compare([a_run(), a_run(leaks=True, dataset="calce"), a_run(dataset="synthetic")])
    figure = comparison_figure(comparisons)
    save(figure, tmp_path / "figure.png")
    calce, hnei, other = figure.axes
    assert [label.get_text() for label in hnei.get_yticklabels()] == ["BiLSTM", "BiLSTM-Hybrid", "Extra trees"]
    (published,) = lines_of(hnei, "published")
    np.testing.assert_allclose(published.get_xdata(), [0.0221, 0.0211, np.nan])
    assert not lines_of(other, "published")
    assert "ours, uses the future" in texts(figure)
    assert "USES THE FUTURE" in texts(figure)
    clock = comparisons[0].rows.set_index("model").loc[CLOCK, "mae_scaled"]
    np.testing.assert_allclose(calce.lines[0].get_xdata(), clock)
