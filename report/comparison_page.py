"""The report page of comparisons: many runs in one HTML file, a section a data set and experiment."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from report.comparison import Comparison, comparison_table
from report.figures.comparison import comparison as drawn
from report.figures.drawing import Figure
from report.leaderboard.board import Board
from report.leaderboard.shown import board_section
from report.page import render
from report.parts import Section, Verdict
from report.text import called, listed
from runtime.files import write_text


def write_comparison_page(out: Path, comparisons: Sequence[Comparison], boards: Sequence[Board] = ()) -> Path:
    """Write compare.html of comparisons into a folder and return where it is."""
    path = out / "compare.html"
    models = {str(model) for comparison in comparisons for model in comparison.rows["model"]}
    titles = list(dict.fromkeys(comparison.title for comparison in comparisons))
    facts = [f"{comparison.experiment}: {_runs(comparison.rows)}" for comparison in comparisons]
    parts = [_section(number, comparison) for number, comparison in enumerate(comparisons, start=1)]
    parts += [board_section(number, board) for number, board in enumerate(boards, start=1)]
    write_text(path, render(f"{len(models)} models on {listed(titles)}", [_verdict(comparisons)], facts, parts))
    return path


def comparison_figure(comparison: Comparison) -> Figure:
    """Draw the error that was published most: of cells it is a fraction of the longest life."""
    rows, reference = comparison.rows, comparison.reference
    scaled = "mae_scaled" in rows and rows["mae_scaled"].notna().any()
    error, unit = (
        ("mae_scaled", f"fraction of {comparison.longest_rul:g} cycles") if scaled else ("mae", comparison.unit)
    )
    table = pd.DataFrame(
        {"model": rows["model"], "leaks": rows["leaks"]}
        | {f"mae{part}": rows[f"{error}{part}"] for part in ("", "_std", "_published")}
    )
    table = table[(table["model"] != reference) & table[["mae", "mae_published"]].notna().any(axis=1)]
    table = table.sort_values("mae", na_position="last", kind="stable")
    red = "Red: USES THE FUTURE; such numbers cannot be had in practice.  " if table["leaks"].any() else ""
    several = "Bars: standard deviation over seeds." if table["mae_std"].notna().any() else ""
    return Figure(
        "comparison",
        [drawn(table, reference, comparison.error(error), f"MAE [{unit}]")],
        f"MAE of every model beside the published one, against {called(reference)}",
        f"{red}{several}".strip(),
    )


def _verdict(comparisons: Sequence[Comparison]) -> Verdict:
    leaking = [
        f"{model} ({comparison.experiment})"
        for comparison in comparisons
        for model in comparison.rows.loc[comparison.rows["leaks"], "model"]
    ]
    if leaking:
        verb = "uses" if len(leaking) == 1 else "use"
        return Verdict("leaks", "LEAKS", f"{listed(leaking)} {verb} the future; red rows do not compete.")
    return Verdict("causal", "no leak known", "No row of these tables is known to use the future.")


def _section(number: int, comparison: Comparison) -> Section:
    rows, reference = comparison.rows, called(comparison.reference)
    honest = rows[(rows["model"] != comparison.reference) & ~rows["leaks"] & rows["mae"].notna()]
    heading = f"{comparison.title} ({comparison.experiment})"
    beside = f"{comparison.error():.4g}"
    if len(honest) and honest["mae"].min() < comparison.error():
        best = honest.sort_values("mae", kind="stable").iloc[0]
        heading += f": {best['model']} is the best honest model, MAE {best['mae']:.4g} {comparison.unit} against "
        heading += f"{beside} of {reference}"
    elif len(honest):
        heading += f": no honest model has a lower MAE than {reference}, {beside} {comparison.unit}"
    caption = f"Errors in {comparison.unit}; the best number of each column is bold"
    caption += f"; paper: what was published ({comparison.source})." if comparison.source else "."
    return Section(
        f"comparison-{number}",
        comparison.experiment,
        heading,
        tables=[comparison_table(comparison, caption)],
        figures=[comparison_figure(comparison)],
        notes=list(comparison.notes),
        unfolded=len(comparison.notes),  # what the paper did wrong stands last
        tables_first=True,
    )


def _runs(rows: pd.DataFrame) -> str:
    seeds = int(rows["seeds"].max())
    return f"{len(rows)} rows" + (f", up to {seeds} seeds" if seeds > 1 else "")
