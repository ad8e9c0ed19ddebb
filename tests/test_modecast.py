"""The library: runs, tables and forecasts from Python."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import modecast
from data.panel import DataError
from report.predictions import as_wide
from runtime.faults import ConfigError, FolderError
from runtime.record import load_run
from tests.conftest import ROOT

SMALL = ["baselines=naive", "audit=none", "trainer.max_epochs=1", "parallel.n_jobs=1"]
SHORT = ["source.n_steps=300", "scope.history=64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small network."""
    place = tmp_path_factory.mktemp("run")
    return modecast.run("experiment=smoke", "model=lstm", *SMALL, *SHORT, folder=place / "lstm").path


@pytest.fixture
def df() -> pd.DataFrame:
    """Two series of 260 business days."""
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2021-01-04", periods=260)
    parts = [
        pd.DataFrame({"unique_id": name, "ds": days, "y": 900 + 4 * rng.standard_normal(260).cumsum()})
        for name in ("a", "b")
    ]
    return pd.concat(parts, ignore_index=True)


def test_the_examples_of_every_docstring_are_true(folder, df, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODECAST_CACHE", str(tmp_path / "cache"))
    found = doctest.testmod(modecast, extraglobs={"folder": folder, "df": df}, verbose=False)
    assert found.attempted > 15
    assert found.failed == 0


def test_every_public_name_has_an_example():
    for name in modecast.__all__:
        assert ">>>" in getattr(modecast, name).__doc__, name


def test_a_run_is_loaded_and_forecasts_without_hydra_and_lightning(folder):
    code = (
        f"import modecast, sys; run = modecast.load({str(folder)!r}); run.scores; run.forecasts; "
        "assert not {'torch', 'numba', 'scipy'} & set(sys.modules), 'before a network is asked'; "
        "run.predict(); print(sorted({'hydra', 'pytorch_lightning', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['torch']", done.stderr


def test_what_a_run_forecasts_is_what_predict_py_forecasts(folder, df, tmp_path):
    from pipeline.predict import predict, source_of

    df.to_csv(tmp_path / "new.csv", index=False)
    cfg, card = load_run(folder)
    given = {"path": str(tmp_path / "new.csv"), "series": "unique_id"}
    theirs = predict(cfg, card, folder, source_of(cfg, OmegaConf.create(given)))
    ours = modecast.load(folder).predict(df)
    assert ours["ICEEMDAN-LSTM"].tolist() == theirs.table["ICEEMDAN-LSTM"].tolist()
    assert ours["ICEEMDAN-LSTM-hi-95"].tolist() == theirs.table["hi_95"].tolist()
    assert ours["ds"].tolist() == theirs.table["ds"].tolist()
    assert ours.attrs["notes"] == theirs.notes


def test_many_series_at_once_are_forecast_as_each_alone(folder, df):
    run = modecast.load(folder)
    together = run.predict(df)
    for name, own in df.groupby("unique_id"):
        alone = run.predict(own)
        pd.testing.assert_frame_equal(alone, together[together["unique_id"] == name].reset_index(drop=True))


def test_series_that_end_at_other_dates_go_on_from_their_own(folder, df):
    shorter = df[(df["unique_id"] == "a") | (df["ds"] < "2021-12-20")]
    found = modecast.load(folder).predict(shorter)
    assert found["ds"].astype(str).tolist() == ["2022-01-03", "2021-12-20"]


def test_the_columns_of_the_file_of_the_run_may_keep_their_names(folder, df):
    own = df[df["unique_id"] == "a"].drop(columns="unique_id")
    plain = modecast.load(folder).predict(own)
    renamed = modecast.load(folder).predict(own.rename(columns={"ds": "Date", "y": "Close"}))
    assert renamed.iloc[0, 2:].tolist() == plain.iloc[0, 2:].tolist()
    texts = modecast.load(folder).predict(own.assign(ds=own["ds"].dt.strftime("%Y-%m-%d")))
    assert texts.iloc[0, 1:].tolist() == plain.iloc[0, 1:].tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda df: df.assign(y=1000 * df["y"]), "another series or another unit"),
        (lambda df: df.head(20), "but 64 are needed"),
        (lambda df: df.assign(y=df["y"].where(df.index != 5)), "y is missing"),
        (lambda df: df.to_numpy(), "needs a pandas DataFrame"),
        (lambda df: df.drop(columns="y"), "cannot be forecast|no column|lacks|value"),
    ],
)
def test_a_table_that_cannot_be_forecast_is_refused_in_a_sentence(folder, df, change, said):
    with pytest.raises(DataError, match=said):
        modecast.load(folder).predict(change(df[df["unique_id"] == "a"]))


def test_a_horizon_the_run_has_not_learnt_is_refused(folder, df):
    with pytest.raises(DataError, match="forecasts 1 step, not 3; train again with horizon=3"):
        modecast.load(folder).predict(df, horizon=3)


def test_a_forecaster_forecasts_what_its_run_does_for_a_table(df, tmp_path):
    model = modecast.Forecaster(*SMALL, "model=ridge", "decomposition=identity", horizon=3, folder=tmp_path / "run")
    with pytest.raises(ValueError, match="call fit"):
        model.predict(df)
    table = model.fit(df).predict(df, horizon=2)
    assert table.groupby("unique_id").size().tolist() == [2, 2]
    whole = modecast.load(tmp_path / "run").predict()
    last = table[table["unique_id"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(last, whole.iloc[3:5].reset_index(drop=True))
    assert set(model.run.forecasts["unique_id"]) == {"a", "b"}
    with pytest.raises(FolderError, match="on another table"):
        model.fit(2 * df[["y"]])


def test_a_run_that_is_there_is_returned_and_not_repeated(folder):
    before = (folder / "metrics.json").stat().st_mtime_ns
    again = modecast.run("experiment=smoke", "model=lstm", *SMALL, *SHORT, folder=folder)
    assert (again.path / "metrics.json").stat().st_mtime_ns == before
    with pytest.raises(FolderError, match="other settings"):
        modecast.run("experiment=smoke", "model=lstm", *SMALL, folder=folder)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("hydra.run.dir=x", "folder=..."),
        ("lstm", "is not a choice or a setting"),
        ("lookbak=3", "Did you mean 'lookback'"),
        ("model=lstmm", "lstm"),
        ("model=lstm,mlp", "model"),
    ],
)
def test_a_word_that_is_none_is_refused(word, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        modecast.run(word, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_forecasts_have_a_row_a_target_and_columns_a_model(folder):
    wide = modecast.load(folder).forecasts
    long = pd.read_parquet(folder / "forecasts.parquet")
    own = long[long["model"] == "Persistence"]
    assert wide["Persistence"].tolist() == own["y_hat"].tolist()
    assert wide["Persistence-lo-80"].tolist() == own["lo_80"].tolist()
    assert wide["cutoff"].tolist() == own["origin"].tolist()
    assert not wide.duplicated(["unique_id", "ds", "cutoff"]).any()


def test_folds_that_overlap_have_rows_of_their_own():
    row = {"unique_id": "a", "ds": 3, "origin": 2, "model": "m", "y": 1.0}
    rows = pd.DataFrame([row | {"fold": "one", "y_hat": 1.0}, row | {"fold": "two", "y_hat": 2.0}])
    assert as_wide(rows)["m"].tolist() == [1.0, 2.0]


def test_runs_are_compared_as_compare_py_does(folder, tmp_path):
    other = modecast.run("experiment=smoke", "model=ridge", *SMALL, *SHORT, folder=tmp_path / "ridge")
    rows = modecast.compare([folder, other])
    assert {"Persistence", "Drift", "ICEEMDAN-LSTM", "ICEEMDAN-Ridge"} <= set(rows["model"])
    scores = other.scores.set_index("model")["mae"]
    assert rows.set_index("model")["mae"]["ICEEMDAN-Ridge"] == pytest.approx(scores["ICEEMDAN-Ridge"], rel=1e-12)


def test_the_page_of_a_run_is_written_when_it_is_asked_for(folder):
    assert "<html" in modecast.load(folder).report().read_text(encoding="utf-8")


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(FolderError, match="holds no run"):
        modecast.load(tmp_path)
