"""A stream goes on as a run of the longer data would, to the bit."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modecast
from data.panel import DataError
from tests.test_modecast import SMALL

LEVELS = [f"{side}-{level}" for level in (80, 95) for side in ("lo", "hi")]
DAYS = pd.bdate_range("2021-01-04", periods=190)


def table(n: int, names: str = "ab") -> pd.DataFrame:
    rng = np.random.default_rng(4)
    walks = {name: 50 + rng.standard_normal(190).cumsum() for name in names}
    parts = [pd.DataFrame({"unique_id": name, "ds": DAYS[:n], "y": walk[:n]}) for name, walk in walks.items()]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network on components of two series, three steps ahead."""
    words = ["model=mlp", "decomposition=emd", "horizon=3", "lookback=10", "scope.history=40", "split.test=0.3"]
    return modecast.run(*SMALL, *words, data=table(180), folder=tmp_path_factory.mktemp("run") / "r").path


def test_a_stream_through_the_test_part_gives_the_table_of_the_run_to_the_bit(folder):
    run = modecast.load(folder)
    known = run.forecasts.set_index(["cutoff", "unique_id"])
    label = run.model
    origins = known.index.get_level_values("cutoff").unique()
    stream = run.stream(since=origins[0])
    whole = table(180).set_index(["ds", "unique_id"])["y"]
    told = stream.forecast()
    for origin, after in pairwise(origins):
        for name, own in told.groupby("unique_id"):
            expected = known.loc[(origin, name)]
            for column in (label, *(f"{label}-{level}" for level in LEVELS)):
                np.testing.assert_array_equal(own[column], expected[column], f"{origin} {name} {column}")
            assert own["ds"].tolist() == expected["ds"].tolist()
        told = stream.update({name: whole[after, name] for name in "ab"})
    assert np.isfinite(told[f"{label}-hi-80"]).all()
    assert run.forecasts[f"{label}-hi-95"].notna().sum() > 50


def test_one_value_after_another_is_the_same_as_a_stream_begun_later(folder):
    """The last origins of a run have no whole horizon and are in no table: the stream forecasts from them, too."""
    run = modecast.load(folder)
    whole = table(180).set_index(["ds", "unique_id"])["y"]
    early = run.stream(since=DAYS[170])
    for day in DAYS[171:180]:
        told = early.update({name: whole[day, name] for name in "ab"}, ds=day)
    pd.testing.assert_frame_equal(told, run.stream().forecast(), check_exact=True)


def test_a_stream_forecasts_what_predict_does_for_the_longer_table(folder):
    run = modecast.load(folder)
    stream, longer = run.stream(), table(190)
    values = longer.set_index(["ds", "unique_id"])["y"]
    for day in DAYS[180:]:
        told = stream.update({name: values[day, name] for name in "ab"})
    predicted = run.predict(longer)
    assert told[run.model].tolist() == predicted[run.model].tolist()
    assert told["ds"].tolist() == predicted["ds"].tolist()
    before = run.predict(table(180))[f"{run.model}-hi-95"] - run.predict(table(180))[run.model]
    assert not np.allclose(told[f"{run.model}-hi-95"] - told[run.model], before), "the width has not moved"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    size = np.exp(0.3 * np.sin(np.arange(190) / 20) - 4.5)
    close = 100 * np.exp((size * rng.standard_normal(190)).cumsum())
    first = np.r_[100.0, close[:-1]]
    high, low = np.maximum(first, close) * (1 + size), np.minimum(first, close) * (1 - size)
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    pd.DataFrame({"date": DAYS, "open": first, "high": high, "low": low, "close": close}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["target=log_range", "target.over=3", "model=lhar", "model.lags=[1,5]", "known=[weekday]"],
        ["target=return", "model=ridge", "horizon=3", "decomposition=modwt", "channels=hilbert"],
    ],
)
def test_rows_of_several_columns_give_the_table_of_the_run_to_the_bit(prices, tmp_path, words):
    line = ["experiment=csv", "source=ohlc", f"source.path={prices}", "decomposition=identity", "lookback=10"]
    run = modecast.run(*line, "scope.history=60", "split.test=0.15", *SMALL, *words, folder=tmp_path / "r")
    known = run.forecasts.set_index("cutoff")
    rows = pd.read_csv(prices, parse_dates=["date"]).rename(columns={"close": "y"}).set_index("date")
    origins = known.index.unique()
    stream = run.stream(since=origins[0])
    told, label = stream.forecast(), run.model
    for origin, after in pairwise(origins):
        for column in (label, *(f"{label}-{level}" for level in LEVELS)):
            np.testing.assert_array_equal(told[column], known.loc[[origin], column], f"{origin} {column}")
        told = stream.update(rows.loc[after].to_dict())
    assert np.isfinite(told[f"{label}-hi-80"]).all()
    with pytest.raises(DataError, match=r"lacks high, low, open; a row of \w+ holds y, open, high, low"):
        stream.update(100.0)
    before = stream.forecast()
    with pytest.raises(DataError, match="not above 0"):
        stream.update({"y": -1.0, "open": 1.0, "high": 1.0, "low": 2.0})
    pd.testing.assert_frame_equal(stream.forecast(), before)


def test_intervals_that_do_not_adapt_stay_as_wide(tmp_path):
    words = ["model=ridge", "decomposition=identity", "intervals=split", "lookback=10", "split.test=0.3"]
    run = modecast.run(*SMALL, *words, data=table(180, "a"), folder=tmp_path / "r")
    stream = run.stream()
    first = stream.forecast()
    pd.testing.assert_frame_equal(first, run.predict()[first.columns], rtol=1e-4)  # bounds are rounded as in a run
    later = stream.update(50.0)
    assert (later["Ridge-hi-80"] - later["Ridge"]).item() == pytest.approx(
        (first["Ridge-hi-80"] - first["Ridge"]).item(), rel=2e-3
    )


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (({"a": 1.0}, None), "lacks b"),
        (({"a": 1.0, "b": 1.0, "c": 1.0}, None), "has c"),
        (({"a": 1.0, "b": float("nan")}, None), "b is nan"),
        (({"a": 1.0, "b": 1.0}, DAYS[100]), "does not come after 2021-09-10"),
    ],
)
def test_an_update_that_cannot_be_is_refused_and_changes_nothing(folder, update, said):
    stream = modecast.load(folder).stream()
    before = stream.forecast()
    with pytest.raises(DataError, match=said):
        stream.update(*update)
    pd.testing.assert_frame_equal(stream.forecast(), before)


def test_a_stream_of_other_data_is_refused(folder, tmp_path):
    other = folder / "data.parquet"
    kept = other.read_bytes()
    try:
        table(179).to_parquet(other, index=False)
        with pytest.raises(DataError, match="no longer those of the run"):
            modecast.load(folder).stream()
    finally:
        other.write_bytes(kept)
