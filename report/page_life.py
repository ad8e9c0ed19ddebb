"""The sections of a report page on the remaining life of cells."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.diagnostics import life_of, spent, thirds
from report import page_figures as figures
from report.page_figures import Figure, Panel
from report.page_run import Run
from report.page_tables import Cell, Column, Row, Section, Table, four, listed, plain_table, worded
from report.table import as_records

WALL = 24  # small figures side by side
OF_A_CELL = {
    "unique_id": "cell",
    "life": "life",
    "n": "forecasts",
    "mae": "MAE",
    "rmse": "RMSE",
    "bias": "mean error",
    "mape": "MAPE %",
    "accuracy_15": "±15 %",
    "r2": "R²",
    "eol": "EOL forecast",
    "eol_error": "EOL error",
    "eol_seen": "reached 0",
}
"""Columns of the table of cells."""


def cells(run: Run) -> Section | None:
    """Remaining life of each cell, the alpha-lambda plot and a table."""
    if run.forecasts is None:
        return None
    rows = run.forecasts[run.forecasts["model"] == run.model]
    if rows.empty:
        return None
    error = (rows["y_hat"] - rows["y"]).groupby(rows["unique_id"], sort=False)
    by_cell = error.apply(lambda e: float(e.abs().mean())).sort_values()
    wall = [
        Figure(
            [
                Panel(
                    str(cell),
                    figures.small_forecast(
                        rows[rows["unique_id"] == cell],
                        run.model,
                        f"{cell}: MAE {four(by_cell[cell])}",
                        run.unit,
                        run.x,
                    ),
                )
            ],
            f"Remaining life of {cell}, forecast and truth",
            small=True,
        )
        for cell in list(rows["unique_id"].unique())[:WALL]
    ]
    hit = (rows["y_hat"] - rows["y"]).abs() <= figures.CONE * rows["y"].abs()
    cone = Figure(
        [Panel("", figures.alpha_lambda(rows, life_of(rows, run.lives)))],
        "Alpha-lambda plot: forecast remaining life over the fraction of life that is over",
        f"Alpha-lambda plot, a line a cell: {100 * float(hit.mean()):.0f} % of the forecasts are within "
        f"{100 * figures.CONE:.0f} % of the truth.",
    )
    heading = (
        f"{len(by_cell)} unseen cells: {by_cell.index[-1]} is the hardest (MAE {four(by_cell.iloc[-1])} {run.unit})"
    )
    if len(by_cell) > 1:
        heading += f", {by_cell.index[0]} the easiest ({four(by_cell.iloc[0])})"
    return Section("cells", "Cells", heading, tables=[_cell_table(run, rows)], figures=[cone, *wall])


def _cell_table(run: Run, rows: pd.DataFrame) -> Table:
    known = run.metrics.get("cells")
    if isinstance(known, list) and known and "model" in known[0]:
        known = [record for record in known if record["model"] == run.model]
    if isinstance(known, list) and known:
        percent = [record | {"accuracy_15": 100 * record.get("accuracy_15", math.nan)} for record in known]
        return plain_table(f"{run.model}, cell by cell [{run.unit}]", percent, OF_A_CELL)
    error = rows["y_hat"] - rows["y"]
    life = life_of(rows, run.lives)
    table = pd.DataFrame({"cell": rows["unique_id"], "life": life, "mae": error.abs(), "bias": error})
    means = table.groupby("cell", sort=False).mean().reset_index()
    return plain_table(
        f"{run.model}, cell by cell [{run.unit}]",
        as_records(means),
        {"cell": "cell", "life": "life", "mae": "MAE", "bias": "mean error"},
    )


def over_life(run: Run) -> Section | None:
    """Error over the fraction of life that is over."""
    rows = run.forecasts
    if rows is None:
        return None
    bins = (spent(rows, run.lives).mul(20).floordiv(1).clip(0, 19) / 20 + 0.025).rename("spent")
    error = (rows["y"] - rows["y_hat"]).abs()
    table = error.groupby([bins, rows["model"]]).mean().unstack("model")  # noqa: PD010
    if run.model not in table:
        return None
    early, late = table[run.model].iloc[:5].mean(), table[run.model].iloc[-5:].mean()
    figure = Figure(
        [
            Panel(
                "",
                figures.relative(
                    table, run.model, f"MAE [{run.unit}]", "fraction of life that is over", None, run.reference
                ),
            )
        ],
        "MAE over the fraction of life that is over",
    )
    heading = (
        f"Over life: the error goes from {four(early)} {run.unit} in the first quarter to {four(late)} in the last"
    )
    return Section("time", "Over life", heading, figures=[figure])


def stages(run: Run) -> Section | None:
    """Error in early, middle and late life."""
    if run.forecasts is None:
        return None
    rows = run.forecasts
    mean = (rows["y"] - rows["y_hat"]).abs().groupby([rows["model"], thirds(rows, run.lives)]).mean().unstack()  # noqa: PD010
    mean = mean.reindex(columns=["early", "middle", "late"]).dropna(axis=1, how="all")
    if run.model not in mean.index:
        return None
    own = mean.loc[run.model]
    mean = mean.reindex(mean.mean(axis=1).sort_values(ascending=False).index)
    figure = Figure(
        [Panel("", figures.by_regime(mean, f"MAE [{figures.words(run.unit)}]", None))],
        "MAE in early, middle and late life",
        "Thirds of the life of each cell.",
    )
    parts = [f"{four(value)} in {stage}" for stage, value in zip(mean.columns, own.to_numpy(dtype=float), strict=True)]
    heading = f"By life stage: {run.model} is off by {listed(parts)} life [{run.unit}]"
    return Section("regimes", "Life stages", heading, figures=[figure])


def factors(run: Run) -> Section | None:
    """How closely each factor follows the remaining life."""
    records = run.evidence("factors.json")
    if not records:
        return None
    frame = pd.DataFrame(records)
    frame = frame.reindex(frame["kendall_tau"].abs().sort_values(ascending=False).index)
    top = frame.head(30)
    figure = Figure(
        [
            Panel(
                "",
                figures.ranking(
                    [str(name) for name in top["factor"]],
                    top["kendall_tau"].to_numpy(dtype=float),
                    "Kendall's tau with the remaining life",
                ),
            )
        ],
        "Kendall's tau of each factor with the remaining life",
        f"The strongest {len(top)} of {len(frame)}." if len(top) < len(frame) else "",
    )
    first = frame.iloc[0]
    heading = f"{first['factor']} follows the remaining life most closely (Kendall's tau {first['kendall_tau']:.3f})"
    return Section("factors", "Factors", heading, figures=[figure])


def clusters(run: Run) -> Section | None:
    """Validity of the clusters of operating conditions."""
    content = run.evidence("clusters.json")
    if not content or not content.get("table"):
        return None
    table, chosen = pd.DataFrame(content["table"]), content.get("chosen")
    titles = {
        "fpc": "fuzzy partition coefficient",
        "silhouette": "silhouette",
        "calinski_harabasz": "Calinski-Harabasz",
    }
    wall = [
        Figure(
            [Panel("", figures.indices(table, name, title, chosen))], f"{title} over the number of clusters", small=True
        )
        for name, title in titles.items()
        if name in table
    ]
    listed = plain_table("Validity of the clusters", as_records(table), {"n_clusters": "clusters", **titles})
    rows = [row._replace(kind="own") if row.cells[0].value == chosen else row for row in listed.rows]
    heading = (
        f"{chosen} clusters were chosen among {table['n_clusters'].min()} to {table['n_clusters'].max()}"
        if chosen
        else "Clusters"
    )
    return Section("clusters", "Clusters", heading, tables=[listed._replace(rows=rows)], figures=wall)


def synthetic(run: Run) -> Section | None:
    """Quality of synthetic samples."""
    content = run.evidence("augmentation.json")
    if not content:
        return None
    rows = [Row([Cell(worded(name)), Cell(four(value), value)]) for name, value in _numbers_in(content)]
    clouds = _clouds_in(content)
    drawn = []
    if clouds:
        drawn.append(
            Figure(
                [Panel("", figures.cloud(clouds, "first principal component", "second principal component"))],
                "Real and synthetic samples in the plane of the first two principal components",
                "Real and synthetic samples in the plane of the first two principal components.",
            )
        )
    mmd = next((value for name, value in _numbers_in(content) if "mmd" in name.lower()), None)
    heading = "Synthetic samples" + (f": squared distance to the real ones (MMD) {mmd:.3g}" if mmd is not None else "")
    columns = [Column("measure", numeric=False), Column("value")]
    tables = [Table("Quality of the synthetic samples", columns, rows)] if rows else []
    return Section("synthetic", "Synthetic", heading, tables=tables, figures=drawn)


def _numbers_in(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of nested mappings under its path of names."""
    for name, value in content.items():
        path = f"{before} {name}".strip()
        if isinstance(value, Mapping):
            yield from _numbers_in(value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path, float(value)


def _clouds_in(content: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Return the point clouds ``(n, 2)`` of nested mappings by their names."""
    found: dict[str, FloatArray] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _clouds_in(value)
        elif isinstance(value, list) and value and isinstance(value[0], list) and len(value[0]) == 2:
            found[worded(name)] = np.asarray(value, dtype=np.float64)
    return found
