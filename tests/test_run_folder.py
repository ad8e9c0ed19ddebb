"""Run folders are written once, read in every version, and cannot hurt, whoever they are from."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import report.run_folder
from evaluation.rows import Question
from pipeline.artifacts import keep_table
from report.comparison import compare
from report.page import write_page
from report.run_folder import KEPT_NO_FACTS, Metrics, RunFolder, read_metrics, write_metrics
from report.table import score_table, to_markdown
from runtime.build import class_of
from runtime.faults import FolderError
from tests.conftest import ROOT
from tests.run_folders import (
    AUDIT,
    CARD,
    EVIL,
    HYBRID,
    LEAK,
    NET,
    cell_metrics,
    change,
    leave,
    old_forecast,
    old_rul,
    series_metrics,
    series_run,
    series_table,
    write,
)

BOTH = pytest.mark.parametrize("metrics", [series_metrics(seeds=2), cell_metrics(seeds=2)], ids=["forecast", "rul"])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return series_run(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A sound run to break."""
    for path in sound.rglob("*.*"):
        copy = tmp_path / path.relative_to(sound)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return tmp_path


@BOTH
def test_what_is_written_is_read_again(metrics: Metrics, tmp_path: Path) -> None:
    write_metrics(tmp_path, metrics)
    again = read_metrics(tmp_path / "metrics.json")
    for name in (field.name for field in fields(metrics)):
        before, after = getattr(metrics, name), getattr(again, name)
        if name == "groups":
            assert before.keys() == after.keys()
            for group in before:
                pd.testing.assert_frame_equal(after[group], before[group], check_dtype=False, check_exact=True)
        elif isinstance(before, pd.DataFrame):
            pd.testing.assert_frame_equal(after, before, check_dtype=False, check_exact=True)
        else:
            assert after == before, name
    assert list(tmp_path.iterdir()) == [tmp_path / "metrics.json"]


@BOTH
def test_the_file_says_its_version_and_holds_no_nan(metrics: Metrics, tmp_path: Path) -> None:
    write_metrics(tmp_path, metrics)
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["version"] == 2
    assert next(row for row in content["scores"] if row["model"] == metrics.reference)["p_reference"] is None


def test_a_series_run_of_version_1_is_read(tmp_path: Path) -> None:
    old_forecast(tmp_path / "metrics.json")
    run = read_metrics(tmp_path / "metrics.json")
    assert (run.task, run.reference, run.seeds, run.sections) == (
        "forecast",
        "Persistence",
        [0, 1],
        KEPT_NO_FACTS["forecast"][1],
    )
    assert set(run.groups) == {"step", "seed"}
    assert LEAK in run.leaks[NET]
    scores = run.scores.set_index("model")
    assert scores.loc[NET, "p_reference"] == 0.87
    assert scores.loc[NET, "difference"] == pytest.approx(-0.1)
    assert bool(scores.loc[NET, "leaks"])
    assert np.isnan(scores.loc["Persistence", "direction"])
    assert "MAE in points by steps ahead" in to_markdown(run)


def test_a_run_on_cells_of_version_1_is_read(tmp_path: Path) -> None:
    old_rul(tmp_path / "metrics.json")
    run = read_metrics(tmp_path / "metrics.json")
    assert (run.task, run.reference, run.longest_rul, run.sections) == ("rul", "Clock", 190.0, KEPT_NO_FACTS["rul"][1])
    assert list(run.groups["third"]["third"].unique()) == ["early", "middle", "late"]
    assert run.scores["mse_scaled"].iloc[0] == pytest.approx(0.04)
    table = to_markdown(run)
    assert "| cell 02 |" in table
    assert "149.0 (never seen) |" in table
    assert table.count("never seen") == 1
    assert "MAE/190" in table


@pytest.mark.parametrize(("write_old", "figures"), [(old_forecast, 0), (old_rul, 1)])
def test_a_page_is_made_of_an_old_run(write_old: Any, figures: int, tmp_path: Path) -> None:
    write_old(tmp_path / "metrics.json")
    (tmp_path / "evidence").mkdir()
    write(tmp_path / "evidence" / "losses.json", {"a": [{"epoch": 0, "train/loss": 1.0}]})
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert page.count('<figure class="plot') == 2
    assert "the losses" not in page


def test_a_number_a_run_lacks_is_a_dash_and_one_nobody_knows_is_shown(folder: Path) -> None:
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    for row in scores:
        del row["mase"]
        row |= {"crps_by_hand": 7.25, "remark": "newer", "odd": [1, 2]}
        if row["model"] == NET:
            del row["mape"]
    change(folder, scores=scores)
    table = score_table(RunFolder(folder).metrics)
    titles = [column.title for column in table.columns]
    assert "MASE" not in titles  # nobody has one
    assert {"MAPE %", "crps by hand"} <= set(titles)
    assert not {"remark", "odd"} & set(titles)
    own = next(row for row in table.rows if row.cells[0].text == NET)
    assert own.cells[titles.index("MAPE %")].text == "–"
    assert own.cells[titles.index("crps by hand")].text == "7.25"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"version": 3}, "it is of version 3"),
        ({"version": EVIL}, "it is of version"),
        ({"task": "weather", "question": None}, "says nothing of its question, and its task, weather, is not known"),
        (
            {"question": {"kind": "weather"}},
            "question is of the kind weather, which is none of series, remaining, total",
        ),
        ({"question": {"kind": "series", "noun": 7, "group": "", "reference": ""}}, "noun are no text"),
        ({"question": "series"}, "question are no names with values"),
        ({"task": ["forecast"]}, "task are no text"),
        ({"model": 7}, "model are no text"),
        ({"model": "nobody"}, "no scores of nobody"),
        ({"reference": None}, "lacks reference"),
        ({"seed": "zero"}, "seed are no whole number"),
        ({"scores": []}, "holds no scores"),
        ({"scores": "many"}, "scores are no table"),
        ({"scores": [1, 2]}, "scores are no table"),
        ({"scores": [{"mae": 1.0}]}, "scores lack model"),
        (
            {"scores": [{"model": NET, "mae": "low"}, {"model": "Persistence", "mae": 1.0}]},
            "no number where mae belongs",
        ),
        ({"scores": [{"model": NET, "mae": [1]}, {"model": "Persistence", "mae": 1.0}]}, "no number where mae belongs"),
        ({"scores": [{"model": NET}, {"model": NET}, {"model": "Persistence"}]}, "scores a model twice"),
        ({"groups": [1]}, "groups are no names with values"),
        ({"groups": {"step": [{"model": NET}]}}, "step lack step"),
        ({"coverage": [{"model": NET}]}, "coverage lack"),
        ({"notes": "one"}, "notes are no list"),
        ({"leaks": ["a"]}, "leaks are no names"),
    ],
)
def test_metrics_that_are_none_are_refused_in_a_sentence(folder: Path, entries: dict[str, Any], words: str) -> None:
    change(folder, **entries)
    with pytest.raises(FolderError, match=words) as told:
        write_page(folder)
    assert str(folder / "metrics.json") in str(told.value)


BROKEN = {
    "empty": b"",
    "truncated": b'{"version": 2, "task": "fore',
    "no text": b"\xff\xfe\x00\xd8" * 20,
    "a list": b"[1, 2]",
    "a number": b"7",
    "deep": b"[" * 100_000,
    "endless digits": b'{"version": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", ["metrics.json", "run.json", "artifacts/losses.json"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_json_is_one_sentence(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(FolderError) as told:
        write_page(folder)
    assert "\n" not in str(told.value)
    assert str(folder) in str(told.value)
    assert len(str(told.value)) < 500


TABLES = {
    "empty": b"",
    "no parquet": b"PAR1" + bytes(200) + b"PAR1",
    "no columns": pd.DataFrame({"a": [1.0]}),
    "no rows": series_table().iloc[:0],
    "words for numbers": series_table().assign(y_hat="high"),
    "lists for numbers": series_table().assign(y=[[1.0]] * len(series_table())),
    "words for dates": series_table().assign(ds="tomorrow"),
    "words for bounds": series_table().assign(lo_80="low"),
    "a model a row": series_table().assign(model=[f"m{k % 1001}" for k in range(len(series_table()))]),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_broken_table_of_forecasts_is_one_sentence(folder: Path, table: bytes | pd.DataFrame) -> None:
    path = folder / "forecasts.parquet"
    path.write_bytes(table) if isinstance(table, bytes) else table.to_parquet(path, index=False)
    with pytest.raises(FolderError, match=r"forecasts\.parquet") as told:
        write_page(folder)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("losses.json", {"net": [1, 2, 3]}),
        ("losses.json", {"net": {"epoch": "x"}}),
        ("losses.json", "all"),
        ("components.parquet", pd.DataFrame({"a": ["x"]})),
        ("components.parquet", pd.DataFrame({"ds": [1, 2], "c1": ["x", "y"]})),
        ("attention.parquet", pd.DataFrame({"ds": [1], "lag": ["a"], "weight": ["b"]})),
    ],
)
def test_an_artifact_of_another_shape_is_one_sentence(folder: Path, name: str, content: object) -> None:
    path = folder / "artifacts" / name
    content.to_parquet(path) if isinstance(content, pd.DataFrame) else write(path, content)
    with pytest.raises(FolderError) as told:
        write_page(folder)
    assert "\n" not in str(told.value)


def test_a_forecast_that_is_not_finite_is_no_fault_of_the_folder(folder: Path) -> None:
    series_table().assign(y_hat=np.nan, lo_80=np.inf).to_parquet(folder / "forecasts.parquet", index=False)
    write_page(folder)


def test_times_with_a_zone_are_those_of_the_place(folder: Path) -> None:
    at = series_table()["ds"].dt.tz_localize("America/New_York") + pd.Timedelta(hours=16)
    series_table().assign(ds=at).to_parquet(folder / "forecasts.parquet", index=False)
    rows = RunFolder(folder).forecasts
    assert rows is not None
    assert str(rows["ds"].iloc[0]) == "2024-01-02 16:00:00"
    assert "2024-01-02 16:00:00" in write_page(folder).read_text(encoding="utf-8")


def test_files_too_large_or_no_files_are_refused_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "run.json").unlink()
    (folder / "run.json").symlink_to("/dev/zero")
    with pytest.raises(FolderError, match="is not a file"):
        write_page(folder)
    (folder / "run.json").unlink()
    monkeypatch.setattr(report.run_folder, "LARGEST", 10)
    with pytest.raises(FolderError, match=r"forecasts\.parquet is no file of at most"):
        write_page(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x [1]\nb: [*x, *x]", "has a YAML alias"),
        ("a: ${oc.env:HOME}", "is the interpolation"),
        ("a: s3://there/x", "is the address"),
        ("a: [", "is damaged"),
        ("- 1", "holds a list"),
        ("!!python/object/apply:os.system [true]", "has the YAML tag"),
    ],
)
def test_a_configuration_is_data(folder: Path, text: str, words: str) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(FolderError, match=words):
        _ = RunFolder(folder).settings


def test_sections_are_looked_up_among_files_and_nothing_else_is_imported(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('taken over')")
    names = [
        "os",
        "..evil",
        "evil",
        "sections.results",
        "__init__",
        "results",
        "results._heading",
        "cells.Figure",
        "cells.four",
        "a/b",
        "results.py",
    ]
    change(folder, sections=names)
    assert write_page(folder).read_text(encoding="utf-8").count("<section ") == 1


def test_the_last_audit_counts_and_accuses_its_subject_alone(folder: Path) -> None:
    found = {
        "stage": "forecast",
        "verdict": "LEAKS",
        "checked": 9,
        "changed": 3,
        "detail": "3 of 9 change",
        "subject": "Ridge",
    }
    audit = AUDIT | {
        "verdict": "LEAKS",
        "sentence": "LEAKS: forecast: 3 of 9 change",
        "stages": [*AUDIT["stages"], found],
    }
    write(folder / "run.json", CARD | {"audit": audit})
    metrics = RunFolder(folder).metrics
    assert metrics.leaks == {"Ridge": "forecast: 3 of 9 change"}
    assert list(metrics.scores.loc[metrics.scores["leaks"], "model"]) == ["Ridge"]
    page = write_page(folder).read_text(encoding="utf-8")
    assert "Only Ridge is accused, 3 other rows are not." in page
    results = page[page.index('<section id="results">') : page.index('<section id="forecast">')]
    assert results.count('<tr class="leaks">') == 1


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="holds no finished run"):
        _ = RunFolder(tmp_path).metrics


def test_lives_may_be_lacking(tmp_path: Path) -> None:
    old_rul(tmp_path / "metrics.json", lives={})
    run = RunFolder(tmp_path)
    rows = pd.DataFrame({"unique_id": ["a"], "y": [30.0], "ds": [70]})
    assert run.life(rows).iloc[0] == 100.0
    assert run.spent(rows).iloc[0] == 0.7
    assert leave(tmp_path / "b", cell_metrics()).is_dir()
    assert HYBRID in to_markdown(run.metrics)


def test_a_run_of_a_task_nobody_knows_is_read_by_its_own_facts(folder: Path) -> None:
    facts = {"kind": "series", "noun": "load", "group": "series", "reference": "", "decimals": 1}
    change(folder, task="weather", question=facts, sections=["results", "forecast"])
    run = RunFolder(folder)
    assert run.metrics.question == Question("series", "load", "series", "", 1)
    assert "Forecasts are off by" in write_page(folder).read_text(encoding="utf-8")
    assert compare([run])[0].question.noun == "load"


@pytest.mark.parametrize("name", KEPT_NO_FACTS)
def test_runs_from_before_facts_were_kept_are_read_by_those_of_their_task_today(name: str) -> None:
    task = class_of(OmegaConf.load(ROOT / "conf" / "task" / f"{name}.yaml")._target_)
    assert KEPT_NO_FACTS[name][0] == task.question


def test_a_table_is_kept_small_and_read_as_it_was(tmp_path):
    rng = np.random.default_rng(0)
    n_series, n_origins, models = 60, 100, ["a", "b", "c", "d"]
    y = (100 + rng.standard_normal((n_series, n_origins)).cumsum(axis=1)).ravel()
    names = np.repeat([f"series {k}" for k in range(n_series)], n_origins)
    parts = []
    for model in models:
        y_hat = y + rng.standard_normal(y.size)
        low = np.rint(512 * (y_hat - 1.5)) / 512  # as intervals are rounded
        days = np.tile(pd.date_range("2020-01-01", periods=n_origins), n_series)
        columns = {"unique_id": names, "ds": days, "step": 1, "model": model, "y": y, "y_hat": y_hat}
        parts.append(pd.DataFrame(columns | {"lo_80": low, "hi_80": low + 3, "lo_95": low - 1, "hi_95": low + 4}))
    table = pd.concat(parts, ignore_index=True)
    keep_table(tmp_path / "forecasts.parquet", table)
    assert (tmp_path / "forecasts.parquet").stat().st_size / len(table) < 20  # 50 bytes a row as pandas writes them
    pd.testing.assert_frame_equal(RunFolder(tmp_path).forecasts, table, check_exact=True, check_dtype=False)
    assert RunFolder(tmp_path).forecasts["lo_80"].dtype == np.float64
    exact = table.assign(lo_80=table["lo_80"] + 1e-9)  # no number of single precision
    keep_table(tmp_path / "forecasts.parquet", exact)
    assert (RunFolder(tmp_path).forecasts["lo_80"] == exact["lo_80"]).all()
