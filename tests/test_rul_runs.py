"""Runs on cells from the command line, as a person runs it."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.sources.synthetic_cells import SyntheticCells
from tasks.rul import monotone_clip
from tests.commands import Done, run, stopped_at_a_checkpoint
from tests.test_train import assert_same_weights

SHORT = ["experiment=smoke_battery", "source.life=[60,100]", "source.longest=130"]  # lives [cycles]
SMALL = [
    *SHORT,
    "baselines=cycles",
    "source.n_cells=3",
    "split.folds=null",
    "split.cells=[cell 02]",
]
MODEL = "BiLSTM-Hybrid"
NARROW = "model.network.hidden=[8,4]"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("smoke_battery") / "run"
    fewer = "baselines.mlp.component.n_members=2"
    return folder, run("train.py", *SHORT, NARROW, fewer, f"hydra.run.dir={folder}")


def new_cell(path: Path, change=lambda table: table) -> Path:
    """Write the first cycles of a cell no run has seen, whose end is not known."""
    cells = SyntheticCells(
        n_cells=3,
        life=[120, 200],
        longest=260,
        spread=0.02,
        noise=0.003,
        missing=0.02,
        outliers_in=0.01,
        outliers="replace",
        eol=0.8,
        seed=5,
    )
    table = cells.read().frame.drop(columns="y")
    table = table[table["unique_id"] == table["unique_id"].iloc[0]].head(80)
    change(table.rename(columns={"unique_id": "cell", "ds": "cycle"})).to_csv(path, index=False)
    return path


def test_a_run_leaves_everything_it_promises(smoke):
    folder, done = smoke
    assert done.returncode == 0, done.stderr
    for name in (
        "config.yaml",
        "run.json",
        "metrics.json",
        "forecasts.parquet",
        "model.safetensors",
        "table.md",
        "report.html",
        "artifacts/attention.parquet",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert "Warning" not in done.stderr, done.stderr


def test_the_clock_and_the_other_baselines_stand_beside_the_model(smoke):
    folder, done = smoke
    models = {row["model"] for row in json.loads((folder / "metrics.json").read_text())["scores"]}
    assert models == {MODEL, "Clock", "Ridge on cycle", "Ridge", "Extra trees", "Boosting", "MLP", "Filter alone"}
    assert "Clock" in done.stdout


def test_a_run_on_unseen_cells_is_causal_and_says_so(smoke):
    folder, done = smoke
    card = json.loads((folder / "run.json").read_text())
    assert card["audit"]["verdict"] == "causal"
    assert "causal: " in done.stdout
    assert "causal: " in (folder / "table.md").read_text().splitlines()[0]


def test_every_cell_is_forecast_once_and_metrics_are_those_of_the_forecasts(smoke):
    folder, _ = smoke
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    scores = {row["model"]: row for row in json.loads((folder / "metrics.json").read_text())["scores"]}
    assert not forecasts.duplicated(["model", "unique_id", "ds"]).any()
    assert forecasts["unique_id"].nunique() == 5
    for model, rows in forecasts.groupby("model"):
        assert scores[model]["mae"] == pytest.approx((rows["y"] - rows["y_hat"]).abs().mean())
    assert (forecasts["y_hat"] >= 0).all()


def test_what_was_mended_is_printed(smoke):
    assert "End of life is the first cycle" in smoke[1].stdout.replace("\n", " ")


def test_predict_tells_the_remaining_life_of_a_new_cell(smoke, tmp_path):
    folder, _ = smoke
    done = run("predict.py", f"run={folder}", f"source.path={new_cell(tmp_path / 'new.csv')}", f"out={tmp_path}/f.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "f.csv")
    assert list(table.columns[:3]) == ["cell", "cycle", "RUL"]
    assert len(table) == 80 - 14
    assert table["RUL"].between(0, 400).all()
    assert (table["lo_50"] <= table["RUL"]).all()
    assert (table["RUL"] <= table["hi_50"]).all()
    assert "lo_95" not in table  # one validation cell does not support it


def test_predict_tells_what_the_run_told(smoke, tmp_path):
    """A cell of the last fold, given to predict as if it were new."""
    folder, _ = smoke
    forecasts = pd.read_parquet(folder / "forecasts.parquet").query(f"model == '{MODEL}'")
    last = forecasts[forecasts["fold"] == forecasts["fold"].iloc[-1]]
    cell = last["unique_id"].iloc[-1]
    source = SyntheticCells(
        n_cells=5,
        life=[60, 100],
        longest=130,
        spread=0.02,
        noise=0.003,
        missing=0.02,
        outliers_in=0.01,
        outliers="replace",
        eol=0.8,
        seed=0,
    )
    table = source.read().frame.drop(columns="y")
    table[table["unique_id"] == cell].rename(columns={"unique_id": "cell", "ds": "cycle"}).to_csv(
        tmp_path / "cell.csv", index=False
    )
    done = run("predict.py", f"run={folder}", f"source.path={tmp_path / 'cell.csv'}", f"out={tmp_path}/f.csv")
    assert done.returncode == 0, done.stderr
    told = pd.read_csv(tmp_path / "f.csv").set_index("cycle")["RUL"]
    known = last[last["unique_id"] == cell].set_index("ds")["y_hat"]
    np.testing.assert_allclose(told.loc[known.index], known, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="Charging time (s)"), "lacks 'Charging time (s)'"),
        (lambda t: t.head(10), "lookback=15"),
        (lambda t: t.assign(**{"Max. Voltage Dischar. (V)": t["Max. Voltage Dischar. (V)"] * 1000}), "Max. Voltage"),
        (lambda t: t.assign(**{"Charging time (s)": t["Charging time (s)"] / 3600}), "other units"),
        (lambda t: t.assign(cycle=1), "cycle"),
    ],
    ids=["column missing", "too short", "millivolts", "hours", "cycles twice"],
)
def test_predict_refuses_a_cell_that_does_not_fit(smoke, tmp_path, change, said):
    folder, _ = smoke
    path = new_cell(tmp_path / "new.csv", change)
    done = run("predict.py", f"run={folder}", f"source.path={path}", f"out={tmp_path}/f.csv")
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f.csv").exists()


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b"\x80\x04" + b])
def test_predict_tells_of_damaged_weights(smoke, tmp_path, damage):
    folder = tmp_path / "run"
    folder.mkdir()
    for path in smoke[0].iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    weights = folder / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    done = run("predict.py", f"run={folder}", f"source.path={new_cell(tmp_path / 'new.csv')}", f"out={tmp_path}/f.csv")
    assert done.returncode == 2
    assert "model.safetensors is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_forecasts_are_not_negative_and_monotone_ones_do_not_rise():
    cells = np.array(["a", "a", "a", "b", "b"])
    forecast = np.array([[3.0], [5.0], [-1.0], [4.0], [6.0]])
    np.testing.assert_array_equal(monotone_clip(forecast, cells, False)[:, 0], [3, 5, 0, 4, 6])
    np.testing.assert_array_equal(monotone_clip(forecast, cells, True)[:, 0], [3, 3, 0, 4, 4])


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    more = [*SMALL, NARROW, "trainer.max_epochs=6", "audit=none"]
    whole = run("train.py", *more, f"hydra.run.dir={tmp_path}/whole")
    assert whole.returncode == 0, whole.stderr
    killed = stopped_at_a_checkpoint(tmp_path / "broken", signal.SIGKILL, *more)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "broken" / "metrics.json").exists()
    resumed = run("train.py", f"resume={tmp_path}/broken")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        [
            NARROW,
            "augmentation=auto",
            "refit=none",
            "task.start=birth",
            "task.train_every=2",
            "augmentation.inner.generator.max_steps=20",
            "features=paper2",
            "features.steps.codes.autoencoder.epochs=1",
            "features.steps.clusters.candidates=[2,3]",
        ],
        [NARROW, "model/component=quantiles"],
        ["model=ridge", "audit=none"],  # test_audit.py has it
    ],
    ids=["auto", "quantiles", "ridge"],
)
def test_other_choices_run_to_the_end(tmp_path, more):
    done = run("train.py", *SMALL, *more, f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    forecasts = pd.read_parquet(tmp_path / "run" / "forecasts.parquet")
    assert np.isfinite(forecasts["y_hat"]).all()


@pytest.mark.slow
def test_within_cells_the_last_known_life_is_among_the_baselines_and_all_of_it_leaks(tmp_path):
    cells = ["source.n_cells=3", *SHORT[1:], "intervals=none"]
    rows = ["baselines=cycles", "+model@baselines.last_rul=last_rul"]
    choices = ["experiment=battery", NARROW, "split=within_cell", "trainer.max_epochs=1", *rows, *cells]
    done = run("train.py", *choices, f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    scores = {row["model"]: row for row in json.loads((tmp_path / "run" / "metrics.json").read_text())["scores"]}
    assert scores["Last RUL"]["mae"] == pytest.approx(0)
    assert all(row["leaks"] for row in scores.values())
    assert "whose end of life is thereby known" in done.stdout.replace("\n", " ")
