"""Diagnostics find what was put into forecasts: a lag, a period, a regime."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from evaluation.diagnostics import (
    absolute_errors,
    covered,
    lagged,
    mean_period,
    trailing_ratio,
    volatility_regimes,
)
from evaluation.rows import PERSISTENCE


def test_lags_count_how_far_the_forecast_is_behind() -> None:
    truth = np.random.default_rng(0).standard_normal(400)
    for behind in (-2, 0, 3):
        found = lagged(np.roll(truth, behind), truth, range(-4, 5))
        assert int(np.argmax(found)) - 4 == behind
    assert np.isnan(lagged(np.ones(400), truth, [0])).all()


def test_mean_period_is_that_of_a_wave_and_a_trend_has_none() -> None:
    time = np.arange(2000)
    assert mean_period(np.sin(2 * np.pi * time / 25 + 0.3)) == pytest.approx(25, rel=0.02)
    assert mean_period(np.round(np.sin(2 * np.pi * time / 25), 1)) == pytest.approx(25, rel=0.02)  # plateaus
    assert mean_period(time.astype(float)) == np.inf


def test_trailing_error_is_relative_to_the_reference_and_regimes_are_thirds() -> None:
    errors = pd.DataFrame({"a": np.full(50, 3.0), PERSISTENCE: np.full(50, 2.0)})
    ratio = trailing_ratio(errors, PERSISTENCE, 10)
    assert ratio.shape == (41, 1)
    np.testing.assert_allclose(ratio["a"], 1.5)
    last = np.cumsum(np.random.default_rng(3).standard_normal(700) * (1 + 2 * (np.sin(np.arange(700) / 60) > 0)))
    found = volatility_regimes(pd.Series(last))
    assert found.value_counts().tolist() == pytest.approx([len(found) / 3] * 3, abs=1)
    assert volatility_regimes(pd.Series(np.ones(100))).empty


def test_absolute_errors_have_a_column_a_model_in_time_order() -> None:
    rows = pd.DataFrame(
        {"ds": [2, 1, 2, 1], "model": ["a", "a", "b", "b"], "y": [5.0, 4.0, 5.0, 4.0], "y_hat": [3.0, 5.0, 5.5, np.nan]}
    )
    found = absolute_errors(rows)
    assert found.index.tolist() == [1, 2]
    np.testing.assert_array_equal(found["a"], [1.0, 2.0])
    np.testing.assert_array_equal(found["b"], [np.nan, 0.5])


def test_coverage_has_the_exact_interval_of_its_group() -> None:
    rows = pd.DataFrame({"y": np.zeros(40), "y_hat": 0.0, "model": "a"})
    held = np.r_[np.ones(20, bool), np.arange(20) < 15]
    for level in ("80", "95"):
        rows[f"lo_{level}"], rows[f"hi_{level}"] = np.where(held, -1.0, 1.0), 2.0
    found = covered(rows, pd.Series(["all in"] * 20 + ["some out"] * 20)).set_index(["group", "level"])
    assert found.loc[("all in", 80), ["coverage", "high"]].tolist() == [1.0, 1.0]
    low, high = beta.ppf([0.025, 0.975], [15, 16], [6, 5])  # Clopper and Pearson, 15 of 20
    assert found.loc[("some out", 95), ["coverage", "low", "high"]].tolist() == pytest.approx([0.75, low, high])
