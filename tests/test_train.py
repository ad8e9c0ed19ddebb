"""The command line, as a person runs it."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.commands import Done, run, stopped_at_a_checkpoint

SMOKE = ["experiment=smoke", "scope.history=128"]  # of so short windows ICEEMDAN is cheap
SMALL = ["experiment=smoke", "decomposition=wavelet_packet", "baselines=naive"]
QUIET = "audit=none"  # where the audit is not the point; test_audit.py has it of each of these choices


def prices(path: Path, n_days: int = 700, scale: float = 1.0) -> Path:
    walk = 100 + np.cumsum(np.random.default_rng(1).standard_normal(n_days))
    days = pd.bdate_range("2021-01-01", periods=n_days)
    pd.DataFrame({"date": days, "close": scale * walk}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("smoke") / "run"
    return folder, run("train.py", *SMOKE, f"hydra.run.dir={folder}", cache=folder.parent / "cache")


def test_a_run_leaves_everything_it_promises(smoke):
    folder, done = smoke
    assert done.returncode == 0, done.stderr

    expected = {
        "config.yaml",
        "run.json",
        "metrics.json",
        "forecasts.parquet",
        "model.safetensors",
        "table.md",
        "table.csv",
    }
    artifacts = {
        f"artifacts/{name}"
        for name in ("attention.parquet", "calibration.parquet", "components.parquet", "losses.json", "intervals.json")
    }
    expected |= {"report.html"} | artifacts
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == expected
    assert all((folder / name).stat().st_size > 0 for name in left)


def test_the_table_is_printed_with_persistence_and_nothing_else_is_said(smoke):
    _, done = smoke
    for label in ("Persistence", "ICEEMDAN-CNN-LSTM-AM", "CNN-LSTM-AM", "Drift"):
        assert label in done.stdout
    assert "Warning" not in done.stderr, done.stderr


def test_forecasts_have_intervals_that_hold_the_forecast(smoke):
    folder, _ = smoke
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    assert (forecasts["lo_95"] <= forecasts["lo_80"]).all()
    assert (forecasts["lo_80"] <= forecasts["y_hat"]).all()
    assert (forecasts["y_hat"] <= forecasts["hi_80"]).all()
    assert (forecasts["hi_80"] <= forecasts["hi_95"]).all()


def test_a_run_is_audited_again(smoke):
    folder, _ = smoke
    again = run("audit.py", f"run={folder}", "audit=sampled")
    assert again.returncode == 0, again.stderr
    assert "causal" in again.stdout


@pytest.mark.slow
def test_several_seeds_are_averaged_and_kept_apart(tmp_path):
    done = run("train.py", *SMALL, QUIET, "seeds=2", f"hydra.run.dir={tmp_path}/both")
    assert done.returncode == 0, done.stderr
    label = "WAVELET-PACKET-CNN-LSTM-AM"
    alone = []
    for seed in (0, 1):
        single = run("train.py", *SMALL, f"seed={seed}", "audit=none", f"hydra.run.dir={tmp_path}/{seed}")
        assert single.returncode == 0, single.stderr
        table = pd.read_parquet(tmp_path / str(seed) / "forecasts.parquet")
        alone.append(table[table["model"] == label]["y_hat"].to_numpy())
    table = pd.read_parquet(tmp_path / "both" / "forecasts.parquet")
    np.testing.assert_allclose(table[table["model"] == label]["y_hat"], np.mean(alone, axis=0), rtol=1e-12)
    metrics = json.loads((tmp_path / "both" / "metrics.json").read_text())
    assert [row["seed"] for row in metrics["groups"]["seed"] if row["model"] == label] == [0, 1]
    assert f"{label} (2 seeds)" in (tmp_path / "both" / "table.md").read_text()
    weights = load_file(tmp_path / "both" / "model.safetensors")
    assert {name.split("/")[0] for name in weights} == {"seed0", "seed1"}


def test_metrics_are_those_of_the_forecasts(smoke):
    folder, _ = smoke
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    scores = {row["model"]: row for row in json.loads((folder / "metrics.json").read_text())["scores"]}
    for model, rows in forecasts.groupby("model"):
        assert scores[model]["mae"] == pytest.approx((rows["y"] - rows["y_hat"]).abs().mean())
        assert scores[model]["n"] == 160
        assert scores[model]["leaks"] is False
    naive = forecasts[forecasts["model"] == "Persistence"]
    assert (naive["y_hat"].to_numpy()[1:] == naive["y"].to_numpy()[:-1]).all()


def test_the_run_card_names_versions_data_and_leaks(smoke):
    folder, _ = smoke
    card = json.loads((folder / "run.json").read_text())
    assert card["packages"]["torch"]
    assert card["data"]["rows"] == 800
    assert card["audit"]["verdict"] == "causal"
    stages = {stage["stage"] for stage in card["audit"]["stages"]}
    inputs = {"split", "unit", "windows", "decomposition", "targets", "scaling", "scaled inputs", "augmentation"}
    assert stages == inputs | {"training", "weights", "forecast"}
    assert all(stage["checked"] for stage in card["audit"]["stages"])
    assert card["seconds"]


def test_a_finished_run_is_not_run_again(smoke):
    folder, _ = smoke
    before = (folder / "metrics.json").stat().st_mtime_ns
    again = run("train.py", *SMOKE, f"hydra.run.dir={folder}")
    assert again.returncode == 0
    assert "nothing to do" in again.stdout.replace("\n", " ")
    assert (folder / "metrics.json").stat().st_mtime_ns == before


def test_a_folder_is_not_shared_by_two_settings(smoke):
    folder, _ = smoke
    other = run("train.py", *SMOKE, "seed=1", f"hydra.run.dir={folder}")
    assert other.returncode == 2
    assert "holds a run with other settings" in other.stderr


def test_a_leaking_run_says_so_everywhere(tmp_path):
    done = run("train.py", *SMALL, "scope=overall", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert "USES THE FUTURE" in done.stdout
    assert "USES THE FUTURE" in (tmp_path / "run" / "table.md").read_text()
    audit = json.loads((tmp_path / "run" / "run.json").read_text())["audit"]
    assert audit["verdict"] == "LEAKS"
    assert audit["sentence"].startswith("LEAKS: decomposition of WAVELET-PACKET-CNN-LSTM-AM: wavelet_packet with scope")
    assert "LEAKS: decomposition" in (tmp_path / "run" / "table.md").read_text()
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text())["scores"]
    assert {row["model"] for row in scores if row["leaks"]} == {"WAVELET-PACKET-CNN-LSTM-AM"}


def interrupted(folder: Path, how: signal.Signals, *more: str) -> Done:
    """Start a small run on a series and stop it once its first checkpoint is written."""
    return stopped_at_a_checkpoint(folder, how, *SMALL, QUIET, "trainer.max_epochs=12", *more)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run on a file left when it was killed, once for all tests that go on with a copy of it."""
    folder = tmp_path_factory.mktemp("killed")
    more = ["source=csv", "~source.n_steps", f"source.path={prices(folder / 'prices.csv', 800)}"]
    done = interrupted(folder / "run", signal.SIGKILL, *more)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "run" / "metrics.json").exists()
    return folder


def assert_same_weights(first: Path, second: Path) -> None:
    kept, others = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert kept.keys() == others.keys()
    for name, value in kept.items():
        np.testing.assert_array_equal(others[name], value, err_msg=name)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(killed, tmp_path):
    more = ["source=csv", "~source.n_steps", f"source.path={killed / 'prices.csv'}", "trainer.max_epochs=12"]
    whole = run("train.py", *SMALL, QUIET, *more, f"hydra.run.dir={tmp_path}/whole")
    assert whole.returncode == 0, whole.stderr
    shutil.copytree(killed / "run", tmp_path / "broken")
    resumed = run("train.py", f"resume={tmp_path}/broken")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_weights(tmp_path / "whole", tmp_path / "broken")
    tables = [pd.read_parquet(tmp_path / name / "forecasts.parquet") for name in ("whole", "broken")]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path):
    endless = ["trainer.max_epochs=5000", "callbacks.best_weights.patience=null"]
    stopped = interrupted(tmp_path / "run", signal.SIGINT, *endless)
    assert stopped.returncode == 130, stopped.stderr
    assert f"python train.py resume={tmp_path}/run" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.slow
def test_a_corrupt_checkpoint_is_told_and_trained_again(killed, tmp_path):
    shutil.copytree(killed / "run", tmp_path / "run")
    (checkpoint,) = (tmp_path / "run" / "unfinished").glob("*.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    resumed = run("train.py", f"resume={tmp_path}/run")
    assert resumed.returncode == 0, resumed.stderr
    assert "cannot be read" in resumed.stderr


@pytest.mark.slow
def test_a_run_does_not_go_on_with_other_data(killed, tmp_path):
    shutil.copytree(killed / "run", tmp_path / "run")
    before = (killed / "prices.csv").read_bytes()
    prices(killed / "prices.csv", 800, scale=2.0)
    resumed = run("train.py", f"resume={tmp_path}/run")
    (killed / "prices.csv").write_bytes(before)
    assert resumed.returncode == 2
    assert "The data have changed" in resumed.stderr


@pytest.mark.slow
def test_walk_forward_refits_and_covers_every_test_day(tmp_path):
    done = run("train.py", *SMALL, QUIET, "split=walk_forward", "split.every=80", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    forecasts = pd.read_parquet(tmp_path / "run" / "forecasts.parquet")
    assert forecasts.groupby("model").size().to_dict() == dict.fromkeys(forecasts["model"].unique(), 160)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["horizon=5"],
        ["model/component=joint"],
        ["source.n_series=2", "model=mlp"],
        ["model=svr"],
        ["trainer.devices=2", "trainer.strategy=ddp_spawn"],
    ],
)
def test_other_choices_run_to_the_end(tmp_path, more):
    done = run("train.py", *SMALL, QUIET, "trainer.max_epochs=1", *more, f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    forecasts = pd.read_parquet(tmp_path / "run" / "forecasts.parquet")
    assert forecasts["step"].max() == (5 if "horizon=5" in more else 1)
    assert np.isfinite(forecasts["y_hat"]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["experiment=smoke", "+model.network.chanels=8"], "Did you mean 'channels'?"),
        (["experiment=smoke", "source.n_steps=100"], "has 100 rows, but 513 are needed"),
        (["experiment=csv"], "source.path is required"),
        (["experiment=csv", "source.path=nowhere.csv"], "There is no file nowhere.csv"),
        (["resume=nowhere"], "is not the folder of a run"),
        (["model=lstmm"], "Could not find 'model/lstmm'"),
        (["horizn=3"], "horizn"),
        (["experiment=smoke", "model.network.kernel=40"], "lookback=30 leaves nothing after a convolution"),
        (["experiment=smoke", "model.network.hidden=-3"], "model.network.hidden=-3 must be at least 1"),
        (["experiment=smoke", "trainer.max_epochs=0"], "trainer.max_epochs=0 must be at least 1"),
        (["experiment=smoke", "trainer.devices=2"], "set trainer.strategy=ddp_spawn"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path, arguments, said):
    out = [] if arguments[0].startswith("resume") else [f"hydra.run.dir={tmp_path}/run"]
    done = run("train.py", *arguments, *out, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_to_is_told_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run("train.py", "experiment=smoke", f"hydra.run.dir={tmp_path}/file/run")
    assert done.returncode == 2
    assert f"nothing can be written to {tmp_path}/file/run (Not a directory)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_skips_what_is_finished(tmp_path):
    arguments = ["-m", *SMALL, "model=drift,ridge", "hydra/launcher=basic", f"hydra.sweep.dir={tmp_path}"]
    first = run("train.py", *arguments)
    assert first.returncode == 0, first.stderr
    assert len(list(tmp_path.glob("*/*/metrics.json"))) == 2
    again = run("train.py", *arguments)
    assert again.stdout.count("nothing to do") == 2


def test_predict_goes_on_after_the_end_of_a_file(smoke, tmp_path):
    folder, _ = smoke
    done = run("predict.py", f"run={folder}", f"source.path={prices(tmp_path / 'new.csv')}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "forecast.csv")
    last = pd.read_csv(tmp_path / "new.csv").iloc[-1]
    assert table["ds"].tolist() == [str((pd.Timestamp(last["date"]) + pd.offsets.BDay()).date())]
    assert table["Persistence"].iloc[0] == pytest.approx(last["close"])
    assert abs(table["ICEEMDAN-CNN-LSTM-AM"].iloc[0] - last["close"]) < 5
    assert "ICEEMDAN-CNN-LSTM-AM" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.head(100), "has 100 rows, but 128 are needed (scope.history 128)"),
        (lambda t: t.assign(close=t["close"] * 1000), "another series or another unit"),
        (
            lambda t: t.assign(date=pd.date_range("1960-01-01", periods=len(t), freq="MS")),
            "a value every 31 days",
        ),
        (lambda t: t[["date"]], "no column of numbers to forecast"),
        (lambda t: t.assign(close=t["close"].where(t.index != 5)), "missing (NaN) at 2021-01-08"),
    ],
)
def test_predict_refuses_a_file_that_does_not_fit(smoke, tmp_path, change, said):
    folder, _ = smoke
    change(pd.read_csv(prices(tmp_path / "new.csv"))).to_csv(tmp_path / "new.csv", index=False)
    done = run("predict.py", f"run={folder}", f"source.path={tmp_path / 'new.csv'}", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "forecast.csv").exists()


def test_predict_forecasts_what_the_run_forecast(smoke, tmp_path):
    """The last test origin of the run, seen by predict as the end of a file."""
    folder, _ = smoke
    forecasts = pd.read_parquet(folder / "forecasts.parquet").query("model == 'ICEEMDAN-CNN-LSTM-AM'")
    last = forecasts.iloc[-1]
    from data.sources.synthetic import Synthetic

    frame = Synthetic(800, 1, [5, 21, 90], 4.0, [1.0, 3.0], 0.98, seed=0).load().frame
    known = frame[frame["ds"] <= last["origin"]].rename(columns={"ds": "date", "y": "close"})
    known.to_csv(tmp_path / "known.csv", index=False)
    done = run("predict.py", f"run={folder}", f"source.path={tmp_path / 'known.csv'}", f"out={tmp_path}/f.csv")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "f.csv")["ICEEMDAN-CNN-LSTM-AM"].iloc[0] == pytest.approx(last["y_hat"], rel=1e-6)


def test_predict_names_an_unknown_argument(smoke):
    done = run("predict.py", f"run={smoke[0]}", "hotizon=3")
    assert done.returncode == 2
    assert "hotizon" in done.stderr


@pytest.mark.slow
def test_a_training_that_diverges_is_told_and_nothing_is_lost(tmp_path):
    done = run("train.py", *SMALL, "model.optimizer.lr=1e30", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    assert "is not scored" in done.stdout.replace("\n", " ")
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
def test_a_network_of_quantiles_gives_its_own_intervals(tmp_path):
    more = ["model/component=quantiles", "intervals=own", "model=mlp", "seeds=2"]
    done = run("train.py", *SMALL, *more, f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    forecasts = pd.read_parquet(tmp_path / "run" / "forecasts.parquet")
    own = forecasts[forecasts["model"] == "WAVELET-PACKET-MLP"]
    assert (own["lo_95"] <= own["lo_80"]).all()
    assert (own["hi_80"] <= own["hi_95"]).all()
    assert (own["hi_95"] > own["lo_95"]).all()
    assert forecasts.loc[forecasts["model"] == "Drift", "lo_95"].isna().all()


def test_intervals_no_model_has_learnt_are_refused(tmp_path):
    done = run("train.py", *SMALL, "model=drift", "intervals=own", f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 2
    assert "intervals=own asks for intervals of [80, 95] %, but no model learns them" in done.stderr
