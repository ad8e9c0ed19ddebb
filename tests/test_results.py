"""The results page says what finished runs have shown, and how to make them again."""

import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from report.results import command, main, section
from report.run_folder import write_metrics
from tests.run_folders import AUDIT, EVIL, NET, cell_metrics, series_metrics, write

FOUND = AUDIT | {"sentence": "causal: 5 values of inputs did not change", "seconds": 1.5}
CARD = {
    "commit": "0123456789",
    "uncommitted_changes": False,
    "cores": 2,
    "seeds": [0],
    "audit": FOUND,
    "data": {"rows": 301, "sha256": "abc"},
    "seconds": {"net": 100.0, "Drift": 20.0},
}


def interval(level, share, model=NET, part="all"):
    return {"model": model, "part": part, "level": level, "n": 300, "coverage": share, "width": 12.0}


def run_in(folder: Path, settings, metrics=None, **card) -> Path:
    """Leave the files of a finished run in a folder."""
    folder.mkdir(parents=True)
    metrics = metrics or series_metrics()
    table = [interval(95, 0.94), interval(80, 0.815), interval(95, 0.1, part="2020"), interval(95, 0.5, "Drift")]
    write_metrics(folder, replace(metrics, coverage=pd.DataFrame(table)))
    write(folder / "run.json", CARD | card)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(settings))
    return folder


@pytest.fixture
def settings(configure):
    """What train.py would keep as config.yaml."""

    def compose(*overrides):
        kept = OmegaConf.to_container(configure(*overrides))
        return {key: value for key, value in kept.items() if key not in ("folder", "resume")}

    return compose


def test_a_run_has_its_verdict_table_coverage_time_and_command(tmp_path, settings):
    told = section(run_in(tmp_path / "20260102-030405-000000", settings("experiment=smoke", "seed=3")))
    assert told.startswith(f"## sp500: {NET} on A walk\n")
    assert "301 rows, SHA-256 abc; 2026-01-02; commit 0123456; seed 0; fitted in 2.0 min on 2 cores" in told
    assert "audited in 1.5 s" in told
    assert "**causal: 5 values of inputs did not change**" in told
    assert "| Persistence |" in told
    said = f"Intervals of {NET}: 80 %: 81.5 % of 300 truths inside, mean width 12.00 index points; 95 %: 94.0 % of"
    assert said in told
    assert "95 %: 10.0 %" not in told, "of a part of the test set"
    assert "```sh\npython train.py experiment=smoke seed=3\n```" in told


def test_a_run_on_cells_has_its_own_table(tmp_path, settings):
    told = section(run_in(tmp_path / "cells", settings("experiment=smoke_battery"), cell_metrics()))
    assert "by cell, in cycles" in told
    assert "python train.py experiment=smoke_battery\n" in told


def test_what_audit_py_found_later_is_the_last_word(tmp_path):
    later = {"verdict": "LEAKS", "sentence": "LEAKS: split: 3 of 9", "stages": [], "expected": ["split"]}
    told = section(run_in(tmp_path / "a", {"a": 1}, audit=later))
    assert "**LEAKS: split: 3 of 9**" in told
    assert "causal" not in told
    assert "Repeats a published protocol, whose leak is expected in: split." in told


def test_a_run_without_audit_or_intervals_says_so(tmp_path):
    run = replace(series_metrics(), audit=None, model="Ridge")
    told = section(run_in(tmp_path / "a", {"a": 1}, run, audit=None))
    assert "**not audited**" in told
    assert "Ridge has no intervals." in told


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=csi300_paper"],
        ["experiment=csi300", "model=ridge", "horizon=5", "seed=3"],
        ["experiment=sp500", "scaling=minmax", "split.test=0.3", "trainer.max_epochs=5"],
        ["experiment=smoke_battery", "model/component=joint", "seed=1"],
        ["experiment=smoke", "expected_leaks=[split,decomposition]", "model.label='a, b'"],
    ],
)
def test_the_command_composes_the_settings_it_was_made_from(settings, overrides):
    kept = settings(*overrides)
    told = command(kept)
    assert told is not None
    words = shlex.split(told)
    assert words[:3] == ["python", "train.py", overrides[0]]
    assert sorted(words[2:]) == sorted(overrides)


@pytest.mark.parametrize(
    "change",
    [
        {"dropout": 0.5},
        {"names": {"experiment": "gone"}},
        {"names": None},
        {"names": {"experiment": "../../../tmp/evil"}},
        {"names": {"experiment": "smoke", "hydra/launcher": "joblib"}},
        {"lookback": "${oc.env:HOME}"},
        {"lookback": "```\nrm"},
    ],
)
def test_settings_no_command_composes_are_handed_on_as_a_file(settings, change):
    kept = settings("experiment=smoke") | change
    told = command(kept)
    assert told is None or "hydra" not in told


def test_a_value_of_a_command_is_one_word_of_a_shell(settings):
    told = command(settings("experiment=smoke") | {"title": "'; rm -rf ~; '"}) or command(
        settings("experiment=smoke", "model.label='$(touch x)'")
    )
    assert told is not None
    assert len(shlex.split(told)) == 4


def test_text_of_a_run_is_text_on_the_page(tmp_path):
    hostile = replace(series_metrics(), title=EVIL, experiment=EVIL)
    told = section(run_in(tmp_path / "a", {"a": 1}, hostile, commit="<script>", cores="](javascript:"))
    assert "<script>" not in told
    assert "](java" not in told
    assert "python train.py resume=outputs/again\n" in told


def test_a_page_holds_every_run_once_and_is_printed_unless_a_file_is_named(tmp_path, capsys):
    for name in ("0", "1"):
        run_in(tmp_path / "runs" / name, {"a": 1})
    folders = [str(tmp_path / "runs"), str(tmp_path / "runs" / "1")]
    before = sorted(tmp_path.rglob("*"))
    assert main(folders) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n## ") == 2
    assert sorted(tmp_path.rglob("*")) == before
    out = tmp_path / "docs" / "results.md"
    assert main([*folders, "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == printed
    assert f"2 runs written to {out}" in capsys.readouterr().out


def test_faults_are_told_in_a_sentence_each_and_the_rest_is_written(tmp_path, capsys):
    run_in(tmp_path / "good", {"a": 1})
    (run_in(tmp_path / "bare", {"a": 1}) / "run.json").unlink()
    (run_in(tmp_path / "broken", {"a": 1}) / "config.yaml").write_text("a: [")
    (run_in(tmp_path / "text", {"a": 1}) / "metrics.json").write_text("{")
    (tmp_path / "empty").mkdir()
    names = ["good", "bare", "broken", "text", "empty", "absent"]
    out = tmp_path / "results.md"
    assert main([*(str(tmp_path / name) for name in names), "--out", str(out)]) == 2
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 5
    for name, words in {
        "bare": "cannot be read",
        "broken": "is damaged",
        "text": "is damaged",
        "empty": "holds no finished run",
        "absent": "is no folder",
    }.items():
        assert any(str(tmp_path / name) in fault and words in fault for fault in faults), name
    assert out.read_text(encoding="utf-8").count("\n## ") == 1


def test_a_page_that_cannot_be_written_is_a_fault(tmp_path, capsys):
    run = run_in(tmp_path / "a", {"a": 1})
    (tmp_path / "file").write_text("")
    assert main([str(run), "--out", str(tmp_path / "file" / "results.md")]) == 2
    assert "Name another file with --out" in capsys.readouterr().err
