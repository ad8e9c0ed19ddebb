"""What a run cannot use is left out by name, and refused before training where nothing is left."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from data.panel import DataError
from data.sources.csv import CSV
from pipeline.predict import loaded
from pipeline.run import opened, run
from report.run_folder import RunFolder
from runtime.build import ConfigError
from runtime.faults import FolderError
from runtime.record import load_run, open_run

QUICK = ["experiment=csv", "model=ridge", "decomposition=identity", "lookback=8", "audit=none", "parallel.n_jobs=1"]
QUICK += ["scope.history=16", "equal_memory=none", "intervals=split"]


def table(sizes: dict[str, int], scale: float = 1.0, freq: str = "B") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for name, size in sizes.items():
        days = pd.date_range(end="2024-01-26", periods=size, freq=freq)
        parts.append(
            pd.DataFrame({"ticker": name, "date": days, "close": 100 + scale * rng.normal(size=size).cumsum()})
        )
    return pd.concat(parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file of two series, one of them too short."""
    from tests.conftest import composer

    place = tmp_path_factory.mktemp("short")
    table({"long": 260, "short": 7}).to_csv(place / "two.csv", index=False)
    cfg = composer(place)(*QUICK, f"source.path={place / 'two.csv'}", "source.series=ticker", "model.alpha=1.0")
    cfg.folder = str(place / "run")
    settled, _ = open_run(cfg)
    run(settled, place / "run", Console(file=StringIO()))
    return place / "run"


def predicted(folder: Path, frame: pd.DataFrame, path: Path):
    frame.to_csv(path, index=False)
    return loaded(*load_run(folder), folder).predict(CSV(str(path), series="ticker"))


def test_a_short_series_is_left_out_by_name_in_training(folder) -> None:
    notes = RunFolder(folder).metrics.notes
    assert "1 series with fewer than 9 rows (lookback 8 + horizon 1) are left out: short." in notes
    assert set(RunFolder(folder).forecasts["unique_id"]) == {"long"}


def test_a_short_series_is_left_out_by_name_when_a_file_is_forecast(folder, tmp_path) -> None:
    found = predicted(folder, table({"other": 60, "tiny": 5}), tmp_path / "new.csv")
    assert set(found.table["unique_id"]) == {"other"}
    assert any("fewer than 8 rows (lookback 8) are left out: tiny" in note for note in found.notes)
    with pytest.raises(DataError, match=r"longest series of none has 5 rows, but 8 are needed"):
        predicted(folder, table({"tiny": 5}), tmp_path / "none.csv")


def test_intervals_around_another_series_go_with_its_moves_and_say_so(folder, tmp_path) -> None:
    same = predicted(folder, table({"long": 260}), tmp_path / "same.csv")
    assert not any("intervals rest on" in note for note in same.notes)
    wild = predicted(folder, table({"wild": 260}, scale=5.0), tmp_path / "wild.csv")
    widths = [float((found.table["hi_80"] - found.table["lo_80"]).iloc[0]) for found in (same, wild)]
    assert widths[1] / widths[0] == pytest.approx(5.0, rel=0.02)
    assert any("errors of the run on long" in note and "5.00 for wild" in note for note in wild.notes)


@pytest.mark.parametrize(
    "change",
    [
        lambda offsets: "x",
        lambda offsets: [offset | {"lo": "x"} for offset in offsets],
        lambda offsets: [offset | {"hi": ["a"]} for offset in offsets],
        lambda offsets: [offset | {"level": "80"} for offset in offsets],
        lambda offsets: [offset | {"level": level} for offset in offsets for level in range(200)],
        lambda offsets: [offset | {"unique_id": {}} for offset in offsets],
        lambda offsets: [offset | {"more": 1} for offset in offsets],
        lambda offsets: [{"model": "Ridge"}],
    ],
)
def test_intervals_of_a_folder_that_are_none_are_refused(folder, tmp_path, change) -> None:
    path = folder / "artifacts" / "intervals.json"
    kept = path.read_text()
    try:
        path.write_text(json.dumps(change(json.loads(kept))))
        with pytest.raises((DataError, FolderError), match=r"intervals\.json"):
            predicted(folder, table({"long": 60}), tmp_path / "new.csv")
    finally:
        path.write_text(kept)


def test_what_is_not_known_of_the_dates_ahead_is_said_of_each_series(folder, tmp_path) -> None:
    both = pd.concat([table({"traded": 200}), table({"daily": 200}, freq="D")])
    found = predicted(folder, both, tmp_path / "both.csv")
    (told,) = [note for note in found.notes if "holidays" in note]
    assert told.startswith("traded: ")


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["model=svr", "model.most_windows=50"], DataError, r"SVR learns from at most 50 training rows .*are \d+\."),
        (
            ["augmentation=wgan_gp", "source.n_steps=40"],
            DataError,
            "needs at least 20 training windows, and .* leaves 1",
        ),
        (["model=residual", "source.n_steps=26"], ConfigError, r"needs at least 12 training windows for its blocks"),
        (["model=residual", "model/component=separate"], ConfigError, r"model/component=joint or ensemble"),
        (["model/component=quantiles"], ConfigError, "Ridge learns means, no quantiles"),
        (["expected_leaks=[decomposition,scalling]"], ConfigError, "has scalling, which is none of .*mean 'scaling'"),
    ],
)
def test_what_can_be_known_before_training_is_told_before_it(configure, words, error, said) -> None:
    cfg = configure(*[word for word in QUICK if not word.startswith("experiment")], "experiment=smoke", *words)
    with pytest.raises(error, match=said):
        opened(cfg)


def test_a_row_with_too_many_windows_leaves_itself_out_with_a_note(configure, tmp_path) -> None:
    svr = ["+model@baselines.svr=svr", "baselines.svr.most_windows=50"]
    cfg = configure("experiment=smoke", *QUICK[1:], "model.alpha=1.0", "baselines=naive", "source.n_steps=200", *svr)
    cfg.folder = str(tmp_path)
    settled, _ = open_run(cfg)
    run(settled, tmp_path, Console(file=StringIO()))
    assert any("SVR learns from at most 50 training rows" in note for note in RunFolder(tmp_path).metrics.notes)
    assert "SVR" not in set(RunFolder(tmp_path).metrics.scores["model"])
