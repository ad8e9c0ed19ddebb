"""Intervals: what every kind promises, and what each does."""

import json
import math
import subprocess
import sys
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from evaluation.intervals.adaptive import Adaptive
from evaluation.intervals.bounds import rounded
from evaluation.intervals.by_cell import ByCell
from evaluation.intervals.none import NoIntervals
from evaluation.intervals.offsets import extend
from evaluation.intervals.scores import interval_scores
from evaluation.intervals.split import SplitConformal
from evaluation.rows import ForecastsError
from tests.conftest import ROOT, choices

CONFORMAL = [name for name in choices("intervals") if name != "own"]  # what a model learns itself needs a model
IN_TIME = [name for name in CONFORMAL if name != "by_cell"]


def built(name: str) -> Any:
    return instantiate(OmegaConf.load(ROOT / "conf" / "intervals" / f"{name}.yaml"), _convert_="all")


def in_time(
    errors: np.ndarray, n_calibration: int, horizon: int = 1, model: str = "m", name: str = "s"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return forecasts and calibration rows whose errors are ``(origin, step)`` or ``(origin,)``."""
    errors = errors.reshape(len(errors), -1)
    days = pd.bdate_range("2020-01-01", periods=len(errors) + horizon)
    rows = [
        {
            "unique_id": name,
            "ds": days[origin + step],
            "origin": days[origin],
            "step": step,
            "model": model,
            "y": 100.0 + errors[origin, step - 1],
            "y_hat": 100.0,
        }
        for origin in range(len(errors))
        for step in range(1, horizon + 1)
    ]
    table = pd.DataFrame(rows)
    first = days[n_calibration]
    return table[table["origin"] >= first].reset_index(drop=True), table[table["ds"] <= first].reset_index(drop=True)


def of_cells(n_cells: int, seed: int = 0, n: int = 120) -> pd.DataFrame:
    """Return forecasts of cells that err each in its own way."""
    rng = np.random.default_rng(seed)
    parts = []
    for cell in range(n_cells):
        cycles, y = np.arange(n), np.arange(n, 0, -1.0)
        y_hat = y + rng.normal(0, 5) + (1 + y / 40) * rng.standard_normal(n)
        parts.append(
            pd.DataFrame(
                {
                    "unique_id": f"c{cell}",
                    "ds": cycles,
                    "origin": cycles,
                    "step": 0,
                    "model": "m",
                    "y": y,
                    "y_hat": y_hat,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def tables_for(name: str, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    if name != "by_cell":
        return in_time(np.random.default_rng(seed).standard_normal(200), 80)
    rows = of_cells(21, seed, n=40)  # 19 cells support 95 %
    return rows[rows["unique_id"] == "c0"].reset_index(drop=True), rows[rows["unique_id"] != "c0"]


def widths(table: pd.DataFrame, level: int = 95) -> np.ndarray:
    return (table[f"hi_{level}"] - table[f"lo_{level}"]).to_numpy()


@pytest.fixture(params=CONFORMAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- what every kind promises


def test_forecasts_keep_their_rows_and_gain_bounds_that_nest(name: str) -> None:
    forecasts, calibration = tables_for(name)
    shuffled = forecasts.sample(frac=1, random_state=0)
    result = built(name).apply(shuffled, calibration)
    pd.testing.assert_frame_equal(result[forecasts.columns], shuffled)
    assert result.columns[-4:].tolist() == ["lo_80", "hi_80", "lo_95", "hi_95"]
    if name == "none":
        assert result[["lo_80", "hi_80", "lo_95", "hi_95"]].isna().all(axis=None)
        return
    assert (result["lo_80"] <= result["hi_80"]).all()
    pd.testing.assert_frame_equal(result.sort_index(), built(name).apply(forecasts, calibration))


def test_arguments_are_left_as_they_were(name: str) -> None:
    forecasts, calibration = tables_for(name)
    before = forecasts.copy(), calibration.copy()
    built(name).apply(forecasts, calibration)
    built(name).latest(forecasts, calibration)
    pd.testing.assert_frame_equal(forecasts, before[0])
    pd.testing.assert_frame_equal(calibration, before[1])


@pytest.mark.parametrize("empty", ["no rows", "no columns"])
def test_without_calibration_nothing_breaks(name: str, empty: str) -> None:
    forecasts, calibration = tables_for(name)
    calibration = calibration.iloc[:0] if empty == "no rows" else pd.DataFrame()
    result = built(name).apply(forecasts, calibration)
    assert len(result) == len(forecasts)
    assert result["lo_95"].iloc[0] != result["lo_95"].iloc[0]  # NaN: nothing is known yet
    json.dumps(built(name).latest(forecasts, calibration), allow_nan=False)


def test_a_forecast_that_is_not_finite_has_no_interval_and_spoils_no_other(name: str) -> None:
    forecasts, calibration = tables_for(name)
    broken = forecasts.assign(y_hat=forecasts["y_hat"].where(forecasts.index != 5))
    result = built(name).apply(broken, calibration)
    assert result.loc[5, ["lo_80", "hi_80", "lo_95", "hi_95"]].isna().all()
    if name != "none":
        assert result.drop(index=5)["lo_95"].notna().all()


def test_what_is_latest_fits_into_json_and_around_new_forecasts(name: str) -> None:
    forecasts, calibration = tables_for(name)
    offsets = json.loads(json.dumps(built(name).latest(forecasts, calibration), allow_nan=False))
    new = pd.DataFrame({"unique_id": "another", "step": forecasts["step"].iloc[0], "model": "m", "y_hat": [50.0, 90.0]})
    result = extend(new, offsets)
    if name == "none":
        assert "lo_80" not in result
        return
    assert (result["lo_95"] <= result["lo_80"]).all()
    assert (result["lo_80"] < result["hi_80"]).all()
    assert (result["hi_80"] <= result["hi_95"]).all()


def test_models_do_not_see_each_other(name: str) -> None:
    forecasts, calibration = tables_for(name)
    wild, wild_calibration = (
        table.assign(model="wild", y_hat=table["y"] + 9 * (table["y_hat"] - table["y"]))
        for table in tables_for(name, seed=1)
    )
    both = built(name).apply(
        pd.concat([wild, forecasts], ignore_index=True), pd.concat([calibration, wild_calibration], ignore_index=True)
    )
    alone = built(name).apply(forecasts, calibration)
    pd.testing.assert_frame_equal(both[both["model"] == "m"].reset_index(drop=True), alone)


@pytest.mark.parametrize("name", CONFORMAL)
def test_folds_do_not_see_each_other_and_the_last_goes_on(name: str) -> None:
    first, second = tables_for(name, seed=2), tables_for(name, seed=3)
    forecasts, calibration = (
        pd.concat([a.assign(fold="1"), b.assign(fold="2")], ignore_index=True)
        for a, b in zip(first, second, strict=True)
    )
    both = built(name).apply(forecasts, calibration)
    alone = built(name).apply(*second)
    pd.testing.assert_frame_equal(
        both[both["fold"] == "2"].drop(columns="fold").reset_index(drop=True), alone.reset_index(drop=True)
    )
    assert built(name).latest(forecasts, calibration) == built(name).latest(*second)
    if name != "none":
        with pytest.raises(ForecastsError, match="column 'fold'"):
            built(name).apply(forecasts.drop(columns="fold"), calibration.drop(columns="fold"))


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("name", IN_TIME)
def test_no_interval_moves_when_truths_after_its_origin_change(name: str, horizon: int) -> None:
    rng = np.random.default_rng(0)
    forecasts, calibration = in_time(rng.standard_normal((160, horizon)), 60, horizon)
    before = built(name).apply(forecasts, calibration)
    for origin in forecasts["origin"].unique()[[0, 1, 40, -1]]:
        later = forecasts["ds"] > origin
        lies = forecasts.assign(y=np.where(later, rng.normal(0, 1e6, len(forecasts)), forecasts["y"]))
        after = built(name).apply(lies, calibration)
        known = before["origin"] <= origin
        bounds = ["lo_80", "hi_80", "lo_95", "hi_95"]
        pd.testing.assert_frame_equal(after.loc[known, bounds], before.loc[known, bounds], check_exact=True)


def test_of_cells_no_interval_depends_on_a_truth_of_the_test_cells() -> None:
    forecasts, calibration = tables_for("by_cell")
    lies = forecasts.assign(y=0.0)
    bounds = ["lo_80", "hi_80", "lo_95", "hi_95"]
    before, after = (built("by_cell").apply(table, calibration) for table in (forecasts, lies))
    pd.testing.assert_frame_equal(before[bounds], after[bounds], check_exact=True)


# --- SplitConformal


def test_split_is_the_conformal_quantile_of_the_calibration_errors() -> None:
    forecasts, calibration = in_time(np.random.default_rng(0).permutation(np.arange(1.0, 51)), 39)
    result = SplitConformal([80, 95]).apply(forecasts, calibration)
    errors = np.sort((calibration["y"] - 100).abs())
    assert len(errors) == 39
    np.testing.assert_allclose(widths(result, 80) / 2, errors[32 - 1])  # ceil(40 * .8) = 32
    np.testing.assert_allclose(widths(result, 95) / 2, errors[38 - 1])


@pytest.mark.parametrize(("n", "known"), [(18, False), (19, True)])
def test_split_promises_nothing_it_has_too_few_errors_for(n: int, known: bool) -> None:
    forecasts, calibration = in_time(np.random.default_rng(0).standard_normal(40), n)
    assert len(calibration) == n
    result = SplitConformal([80, 95]).apply(forecasts, calibration)
    assert result["lo_80"].notna().all()
    assert result["lo_95"].notna().all() == known


def test_split_covers_exchangeable_errors_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(150):
        forecasts, calibration = in_time(rng.standard_cauchy(99), 39)
        scores = interval_scores(SplitConformal([80, 95]).apply(forecasts, calibration)).set_index("level")
        shares.append(scores["coverage"])
    covered = pd.concat(shares, axis=1).mean(axis=1)
    assert covered[80] == pytest.approx(0.8, abs=0.02)
    assert covered[95] == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("name", ["split", "adaptive"])
def test_calibration_truths_of_the_future_are_refused(name: str) -> None:
    forecasts, calibration = tables_for(name)
    with pytest.raises(ForecastsError, match="not known at the first test origin"):
        built(name).apply(forecasts, calibration.assign(ds=calibration["ds"] + pd.Timedelta(days=900)))


# --- Adaptive


class Reference:
    """The definition of ``Adaptive`` in plain Python, one stream and one row after another."""

    def __init__(self, levels: list[int], window: int, gamma: float, halflife: float) -> None:
        self.target = [1 - level / 100 for level in levels]
        self.fewest = [math.ceil(100 / (100 - level) - 1e-9) - 1 for level in levels]
        self.alpha = list(self.target)
        self.window, self.gamma, self.keep = window, gamma, 0.5 ** (1 / halflife)
        self.total = self.weight = 0.0
        self.count = 0
        self.came: list[float] = []
        self.sorted: list[float] = []

    def size(self) -> float:
        return math.sqrt(self.total / self.weight) if self.count >= 10 else math.nan

    def reaches(self) -> list[float]:
        found, n = [], len(self.sorted)
        for alpha, fewest in zip(self.alpha, self.fewest, strict=True):
            place = min(max(math.ceil((n + 1) * (1 - alpha) - 1e-9), 1), n) - 1
            found.append(self.size() * self.sorted[place] if n >= fewest else math.nan)
        return found

    def learn(self, error: float, size: float, given: list[float]) -> None:
        if not math.isfinite(error):
            return
        for k, reach in enumerate(given):
            if math.isfinite(reach):
                self.alpha[k] += self.gamma * (self.target[k] - (abs(error) > reach))
        if size > 0:
            self.came.append(abs(error) / size)
            insort(self.sorted, abs(error) / size)
            if len(self.came) > self.window:
                del self.sorted[bisect_left(self.sorted, self.came.pop(0))]
        self.total = self.keep * self.total + error * error
        self.weight = self.keep * self.weight + 1
        self.count += 1

    def follow(self, rows: pd.DataFrame) -> tuple[list[list[float]], list[float]]:
        """Return the reach of every row, in time order, and of the next."""
        error, arrives = (rows["y"] - rows["y_hat"]).tolist(), rows["ds"].tolist()
        given: list[tuple[float, list[float]]] = []
        arrived = 0
        for now in rows["origin"]:
            while arrived < len(given) and arrives[arrived] <= now:
                self.learn(error[arrived], *given[arrived])
                arrived += 1
            given.append((self.size(), self.reaches()))
        for row in range(arrived, len(error)):
            self.learn(error[row], *given[row])
        return [reach for _, reach in given], self.reaches()


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("window", [20, 500])
def test_the_compiled_loop_is_equal_to_plain_python_to_the_bit(window: int, horizon: int) -> None:
    rng = np.random.default_rng(window + horizon)
    tables = []
    for name in ("a", "b", "c"):
        errors = rng.standard_normal((260, horizon)) * np.exp(rng.normal(0, 1, (260, 1)))
        errors[: 12 * (name == "b")] = 0.0  # no size of errors at first
        tables.append(in_time(errors, 70, horizon, name=name))
    forecasts, calibration = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    forecasts.loc[rng.random(len(forecasts)) < 0.02, "y_hat"] = np.nan
    intervals = Adaptive([80, 95], window=window, gamma=0.02, halflife=7.0)
    found, ahead = intervals.apply(forecasts, calibration), intervals.latest(forecasts, calibration)
    for (name, step), own in found.groupby(["unique_id", "step"]):
        known = calibration[(calibration["unique_id"] == name) & (calibration["step"] == step)]
        reach, last = Reference([80, 95], window, 0.02, 7.0).follow(pd.concat([known, own]))
        for level, far in zip((80, 95), np.array(reach[len(known) :]).T, strict=True):
            np.testing.assert_array_equal(own[f"hi_{level}"], own["y_hat"] + far)
        assert last == [row["hi"][0] for row in ahead if (row["unique_id"], row["step"]) == (name, step)]


def test_importing_the_intervals_does_not_compile_anything() -> None:
    code = "import sys; import evaluation.intervals.adaptive; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_cost_of_a_thousand_series_is_linear() -> None:
    def seconds(n_series: int) -> float:
        table, _ = in_time(np.random.default_rng(0).standard_normal(60), 0)
        many = pd.concat([table.assign(unique_id=f"s{k}") for k in range(n_series)], ignore_index=True)
        began = time.process_time()
        offsets = intervals.latest(many, pd.DataFrame())
        extend(many.groupby("unique_id").head(1), offsets)
        intervals.apply(many, pd.DataFrame())
        return time.process_time() - began

    intervals = built("adaptive")
    seconds(1)
    few, many = min(seconds(100) for _ in range(2)), seconds(1000)
    assert many < 25 * few


def by_definition(
    errors: np.ndarray, level: float, window: int, gamma: float, halflife: float
) -> tuple[np.ndarray, list[float]]:
    """Reach and alpha of every row for one step ahead, written down line by line."""
    alpha, reach, alphas, scores = 1 - level, np.full(errors.size, np.nan), [], np.full(errors.size, np.nan)
    for t in range(errors.size):
        if t and np.isfinite(reach[t - 1]):
            alpha += gamma * (1 - level - (abs(errors[t - 1]) > reach[t - 1]))
        alphas.append(alpha)
        if t < 10:
            continue
        weight = 0.5 ** (np.arange(t)[::-1] / halflife)
        size = np.sqrt(np.sum(weight * errors[:t] ** 2) / weight.sum())
        scores[t] = abs(errors[t]) / size
        known = np.sort(scores[10:t][-window:])
        if known.size >= np.ceil(1 / (1 - level) - 1e-9) - 1:
            rank = int(np.clip(np.ceil((known.size + 1) * (1 - alpha) - 1e-9), 1, known.size))
            reach[t] = size * known[rank - 1]
    return reach, alphas


@pytest.mark.parametrize("gamma", [0.0, 0.05])
@pytest.mark.parametrize("level", [80, 95])
def test_adaptive_is_that_of_the_definition(level: int, gamma: float) -> None:
    errors = np.random.default_rng(level).standard_normal(150) * np.repeat([1, 4, 1], 50)
    reach, alphas = by_definition(errors, level / 100, 40, gamma, 8.0)
    assert (max(alphas) > min(alphas)) == (gamma > 0)
    forecasts, calibration = in_time(errors, 60)
    result = Adaptive([level], window=40, gamma=gamma, halflife=8.0).apply(forecasts, calibration)
    assert len(calibration) == 60
    np.testing.assert_allclose(widths(result, level) / 2, reach[60:], rtol=1e-9)


def test_adaptive_goes_on_where_the_table_ends() -> None:
    errors = np.random.default_rng(0).standard_normal(121)
    whole, calibration = in_time(errors, 60)
    intervals = built("adaptive")
    last = intervals.apply(whole, calibration).iloc[-1]
    offsets = intervals.latest(whole.iloc[:-1], calibration)
    result = extend(whole.iloc[-1:][["unique_id", "step", "model", "y_hat"]], offsets).iloc[0]
    assert result[["lo_80", "hi_80", "lo_95", "hi_95"]].tolist() == pytest.approx(
        last[["lo_80", "hi_80", "lo_95", "hi_95"]].tolist(), rel=1e-12
    )


def test_truths_arrive_as_many_steps_late_as_they_were_forecast_ahead() -> None:
    errors = np.random.default_rng(0).standard_normal((90, 3))
    errors[40, :] = 1e3
    forecasts, _ = in_time(errors, 0, horizon=3)
    result = Adaptive([80], window=50, gamma=0.0, halflife=5.0).apply(forecasts, pd.DataFrame())
    days = forecasts["origin"].unique()
    for step in (1, 2, 3):
        row = result[result["step"] == step].set_index("origin")
        assert widths(row.loc[[days[40 + step - 1]]], 80) < 50
        assert widths(row.loc[[days[40 + step]]], 80) > 300


def test_widths_follow_volatility_and_coverage_holds_through_a_shift() -> None:
    rng = np.random.default_rng(1)
    errors = rng.standard_normal(1500) * np.repeat([1.0, 5.0, 1.0], 500)
    forecasts, calibration = in_time(errors, 300)
    adaptive = interval_scores(built("adaptive").apply(forecasts, calibration)).set_index("level")
    fixed = interval_scores(built("split").apply(forecasts, calibration)).set_index("level")
    assert adaptive.loc[95, "coverage"] == pytest.approx(0.95, abs=0.01)
    assert adaptive.loc[80, "coverage"] == pytest.approx(0.80, abs=0.02)
    assert fixed.loc[95, "coverage"] < 0.85
    assert adaptive.loc[95, "winkler"] < fixed.loc[95, "winkler"]
    wide = widths(built("adaptive").apply(forecasts, calibration))
    assert np.median(wide[300:680]) > 3 * np.median(wide[:180])


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 50))
def test_widths_scale_with_the_unit(scale: float, seed: int) -> None:
    errors = np.random.default_rng(seed).standard_normal(80)
    intervals = built("adaptive")
    plain, scaled = (
        intervals.apply(forecasts.assign(y=forecasts["y"] - 100, y_hat=0.0), pd.DataFrame())
        for forecasts in (in_time(errors, 0)[0], in_time(errors, 0)[0].assign(y=lambda t: 100 + scale * (t["y"] - 100)))
    )
    np.testing.assert_allclose(widths(scaled), scale * widths(plain), rtol=1e-6)


def test_perfect_forecasts_have_intervals_without_width_or_none() -> None:
    forecasts, calibration = in_time(np.zeros(100), 50)
    result = built("adaptive").apply(forecasts, calibration)
    assert np.nan_to_num(widths(result)).max() == 0


# --- ByCell


def test_the_largest_quantile_of_few_cells_counts() -> None:
    calibration = of_cells(4).assign(y=0.0)
    sizes = calibration["unique_id"].map({"c0": 1.0, "c1": 3.0, "c2": 2.0, "c3": 1.5})
    calibration = calibration.assign(y_hat=sizes * (1 + np.tile(np.arange(120), 4) / 120))
    forecasts = of_cells(1).assign(unique_id="new", y_hat=50.0)
    result = ByCell([80], stages=1).apply(forecasts, calibration)
    errors = np.sort(calibration.loc[calibration["unique_id"] == "c1", "y_hat"])
    np.testing.assert_allclose(result["hi_80"] - 50, errors[97 - 1])  # ceil(121 * .8) = 97


def test_every_cell_counts_the_same_however_long_it_lived() -> None:
    calibration = of_cells(4)
    odd = calibration["unique_id"] == "c1"  # errs early in life, the others late
    calibration["y_hat"] = calibration["y"] + np.where(odd, 0.2 * calibration["y"], 24 - 0.2 * calibration["y"])
    again = calibration[calibration["unique_id"] == "c1"]
    copies = pd.concat([again.assign(ds=again["ds"] + 1000 * k, origin=again["ds"] + 1000 * k) for k in range(1, 30)])
    forecasts = of_cells(1, seed=9).assign(unique_id="new")
    intervals = ByCell([80], stages=2)
    once = intervals.apply(forecasts, calibration)
    many = intervals.apply(forecasts, pd.concat([calibration, copies], ignore_index=True))
    np.testing.assert_allclose(widths(many, 80), widths(once, 80), rtol=0.05)


def test_new_cells_are_covered_on_average_and_promised_as_often_as_documented() -> None:
    shares = []
    for seed in range(60):
        rows = of_cells(5, seed)
        test = rows["unique_id"] == "c0"
        result = ByCell([80], stages=3).apply(rows[test], rows[~test])
        shares.append(interval_scores(result)["coverage"].iloc[0])
    assert np.mean(shares) > 0.8
    assert np.mean(np.array(shares) >= 0.8) > 0.7  # 4 / 5, but for 60 draws


def test_stages_of_life_have_widths_of_their_own() -> None:
    calibration = of_cells(19)
    calibration = calibration.assign(y_hat=calibration["y"] * 1.2)  # errors grow with what is left
    forecasts = of_cells(1).assign(unique_id="new", y_hat=lambda table: table["y"])
    staged, flat = (ByCell([95], stages=stages).apply(forecasts, calibration) for stages in (3, 1))
    assert widths(staged)[-1] < 0.5 * widths(flat)[-1]
    assert np.ptp(widths(flat[flat["lo_95"] > 0])) < 1e-9
    assert (staged["lo_95"] >= 0).all()


def test_a_cell_cannot_calibrate_itself() -> None:
    rows = of_cells(3)
    with pytest.raises(ForecastsError, match="c1 is tested and calibrates"):
        ByCell([80], stages=1).apply(rows[rows["unique_id"] != "c2"], rows[rows["unique_id"] == "c1"])


@pytest.mark.parametrize(
    ("n_cells", "levels", "said"),
    [
        (
            1,
            [50],
            "1 validation cell supports at most 50 %: no interval of 80 % and 95 %, which takes 4 or more.",
        ),
        (
            3,
            [50],
            "3 validation cells support at most 75 %: no interval of 80 % and 95 %, which takes 4 or more.",
        ),
        (4, [50, 80], "4 validation cells support at most 80 %: no interval of 95 %, which takes 19 or more."),
        (
            18,
            [50, 80],
            "18 validation cells support at most 94 %: no interval of 95 %, which takes 19 or more.",
        ),
        (19, [50, 80, 95], None),
    ],
)
def test_levels_that_the_validation_cells_do_not_support_are_left_out_and_it_is_said(
    n_cells: int, levels: list[int], said: str | None
) -> None:
    calibration, forecasts = of_cells(n_cells, n=30), of_cells(1, seed=9, n=30).assign(unique_id="new")
    intervals = ByCell([50, 80, 95], stages=2)
    result = intervals.apply(forecasts, calibration)
    there = [level for level in (50, 80, 95) if result[f"hi_{level}"].notna().all()]
    assert there == levels
    assert result[[f"hi_{level}" for level in (50, 80, 95) if level not in levels]].isna().all(axis=None)
    assert {offset["level"] for offset in intervals.latest(forecasts, calibration)} == set(levels)
    assert intervals.notes(calibration) == ([] if said is None else [said])


def test_the_fold_with_the_fewest_cells_is_what_is_said() -> None:
    calibration = pd.concat([of_cells(19).assign(fold="1"), of_cells(2).assign(fold="2")])
    assert ByCell([50, 80], stages=1).notes(calibration)[0].startswith("2 validation cells support at most 66 %")


@pytest.mark.parametrize("name", CONFORMAL)
def test_nothing_to_say_of_enough_calibration(name: str) -> None:
    assert built(name).notes(tables_for(name)[1]) == []


# --- settings


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SplitConformal([0.95]), "whole numbers"),  # type: ignore[list-item]
        (lambda: NoIntervals([]), "whole numbers"),
        (lambda: SplitConformal([80, 80]), "twice"),
        (lambda: Adaptive([95], window=10, gamma=0.1, halflife=5), "too few scores"),
        (lambda: Adaptive([95], window=10, gamma=2, halflife=0), "gamma=2.*halflife=0"),
        (lambda: ByCell([80], stages=0), "stages=0"),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_own_quantiles_become_the_bounds_of_the_models_that_have_them():
    table, calibration = in_time(np.zeros(20), 8)
    table = pd.concat([table, table.assign(model="other")], ignore_index=True)
    learnt = table["model"] == "m"
    for level, reach in ((80, 1.0), (95, 2.0)):
        table[f"own_lo_{level}"] = np.where(learnt, table["y_hat"] - reach, np.nan)
        table[f"own_hi_{level}"] = np.where(learnt, table["y_hat"] + reach, np.nan)
    found = built("own").apply(table, calibration)
    assert (widths(found[learnt]) == 4).all()
    assert found.loc[~learnt, "lo_95"].isna().all()
    assert built("own").latest(found, calibration) == []


def test_bounds_are_kept_to_a_thousandth_of_the_narrowest_reach_in_their_order():
    rng = np.random.default_rng(0)
    near, far = np.sort(np.exp(rng.normal(0, 6, (500, 2))), axis=1).T
    y_hat = 1e3 * rng.standard_normal(500)
    given = pd.DataFrame({"y_hat": y_hat, "lo_80": y_hat - near, "hi_80": y_hat + near})
    given = given.assign(lo_95=y_hat - far, hi_95=y_hat + far)
    given.loc[3, ["lo_95", "hi_95"]] = np.nan
    given.loc[4, ["lo_80", "hi_80"]] = given.loc[4, "y_hat"]  # an interval of no width
    found = rounded(given)
    own = np.delete(np.arange(500), [3, 4])
    bounds = ["lo_95", "lo_80", "hi_80", "hi_95"]
    narrowest = (given[bounds[3]] - given[bounds[0]]).clip(upper=given["hi_80"] - given["lo_80"]) / 2
    moved = (found[bounds] - given[bounds]).abs().div(narrowest, axis=0).iloc[own]
    assert 1e-5 < moved.max(axis=None) < 1e-3
    assert (np.diff(found[["lo_95", "lo_80", "y_hat", "hi_80", "hi_95"]].iloc[own]) >= 0).all()
    assert found["lo_80"][4] == pytest.approx(y_hat[4], abs=far[4] / 1000)
    assert found["lo_95"][3] != found["lo_95"][3]
    assert (found["lo_80"].astype(np.float32) == found["lo_80"])[near > 1].all()  # so a file needs half the room
