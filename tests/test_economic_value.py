"""What following the signs of forecasts is worth, by series whose worth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.economic_value import HOLD, circular_blocks, economic_value, steps_a_year, verdict_on
from report.run_folder import RunFolder
from report.sections.economic_value import section
from runtime.build import ConfigError, build, check
from tests.run_folders import NET, leave, series_metrics, series_table
from tests.tables import one_step


def prices(n=400, seed=0, drift=0.0):
    return 100 * np.cumprod(1 + drift + 0.01 * np.random.default_rng(seed).standard_normal(n))


def worth(series, cost=0.0, **guesses):
    found = economic_value(one_step(series, guesses), cost)
    assert found is not None
    return found.table.set_index("strategy"), found.wealth


def test_who_knows_the_sign_holds_every_rise_and_sells_every_fall():
    series = prices()
    table, wealth = worth(series, oracle=series[1:])
    moves = series[1:] / series[:-1] - 1
    assert wealth["oracle, long/short"].iloc[-1] == pytest.approx(np.prod(1 + np.abs(moves)))
    assert wealth["oracle, long/flat"].iloc[-1] == pytest.approx(np.prod(1 + np.maximum(moves, 0)))
    assert wealth[HOLD].iloc[-1] == pytest.approx(series[-1] / series[0])
    assert (table.loc[["oracle, long/flat", "oracle, long/short"], "drawdown"] == 0).all()
    assert (table.loc[["oracle, long/flat", "oracle, long/short"], "verdict"] == "better").all()
    assert table.loc[HOLD, "verdict"] == "reference"
    assert verdict_on(table.reset_index()).startswith("oracle, long/flat, oracle, long/short have a higher Sharpe")


def test_who_is_always_wrong_is_worse_than_buy_and_hold():
    series = prices(drift=0.001)
    table, _ = worth(series, fool=2 * series[:-1] - series[1:])
    assert (table["verdict"] == ["reference", "worse", "worse"]).all()
    assert verdict_on(table.reset_index()) == "no strategy here is better than buy-and-hold; 2 of 2 are worse"


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_distinguishable_from_buy_and_hold(seed):
    series = prices(seed=seed)
    table, _ = worth(series, noise=series[:-1] + np.random.default_rng(9 + seed).standard_normal(399))
    assert verdict_on(table.reset_index()) == "no strategy here is distinguishable from buy-and-hold"
    assert (table["low"][1:] < table["difference"][1:]).all()
    assert (table["difference"][1:] < table["high"][1:]).all()


def test_each_change_of_position_costs_what_is_traded_and_buy_and_hold_pays_once():
    series = np.full(101, 100.0)
    series[1::2] += 0.01  # up, down, up, down
    table, wealth = worth(series, cost=10.0, oracle=series[1:])
    per_step = np.diff(series) / series[:-1]
    flat = np.maximum(per_step, 0) - 10e-4  # bought and sold in turns
    short = np.abs(per_step) - np.r_[10e-4, np.full(99, 20e-4)]  # from long to short two are traded
    hold = per_step - np.r_[10e-4, np.zeros(99)]
    np.testing.assert_allclose(wealth["oracle, long/flat"], np.cumprod(1 + flat))
    np.testing.assert_allclose(wealth["oracle, long/short"], np.cumprod(1 + short))
    np.testing.assert_allclose(wealth[HOLD], np.cumprod(1 + hold))
    a_year = table["turnover"] / steps_a_year(wealth.index) * 100
    np.testing.assert_allclose(a_year, [1, 100, 199])


def test_the_sharpe_ratio_is_that_of_a_year_and_the_drawdown_the_largest_fall_from_a_peak():
    series = np.r_[100.0, 110, 120, 60, 90, 130, 117, *np.full(60, 117.0)]
    table, wealth = worth(series, same=series[:-1])
    moves = series[1:] / series[:-1] - 1
    assert table.loc[HOLD, "drawdown"] == pytest.approx(0.5)
    assert table.loc[HOLD, "sharpe"] == pytest.approx(np.sqrt(steps_a_year(wealth.index)) * moves.mean() / moves.std())
    assert steps_a_year(wealth.index) == pytest.approx(261, abs=3)  # business days
    assert steps_a_year(pd.RangeIndex(5)) == 252
    assert (table.loc[["same, long/flat", "same, long/short"], ["sharpe", "turnover"]] == 0).all().all()


def test_a_series_that_is_no_price_several_steps_and_a_lone_reference_have_no_economic_value():
    series = prices(100)
    rows = one_step(series, {"m": series[:-1] + 1})
    assert economic_value(rows, 5.0) is not None
    assert economic_value(one_step(series - 95, {"m": series[:-1]}), 5.0) is None
    assert economic_value(pd.concat([rows, rows.assign(step=2)]), 5.0) is None
    assert economic_value(one_step(series, {}), 5.0) is None
    assert economic_value(rows[rows["ds"] < rows["ds"].unique()[50]], 5.0) is None
    assert economic_value(rows[rows["model"] != "Persistence"], 5.0) is None


def test_blocks_go_on_from_the_end_at_the_beginning_and_draw_every_step_alike():
    drawn = circular_blocks(50, 7, 4000, seed=0)
    assert (drawn.sum(axis=1) == 50).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.08)
    np.testing.assert_array_equal(drawn[:5], circular_blocks(50, 7, 5, seed=0))
    neighbours = np.corrcoef(drawn[:, 0], drawn[:, -1])[0, 1]
    assert neighbours > 0.6, "the last step and the first are neighbours"
    assert np.corrcoef(drawn[:, 0], drawn[:, 25])[0, 1] < 0.1


def section_of(folder, cost="5.0", leaking=(), choices=None, decided="{day: origin, at: close}"):
    metrics = replace(series_metrics(leaking=leaking), choices=choices or {})
    leave(folder, metrics, series_table())
    (folder / "config.yaml").write_text(f"seed: 0\ncost_bps: {cost}\ndecided_at: {decided}\n", encoding="utf-8")
    return section(RunFolder(folder))


def test_the_report_says_whether_a_strategy_is_distinguishable_and_names_the_cost(tmp_path):
    found = section_of(tmp_path / "run")
    assert found.heading == "Economic value: no strategy here is better than buy-and-hold; 3 of 6 are worse"
    assert "5 basis points a trade" in found.tables[0].caption
    names = [row.cells[0].text for row in found.tables[0].rows]
    assert names[:2] == [HOLD, f"{NET}, long/flat"]
    assert len(names) == 1 + 2 * 3
    verdicts = [row.cells[-1].text for row in found.tables[0].rows]
    assert (verdicts[0], verdicts.count("worse"), verdicts.count("not distinguishable")) == ("to beat", 3, 3)


def test_a_model_that_uses_the_future_trades_nothing(tmp_path):
    found = section_of(tmp_path / "run", leaking=(NET,))
    assert not [row for row in found.tables[0].rows if row.cells[0].text.startswith(NET)]
    assert f"{NET}: left out, its forecasts use the future." in found.notes


def test_nobody_earns_a_night_that_had_passed_when_the_forecast_was_made(tmp_path, configure):
    found = section_of(tmp_path / "run", decided='{day: next, at: "09:25"}')
    assert (found.heading, found.tables) == ("Economic value: not told by closes", [])
    assert "made on the day it is for (decided_at: 09:25)" in found.paragraphs[0]
    cfg = configure("experiment=csi300_overnight")
    assert (cfg.cost_bps, cfg.decided_at.day) == (5, "next"), "the experiment whose page must say so"


@pytest.mark.parametrize(("cost", "choices"), [("null", {}), ("5.0", {"target": "log_range"})])
def test_without_a_cost_or_a_price_nothing_is_said_of_trading(tmp_path, cost, choices):
    assert section_of(tmp_path / "run", cost, choices=choices) is None


def test_the_page_of_a_forecast_has_the_section_and_a_cost_that_cannot_be_is_refused(configure):
    cfg = configure("experiment=sp500")
    assert "economic_value" in build(cfg.task)(cfg).sections
    assert cfg.cost_bps == 5
    cfg.cost_bps = -1
    with pytest.raises(ConfigError, match="cost_bps=-1 must be a number of at least 0 and at most 10000 or null"):
        check(cfg, {})
