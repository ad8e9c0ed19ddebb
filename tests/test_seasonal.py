"""The seasonal naive forecast, the search for a season, and what both change in a run."""

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from data.contracts import Windows
from data.panel import DataError
from data.splits import ByTime
from evaluation.judge import judge
from evaluation.rows import enriched, naive_error
from models.model import Inputs
from models.seasonal import LONGEST, SeasonalNaive, find_season, steps_needed
from pipeline.predict import trained
from runtime.build import build
from tests.conftest import panel_of
from tests.tables import series_facts

DAYS = np.arange(400.0)


def inputs_of(*pasts):
    past = np.array(pasts, dtype=np.float64)[:, :, None]
    return Inputs(Windows(past, past[:, :0], past[:, :0, 0], np.arange(len(past))), None, pd.DataFrame())


def test_a_seasonal_naive_forecast_repeats_the_last_season_as_often_as_the_horizon_is_long():
    model = SeasonalNaive("S", 3, False, 1, 4, 7)
    np.testing.assert_array_equal(model.predict(inputs_of([9, 1, 2, 3])), [[1, 2, 3, 1, 2, 3, 1]])


def test_drift_adds_the_change_over_the_last_season_once_a_season():
    model = SeasonalNaive("S", 3, True, 1, 4, 7)
    np.testing.assert_array_equal(model.predict(inputs_of([1, 1, 2, 3])), [[3, 4, 5, 5, 6, 7, 7]])


def test_with_drift_a_line_with_a_season_is_forecast_without_error():
    series = 3 * DAYS + np.array([5.0, -1, 0, 2])[DAYS.astype(int) % 4]
    model = SeasonalNaive("S", 4, True, 1, 12, 9)
    np.testing.assert_allclose(model.predict(inputs_of(series[:12])), [series[12:21]])


@pytest.mark.parametrize("season", [1, None])
def test_a_season_of_one_is_persistence(season):
    model = SeasonalNaive("S", season, False, 1, 4, 2)
    np.testing.assert_array_equal(model.predict(inputs_of([9, 1, 2, 3])), [[3, 3]])


def test_a_lookback_shorter_than_the_season_is_refused():
    with pytest.raises(ValueError, match="season=52 needs a lookback of at least 53 steps, and has 30"):
        SeasonalNaive("S", 52, False, 1, 30, 1)


@pytest.mark.parametrize("season", ["weekly", 0, 7.5, True])
def test_what_is_no_season_is_refused(season):
    with pytest.raises(ValueError, match=rf"season={season} must be a whole number"):
        SeasonalNaive("S", season, False, 1, 30, 1)


@pytest.mark.parametrize("season", [4, 7, 24])
def test_the_season_of_a_noisy_wave_on_a_random_walk_is_found_and_not_a_multiple_of_it(season):
    rng = np.random.default_rng(season)
    shape = rng.standard_normal(season)
    series = 3 * shape[np.arange(600) % season] + np.cumsum(rng.standard_normal(600)) + 0.01 * np.arange(600) ** 2
    assert find_season([series]) == season


def test_several_series_are_searched_together():
    rng = np.random.default_rng(0)
    noisy = [np.sin(2 * np.pi * np.arange(300) / 12) + 0.2 * rng.standard_normal(300) for _ in range(6)]
    assert find_season(noisy) == 12


@pytest.mark.parametrize("seed", range(10))
def test_a_random_walk_and_noise_have_no_season(seed):
    noise = np.random.default_rng(seed).standard_normal(300)
    assert find_season([np.cumsum(noise)]) is None
    assert find_season([noise]) is None


def test_a_season_of_which_fewer_than_three_cycles_are_seen_is_none():
    assert find_season([np.sin(2 * np.pi * np.arange(100) / 40)]) is None
    assert find_season([np.zeros(50)]) is None
    assert find_season([np.arange(3.0)]) is None
    assert find_season([0.1 * np.arange(50.0)]) is None


def test_a_season_that_is_found_is_kept_with_the_model():
    rows = pd.DataFrame({"unique_id": "a", "y": np.sin(2 * np.pi * DAYS / 8)})
    windows = inputs_of(np.arange(20.0))
    model = SeasonalNaive("S", "auto", False, 1, 20, 2)
    model.fit(windows._replace(rows=rows), windows)
    fresh = SeasonalNaive("S", "auto", False, 1, 20, 2)
    fresh.load_state(model.state())
    assert model.season == 8
    np.testing.assert_array_equal(fresh.predict(windows), [[12, 13]])


def task_of(configure, *overrides):
    cfg = configure("experiment=smoke", "decomposition=identity", "model=ridge", "baselines=naive", *overrides)
    return build(cfg.task)(cfg)


@pytest.mark.parametrize(
    ("season", "reference"), [("null", "Persistence"), ("1", "Persistence"), ("21", "Seasonal naive")]
)
def test_where_there_is_a_season_its_naive_forecast_is_the_reference_beside_persistence(configure, season, reference):
    task = task_of(configure, f"season={season}")
    labels = [row.label for row in task.candidates()]
    assert task.reference == reference
    assert reference in labels
    assert "Persistence" in labels


def test_a_seasonal_naive_forecast_among_the_baselines_is_the_reference_and_stands_there_once(configure):
    more = ("+model@baselines.again=seasonal_naive", "baselines.again.drift=true", "baselines.again.label=Drifting")
    task = task_of(configure, "season=21", *more)
    assert task.reference == "Drifting"
    assert [row.label for row in task.candidates()] == ["Ridge", "Persistence", "Drift", "Drifting"]


@pytest.mark.parametrize(("season", "longest"), [("21", 22), ("auto", LONGEST + 1)])
def test_all_candidates_forecast_from_the_same_origins_though_one_looks_back_a_season(configure, season, longest):
    task = task_of(configure, f"season={season}", "lookback=5", "horizon=3")
    panel = panel_of(1000 + np.cumsum(np.random.default_rng(0).standard_normal(450)))
    fold = ByTime(0.2, 0.2).folds(panel, 3)[0]
    cut = {row.label: task.prepare(panel, fold, row, cached=False).windows for row in task.candidates()}
    assert {windows.past.shape[1] for windows in cut.values()} == {5, longest}
    for windows in cut.values():
        np.testing.assert_array_equal(windows.origin, cut["Ridge"].origin)
    assert steps_needed(task.cfg.season) == longest


def test_mase_divides_by_the_error_of_the_seasonal_naive_forecast_on_training_rows():
    train = pd.DataFrame({"unique_id": ["a"] * 5 + ["b"] * 4, "y": [1.0, 2, 4, 7, 11, 0, 10, 1, 13]})
    assert naive_error(train, 2) == {"a": (3 + 5 + 7) / 3, "b": (1 + 3) / 2}


def test_a_run_says_which_season_was_found_on_training_rows_alone(configure):
    rng = np.random.default_rng(0)
    wave = 10 * np.sin(2 * np.pi * np.arange(300) / 12) + rng.standard_normal(300)
    panel = panel_of(np.r_[wave, 100 * rng.standard_normal(100)])
    task = task_of(configure, "season=auto")
    fold = ByTime(0.05, 0.25, gap=0).folds(panel, 1)
    facts = task.facts(panel, fold)
    assert facts.notes == (
        "A season of 12 steps was found in the autocorrelation of the training rows' changes (season=auto).",
    )
    assert facts.naive_error == naive_error(panel.frame[fold[0].role == 0], 12)
    panel = panel_of(np.cumsum(rng.standard_normal(400)))
    assert task.facts(panel, ByTime(0.1, 0.2).folds(panel, 1)).notes[0].startswith("No season was found")


def seasonal_table():
    """Two steps up, two down: persistence misses half the moves, the seasonal naive forecast is right but once."""
    truth = np.array([1.0, 2, 1, 2, 1, 3])
    own = {"Persistence": [2.0, 1, 2, 1, 2, 1], "Seasonal naive": [1.0, 2, 1, 2, 1, 2], "rising": [3.0, 3, 3, 3, 3, 3]}
    dates = pd.bdate_range("2024-01-01", periods=7)
    parts = [
        pd.DataFrame(
            {
                "unique_id": "s",
                "ds": dates[1:],
                "origin": dates[:-1],
                "step": 1,
                "model": name,
                "y": truth,
                "y_hat": said,
            }
        )
        for name, said in own.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_skill_is_measured_against_the_season_and_directions_from_the_last_value_known():
    facts = series_facts(1.0)._replace(reference="Seasonal naive", notes=("A season.",))
    rows = enriched(seasonal_table(), facts)
    np.testing.assert_array_equal(rows.loc[rows["model"] == "rising", "last"], [2, 1, 2, 1, 2, 1])
    found = judge(seasonal_table(), facts, {})
    scores = found.scores.set_index("model")
    assert "A season." in found.notes
    assert scores.loc["Seasonal naive", "mae"] == pytest.approx(1 / 6)
    assert scores.loc["Persistence", "skill"] == pytest.approx(1 - (7 / 6) / (1 / 6))
    assert np.isnan(scores.loc["Persistence", "direction"])
    assert scores.loc["Seasonal naive", "direction"] == 1
    assert scores.loc["rising", "direction"] == 0.5


def test_a_season_that_is_no_number_is_refused_by_name(configure):
    from runtime.build import ConfigError, check

    cfg = configure("experiment=smoke")
    cfg.season = "weekly"
    with pytest.raises(ConfigError, match=r"season=weekly must be a whole number of at least 1 .* auto or null"):
        check(OmegaConf.create(cfg), {})


@pytest.mark.parametrize("lag", [3, 5])
def test_changes_that_resemble_those_a_few_steps_before_but_not_twice_as_many_are_no_season(lag):
    shocks = np.random.default_rng(0).standard_normal(3000)
    moving_average = shocks[lag:] + 0.9 * shocks[:-lag]
    assert find_season([np.cumsum(moving_average)]) is None


def test_the_scaled_error_is_that_of_series_standardised_by_their_training_rows_and_of_several_series_alone(configure):
    rng = np.random.default_rng(0)
    panel = panel_of(5 * rng.standard_normal(200), 100 + 50 * rng.standard_normal(200))
    task, folds = task_of(configure), ByTime(0.1, 0.3).folds(panel, 1)
    train = panel.frame[folds[0].role == 0].groupby("unique_id")["y"]
    facts = task.facts(panel, folds)
    assert facts.deviation == pytest.approx((train.agg(lambda y: np.std(y))).to_dict())
    tested = panel.frame[folds[0].role == 2]
    rows = pd.DataFrame(
        {
            "unique_id": tested["unique_id"],
            "ds": tested["ds"],
            "origin": tested["ds"],
            "step": 1,
            "model": "Persistence",
            "y": tested["y"],
            "y_hat": 0.0,
        }
    )
    standardised = tested["y"].to_numpy() / tested["unique_id"].map(facts.deviation).to_numpy()
    found = judge(rows, facts, {}).scores["mse_standardised"].iloc[0]
    assert found == pytest.approx(np.square(standardised).mean())
    alone = panel_of(rng.standard_normal(200))
    assert not task.facts(alone, ByTime(0.1, 0.3).folds(alone, 1)).deviation


@pytest.mark.parametrize("stride", [1, 7, 24])
def test_the_audit_rebuilds_origins_of_the_stride_alone_of_every_role_and_before_every_cut(configure, stride):
    task = task_of(configure, f"stride={stride}", "lookback=5", "horizon=3")
    panel = panel_of(100 + np.cumsum(np.random.default_rng(0).standard_normal(800)))
    fold = ByTime(0.2, 0.2).folds(panel, 3)[0]
    used = task.prepare(panel, fold, task.candidates()[0], cached=False).windows
    rebuilt = task.sampled(panel, fold, np.random.default_rng(0))
    assert set(rebuilt) <= set(used.origin)
    again = task.prepare(panel, fold, task.candidates()[0], rebuilt).windows
    np.testing.assert_array_equal(again.past, used.past[np.isin(used.origin, rebuilt)])
    for role in (0, 1, 2):
        assert len(task.select(again, fold, role).origin) >= 2
    cuts = [np.flatnonzero(changed.replaced)[0] - 1 for changed in task.changes(panel, fold, np.random.default_rng(0))]
    for cut in cuts:  # the last origin that must not see the change is rebuilt
        assert used.origin[used.origin <= cut].max() in rebuilt


def test_a_season_that_was_found_but_not_kept_is_not_guessed_for_a_new_file(configure, tmp_path):
    cfg = configure("experiment=smoke", "model=seasonal_naive", "baselines=naive", "season=auto")
    with pytest.raises(DataError, match="holds no weights"):
        trained(build(cfg.task)(cfg), tmp_path)
    cfg.season = cfg.model.season = 21
    (naive,) = trained(build(cfg.task)(cfg), tmp_path)
    assert naive.model.season == 21
    assert naive.model.lookback == 22
