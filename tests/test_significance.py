"""Differences between models, directions and metrics: real ones are found, luck is not."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import MCS, SPA, IIDBootstrap, StationaryBootstrap, optimal_block_length
from scipy import stats
from statsmodels.stats.multitest import multipletests

from data.contracts import CELLS, SERIES
from evaluation.inference.bootstrap import Blocks, block_length, metric_intervals, resamples
from evaluation.inference.diebold_mariano import against_reference, diebold_mariano, pairwise
from evaluation.inference.direction import direction, pesaran_timmermann
from evaluation.inference.losses import Loss, losses_by_origin
from evaluation.inference.model_confidence_set import (
    _p_values,
    model_confidence_set,
    standard_errors,
    superior_predictive_ability,
)
from evaluation.inference.significance import holm
from evaluation.rows import CLOCK, PERSISTENCE, Facts, enriched
from evaluation.scores import aggregate, scores_of
from tests.conftest import ROOT
from tests.tables import cell_facts, one_step, series_facts, two_steps


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
        (np.zeros(50), 1.0),  # the same forecasts
        (np.full(50, 0.3), 0.0),  # worse by the same amount each time
        (np.array([1.0, 2.0]), np.nan),  # too few to say
        (np.array([*np.ones(30), np.nan]), np.nan),
    ],
)
def test_cases_without_variance_or_rows(differences: np.ndarray, p: float) -> None:
    np.testing.assert_equal(diebold_mariano(differences, 1), p)


def test_holm_is_that_of_a_worked_example_and_skips_what_is_missing() -> None:
    corrected = holm(pd.Series([0.01, np.nan, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])


def test_holm_is_that_of_statsmodels_also_with_ties_ones_and_nothing_to_correct() -> None:
    drawn = np.random.default_rng(0).uniform(0, 0.3, 20).round(2)
    for p in (drawn, np.r_[drawn, 0.9, 1.0, 1.0], np.array([0.2])):
        np.testing.assert_allclose(holm(pd.Series(p)), multipletests(p, method="holm")[1])
    assert np.isnan(holm(pd.Series([np.nan, np.nan]))).all()


def against(forecasts: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
    return against_reference(enriched(forecasts, series_facts()), PERSISTENCE, loss)


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
    table = against(forecasts).set_index("model")
    assert dict(table["verdict"]) == {
        PERSISTENCE: "reference",
        "seer": "better",
        "fool": "worse",
        "mimic": "same",
        "broken": "same",
    }
    assert table.loc[[PERSISTENCE, "broken"], "p_reference"].isna().all()
    assert (table["p_corrected"].dropna() >= table["p_reference"].dropna()).all()


def test_a_difference_that_is_luck_in_a_long_table_gets_no_verdict() -> None:
    series = walk(300)
    rng = np.random.default_rng(5)
    guesses = {f"m{k}": series[:-1] + 0.01 * rng.standard_normal(299) for k in range(20)}
    table = against(one_step(series, guesses))
    assert (table["p_reference"] < 0.05).any()  # one of twenty looks real on its own
    assert set(table["verdict"]) == {"reference", "same"}


def test_squared_loss_can_judge_differently() -> None:
    series = walk(200)
    spiky = series[1:] + np.where(np.arange(199) % 20 == 0, 12.0, 0.0)
    forecasts = one_step(series, {"spiky": spiky})
    absolute = against(forecasts, "absolute").set_index("model")
    squared = against(forecasts, "squared").set_index("model")
    assert absolute.loc["spiky", "p_reference"] != squared.loc["spiky", "p_reference"]
    assert squared.loc["spiky", "verdict"] == "worse"


def test_steps_of_one_origin_are_one_observation() -> None:
    forecasts = two_steps(walk(100), 100.0)
    model = forecasts[forecasts["model"] == "constant"]
    naive = forecasts[forecasts["model"] == PERSISTENCE]
    lost = (model["y"] - model["y_hat"]).abs().to_numpy() - (naive["y"] - naive["y_hat"]).abs().to_numpy()
    expected = diebold_mariano(lost.reshape(-1, 2).mean(axis=1), 2)
    found = against(forecasts).set_index("model").loc["constant", "p_reference"]
    assert found == pytest.approx(expected)


def test_one_missing_forecast_of_several_steps_leaves_a_model_untested() -> None:
    forecasts = two_steps(walk(100), 100.0)
    forecasts.loc[forecasts.index[-1], "y_hat"] = np.nan
    found = against(forecasts).set_index("model").loc["constant"]
    assert np.isnan(found["p_reference"])
    assert found["verdict"] == "same"


# --- every pair


def contest(n: int = 400, seed: int = 3) -> pd.DataFrame:
    """Persistence, one that knows something, two alike, one that is worse."""
    series = walk(n)
    rng = np.random.default_rng(seed)
    moves, noise = np.diff(series), rng.standard_normal((4, n - 1))
    return one_step(
        series,
        {
            "seer": series[:-1] + 0.5 * moves + 0.5 * noise[0],
            "one": series[:-1] + 0.6 * moves + 0.35 * noise[1],
            "two": series[:-1] + 0.6 * moves + 0.35 * noise[2],
            "fool": series[:-1] + noise[3],
        },
    )


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_pairs_with_persistence_are_those_of_the_table_against_the_reference(loss: str) -> None:
    forecasts = contest()
    pairs = pairwise(forecasts, loss).set_index(["model", "other"])  # type: ignore[arg-type]
    alone = against(forecasts, loss).set_index("model")  # type: ignore[arg-type]
    for model in ["seer", "one", "two", "fool"]:
        assert pairs.loc[(PERSISTENCE, model), "p"] == pytest.approx(alone.loc[model, "p_reference"], abs=1e-12)
    assert len(pairs) == 10
    np.testing.assert_allclose(pairs["p_corrected"], holm(pairs["p"]))


def test_pairs_are_told_apart_only_where_they_differ() -> None:
    verdicts = pairwise(contest()).set_index(["model", "other"])["verdict"]
    assert verdicts[(PERSISTENCE, "seer")] == "worse"
    assert verdicts[(PERSISTENCE, "fool")] == "better"
    assert verdicts[("one", "two")] == "same"
    assert verdicts[("one", "fool")] == "better"


def test_losses_are_averaged_over_an_origin_and_missing_where_a_forecast_is() -> None:
    forecasts = two_steps(walk(30), 100.0)
    losses = losses_by_origin(forecasts)
    assert losses.index.is_monotonic_increasing
    assert losses.columns.tolist() == [PERSISTENCE, "constant"]
    own = forecasts[(forecasts["model"] == "constant") & (forecasts["origin"] == 7)]
    assert losses.loc[7, "constant"] == pytest.approx((own["y"] - own["y_hat"]).abs().mean())
    gone = (forecasts["model"] == "constant") & (forecasts["origin"] == 7) & (forecasts["step"] == 2)
    holes = losses_by_origin(forecasts[~gone])
    assert holes["constant"].isna().tolist() == (holes.index == 7).tolist()


# --- direction


def signs(up_up: int, up_down: int, down_up: int, down_down: int) -> tuple[np.ndarray, np.ndarray]:
    """Truths and forecasts by how often each pair occurs."""
    counts = [up_up, up_down, down_up, down_down]
    return np.repeat([1.0, 1.0, -1.0, -1.0], counts), np.repeat([1.0, -1.0, 1.0, -1.0], counts)


def test_direction_is_that_worked_out_by_hand() -> None:
    """P_y = .5, P_x = .55, P = .75: P* = .5, V(P) = .0025, V(P*) = (.01 * .25) / 100 + 4 * .061875 / 1e4."""
    found = pesaran_timmermann(*signs(40, 10, 15, 35))
    assert (found.n, found.hits, found.expected) == (100, 0.75, 0.5)
    assert found.statistic == pytest.approx(0.25 / 0.0495, rel=1e-12)  # .0495^2 = .0025 - .000025 - .00002475
    assert found.p == pytest.approx(2.2032e-7, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_direction_is_nearly_the_root_of_chi_squared_of_the_table_of_signs(seed: int) -> None:
    """For two outcomes the test is, but for terms of 1 / n, that of independence in a 2 x 2 table."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(4000) + 0.2
    forecast = 0.05 * truth + rng.standard_normal(4000) - 0.1
    table = pd.crosstab(truth > 0, forecast > 0)
    chi_squared = stats.chi2_contingency(table, correction=False).statistic
    assert pesaran_timmermann(truth, forecast).statistic == pytest.approx(np.sqrt(chi_squared), rel=2e-3)


def test_luck_is_called_direction_about_once_in_twenty_times() -> None:
    rng = np.random.default_rng(0)
    p = [pesaran_timmermann(rng.standard_normal(300) + 0.3, rng.standard_normal(300) + 0.3).p for _ in range(1000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07


def test_a_habit_of_saying_up_is_no_skill() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(500) + 1  # rises on 84 % of days
    found = pesaran_timmermann(truth, rng.standard_normal(500) + 1.5)
    assert found.hits > 0.75
    assert found.p > 0.05
    always = pesaran_timmermann(truth, np.ones(500))
    assert always.hits == always.expected
    assert np.isnan(always.p)


def test_moves_that_do_not_exist_do_not_count_and_few_say_nothing() -> None:
    truth, forecast = signs(40, 10, 15, 35)
    padded = pesaran_timmermann(np.r_[truth, 0.0, 1.0, np.nan], np.r_[forecast, 1.0, 0.0, 1.0])
    assert padded == pesaran_timmermann(truth, forecast)
    assert np.isnan(pesaran_timmermann(*signs(8, 1, 1, 8)).p)
    assert pesaran_timmermann(np.zeros(9), np.ones(9)).n == 0


def test_the_table_of_directions_judges_the_first_step_of_each_series() -> None:
    forecasts = contest()
    both = pd.concat([forecasts, forecasts.assign(unique_id="t")], ignore_index=True)
    later = forecasts.assign(step=2, y_hat=forecasts["y"])
    rows = enriched(pd.concat([both, later], ignore_index=True), series_facts())
    table = direction(rows, PERSISTENCE)
    assert table["model"].value_counts().to_dict() == dict.fromkeys(["seer", "one", "two", "fool"], 2)
    seer = table[table["model"] == "seer"]
    last = forecasts.loc[forecasts["model"] == PERSISTENCE, "y_hat"].to_numpy()
    own = forecasts[forecasts["model"] == "seer"]
    expected = pesaran_timmermann((own["y"] - last).to_numpy(), (own["y_hat"] - last).to_numpy())
    assert seer["statistic"].tolist() == pytest.approx([expected.statistic] * 2)
    assert dict(zip(table["model"], table["verdict"], strict=True)) == {
        "seer": "better",
        "one": "better",
        "two": "better",
        "fool": "same",
    }


# --- the best of many


def test_the_model_confidence_set_is_that_of_arch() -> None:
    forecasts = contest()
    losses = losses_by_origin(forecasts)
    differences = losses.sub(losses.mean(axis=1), axis=0).to_numpy()
    length = int(np.ceil(max(1, optimal_block_length(differences)["stationary"].max())))
    oracle = MCS(losses, size=0.05, reps=500, block_size=length, seed=7)
    oracle.compute()
    table = model_confidence_set(forecasts, [], replications=500, seed=7).set_index("model")
    for model, p in oracle.pvalues["Pvalue"].items():
        assert table.loc[model, "p_mcs"] == pytest.approx(p, abs=1e-12)
    assert sorted(table.index[table["in_set"]]) == oracle.included == ["one", "two"]


def test_the_set_holds_what_cannot_be_told_apart_and_nothing_that_leaks() -> None:
    forecasts = contest()
    broken = forecasts[forecasts["model"] == "seer"].assign(model="broken", y_hat=np.nan)
    twin = forecasts[forecasts["model"] == "one"].assign(model="twin")
    table = model_confidence_set(pd.concat([forecasts, broken, twin]), ["two"]).set_index("model")
    assert table["in_set"].to_dict() == {
        PERSISTENCE: False,
        "seer": False,
        "one": True,
        "two": False,
        "fool": False,
        "broken": False,
        "twin": True,
    }
    assert table.loc[["two", "broken"], "p_mcs"].isna().all()
    assert table.loc["twin", "p_mcs"] == table.loc["one", "p_mcs"]


def test_the_set_keeps_the_best_of_equals_in_nineteen_of_twenty_worlds() -> None:
    kept = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).standard_normal((4, 150))
        series = np.arange(151.0) % 2
        forecasts = one_step(series, {f"m{k}": series[1:] + noise[k] for k in range(4)})
        table = model_confidence_set(forecasts, [PERSISTENCE], replications=100).set_index("model")
        kept += bool(table.loc["m0", "in_set"])
    assert kept >= 35  # at least 95 % of 40, but for luck


def hansen(gains: np.ndarray, draws: np.ndarray) -> float:
    """Hansen's consistent p-value from resampled counts ``(R, n)``, line by line, studentised."""
    n = len(gains)
    means, resampled = gains.mean(axis=0), draws @ gains / n
    omega = np.sqrt(n) * resampled.std(axis=0)
    weights = np.array([(1 - k / n) * 0.9**k + (k / n) * 0.9 ** (n - k) for k in range(1, n)])
    centred = gains - means
    variance = (centred**2).mean(axis=0)
    for k, weight in enumerate(weights, start=1):
        variance += 2 * weight * (centred[k:] * centred[:-k]).sum(axis=0) / n
    kept = means >= -np.sqrt(variance / n * 2 * np.log(np.log(n)))
    statistic = (means / omega).max()
    simulated = ((resampled - means * kept) / omega).max(axis=1)
    return float((simulated > statistic).mean())


def test_superior_predictive_ability_is_that_of_arch_and_of_hansen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.inference.model_confidence_set.block_length", lambda series, horizon: 10)
    forecasts = contest(seed=4)
    weak = forecasts[forecasts["model"].isin([PERSISTENCE, "fool"])]
    naive = forecasts[forecasts["model"] == PERSISTENCE]
    rng = np.random.default_rng(8)
    for k in range(3):
        guess = naive["y_hat"] + rng.normal(0, 0.1 + k, len(naive))
        weak = pd.concat([weak, naive.assign(model=f"g{k}", y_hat=guess)])
    losses = losses_by_origin(weak)
    gains = (losses[[PERSISTENCE]].to_numpy() - losses.drop(columns=PERSISTENCE)).to_numpy()
    scaled = gains / (standard_errors(gains, 10, 500, 7) * np.sqrt(len(gains)))
    oracle = SPA(np.zeros(len(gains)), -scaled, block_size=10, reps=500, seed=7)
    oracle.compute()
    (row,) = superior_predictive_ability(weak, PERSISTENCE, [], replications=500, seed=7).to_dict("records")
    found = [row["p_lower"], row["p"], row["p_upper"]]
    assert found == pytest.approx(oracle.pvalues.tolist(), abs=1e-12)
    assert row["p"] == pytest.approx(hansen(gains, resamples(len(gains), 10, 500, 7)), abs=1e-12)
    assert 0 < row["p"] < 1
    assert (row["benchmark"], row["n_models"], row["verdict"]) == (PERSISTENCE, 4, "same")


def test_one_erratic_model_does_not_hide_a_good_one() -> None:
    forecasts = contest()
    naive = forecasts[forecasts["model"] == PERSISTENCE]
    wild = naive.assign(model="wild", y_hat=naive["y"] + 3 * np.random.default_rng(0).standard_cauchy(len(naive)))
    some = forecasts[forecasts["model"].isin([PERSISTENCE, "seer"])]
    (row,) = superior_predictive_ability(pd.concat([some, wild]), PERSISTENCE, []).to_dict("records")
    assert (row["best"], row["verdict"]) == ("seer", "better")
    (without,) = superior_predictive_ability(pd.concat([some, wild]), PERSISTENCE, ["seer"]).to_dict("records")
    assert (without["n_models"], without["verdict"]) == (1, "same")


def superior(rows: pd.DataFrame, leaking: list[str], seed: int = 0) -> pd.DataFrame:
    return superior_predictive_ability(rows, PERSISTENCE, leaking, seed=seed)


@pytest.mark.parametrize("tested", [model_confidence_set, superior])
def test_too_few_origins_or_models_give_no_p(tested: Callable[..., pd.DataFrame]) -> None:
    few = tested(contest(12), [])
    assert few.filter(like="p_mcs").isna().all(axis=None)
    assert "p" not in few or few["p"].isna().all()
    alone = tested(one_step(walk(100), {}), [])
    assert "in_set" not in alone or not alone["in_set"].any()
    assert "verdict" not in alone or alone["verdict"].tolist() == ["same"]


def test_the_same_seed_gives_the_same_judgement() -> None:
    forecasts = contest()
    for tested in (model_confidence_set, superior):
        pd.testing.assert_frame_equal(tested(forecasts, [], seed=1), tested(forecasts, [], seed=1))
    first, again, other = (bounds(forecasts, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["low"].equals(other["low"])


# --- intervals of metrics


def bounds(
    forecasts: pd.DataFrame, facts: Facts | None = None, replications: int = 1000, seed: int = 0
) -> pd.DataFrame:
    facts = facts or series_facts()
    scores = [score for score in scores_of(facts.question.kind) if score.name != "crps"]
    blocks: Blocks = "series" if facts.question.kind in CELLS else "time"
    return metric_intervals(enriched(forecasts, facts), scores, blocks, replications, seed)


def test_values_are_those_of_the_table() -> None:
    forecasts = contest()
    still = forecasts["origin"] == forecasts["origin"].iloc[50]  # nothing moves, and one model says so
    last = forecasts.loc[still & (forecasts["model"] == PERSISTENCE), "y_hat"].iloc[0]
    forecasts.loc[still, "y"] = last
    forecasts.loc[still & (forecasts["model"] == "seer"), "y_hat"] = last
    two = pd.concat([forecasts, forecasts.assign(unique_id="t", y=forecasts["y"] + 3)], ignore_index=True)
    facts = series_facts({"s": 1.3, "t": 0.7})
    scores = scores_of(SERIES)
    expected = aggregate(enriched(two, facts), scores, ["model"]).set_index("model")
    table = bounds(two, facts, replications=50)
    for (model, metric), row in table.set_index(["model", "metric"]).iterrows():
        np.testing.assert_allclose(row["value"], expected.loc[model, metric], rtol=1e-9)
        assert np.isnan(row["value"]) or row["low"] <= row["value"] <= row["high"]
    assert len(table) == 5 * (len(scores) - 1)


def test_metric_intervals_are_those_of_the_bootstrap_of_arch() -> None:
    forecasts = contest()
    losses = losses_by_origin(forecasts)
    length = block_length(losses.to_numpy(), 1)
    oracle = StationaryBootstrap(length, losses["seer"].to_numpy(), seed=0)
    low, high = oracle.conf_int(np.mean, reps=1000, method="percentile").ravel()
    table = bounds(forecasts).set_index(["model", "metric"])
    assert table.loc[("seer", "mae"), ["low", "high"]].tolist() == pytest.approx([low, high], abs=1e-9)


def test_intervals_of_a_dependent_series_hold_its_mean_about_as_often_as_said() -> None:
    """Runs of like errors: blocks keep them together; single rows would hold it in 7 of 10 worlds."""
    held = {"blocks": 0, "rows": 0}
    for seed in range(50):
        rng = np.random.default_rng(seed)
        level, errors = 0.0, []
        for shock in rng.standard_normal(600):
            level = 0.7 * level + shock
            errors.append(np.exp(0.4 * level))
        truth = np.exp(0.5 * 0.4**2 / (1 - 0.7**2))
        forecasts = one_step(np.arange(601.0), {"m": np.arange(1.0, 601) + errors})
        table = bounds(forecasts, replications=300)
        row = table.set_index(["model", "metric"]).loc[("m", "mae")]
        held["blocks"] += row["low"] <= truth <= row["high"]
        low, high = IIDBootstrap(np.array(errors), seed=0).conf_int(np.mean, reps=300, method="percentile").ravel()
        held["rows"] += low <= truth <= high
    assert held["blocks"] >= 42  # 47 of 50 at best; percentile intervals are a bit narrow
    assert held["rows"] < 40


def test_cells_are_drawn_whole() -> None:
    cycles = np.arange(100)
    rng = np.random.default_rng(0)
    bias = rng.normal(0, 5, 6)
    parts = [
        pd.DataFrame(
            {
                "unique_id": f"c{k}",
                "ds": cycles,
                "origin": cycles,
                "step": 0,
                "model": CLOCK,
                "y": 100.0 - cycles,
                "y_hat": 100.0 - cycles + bias[k],
            }
        )
        for k in range(6)
    ]
    cells = pd.concat(parts, ignore_index=True)
    facts = cell_facts({f"c{k}": 100.0 for k in range(6)})
    table = bounds(cells, facts).set_index("metric")
    means = np.abs(bias)[rng.integers(6, size=(4000, 6))].mean(axis=1)
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(table.loc["mae", ["low", "high"]].astype(float), expected, rtol=0.12)
    one = bounds(parts[0], facts).set_index("metric")
    assert one.loc["mae", "value"] == pytest.approx(abs(bias[0]))
    assert one[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(("horizon", "n", "expected"), [(1, 400, 1), (5, 400, 5), (5, 8, 2)])
def test_blocks_are_at_least_a_horizon_and_at_most_a_quarter(horizon: int, n: int, expected: int) -> None:
    alternating = np.tile([0.0, 1.0], n // 2)[:, None]  # neighbours differ: blocks need not be long
    assert block_length(np.zeros((n, 1)), horizon) == expected
    assert block_length(alternating, horizon) >= expected


@pytest.mark.parametrize("page", ["significance", "intervals"])
def test_what_a_page_imports_is_there(page: str) -> None:
    lines = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").splitlines()
    imports = [line for line in lines if line.startswith("from evaluation.")]
    assert imports
    for line in imports:
        exec(line, {})


@pytest.mark.parametrize("third", [[], [3.0, 3.5]], ids=["two", "three"])
def test_models_that_err_exactly_as_much_on_the_whole_have_a_p_value_each(third):
    losses = np.array([[1.0, 2.0, *third[:1]], [2.0, 1.0, *third[1:]]] * 20)
    found = _p_values(losses, 2, 100, seed=0)
    assert sorted(found.index) == list(range(losses.shape[1]))
    assert found.notna().all()
