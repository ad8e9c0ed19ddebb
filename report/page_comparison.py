"""The report page of comparisons: many runs of both jobs in one HTML file, a section a data set and experiment."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation.life_metrics import CLOCK
from evaluation.metrics import PERSISTENCE
from report import page_figures as figures
from report.comparison import Comparison
from report.life_comparison import LifeComparison
from report.page import render, write_whole
from report.page_figures import Figure, Panel
from report.page_tables import Cell, Column, Row, Score, Section, Table, Verdict, called, listed, looks_of
from report.table import MISSING, decimals_for, shown

SERIES = ("mae", "rmse", "mape", "r2", "mase", "direction")
LIFE = ("mae", "mae_scaled", "rmse_scaled", "r2", "accuracy_15", "eol_mae")
PUBLISHED_DECIMALS = 4  # at most; papers give no more
APART = 8  # ratio of errors from which on their axis is logarithmic


def write_comparison_page(out: Path, comparisons: Sequence[Comparison | LifeComparison]) -> Path:
    """Write report.html of comparisons of any job into a folder and return where it is."""
    path = out / "report.html"
    models = {str(model) for comparison in comparisons for model in comparison.rows["model"]}
    title = f"{len(models)} models on {listed(_once(comparison.title for comparison in comparisons))}"
    facts = [f"{comparison.experiment}: {_runs(comparison.rows)}" for comparison in comparisons]
    parts = [_section(number, comparison) for number, comparison in enumerate(comparisons, start=1)]
    write_whole(path, render(title, [_verdict(comparisons)], facts, parts))
    return path


def _verdict(comparisons: Sequence[Comparison | LifeComparison]) -> Verdict:
    leaking = _once(
        f"{model} ({comparison.experiment})"
        for comparison in comparisons
        for model in comparison.rows.loc[comparison.rows["leaks"].astype(bool), "model"]
    )
    if leaking:
        verb = "uses" if len(leaking) == 1 else "use"
        return Verdict("leaks", "LEAKS", f"{listed(leaking)} {verb} the future; red rows do not compete.")
    return Verdict("causal", "no leak known", "No row of these tables is known to use the future.")


def _section(number: int, comparison: Comparison | LifeComparison) -> Section:
    rows = comparison.rows
    reference, scale = _measure(comparison)
    naive = float(rows.loc[rows["model"] == reference, "mae"].iloc[0])
    honest = rows[(rows["model"] != reference) & ~rows["leaks"].astype(bool) & rows["mae"].notna()]
    heading = f"{comparison.title} ({comparison.experiment})"
    if len(honest) and honest["mae"].min() < naive:
        best = honest.sort_values("mae", kind="stable").iloc[0]
        heading += f": {best['model']} is the best honest model, MAE {best['mae']:.4g} {comparison.unit} against "
        heading += f"{naive:.4g} of {called(reference)}"
    elif len(honest):
        heading += f": no honest model has a lower MAE than {called(reference)}, {naive:.4g} {comparison.unit}"
    return Section(
        f"comparison-{number}",
        comparison.experiment,
        heading,
        tables=[_table(comparison, reference, scale)],
        figures=[_figure(comparison, reference, scale)],
        notes=list(comparison.notes),
        unfolded=len(comparison.notes),  # what the paper did wrong stands last
        tables_first=True,
    )


def _measure(comparison: Comparison | LifeComparison) -> tuple[str, float | None]:
    """Return what the models are measured against, and what scaled errors are fractions of."""
    return (CLOCK, comparison.scale) if isinstance(comparison, LifeComparison) else (PERSISTENCE, None)


def _figure(comparison: Comparison | LifeComparison, reference: str, scale: float | None) -> Figure:
    """Draw the error that was published most: on lives it is a fraction of the longest."""
    error = "mae" if scale is None else "mae_scaled"
    unit = comparison.unit if scale is None else f"fraction of {scale:g} {comparison.unit}"
    rows = pd.DataFrame(
        {"model": comparison.rows["model"], "leaks": comparison.rows["leaks"].astype(bool)}
        | {f"mae{part}": comparison.rows[f"{error}{part}"] for part in ("", "_std", "_published")}
    )
    naive = float(rows.loc[rows["model"] == reference, "mae"].iloc[0])
    known = np.r_[rows["mae"].dropna(), rows["mae_published"].dropna()]
    logarithmic = bool(known.min() > 0 and known.max() / known.min() > APART)
    drawn = rows[(rows["model"] != reference) & rows[["mae", "mae_published"]].notna().any(axis=1)]
    drawn = drawn.sort_values("mae", na_position="last", kind="stable")
    several = "Bars: standard deviation over seeds." if rows["mae_std"].notna().any() else ""
    return Figure(
        [Panel("", figures.dots(drawn, reference, naive, unit, logarithmic))],
        f"MAE of every model beside the published one, against {called(reference)}",
        several,
    )


def _table(comparison: Comparison | LifeComparison, reference: str, scale: float | None) -> Table:
    """Return ours beside the published numbers, the best honest ones bold."""
    rows = comparison.rows
    honest = rows[~rows["leaks"].astype(bool)]
    digits = decimals_for(float(rows.loc[rows["model"] == reference, "mae"].iloc[0]))
    looks = looks_of(scale)
    chosen = {name: looks[name] for name in (SERIES if scale is None else LIFE)}
    published = [name for name in chosen if f"{name}_published" in rows and rows[f"{name}_published"].notna().any()]
    columns = [Column("model", numeric=False)]
    for name, look in chosen.items():
        columns.append(Column(look.title, hint=look.hint))
        if name in published:
            columns.append(Column("paper", hint=f"published {look.title}"))
    columns.append(Column(f"against {called(reference)}", numeric=False, hint="p-values corrected over the table"))
    body = []
    for _, row in rows.iterrows():
        seeds = f" ({row['seeds']} seeds)" if row["seeds"] > 1 else ""
        cells = [Cell(f"{row['model']}{seeds}")]
        for name, look in chosen.items():
            places = digits if look.decimals is None else look.decimals
            extreme = honest[name].min() if look.best == "small" else honest[name].max()
            cells.append(_cell(row, name, look, places, best=not row["leaks"] and row[name] == extreme))
            if name in published:
                number = row[f"{name}_published"]
                cells.append(Cell(shown(number, min(decimals_for(abs(number)), PUBLISHED_DECIMALS)), _finite(number)))
        cells.append(Cell(str(row["verdict"])))
        body.append(Row(cells, "leaks" if row["leaks"] else "", apart=row["model"] == reference))
    caption = f"Errors in {comparison.unit}; the best number of each column is bold"
    caption += "; paper: what was published." if published else "."
    return Table(caption, columns, body)


def _cell(row: "pd.Series[Any]", name: str, look: Score, decimals: int, best: bool) -> Cell:
    text = shown(row[name], decimals, percent=look.percent)
    spread = row.get(f"{name}_std", np.nan)
    if text != MISSING and np.isfinite(spread):
        text += f" ± {shown(spread, decimals, percent=look.percent)}"
    return Cell(text, _finite(row[name]), best)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _runs(rows: pd.DataFrame) -> str:
    seeds = int(rows["seeds"].max())
    return f"{len(rows)} rows" + (f", up to {seeds} seeds" if seeds > 1 else "")


def _once(names: Iterable[str]) -> list[str]:
    """Return each name once, in the order given."""
    return list(dict.fromkeys(names))
