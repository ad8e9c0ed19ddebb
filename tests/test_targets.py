"""Targets are made of the past alone, and forecasts of them come back in the unit users think in."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from data.contracts import Panel
from data.panel import DataError, validated
from data.targets.change import Change
from data.targets.level import Level
from data.targets.log_range import LogRange
from data.targets.log_return import LogReturn
from data.targets.realized import Realized
from evaluation.smearing import smeared, thinned
from pipeline.audit import audit, leaking
from pipeline.settings import check_task
from runtime.build import ConfigError, build
from tasks.restoring import errors_of, restored, restored_ahead
from tests.conftest import ROOT, choices, panel_of

PRICES = ("open", "high", "low")


def prices(n_days: int = 40, seed: int = 0, name: str = "index") -> Panel:
    """Days of an index whose open, high and low fit together."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(n_days)))
    start = close * np.exp(0.004 * rng.standard_normal(n_days))
    high = np.maximum(start, close) * np.exp(0.006 * rng.random(n_days) + 1e-4)
    low = np.minimum(start, close) * np.exp(-0.006 * rng.random(n_days) - 1e-4)
    days = pd.bdate_range("2020-01-01", periods=n_days)
    frame = pd.DataFrame({"unique_id": name, "ds": days, "y": close, "open": start, "high": high, "low": low})
    panel = validated(frame, name, "index points")
    return replace(panel, covariates={price: f"{price} [index points]" for price in PRICES})


def column(panel: Panel, name: str = "y") -> np.ndarray:
    return panel.frame[name].to_numpy()


# --- what is forecast -----------------------------------------------------------------------------


def test_changes_and_returns_are_those_of_each_series_by_itself() -> None:
    panel = panel_of(np.array([1.0, 2.0, 6.0]), np.array([10.0, 5.0, 20.0]))
    changes = Change().transform(panel)
    assert list(column(changes)) == [1, 4, -5, 15]
    assert list(changes.frame["ds"]) == list(panel.frame["ds"][[1, 2, 4, 5]])
    assert changes.given is panel
    assert changes.unit == "change in points"
    np.testing.assert_allclose(column(LogReturn().transform(panel)), 100 * np.log([2, 3, 0.5, 4]))
    assert Level().transform(panel) is panel


def test_parkinson_and_garman_klass_by_hand() -> None:
    panel = prices()
    o, h, low, c = (np.log(column(panel, name))[1:] for name in ("open", "high", "low", "y"))
    found = LogRange().transform(panel)
    np.testing.assert_allclose(np.exp(column(found)), 100 * (h - low) / np.sqrt(4 * np.log(2)))
    variance = 0.5 * (h - low) ** 2 - (2 * np.log(2) - 1) * (c - o) ** 2
    np.testing.assert_allclose(np.exp(2 * column(LogRange("garman_klass").transform(panel))), 1e4 * variance)
    assert list(found.covariates) == ["return"]
    np.testing.assert_allclose(column(found, "return"), 100 * np.diff(np.log(column(panel))))


@pytest.mark.parametrize(
    ("target", "of_return"),
    [
        (Realized("absolute", log=False), lambda r: np.abs(r)),
        (Realized("squared", log=False), lambda r: r**2),
        (Realized("absolute", offset=0.1), lambda r: np.log(np.abs(r) + 0.1)),
        (Realized("squared", offset=0.1), lambda r: 2 * np.log(np.abs(r) + 0.1)),
    ],
    ids=lambda value: f"{value.measure} {value.log}" if isinstance(value, Realized) else "",
)
def test_realised_volatility_by_hand_and_back(target, of_return) -> None:
    panel = prices()
    moves = 100 * np.diff(np.log(column(panel)))
    found = target.transform(panel)
    np.testing.assert_allclose(column(found), of_return(moves), rtol=1e-12)
    np.testing.assert_allclose(target.restore(column(found), moves), np.abs(moves), atol=1e-12)
    np.testing.assert_allclose(target.variance(column(found)), (np.abs(moves) + 0.1 * target.log) ** 2)
    assert list(found.covariates) == ["return", *PRICES]


def test_a_column_that_is_missing_is_told_with_what_to_take(walk) -> None:
    with pytest.raises(DataError, match=r"needs the column high, low beside the close.*has none.*source=sp500_ohlc"):
        LogRange().transform(panel_of(walk))


def test_values_without_a_logarithm_are_told_with_their_dates() -> None:
    panel = prices()
    frame = panel.frame.copy()
    frame.loc[3, "high"] = frame.loc[3, "low"]
    with pytest.raises(DataError, match=r"range of a day is 0 .* in 1 rows of index \(2020-01-06\).*target\.offset"):
        LogRange().transform(replace(panel, frame=frame))
    assert np.isfinite(column(LogRange(offset=0.05).transform(replace(panel, frame=frame)))).all()
    frame.loc[5, "y"] = -1.0
    with pytest.raises(DataError, match=r"values are not above 0 in 1 rows of index \(2020-01-08\)"):
        LogReturn().transform(replace(panel, frame=frame))
    with pytest.raises(ValueError, match=r"target\.over=0"):
        Change(over=0)


# --- back to the unit users think in -------------------------------------------------------------


def test_smearing_is_the_mean_over_the_errors() -> None:
    errors = thinned(np.array([0.0, 1.0, 5.0]))
    np.testing.assert_allclose(errors, [-2, -1, 3])
    found = smeared(lambda values, _: np.exp(values), np.array([0.0, 1.0]), np.zeros(2), errors)
    np.testing.assert_allclose(found, np.exp([0, 1]) * (np.exp(-2) + np.exp(-1) + np.exp(3)) / 3)
    many = thinned(np.random.default_rng(0).standard_normal(30_000))
    assert many.size == 1000
    assert np.exp(many).mean() == pytest.approx(np.exp(0.5), rel=0.02)


def as_forecasts(panel: Panel, label: str, y_hat: np.ndarray, steps: int = 1) -> pd.DataFrame:
    """Put forecasts made at every row of a single series, ``(n, steps)``, into a Forecasts table."""
    n = len(panel.frame) - steps
    at, step = np.repeat(np.arange(n), steps), np.tile(np.arange(1, steps + 1), n)
    ds, y = panel.frame["ds"].to_numpy(), column(panel)
    frame = pd.DataFrame({"unique_id": panel.frame["unique_id"].iloc[0], "ds": ds[at + step], "origin": ds[at]})
    return frame.assign(step=step, model=label, fold="f", y=y[at + step], y_hat=y_hat[:n].ravel())


def test_returns_of_several_steps_come_back_as_the_prices_they_lead_to() -> None:
    given = prices()
    panel = LogReturn().transform(given)
    rows = as_forecasts(panel, "m", np.zeros((len(panel.frame), 2)), steps=2)
    found = restored(LogReturn(), panel, rows, rows.iloc[:0])
    close = column(given)
    np.testing.assert_allclose(found["y_restored"], np.stack([close[2:-1], close[3:]], axis=1).ravel())
    np.testing.assert_allclose(found["y_hat_restored"], np.repeat(close[1:-2], 2))
    assert "variance" not in found


def test_the_mean_of_restored_forecasts_is_that_of_the_truth() -> None:
    """A forecast of the log without smearing is too low by half the variance of its errors, here a third."""
    rng, target = np.random.default_rng(0), Realized("absolute", offset=0.0)
    close = 100 * np.exp(np.cumsum(0.01 * np.exp(0.9 * rng.standard_normal(3000)) * rng.choice([-1, 1], 3000)))
    panel = target.transform(panel_of(close))
    level = np.full((len(panel.frame), 1), column(panel)[:1000].mean())
    rows = as_forecasts(panel, "m", level)
    found = restored(target, panel, rows.iloc[1000:], rows.iloc[:1000])
    truth, plain = found["y_restored"].mean(), np.exp(level[0, 0])
    assert found["y_hat_restored"].mean() == pytest.approx(truth, rel=0.05)
    assert plain < 0.75 * truth
    assert found["variance_hat"].mean() == pytest.approx(found["variance"].mean(), rel=0.15)


def test_changes_are_restored_without_a_correction() -> None:
    given = prices()
    panel = Change(over=3).transform(given)
    rows = as_forecasts(panel, "m", np.full((len(panel.frame), 1), 2.0))
    found = restored(Change(over=3), panel, rows, rows)
    np.testing.assert_allclose(found["y_hat_restored"], column(given)[1:-1] + 6)
    assert restored(Level(), given, rows, rows) is rows


def test_new_forecasts_and_their_bounds_are_restored_beside_them() -> None:
    target, given = LogRange(), prices()
    panel = target.transform(given)
    ahead = pd.DataFrame({"unique_id": ["index"], "ds": [0], "step": [1], "m": [0.5], "lo_80": [0.0], "hi_80": [1.0]})
    seen = errors_of(target, as_forecasts(panel, "m", np.zeros((len(panel.frame), 1))))
    found = restored_ahead(target, panel, ahead, seen)
    assert found["m in % a day"].item() == pytest.approx(np.exp(0.5 + seen["error"]).mean())
    assert found["lo_80 in % a day"].item() == pytest.approx(1.0)
    assert found["hi_80 in % a day"].item() == pytest.approx(np.e)


# --- a run --------------------------------------------------------------------------------------------------------

SMALL = [
    "experiment=smoke",
    "source.n_steps=260",
    "scope.history=64",
    "lookback=24",
    "decomposition=modwt",
    "model=ridge",
    "model/component=joint",
    "parallel.n_jobs=1",
]


class CentredMean(Change):
    """A target that knows tomorrow: the mean of three days about each."""

    def transform(self, panel: Panel) -> Panel:
        smooth = panel.frame["y"].rolling(3, center=True, min_periods=1).mean()
        return super().transform(replace(panel, frame=panel.frame.assign(y=smooth)))


class GlobalMean(Change):
    """A target that knows the mean of everything."""

    def transform(self, panel: Panel) -> Panel:
        found = super().transform(panel)
        return replace(found, frame=found.frame.assign(y=found.frame["y"] - found.frame["y"].mean()))


@pytest.fixture
def audited(configure):
    def _audited(target, *overrides):
        cfg = configure(*SMALL, *overrides)
        task = build(cfg.task)(cfg)
        check_task(task)
        task.target = task.target if target is None else target
        panel = task.load(build(cfg.source))
        folds = build(cfg.split).folds(panel, task.reach)
        return task, audit(task, panel, folds, {})

    return _audited


@pytest.mark.parametrize("leak", [CentredMean, GlobalMean])
def test_a_target_that_knows_what_comes_is_named_by_the_audit(audited, leak) -> None:
    task, found = audited(leak(), "target=change", "baselines=naive")
    (finding,) = [finding for finding in found.findings if finding.stage == "target"]
    assert finding.verdict == "LEAKS"
    assert found.verdict == "LEAKS"
    assert set(leaking(task, found)) == {row.label for row in task.candidates()}


@pytest.mark.parametrize(
    "overrides",
    [
        ["target=return", "baselines=naive"],
        ["target=realized", "target.over=5", "baselines=volatility", "source.n_steps=400", "split.test=0.1"],
        ["target=change", "source.n_series=2", "baselines=naive", "horizon=2"],
    ],
    ids=" ".join,
)
def test_honest_targets_are_causal(audited, overrides) -> None:
    task, found = audited(None, *overrides)
    assert found.verdict == "causal", found.sentence
    assert any(finding.stage == "target" and finding.checked for finding in found.findings)
    audited_rows = {finding.subject for finding in found.findings if finding.stage == "forecast"}
    assert audited_rows == {row.label for row in task.candidates()}


def test_of_moves_the_reference_is_no_move(configure) -> None:
    cfg = configure(*SMALL, "target=return", "baselines=naive")
    task = build(cfg.task)(cfg)
    (reference,) = [row for row in task.candidates() if row.label == task.reference]
    assert reference.model._target_.endswith("NoMove")


def test_the_mean_of_the_next_days_is_one_target_in_one_part(configure) -> None:
    cfg = configure(*SMALL, "target.over=5", "baselines=naive")
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    (fold,) = build(cfg.split).folds(panel, task.reach)
    windows = task.prepare(panel, fold, task.candidates()[0]).windows
    y = column(panel)
    np.testing.assert_allclose(windows.y[:, 0], [y[row + 1 : row + 6].mean() for row in windows.origin])
    np.testing.assert_allclose(windows.target.sum(axis=2), windows.y, atol=1e-9)
    for role in (0, 1, 2):
        own = task.select(windows, fold, role).origin
        assert own.size
        assert (fold.role[own[:, None] + np.arange(1, 6)] == role).all()
    table = task.table(panel, windows, "m", windows.y, {})
    assert set(table["step"]) == {5}
    assert list(table["ds"]) == list(panel.frame["ds"].iloc[windows.origin + 5])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["target.over=5", "horizon=2"], "target.over=5 forecasts the mean of the next 5 steps as one number"),
        (["baselines=volatility"], "LHAR and GARCH and GJR read returns; set target=log_range or target=realized"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(configure, overrides, said) -> None:
    cfg = configure(*SMALL, *overrides)
    with pytest.raises(ConfigError, match=said):
        check_task(build(cfg.task)(cfg))


def test_targets_of_series_are_refused_for_cells(configure) -> None:
    cfg = configure("experiment=smoke_battery", "target=return")
    with pytest.raises(ConfigError, match="target=LogReturn is for task=forecast only"):
        check_task(build(cfg.task)(cfg))


@pytest.mark.parametrize("name", choices("target"))
def test_every_target_looks_back_only_and_says_what_it_leaves(name) -> None:
    target = build(OmegaConf.load(ROOT / "conf" / "target" / f"{name}.yaml"))
    panel = prices(60)
    whole = target.transform(panel)
    short = target.transform(replace(panel, frame=panel.frame.iloc[:40]))
    pd.testing.assert_frame_equal(whole.frame.iloc[: len(short.frame)], short.frame)
    assert list(whole.covariates)[: len(target.leaves)] == list(target.leaves)
    assert set(whole.covariates) <= set(whole.frame)
