"""What a run on remaining life leaves behind: its table in four forms, its files and its validation error."""

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from data.contracts import Outcome
from evaluation.leakage.prove import Audit
from evaluation.life_metrics import CLOCK, judge, seed_scores
from report.life_report import LifeSubject, report
from report.life_table import (
    LEFT_OUT,
    TABLES,
    WIDE,
    LifeMetrics,
    job_of,
    print_table,
    read_metrics,
    to_csv,
    to_markdown,
    write_metrics,
)
from report.table import MetricsError
from tests.test_life_metrics import lived, outcomes, several

MODEL = "net"
LEAK = {MODEL: "rows of one cell are on both sides of the split."}


@cache
def a_run(seeds: int = 1, leaks: bool = False, model: float = 2.0) -> LifeMetrics:
    lives, table = several(6, model=model)
    leaking = LEAK if leaks else {}
    judgement = judge(table, lives, 64, leaking)
    return LifeMetrics(
        "hnei",
        "hnei",
        "HNEI",
        64.0,
        {cell: float(life) for cell, life in lives.items()},
        0,
        list(range(seeds)),
        MODEL,
        judgement.scores,
        judgement.cells,
        judgement.stages,
        judgement.notes,
        leaking,
        {"augmentation": "identity"},
        {"mae": 11.0},
        seed_scores(outcomes(lives, table, seeds), lives, 64),
    )


def printed(metrics: LifeMetrics, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    print_table(console, metrics)
    return console.export_text()


def as_kept(metrics: LifeMetrics, path: Path) -> LifeMetrics:
    write_metrics(path, metrics)
    return read_metrics(path)


@pytest.mark.parametrize("seeds", [1, 3])
def test_what_is_written_is_read_again(seeds: int, tmp_path: Path) -> None:
    run = replace(a_run(seeds), coverage=pd.DataFrame({"model": [MODEL], "level": [80], "coverage": [0.79]}))
    again = as_kept(run, tmp_path / "metrics.json")
    for name in [*TABLES, "coverage"]:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(run, name), check_dtype=False, check_exact=True)
    kept = ("experiment", "dataset", "title", "unit", "scale", "lives", "seed", "seeds", "model", "notes", "choices")
    assert all(getattr(again, name) == getattr(run, name) for name in kept)
    assert again.validation == {"mae": 11.0}
    assert not (tmp_path / "metrics.json.part").exists()


def test_the_file_names_its_job_and_holds_no_nan(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", a_run())
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["job"] == "life"
    assert job_of(tmp_path / "metrics.json") == "life"
    clock = next(score for score in content["scores"] if score["model"] == CLOCK)
    assert clock["p_clock"] is None
    (tmp_path / "series.json").write_text('{"experiment": "sp500"}')
    assert job_of(tmp_path / "series.json") == "series"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("stages"), "lacks stages"),
        (lambda content: content.pop("scale"), "lacks scale"),
        (lambda content: content["scores"][0].pop("mae"), "lacks mae among the scores|text"),
        (lambda content: content.update(scores=[]), "holds no scores"),
        (lambda content: content.update(cells="many"), "holds no table of cells"),
        (lambda content: content["cells"][0].update(mae="low"), "text where a number of the cells belongs"),
        (lambda content: content.pop("job"), "not the result of a run on remaining useful life .job: series"),
    ],
)
def test_a_file_that_is_not_one_is_refused(change, words: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(path, a_run())
    content = json.loads(path.read_text())
    change(content)
    if words.startswith("lacks mae"):
        content["scores"] = [{k: v for k, v in score.items() if k != "mae"} for score in content["scores"]]
    path.write_text(json.dumps(content))
    with pytest.raises(MetricsError, match=words):
        read_metrics(path)


@pytest.mark.parametrize(
    ("text", "words"), [(None, "cannot be read"), ("{", "not valid JSON"), ("[]", "not the result")]
)
def test_a_broken_file_is_refused(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(MetricsError, match=words):
        read_metrics(path)


def test_the_clock_comes_first_and_the_best_honest_numbers_are_bold() -> None:
    lines = to_markdown(a_run()).splitlines()
    assert lines[0].startswith("**HNEI: remaining life at 375 cycles of 6 test cells, errors in cycles (hnei, seed 0)")
    assert "MAE/64" in lines[2]
    assert lines[4].startswith(f"| {CLOCK} |")
    assert lines[4].endswith("| to beat |")
    assert lines[5].startswith(f"| {MODEL} | **")
    assert "better (p = 0.031)" in lines[5]


def test_a_leaking_row_uses_the_future_and_is_never_bold() -> None:
    table = to_markdown(a_run(leaks=True))
    ours = next(line for line in table.splitlines() if line.startswith(f"| {MODEL} |"))
    assert "**" not in ours
    assert ours.endswith("| uses the future |")
    assert "> net USES THE FUTURE: rows of one cell are on both sides of the split, so" in table


@pytest.mark.parametrize(("verdict", "colour"), [("causal", 32), ("LEAKS", 31), ("not audited", 33)])
def test_the_verdict_of_the_audit_comes_first_in_its_colour(verdict: str, colour: int, tmp_path: Path) -> None:
    run = replace(a_run(), audit={"verdict": verdict, "sentence": f"{verdict}: a sentence", "stages": []})
    assert to_markdown(run).startswith(f"**{verdict}: a sentence**\n\n**HNEI")
    console = Console(width=150, record=True, force_terminal=True, file=io.StringIO())
    print_table(console, run)
    assert console.export_text(styles=True).startswith(f"\x1b[1;{colour}m{verdict}: a sentence")
    assert as_kept(run, tmp_path / "metrics.json").audit == run.audit


def test_errors_by_stage_and_by_cell_stand_below_the_table() -> None:
    lines = to_markdown(a_run()).splitlines()
    assert "| model | early | middle | late |" in lines
    assert sum(line.startswith("| c0") for line in lines) == 6
    assert sum(line.endswith("(never seen) |") or "(never seen)" in line for line in lines) == 6


def test_several_seeds_show_their_mean_and_spread() -> None:
    run = a_run(seeds=3)
    own = run.seed_scores["mae"]
    table = to_markdown(run)
    assert "mean of 3 seeds" in table
    assert f"{own.mean():.2f}±{own.std(ddof=1):.2f}" in table
    assert "one seed's MAE" not in to_markdown(a_run())


def test_a_narrow_console_says_what_it_leaves_out() -> None:
    wide, narrow = printed(a_run(), WIDE), printed(a_run(), 80)
    assert all(column in wide for column in LEFT_OUT)
    assert f"A wider console shows {', '.join(LEFT_OUT)}." in narrow
    assert "MAE/64" in narrow
    assert max(len(line) for line in narrow.splitlines()) <= 80


def test_the_csv_has_every_number_unrounded() -> None:
    run = a_run()
    lines = to_csv(run).splitlines()
    assert lines[0].startswith("experiment,dataset,seed,model,mae,rmse,r2,mape,accuracy_15")
    assert repr(float(run.scores["mae"].iloc[0])) in lines[1]
    assert len(lines) == 3


def test_a_model_that_forecasts_some_cells_says_so_in_its_name_and_is_not_the_best() -> None:
    lives, table = several(8)
    some = table[(table["model"] == CLOCK) | (table["unique_id"] < "c06")]
    judgement = judge(some, lives, 66, {})
    run = replace(a_run(), scores=judgement.scores, cells=judgement.cells, stages=judgement.stages)
    ours = next(line for line in to_markdown(run).splitlines() if line.startswith("| net"))
    assert ours.startswith("| net (6 of 8 cells) |")
    assert "**" not in ours


def a_subject(lives: dict[str, int], **more: object) -> LifeSubject:
    subject = LifeSubject("hnei", "hnei", "HNEI", 0, [0, 1], MODEL, {}, 64.0, lives, ["289 rows were mended."])
    return subject._replace(**more)


def test_a_report_writes_every_file_and_returns_the_validation_error(tmp_path: Path) -> None:
    lives, table = several(6)
    trained = [{"epoch": k, "train/loss": 1 / (k + 1), "val/loss": 2 / (k + 1)} for k in range(3)]
    parts = [o._replace(losses=trained) if o.model == MODEL else o for o in outcomes(lives, table, 2)]
    factors = pd.DataFrame({"factor": ["a", "b"], "kendall_tau": [0.9, -0.4]})
    attention = pd.DataFrame({"ds": [3, 3, 4, 4], "lag": [0, 1, 0, 1], "weight": 0.5, "name": "adaptive"})
    attention["unique_id"] = "c00"
    audit = Audit([])
    subject = a_subject(lives, factors=factors, attention=attention, leaking=LEAK, audit=audit)
    console = Console(width=140, record=True, quiet=True)
    assert report(tmp_path, subject, table, parts, console) == pytest.approx((10 + 11) / 2)
    names = ("rul_curves", "alpha_lambda", "scatter", "error_by_stage", "factors", "attention", "losses")
    assert sorted(path.stem for path in (tmp_path / "figures").iterdir()) == sorted(names)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "forecasts.parquet"), table, check_dtype=False)
    run = read_metrics(tmp_path / "metrics.json")
    assert run.validation == {"mae": 10.5}
    assert run.notes[-1] == "289 rows were mended."
    assert run.leaks == LEAK
    assert run.audit == audit.to_json()
    assert list(run.seed_scores["seed"]) == [0, 1]
    assert (tmp_path / "table.md").read_text() == to_markdown(run)
    assert (tmp_path / "table.csv").read_text() == to_csv(run)


def test_a_report_without_validation_returns_nothing_and_draws_what_there_is(tmp_path: Path) -> None:
    lives, table = several(2)
    parts = [o._replace(validation_mae=None) for o in outcomes(lives, table, 1)]
    assert report(tmp_path, a_subject(lives), table, parts, Console(quiet=True)) is None
    assert not (tmp_path / "figures" / "losses.png").exists()
    assert read_metrics(tmp_path / "metrics.json").validation == {}


def test_a_run_of_the_clock_itself_can_be_reported(tmp_path: Path) -> None:
    lives = {"a": 30}
    table = lived(lives, {CLOCK: {"a": 3.0}})
    clock = Outcome(
        model=CLOCK,
        fold="all",
        forecasts=table,
        calibration=table.iloc[:0],
        seed=0,
        validation_mae=1.0,
        losses=[],
        seconds=0.0,
    )
    assert report(tmp_path, a_subject(lives, model=CLOCK), table, [clock], Console(quiet=True)) == 1.0
    assert np.isfinite(read_metrics(tmp_path / "metrics.json").scores["mae"]).all()
