"""What the audit has proved is taken over between runs that differ by the seed alone, and by nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipeline.audit as audit_module
import pipeline.verdicts as verdicts_module
from data.contracts import GAP, Fold, Panel
from evaluation.leakage.prove import Finding
from pipeline.audit import audit
from pipeline.run import opened
from pipeline.verdicts import Verdicts
from report.run_folder import RunFolder
from report.sections.audit import section
from runtime.compose import settled
from runtime.files import write_json
from runtime.sweep import identity
from tests.run_folders import series_run

SMALL = ["experiment=smoke", "source.n_steps=300", "model=ridge", "baselines=naive", "scope.history=64", "lookback=10"]
MODWT = [*SMALL, "decomposition=modwt"]


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each group that was audited was proved anew."""
    seen: list[bool] = []
    real = audit_module._of_group

    def counted(cfg: Any, panel: Any, folds: Any, used: Any, prove: bool, unit: Any) -> Any:
        seen.append(prove)
        return real(cfg, panel, folds, used, prove, unit)

    monkeypatch.setattr(audit_module, "_of_group", counted)
    return seen


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs that cost nothing."""
    proof = Finding("forecast", "causal", 3, 0, "")
    monkeypatch.setattr(audit_module, "_of_group", lambda *given: ([], [proof] if given[4] else []))


def audited(
    folder: Path,
    words: Sequence[str],
    run: str,
    panel: Panel | None = None,
    folds: list[Fold] | None = None,
    **used: str,
) -> Any:
    """Audit a run of the sweep in a folder; all of them look into the same file."""
    cfg = settled([*words, "parallel.n_jobs=1"])
    task, own, split = opened(cfg)
    verdicts = Verdicts(folder / "audits" / "a.json", identity(cfg), run)
    return audit(task, panel or own, folds or split, used, verdicts)


def test_a_run_with_another_seed_takes_the_verdict_over_and_says_from_whom(tmp_path, proofs):
    first = audited(tmp_path, MODWT, "a/seed-0")
    second = audited(tmp_path, [*MODWT, "seed=1"], "a/seed-1")
    groups = len(proofs) // 2
    assert proofs == [True] * groups + [False] * groups
    assert (first.taken_from, second.taken_from) == ("", "a/seed-0")
    assert second.verdict == first.verdict == "causal"
    assert [(f.stage, f.subject, f.verdict) for f in second.findings] == [
        (f.stage, f.subject, f.verdict) for f in first.findings
    ]
    assert "taken_from" not in first.to_json()
    assert second.to_json()["taken_from"] == "a/seed-0"


def test_the_report_says_whose_verdict_it_is(tmp_path):
    series_run(tmp_path)
    run = RunFolder(tmp_path)
    assert run.metrics.audit is not None
    write_json(tmp_path / "run.json", run.card | {"audit": run.metrics.audit | {"taken_from": "a/seed-0"}})
    told = section(RunFolder(tmp_path))
    assert told is not None
    assert "This was done by the run a/seed-0 of the same sweep" in told.paragraphs[0]


def test_a_leak_by_the_settings_is_found_beside_a_kept_verdict(tmp_path, proofs):
    audited(tmp_path, MODWT, "a/seed-0")
    found = audited(tmp_path, [*SMALL[:-2], "lookback=10", "decomposition=emd", "scope=overall"], "b/seed-0")
    assert found.verdict == "LEAKS"
    assert all(proofs)


def test_a_leak_in_other_code_is_found_beside_a_kept_verdict(tmp_path, cheap, monkeypatch):
    """The code is read where it is kept: here a copy of it, in which one line is changed."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "scaling.py"
    file.write_text("fitted = train.y\n")
    monkeypatch.setattr(verdicts_module, "ROOT", tmp_path)
    monkeypatch.setattr(verdicts_module, "_CODE", verdicts_module._code())
    audited(tmp_path, MODWT, "a/seed-0")
    assert audited(tmp_path, MODWT, "a/seed-1").taken_from
    file.write_text("fitted = everything.y\n")
    changed = audited(tmp_path, MODWT, "a/seed-2")  # under a process that has the code of before
    assert changed.taken_from == ""
    monkeypatch.setattr(verdicts_module, "_CODE", verdicts_module._code())  # in a process begun after the change
    assert audited(tmp_path, MODWT, "a/seed-3").taken_from == ""
    assert audited(tmp_path, MODWT, "a/seed-4").taken_from == "a/seed-3"


def test_nothing_is_taken_over_for_other_data_split_or_packages(tmp_path, cheap, monkeypatch):
    audited(tmp_path, MODWT, "a")
    _, panel, folds = opened(settled(MODWT))
    frame = panel.frame.copy()
    frame.loc[len(frame) - 1, "y"] += 1e-9
    assert audited(tmp_path, MODWT, "b", panel=replace(panel, frame=frame)).taken_from == ""
    audited(tmp_path, MODWT, "a")
    role = folds[0].role.copy()
    role[0] = GAP
    assert audited(tmp_path, MODWT, "b", folds=[Fold(role, folds[0].name)]).taken_from == ""
    audited(tmp_path, MODWT, "a")
    monkeypatch.setattr(verdicts_module, "_packages", lambda: ["torch 0.1"])
    assert audited(tmp_path, MODWT, "b").taken_from == ""


def test_what_a_run_has_used_is_compared_whoever_proved_the_pipeline(tmp_path):
    audited(tmp_path, MODWT, "a/seed-0")
    found = audited(tmp_path, MODWT, "a/seed-1", **{"MODWT-Ridge, by time, seed 0": "of other windows"})
    assert found.taken_from
    assert found.verdict == "LEAKS"
    assert [finding.stage for finding in found.causes] == ["training"]


def test_a_damaged_verdict_is_proved_again(tmp_path, cheap):
    audited(tmp_path, MODWT, "a")
    (tmp_path / "audits" / "a.json").write_text('{"digest": 1}')
    assert audited(tmp_path, MODWT, "b").taken_from == ""
    assert audited(tmp_path, MODWT, "c").taken_from == "b"
