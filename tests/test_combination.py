"""Forecasts of all models combined: how weights are fitted, on which rows, and how the combination is kept."""

import json

import numpy as np
import pandas as pd
import pytest

from models.combination import WEIGHERS, equal, inverse_mse, pso, simplex
from pipeline import audit as audited
from pipeline import combination
from pipeline.combination import combined, first_half, label_of
from pipeline.outcome import Outcome
from pipeline.settings import check_task
from runtime.build import ConfigError, build
from tests.commands import run
from tests.conftest import panel_of

SMALL = [
    "experiment=smoke",
    "decomposition=identity",
    "baselines=naive",
    "model=ridge",
    "lookback=5",
    "combination=simplex",
]


@pytest.fixture
def task(configure):
    def made(*overrides):
        cfg = configure(*SMALL, *overrides)
        return build(cfg.task)(cfg)

    return made


def errors_of(n=200, seed=0):
    """Errors of a good model, a worse one and one that is worth nothing."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)) * [1.0, 1.5, 9.0]


@pytest.mark.parametrize("name", WEIGHERS)
def test_weights_are_shares_and_the_same_again(name):
    found = WEIGHERS[name](errors_of(), 0)
    assert found.shape == (3,)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    np.testing.assert_array_equal(WEIGHERS[name](errors_of(), 0), found)
    assert np.isfinite(WEIGHERS[name](np.zeros((4, 3)), 0)).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_weights_have_a_smaller_squared_error_than_those_of_simplex(seed):
    errors = errors_of(30, seed) + np.random.default_rng(seed).standard_normal((30, 1))
    lowest = np.square(errors @ simplex(errors, 0)).sum()
    tried = np.random.default_rng(1).dirichlet(np.full(3, 0.5), 20_000)
    assert lowest <= np.square(errors @ tried.T).sum(axis=0).min() + 1e-9
    corners = np.square(errors).sum(axis=0)
    assert lowest <= corners.min() + 1e-9


def test_the_swarm_finds_what_simplex_solves():
    errors = errors_of()
    np.testing.assert_allclose(pso(errors, 0), simplex(errors, 0), atol=0.01)


def test_simple_weights_are_their_formulas():
    errors = errors_of()
    np.testing.assert_array_equal(equal(errors, 0), [1 / 3] * 3)
    share = 1 / np.square(errors).mean(axis=0)
    np.testing.assert_allclose(inverse_mse(errors, 0), share / share.sum())
    np.testing.assert_array_equal(inverse_mse(np.c_[errors[:, :1], np.zeros(200)], 0), [0, 1])


def rows(model, shift, n=20, seed=0):
    y = np.random.default_rng(seed).standard_normal(n)
    off = np.random.default_rng(seed + 1).standard_normal(n)
    days = pd.bdate_range("2020-01-01", periods=n + 1)
    columns = {"unique_id": "a", "ds": days[1:], "origin": days[:-1], "step": 1, "model": model}
    return pd.DataFrame(columns | {"y": y, "y_hat": y + shift * off})


def outcome(model, shift, calibration=None):
    held_out = rows(model, shift) if calibration is None else calibration
    return Outcome(model, "all", rows(model, shift, seed=7), held_out, 1.0, [], 0, 1.0, "")


def test_the_first_half_fits_weights_and_the_second_is_left_to_intervals(task):
    made = task()
    labels = [row.label for row in combination.members(made)]
    good, bad = outcome(labels[0], 0.1), outcome(labels[1], -2.0)
    (found,) = combined(made, [good, bad])
    assert list(found.members) == labels
    pd.testing.assert_frame_equal(
        found.calibration[["ds", "y"]], good.calibration[["ds", "y"]][10:].reset_index(drop=True)
    )
    told = sum(weight * one.forecasts["y_hat"] for weight, one in zip(found.members.values(), (good, bad), strict=True))
    np.testing.assert_allclose(found.forecasts["y_hat"], told)
    for half, moves in ((slice(10), True), (slice(10, None), False)):
        table = good.calibration.copy()
        table.loc[table.index[half], "y_hat"] += 50.0
        (other,) = combined(made, [outcome(labels[0], 0.1, table), bad])
        assert (other.members != found.members) == moves


def test_halves_are_of_origins_and_not_of_rows():
    table = pd.DataFrame({"origin": [1, 1, 1, 1, 2, 3, 4]})
    np.testing.assert_array_equal(first_half(table), [True] * 5 + [False] * 2)


def test_a_model_of_other_rows_or_of_no_numbers_is_left_out(task):
    made = task()
    labels = [row.label for row in combination.members(made)]
    lost = outcome(labels[1], 1.0)
    lost.forecasts.loc[3, "y_hat"] = np.nan
    with pytest.raises(ConfigError, match=r"needs two models or more that forecast the same rows, and there is one"):
        combined(made, [outcome(labels[0], 0.1), lost])
    assert combined(task("combination=none"), [outcome(labels[0], 0.1), lost]) == []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([*SMALL, "split.validation=0"], "combination=simplex fits its weights on validation rows"),
        (["experiment=smoke_battery", "combination=equal"], "combination=equal is for .* only; set combination=none"),
    ],
)
def test_where_nothing_is_held_out_it_is_refused(overrides, said, configure):
    cfg = configure(*overrides)
    with pytest.raises(ConfigError, match=said):
        check_task(build(cfg.task)(cfg))


def test_the_audit_names_weights_that_are_fitted_on_the_test_rows(task, walk, monkeypatch):
    made, panel = task("model.alpha=1e-3", "combination=inverse_mse"), panel_of(walk)
    fold = build(made.cfg.split).folds(panel, made.cfg.horizon)[0]
    (honest,) = audited._of_combination(made.cfg, panel, fold)
    assert (honest.stage, honest.subject, honest.verdict) == ("weights", label_of(made.cfg), "causal")
    assert honest.checked

    def peeking(cfg, place, seed, outcomes):
        seen = [one._replace(calibration=one.forecasts) for one in outcomes]
        return true(cfg, place, seed, seen)

    true = combination._of_one
    monkeypatch.setattr(combination, "_of_one", peeking)
    (caught,) = audited._of_combination(made.cfg, panel, fold)
    assert caught.verdict == "LEAKS"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("combination") / "run"
    words = [
        "experiment=smoke",
        "model=ridge",
        "model.alpha=1e-3",
        "baselines=naive",
        "scope.history=64",
        "combination=inverse_mse",
        "audit=none",
    ]
    done = run("train.py", *words, "audit=none", "parallel.n_jobs=1", f"hydra.run.dir={found}")
    assert done.returncode == 0, done.stderr
    return found


def test_a_run_has_its_row_its_weights_and_intervals(folder):
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    own = forecasts[forecasts["model"] == "Combination (inverse_mse)"].reset_index(drop=True)
    (weights,) = json.loads((folder / "run.json").read_text())["combination"].values()
    told = sum(
        weight * forecasts.loc[forecasts["model"] == name, "y_hat"].to_numpy() for name, weight in weights.items()
    )
    np.testing.assert_allclose(own["y_hat"], told)
    assert own["lo_95"].notna().all()
    assert set(weights) == {"ICEEMDAN-Ridge", "Drift"}


def test_predict_loads_every_member(folder, tmp_path):
    series = pd.DataFrame({"ds": pd.bdate_range("2001-01-01", periods=600)})
    series["y"] = 1000 + np.cumsum(np.random.default_rng(0).standard_normal(600))
    series.to_csv(tmp_path / "new.csv", index=False)
    done = run("predict.py", f"run={folder}", f"source.path={tmp_path / 'new.csv'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    table = pd.read_csv(tmp_path / "forecast.csv")
    (weights,) = json.loads((folder / "run.json").read_text())["combination"].values()
    drift = series["y"].iloc[-1] + (series["y"].iloc[-1] - series["y"].iloc[-30]) / 29
    told = weights["ICEEMDAN-Ridge"] * table["ICEEMDAN-Ridge"] + weights["Drift"] * drift
    np.testing.assert_allclose(table["Combination (inverse_mse)"], told, rtol=1e-6)
