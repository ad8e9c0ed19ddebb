"""The numbers of a table, against numbers worked out by hand and known from elsewhere."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from evaluation.judge import judge
from evaluation.metrics import PERSISTENCE, ForecastsError, naive_scale, remarks, scores, scores_by_step
from report.table import (
    Metrics,
    MetricsError,
    print_table,
    read_metrics,
    to_csv,
    to_markdown,
    write_metrics,
)
from tests.conftest import data_file

SERIES = np.array([100.0, 102.0, 101.0, 105.0, 105.0])
GUESSES = np.array([101.0, 103.0, 104.0, 104.0])  # errors 1, 2, 1, 1; persistence 2, 1, 4, 0


def one_step(series: np.ndarray, guesses: Mapping[str, np.ndarray], name: str = "s") -> pd.DataFrame:
    """Forecasts of every value but the first, by persistence and by others."""
    dates = pd.bdate_range("2024-01-01", periods=series.size)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": dates[1:],
                "origin": dates[:-1],
                "step": 1,
                "model": model,
                "y": series[1:],
                "y_hat": guess,
            }
        )
        for model, guess in {PERSISTENCE: series[:-1], **guesses}.items()
    ]
    return pd.concat(parts, ignore_index=True)


def two_steps(series: np.ndarray, guess: float) -> pd.DataFrame:
    """Forecasts of the next two values from every origin, by persistence and a constant."""
    rows = [
        ("s", origin + step, origin, step, model, series[origin + step], y_hat)
        for model in (PERSISTENCE, "constant")
        for origin in range(series.size - 2)
        for step in (1, 2)
        for y_hat in [series[origin] if model == PERSISTENCE else guess]
    ]
    return pd.DataFrame(rows, columns=["unique_id", "ds", "origin", "step", "model", "y", "y_hat"])


def score(table: pd.DataFrame, model: str) -> pd.Series:
    return table.set_index("model").loc[model]


def test_errors_are_those_worked_out_by_hand() -> None:
    table = scores(one_step(SERIES, {"m": GUESSES}), {"s": 2.0})
    naive, ours = score(table, PERSISTENCE), score(table, "m")
    assert naive["mae"] == pytest.approx(7 / 4)
    assert naive["rmse"] == pytest.approx(np.sqrt(21 / 4))
    assert naive["mape"] == pytest.approx(100 * (2 / 102 + 1 / 101 + 4 / 105) / 4)
    assert naive["r2"] == pytest.approx(1 - 21 / 12.75)
    assert ours["mae"] == pytest.approx(5 / 4)
    assert ours["rmse"] == pytest.approx(np.sqrt(7 / 4))
    assert ours["mase"] == pytest.approx(5 / 8)
    assert ours["r2"] == pytest.approx(1 - 7 / 12.75)
    assert ours["n"] == 4


def test_skill_is_measured_against_persistence_and_is_zero_for_it() -> None:
    table = scores(one_step(SERIES, {"m": GUESSES}), {"s": 1.0})
    assert score(table, "m")["skill"] == pytest.approx(1 - 5 / 7)
    assert score(table, PERSISTENCE)["skill"] == 0


def test_direction_counts_signs_of_moves_and_leaves_out_where_nothing_moves() -> None:
    ours = score(scores(one_step(SERIES, {"m": GUESSES}), {"s": 1.0}), "m")
    assert ours["direction_n"] == 3  # the fourth value does not move
    assert ours["direction"] == pytest.approx(2 / 3)
    assert (ours["direction_low"], ours["direction_high"]) == pytest.approx((0.0943, 0.9916), abs=5e-5)


def test_persistence_forecasts_no_direction() -> None:
    naive = score(scores(one_step(SERIES, {}), {"s": 1.0}), PERSISTENCE)
    assert np.isnan(naive["direction"])
    assert np.isnan(naive["direction_low"])
    assert naive["direction_n"] == 0


def test_interval_of_half_of_a_hundred_is_the_known_one() -> None:
    series = np.arange(101.0)  # rises by 1 each step
    guess = series[:-1] + np.tile([1.0, -1.0], 50)  # half of the signs are right
    ours = score(scores(one_step(series, {"m": guess}), {"s": 1.0}), "m")
    assert (ours["direction_low"], ours["direction_high"]) == pytest.approx((0.3983, 0.6017), abs=5e-5)


def test_steps_are_scored_apart_and_direction_counts_from_the_origin() -> None:
    table = scores_by_step(two_steps(np.array([1.0, 2.0, 0.0, 3.0]), 5.0), {"s": 1.0})
    constant = table[table["model"] == "constant"].set_index("step")
    assert list(constant["mae"]) == pytest.approx([(3 + 5) / 2, (5 + 2) / 2])
    assert list(constant["direction"]) == pytest.approx([1 / 2, 1 / 2])
    assert list(constant["n"]) == [2, 2]


def test_r2_of_several_series_is_against_each_ones_own_mean() -> None:
    low, high = np.array([1.0, 2.0, 1.0, 2.0]), np.array([1001.0, 1002.0, 1001.0, 1002.0])
    both = pd.concat([one_step(low, {}, "low"), one_step(high, {}, "high")], ignore_index=True)
    alone = score(scores(one_step(low, {}, "low"), {"low": 1.0}), PERSISTENCE)["r2"]
    assert score(scores(both, {"low": 1.0, "high": 1.0}), PERSISTENCE)["r2"] == pytest.approx(alone)


def test_mase_scales_each_series_by_its_own_changes() -> None:
    both = pd.concat([one_step(SERIES, {}, "a"), one_step(10 * SERIES, {}, "b")], ignore_index=True)
    table = scores(both, {"a": 1.75, "b": 17.5})
    assert score(table, PERSISTENCE)["mase"] == pytest.approx(1)


def test_naive_scale_is_the_mean_absolute_change_and_crosses_no_series() -> None:
    train = pd.DataFrame({"unique_id": list("aaabb"), "y": [1.0, 3.0, 2.0, 100.0, 104.0]})
    assert naive_scale(train) == {"a": 1.5, "b": 4.0}


def test_mape_does_not_exist_where_a_truth_is_zero() -> None:
    forecasts = one_step(np.array([1.0, 0.0, 2.0]), {})
    assert np.isnan(score(scores(forecasts, {"s": 1.0}), PERSISTENCE)["mape"])
    assert "MAPE is undefined: the truth is 0 in 1 rows." in remarks(forecasts)


def test_a_model_that_diverged_is_not_scored_and_hides_no_other() -> None:
    forecasts = one_step(SERIES, {"broken": np.array([1.0, np.inf, np.nan, 1.0]), "m": GUESSES})
    table = scores(forecasts, {"s": 1.0})
    assert score(table, "broken")[["mae", "r2", "skill", "direction"]].isna().all()
    assert score(table, "m")["mae"] == pytest.approx(1.25)
    assert "broken is not scored: 2 of its forecasts are not finite" in remarks(forecasts)[0]


def test_overlapping_horizons_are_remarked_upon() -> None:
    assert "overlapping" in remarks(two_steps(SERIES, 1.0))[0]
    assert remarks(one_step(SERIES, {})) == []


def without_persistence(forecasts: pd.DataFrame) -> pd.DataFrame:
    return forecasts[forecasts["model"] != PERSISTENCE]


def with_unknown_truth(forecasts: pd.DataFrame) -> pd.DataFrame:
    return forecasts.assign(y=[np.nan, *forecasts["y"][1:]])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_persistence, r"Persistence is not among the forecasts \(m\)"),
        (lambda table: table.drop(index=0), "Persistence has no finite forecast for s at 2024-01-02"),
        (lambda table: pd.concat([table, table.tail(1)]), "s at 2024-01-05 is forecast twice by m"),
        (lambda table: table.drop(columns="origin"), "lack the column origin"),
        (lambda table: table.iloc[:0], "no forecasts"),
        (with_unknown_truth, "truth of s at 2024-01-02 is not known"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused_with_the_reason(spoil, message: str) -> None:
    with pytest.raises(ForecastsError, match=message):
        scores(spoil(one_step(SERIES, {"m": GUESSES})), {"s": 1.0})


@pytest.mark.parametrize("scale", [{}, {"s": 0.0}, {"s": np.nan}])
def test_a_series_without_a_scale_is_named(scale: dict[str, float]) -> None:
    with pytest.raises(ForecastsError, match="every series; s has none"):
        scores(one_step(SERIES, {}), scale)


@pytest.mark.parametrize(
    ("code", "mae", "rmse", "mape", "r2"),
    [("csi300", "35.76", "48.03", "0.823", "0.9940"), ("csi500", "52.78", "70.43", "0.862", "0.9854")],
)
def test_persistence_on_the_papers_test_days(code: str, mae: str, rmse: str, mape: str, r2: str) -> None:
    file = pd.read_csv(data_file(f"index/{code}_close.csv"), parse_dates=["date"])
    closes = file.loc[file["date"] <= "2024-07-01", "close"].to_numpy()
    naive = score(scores(one_step(closes[-948:], {}), {"s": 1.0}), PERSISTENCE)
    assert naive["n"] == 947
    shown = (f"{naive['mae']:.2f}", f"{naive['rmse']:.2f}", f"{naive['mape']:.3f}", f"{naive['r2']:.4f}")
    assert shown == (mae, rmse, mape, r2)


@pytest.fixture
def metrics() -> Metrics:
    rng = np.random.default_rng(0)
    series = 100 + np.cumsum(rng.standard_normal(200))
    guesses = {"CEEMDAN-CNN-LSTM-AM": series[1:] + 0.01, "honest": series[:-1] + 0.5, "broken": np.full(199, np.nan)}
    forecasts = one_step(series, guesses)
    judgement = judge(forecasts, {"s": 1.0}, ["CEEMDAN-CNN-LSTM-AM"])
    return Metrics(
        "walk_paper",
        "walk",
        "A walk",
        "points",
        7,
        "CEEMDAN-CNN-LSTM-AM",
        judgement.scores,
        judgement.notes,
        {"val/loss": np.nan},
        scores_by_step(forecasts, {"s": 1.0}),
    )


def printed(metrics: Metrics, width: int) -> str:
    console = Console(width=width, record=True, force_terminal=True, color_system="standard", quiet=False)
    with console.capture() as capture:
        print_table(console, metrics)
    return capture.get()


def test_metrics_survive_the_file_with_numbers_that_do_not_exist(metrics: Metrics, tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", metrics)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    back = read_metrics(tmp_path / "metrics.json")
    assert "NaN" not in text
    assert '"mae": null' in text
    pd.testing.assert_frame_equal(back.scores, metrics.scores, check_dtype=False)
    assert metrics.steps is not None
    assert back.steps is not None
    pd.testing.assert_frame_equal(back.steps, metrics.steps, check_dtype=False)
    assert np.isnan(back.validation["val/loss"])
    assert (back.title, back.unit, back.seed, back.notes) == (metrics.title, metrics.unit, metrics.seed, metrics.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not the result of a run"),
        ("{}", "lacks experiment, dataset"),
        ('{"scores": [{"model": "m"}], %s}', "lacks the scores verdict"),
        ('{"scores": [], %s}', "holds no scores"),
        ('{"scores": 3, %s}', "holds no scores"),
    ],
)
def test_a_file_that_is_no_result_is_refused_with_the_reason(content: str, message: str, tmp_path: Path) -> None:
    rest = '"experiment":"e","dataset":"d","title":"t","unit":"u","seed":0,"model":"m","notes":[]'
    rest += ',"validation":{}'
    path = tmp_path / "metrics.json"
    path.write_text(content.replace("%s", rest), encoding="utf-8")
    with pytest.raises(MetricsError, match=message) as caught:
        read_metrics(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match=r"metrics\.json cannot be read"):
        read_metrics(tmp_path / "metrics.json")


@pytest.mark.parametrize("width", [80, 140])
def test_the_printed_table_shows_persistence_verdicts_and_the_leak(metrics: Metrics, width: int) -> None:
    text = printed(metrics, width)
    assert "\x1b[36mPersistence" in text  # set apart in colour
    assert "\x1b[31mCEEMDAN-CNN-LSTM-AM" in text  # and so is what uses the future
    assert "to beat" in text
    assert "worse" in text
    assert "not tested" in text
    assert "USES THE FUTURE" in text
    assert "not scored" in text
    assert "…" not in text  # nothing is cut off


def test_the_best_is_bold_among_those_that_do_not_use_the_future(metrics: Metrics) -> None:
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in to_markdown(metrics).splitlines()}
    assert "**" in lines[PERSISTENCE]
    assert "**" not in lines["CEEMDAN-CNN-LSTM-AM"]
    assert "uses the future" in lines["CEEMDAN-CNN-LSTM-AM"]
    assert next(name for name in lines if name in set(metrics.scores["model"])) == PERSISTENCE


def test_csv_is_unrounded_and_says_what_leaks(metrics: Metrics, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(to_csv(metrics), encoding="utf-8")
    table = pd.read_csv(path)
    np.testing.assert_array_equal(table["mae"], metrics.scores["mae"])
    assert list(table["leaks"]) == list(metrics.scores["leaks"])
    assert set(table["seed"]) == {7}
