"""The table of a run says the same on a console, in Markdown, as CSV and on the page; a metric is defined once."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import evaluation.scores
from data.contracts import REMAINING
from evaluation.judge import judge
from evaluation.rows import CLOCK, PERSISTENCE
from evaluation.scores import LOWEST, Score
from report.comparison import compare
from report.comparison import to_markdown as compared
from report.page import write_page
from report.run_folder import Metrics, RunFolder
from report.table import group_tables, print_table, score_table, to_csv, to_markdown, write_tables
from report.text import in_markdown, literal
from tests.run_folders import AUDIT, EVIL, HYBRID, LEAK, NET, cell_metrics, leave, series_metrics, series_table
from tests.tables import cell_facts, several


def printed(metrics: Metrics, width: int, styles: bool = False) -> str:
    console = Console(width=width, record=True, force_terminal=True, file=io.StringIO())
    print_table(console, metrics)
    return console.export_text(styles=styles)


def line_of(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(("| " + label, label)))


def test_the_reference_comes_first_and_the_best_honest_numbers_are_bold() -> None:
    lines = to_markdown(series_metrics()).splitlines()
    assert lines[0] == f"**{AUDIT['sentence']}**"
    assert lines[2] == "**A walk: 259 test forecasts, errors in index points (sp500, seed 0)**"
    assert lines[4].startswith("| model | MAE | RMSE | MAPE % | R² | MASE | skill | up/down % | against persistence |")
    assert lines[6].startswith(f"| {PERSISTENCE} | ")
    own = series_metrics().scores.set_index("model")["mae"]
    assert own.idxmin() == PERSISTENCE
    assert lines[6].split(" | ")[1] == f"**{own.min():.3f}**"
    assert lines[6].endswith("| to beat ● |")


def test_cells_have_their_scale_their_thirds_and_every_cell() -> None:
    text = to_markdown(cell_metrics())
    assert "remaining life at 735 cycles of 6 test cells, errors in cycles (hnei, seed 0)" in text
    assert "MAE/124" in text.splitlines()[4]
    assert "| model | early | middle | late |" in text
    assert f"{HYBRID} by cell, in cycles" in text
    assert text.count("| c0") == 6
    own = cell_metrics().scores.set_index("model").loc[HYBRID]
    assert f"({own['eol_bias']:+.1f})" in line_of(text, HYBRID)  # too late, or too early


def test_a_leaking_row_uses_the_future_and_is_never_bold() -> None:
    text = to_markdown(series_metrics(leaking=(PERSISTENCE, "Drift")))
    for label in (PERSISTENCE, "Drift"):
        assert "**" not in line_of(text, label)
    assert line_of(text, "Drift").endswith("| uses the future |")
    assert f"> Persistence and Drift USES THE FUTURE: {LEAK}, so" in text
    assert "**" in line_of(text, NET) or "**" in line_of(text, "Ridge")
    styled = printed(series_metrics(leaking=("Drift",)), 150, styles=True)
    assert "\x1b[31m" in next(line for line in styled.splitlines() if "Drift" in line)


@pytest.mark.parametrize(
    ("verdict", "colour"), [("causal", 32), ("causal to rounding", 32), ("LEAKS", 31), ("not audited", 33)]
)
def test_the_verdict_of_the_audit_comes_first_in_its_colour(verdict: str, colour: int) -> None:
    run = replace(series_metrics(), audit={"verdict": verdict, "sentence": f"{verdict}: a sentence", "stages": []})
    assert to_markdown(run).startswith(f"**{verdict}: a sentence**\n\n**A walk")
    assert printed(run, 150, styles=True).startswith(f"\x1b[1;{colour}m{verdict}: a sentence")


@pytest.mark.parametrize("metrics", [series_metrics(seeds=2), cell_metrics(seeds=3)], ids=["forecast", "rul"])
def test_several_seeds_show_their_mean_and_spread(metrics: Metrics) -> None:
    table = to_markdown(metrics)
    own = metrics.groups["seed"].loc[metrics.groups["seed"]["model"] == metrics.model, "mae"]
    digits = 2 if metrics.question.kind == REMAINING else 3
    assert f"mean of {len(own)} seeds" in table
    assert f"{metrics.model} ({len(own)} seeds)" in table
    assert f"{own.mean():.{digits}f}±{own.std(ddof=1):.{digits}f}" in line_of(table, metrics.model)
    assert "of each seed by itself" in table
    assert "one seed's MAE" not in to_markdown(series_metrics())


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("metrics", [series_metrics(seeds=2), cell_metrics(seeds=3)], ids=["forecast", "rul"])
def test_every_console_shows_a_whole_table_and_names_what_it_leaves_out(metrics: Metrics, width: int) -> None:
    text = printed(metrics, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for row in metrics.scores["model"]:
        assert any(line.startswith(row) for line in text.splitlines())  # in one line, not folded
    titles = [column.title for column in score_table(metrics).columns]
    said = text[text.index("A wider console shows") :].replace("\n", " ") if "A wider console shows" in text else ""
    shown = " ".join(text.split())
    for title in titles:
        assert title in said or all(word in shown for word in title.split()), title
    assert bool(said) == (width < 160)


def test_the_csv_has_every_number_unrounded(tmp_path: Path) -> None:
    run = cell_metrics()
    lines = to_csv(run).splitlines()
    assert lines[0].startswith("experiment,dataset,seed,model,mae,rmse,mae_scaled")
    assert repr(float(run.scores["mae"].iloc[0])) in lines[1]
    assert len(lines) == 4
    write_tables(leave(tmp_path, run))
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == to_markdown(RunFolder(tmp_path).metrics)
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3


def test_a_model_that_forecasts_some_cells_says_so_in_its_name_and_is_not_the_best() -> None:
    lives, table = several(8)
    some = table[(table["model"] == CLOCK) | (table["unique_id"] < "c06")]
    found = judge(some, cell_facts(lives), {})
    run = replace(cell_metrics(), model="net", scores=found.scores, groups=found.groups)
    ours = line_of(to_markdown(run), "net")
    assert ours.startswith("| net (6 of 8 cells) |")
    assert "**" not in ours


def test_an_undefined_number_is_a_dash() -> None:
    run = series_metrics()
    broken = run.scores.assign(r2=np.nan, mae=run.scores["mae"].mask(run.scores["model"] == NET))
    table = score_table(replace(run, scores=broken))
    assert "R²" not in [column.title for column in table.columns]
    assert next(row for row in table.rows if row.cells[0].text == NET).cells[1].text == "–"


@pytest.mark.parametrize("evil", [EVIL, "a\x1b]0;t\x07b", "\u202eabc", "[link](javascript:alert(1))", "x" * 10_000])
def test_text_of_files_is_text_in_every_form(evil: str) -> None:
    scores = series_metrics().scores.replace({"model": {"Drift": evil}})
    run = replace(series_metrics(), title=evil, unit=evil, notes=[evil], tests=[evil], scores=scores)
    text = printed(run, 200)
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    if evil == EVIL:
        assert "[/b][red] $\\frac{" in text  # no markup: shown as it is
    markdown = to_markdown(run)
    assert not set(markdown) & {"\x1b", "\x07", "\u202e"}
    assert "<script>" not in markdown
    assert "](java" not in markdown
    (row,) = (line for line in markdown.splitlines() if line.startswith(f"| {in_markdown(evil)} |"))
    header = next(line for line in markdown.splitlines() if line.startswith("| model"))
    assert row.replace("\\|", "").count("|") == header.count("|")
    assert len(literal(evil)) <= 2000


def test_a_metric_added_to_the_scores_shows_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def row(rows: pd.DataFrame) -> np.ndarray:
        return (rows["y"] - rows["y_hat"]).abs().to_numpy()

    added = Score(name="medae", title="MedAE", best=LOWEST, row=row, over=np.median)
    monkeypatch.setattr(evaluation.scores, "SCORES", (*evaluation.scores.SCORES, added))
    series_metrics.cache_clear()
    run = series_metrics(seeds=2)
    series_metrics.cache_clear()
    assert "medae" in run.groups["seed"]
    own = run.scores.set_index("model")["medae"]
    header = next(line for line in to_markdown(run).splitlines() if line.startswith("| model"))
    assert "| MedAE |" in header
    assert f"{own[NET]:.3f}" in line_of(to_markdown(run), NET)
    assert "MedAE" in printed(run, 160)
    assert "MedAE" in compared(compare([run]))
    assert "medae" in to_csv(run)
    page = write_page(leave(tmp_path, run, series_table(), artifacts=False)).read_text(encoding="utf-8")
    assert ">MedAE</button>" in page


def test_errors_by_step_are_a_table() -> None:
    steps = pd.DataFrame({"model": [PERSISTENCE, NET] * 2, "step": [1, 1, 2, 2], "mae": [1.0, 2.0, 3.0, 4.0]})
    (table,) = group_tables(replace(series_metrics(), groups={"step": steps}))
    assert [column.title for column in table.columns] == ["model", "step 1", "step 2"]
    assert [cell.value for cell in table.rows[0].cells[1:]] == [1.0, 3.0]
    assert table.rows[0].apart
