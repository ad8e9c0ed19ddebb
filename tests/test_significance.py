"""Differences from persistence: real ones are found, luck is not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.judge import judge
from evaluation.metrics import PERSISTENCE
from evaluation.significance import against_persistence, diebold_mariano, holm
from tests.test_metrics import one_step, two_steps


def by_definition(differences: np.ndarray, horizon: int, lags: int) -> tuple[float, float]:
    """Diebold-Mariano with Newey-West weights and the small-sample correction, term by term."""
    n = differences.size
    centred = differences - differences.mean()
    variance = centred @ centred / n
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag]) / n
    correction = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = correction * differences.mean() / np.sqrt(variance / n)
    return statistic, 2 * stats.t.sf(abs(statistic), n - 1)


def test_the_definition_gives_a_published_example() -> None:
    """The example of the package dieboldmariano on its page, one-sided there."""
    truth = np.array([10, 20, 30, 40, 50])
    one, two = np.array([11, 21, 29, 42, 53]), np.array([13, 26, 24, 40, 59])
    differences = ((truth - one) ** 2 - (truth - two) ** 2).astype(float)
    statistic, p = by_definition(differences, horizon=1, lags=0)
    assert statistic == pytest.approx(-2.2229922805746782)
    assert p / 2 == pytest.approx(0.04515565862099125)


@pytest.mark.parametrize("horizon", [1, 3, 12])
@pytest.mark.parametrize("n", [30, 200])
def test_p_is_that_of_the_definition(n: int, horizon: int) -> None:
    differences = np.random.default_rng(n + horizon).standard_normal(n) + 0.2
    lags = max(horizon - 1, int(np.ceil(n ** (1 / 3))))
    _, p = by_definition(differences, horizon, lags)
    assert diebold_mariano(differences, horizon) == pytest.approx(p)


def test_luck_is_called_real_about_once_in_twenty_times() -> None:
    rng = np.random.default_rng(0)
    false = np.mean([diebold_mariano(rng.standard_normal(400), 1) < 0.05 for _ in range(400)])
    assert 0.02 < false < 0.09


def test_overlap_does_not_make_luck_real() -> None:
    rng = np.random.default_rng(0)
    kernel = np.ones(5)

    def share(horizon: int) -> float:
        series = (np.convolve(rng.standard_normal(604), kernel, "valid") for _ in range(300))
        return float(np.mean([diebold_mariano(differences, horizon) < 0.05 for differences in series]))

    assert share(5) < 0.13


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        (np.zeros(50), 1.0),                                # the same forecasts
        (np.full(50, 0.3), 0.0),                            # worse by the same amount each time
        (np.array([1.0, 2.0]), np.nan),                     # too few to say
        (np.array([*np.ones(30), np.nan]), np.nan),
    ],
)
def test_cases_without_variance_or_rows(differences: np.ndarray, p: float) -> None:
    np.testing.assert_equal(diebold_mariano(differences, 1), p)


def test_holm_is_that_of_a_worked_example_and_skips_what_is_missing() -> None:
    corrected = holm(pd.Series([0.01, np.nan, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])


def walk(n: int) -> np.ndarray:
    return 100 + np.cumsum(np.random.default_rng(1).standard_normal(n))


def test_verdicts_tell_better_worse_and_the_same() -> None:
    series = walk(500)
    noise = np.random.default_rng(2).standard_normal(499)
    forecasts = one_step(
        series,
        {
            "seer": series[1:] + 0.1 * noise,
            "fool": series[:-1] + 2 * noise,
            "mimic": series[:-1] + 1e-3 * noise,
            "broken": np.full(499, np.nan),
        },
    )
    table = against_persistence(forecasts).set_index("model")
    assert dict(table["verdict"]) == {
        PERSISTENCE: "reference", "seer": "better", "fool": "worse", "mimic": "same", "broken": "same"
    }
    assert table.loc[[PERSISTENCE, "broken"], "p_persistence"].isna().all()
    assert (table["p_corrected"].dropna() >= table["p_persistence"].dropna()).all()


def test_a_difference_that_is_luck_in_a_long_table_gets_no_verdict() -> None:
    series = walk(300)
    rng = np.random.default_rng(5)
    guesses = {f"m{k}": series[:-1] + 0.01 * rng.standard_normal(299) for k in range(20)}
    table = against_persistence(one_step(series, guesses))
    assert (table["p_persistence"] < 0.05).any()            # one of twenty looks real on its own
    assert set(table["verdict"]) == {"reference", "same"}


def test_squared_loss_can_judge_differently() -> None:
    series = walk(200)
    spiky = series[1:] + np.where(np.arange(199) % 20 == 0, 12.0, 0.0)
    forecasts = one_step(series, {"spiky": spiky})
    absolute = against_persistence(forecasts, "absolute").set_index("model")
    squared = against_persistence(forecasts, "squared").set_index("model")
    assert absolute.loc["spiky", "p_persistence"] != squared.loc["spiky", "p_persistence"]
    assert squared.loc["spiky", "verdict"] == "worse"


def test_steps_of_one_origin_are_one_observation() -> None:
    forecasts = two_steps(walk(100), 100.0)
    model = forecasts[forecasts["model"] == "constant"]
    naive = forecasts[forecasts["model"] == PERSISTENCE]
    lost = (model["y"] - model["y_hat"]).abs().to_numpy() - (naive["y"] - naive["y_hat"]).abs().to_numpy()
    expected = diebold_mariano(lost.reshape(-1, 2).mean(axis=1), 2)
    found = against_persistence(forecasts).set_index("model").loc["constant", "p_persistence"]
    assert found == pytest.approx(expected)


def test_judgement_marks_what_leaks_and_says_so() -> None:
    series = walk(60)
    judgement = judge(one_step(series, {"seer": series[1:]}), {"s": 1.0}, {"seer"})
    assert dict(zip(judgement.scores["model"], judgement.scores["leaks"], strict=True)) == {
        PERSISTENCE: False, "seer": True
    }
    assert judgement.notes[0].startswith("seer USES THE FUTURE")
    assert judgement.steps is None
    assert judge(two_steps(series, 1.0), {"s": 1.0}, []).steps is not None
