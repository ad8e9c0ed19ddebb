"""compare.py: many runs in one table, with persistence and what was published."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compare import main
from evaluation.judge import judge
from evaluation.metrics import PERSISTENCE
from report.comparison import PUBLISHED, compare
from report.table import Metrics, write_metrics
from tests.test_metrics import one_step

SERIES = 100 + np.cumsum(np.random.default_rng(0).standard_normal(301))
MODEL = "CEEMDAN-CNN-LSTM-AM"


@cache
def a_run(model: str = MODEL, error: float = 0.1, seed: int = 0, leaks: bool = False, **other: str) -> Metrics:
    """A run whose model forecasts the truth with an error, and a baseline no seed changes."""
    noise = np.random.default_rng(seed).standard_normal(300)
    forecasts = one_step(SERIES, {model: SERIES[1:] + error * noise, "Drift": SERIES[:-1] + 0.001})
    judgement = judge(forecasts, {"s": 1.0}, [model] if leaks else [])
    named = {"experiment": "csi300_paper", "dataset": "csi300", "title": "CSI 300", "unit": "points", **other}
    return Metrics(**named, seed=seed, model=model, scores=judgement.scores, notes=judgement.notes)


def keep(run: Metrics, folder: Path) -> None:
    folder.mkdir(parents=True)
    write_metrics(folder / "metrics.json", run)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    keep(a_run(leaks=True), tmp_path / "sweep" / "0")
    keep(a_run("LSTM", error=2.0), tmp_path / "sweep" / "1")
    return tmp_path / "sweep"


def rows_of(*runs: Metrics) -> pd.DataFrame:
    (comparison,) = compare(runs)
    return comparison.rows.set_index("model")


def test_the_published_table_is_complete() -> None:
    table = pd.read_csv(PUBLISHED)
    assert list(table.columns) == ["dataset", "model", "mae", "rmse", "mape", "r2"]
    models = [MODEL, "CNN-LSTM-AM", "CNN-LSTM", "LSTM", "MLP", "SVR"]
    assert list(table["model"]) == models * 2
    assert list(table["dataset"]) == ["csi300"] * 6 + ["csi500"] * 6
    best = table[table["model"] == MODEL].set_index("dataset")
    assert list(best.loc["csi300", ["mae", "rmse", "mape", "r2"]]) == [78.320, 91.081, 1.831, 0.979]
    assert list(best.loc["csi500", ["mae", "rmse", "mape", "r2"]]) == [90.423, 118.203, 1.519, 0.959]


def test_ours_stand_beside_the_published_with_persistence_first() -> None:
    rows = rows_of(a_run(leaks=True), a_run("LSTM", error=2.0), a_run("EMD-LSTM", error=3.0))
    assert list(rows.index) == [
        PERSISTENCE,
        MODEL,
        "CNN-LSTM-AM",
        "CNN-LSTM",
        "LSTM",
        "MLP",
        "SVR",
        "Drift",
        "EMD-LSTM",
    ]
    assert rows.loc["LSTM", "mae_published"] == 158.973
    noise = np.random.default_rng(0).standard_normal(300)
    assert rows.loc["LSTM", "mae"] == pytest.approx(2 * np.abs(noise).mean())
    assert dict(rows["verdict"]) == {
        PERSISTENCE: "to beat",
        MODEL: "uses the future",
        "CNN-LSTM-AM": "not run",
        "CNN-LSTM": "not run",
        "LSTM": "worse",
        "MLP": "not run",
        "SVR": "not run",
        "Drift": "no better",
        "EMD-LSTM": "worse",
    }


def test_a_data_set_nothing_was_published_of_has_our_rows_only() -> None:
    (comparison,) = compare([a_run(dataset="sp500")])
    assert list(comparison.rows["model"]) == [PERSISTENCE, MODEL, "Drift"]
    assert not comparison.published
    assert not any("published" in note for note in comparison.notes)


def test_seeds_are_averaged_and_what_no_seed_changes_counts_once() -> None:
    runs = [a_run(seed=seed) for seed in (0, 1, 2)]
    rows = rows_of(*runs)
    ours = [run.scores.set_index("model").loc[MODEL, "mae"] for run in runs]
    assert rows.loc[MODEL, "seeds"] == 3
    assert rows.loc[MODEL, "mae"] == pytest.approx(np.mean(ours))
    assert rows.loc[MODEL, "mae_std"] == pytest.approx(np.std(ours, ddof=1))
    assert rows.loc["Drift", "seeds"] == 1
    assert rows.loc[PERSISTENCE, "seeds"] == 1
    assert rows.loc[MODEL, "verdict"] == "better"


def test_the_same_run_twice_counts_once_and_without_a_remark() -> None:
    (comparison,) = compare([a_run(), a_run()])
    assert comparison.rows.set_index("model").loc[MODEL, "seeds"] == 1
    assert not any("other settings" in note for note in comparison.notes)


def test_runs_of_one_seed_that_differ_are_remarked_upon() -> None:
    first, last = a_run(error=0.1), a_run(error=0.2)
    (comparison,) = compare([first, last])
    shown = comparison.rows.set_index("model").loc[MODEL]
    assert shown["seeds"] == 1
    assert shown["mae"] == last.scores.set_index("model").loc[MODEL, "mae"]
    assert any(f"{MODEL} has 2 runs with seed 0" in note for note in comparison.notes)


def test_runs_on_different_test_rows_are_remarked_upon() -> None:
    short = a_run()
    (comparison,) = compare([a_run(), replace(short, scores=short.scores.assign(n=10))])
    assert any("not judged on the same test rows (10 to 300" in note for note in comparison.notes)


def test_a_verdict_is_corrected_over_all_runs_of_a_table() -> None:
    run = a_run("LSTM")
    lstm = run.scores["model"] == "LSTM"
    scores = run.scores.assign(p_persistence=np.where(lstm, 0.02, np.nan))
    runs = [
        replace(run, seed=seed, scores=scores.assign(mae=scores["mae"] + np.where(lstm, 0.01 * seed, 0)))
        for seed in range(10)
    ]
    assert rows_of(runs[0]).loc["LSTM", "verdict"] == "better"
    assert rows_of(*runs).loc["LSTM", "verdict"] == "no better"


def test_the_reading_counts_what_is_proven() -> None:
    (honest,) = compare([a_run(), a_run("LSTM", error=2.0)])
    proven = "models that do not use the future is significantly better than persistence."
    assert f"1 of 3 {proven}" in honest.notes
    (leaking,) = compare([a_run(leaks=True)])
    assert f"None of 1 {proven}" in leaking.notes
    assert any("The published CEEMDAN-CNN-LSTM-AM used the future, too" in note for note in leaking.notes)
    assert any("6 of 6 published MAEs are above persistence's" in note for note in leaking.notes)


def test_the_table_is_printed_and_written(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep)]) == 0
    shown = capsys.readouterr().out
    markdown = (sweep / "compare.md").read_text(encoding="utf-8")
    for text in (PERSISTENCE, "(78.320)", "(158.973)", "uses the future", "USES THE FUTURE", "table 2"):
        assert text in shown
        assert text in markdown
    table = pd.read_csv(sweep / "compare.csv")
    assert table.loc[table["model"] == "LSTM", "mae_published"].item() == 158.973
    assert (sweep / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_out_names_another_folder(sweep: Path, tmp_path: Path) -> None:
    assert main([str(sweep), str(sweep), "--out", str(tmp_path / "new" / "folder")]) == 0
    assert (tmp_path / "new" / "folder" / "compare.md").exists()
    assert not (sweep / "compare.md").exists()


def test_what_cannot_be_used_is_named_and_the_rest_is_shown(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, empty = sweep / "2", tmp_path / "empty"
    broken.mkdir()
    empty.mkdir()
    (broken / "metrics.json").write_text("{", encoding="utf-8")
    assert main([str(tmp_path / "nowhere"), str(sweep), str(empty)]) == 2
    shown = capsys.readouterr()
    assert "LSTM" in shown.out
    assert (sweep / "compare.md").exists()  # the first folder there is
    complaints = shown.err.splitlines()
    assert len(complaints) == 3
    assert complaints[0] == f"There is no folder {tmp_path / 'nowhere'}."
    assert complaints[1] == f"There is no finished run (no metrics.json) in {empty}."
    assert complaints[2].startswith(f"{broken / 'metrics.json'} is not valid JSON")


def test_nothing_to_compare_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"There is no finished run (no metrics.json) in {tmp_path}.\n"


def test_a_folder_that_cannot_be_written_loses_no_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep), "--out", str(sweep / "0" / "metrics.json")]) == 2
    shown = capsys.readouterr()
    assert "LSTM" in shown.out
    assert "Nothing can be written to" in shown.err


def test_the_real_command_line(sweep: Path) -> None:
    script = Path(__file__).parents[1] / "compare.py"
    done = subprocess.run([sys.executable, script, sweep], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert PERSISTENCE in done.stdout
