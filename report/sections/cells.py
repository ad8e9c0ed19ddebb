"""Remaining life of each cell, and errors over its life."""

import re

import numpy as np
import pandas as pd

from evaluation.rows import THIRDS
from evaluation.scores import CONE, WITHIN, in_cone
from report.figures.alpha_lambda import alpha_lambda, scatter
from report.figures.drawing import Figure
from report.figures.errors import by_group, over_time
from report.figures.forecast import small_forecast
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import time_axis
from report.table import START, group_tables, start_table
from report.text import called, four, listed

WALL = 24  # cells side by side
NAMED = re.compile(r"learnt from \(([^)]*)\)")  # cells, as the audit names them
LAMBDAS = np.arange(0.05, 1.0, 0.05)  # fractions of life at which cells are asked


def section(run: RunFolder) -> Section | None:
    """Draw every cell."""
    rows = run.own
    if rows is None or run.forecasts is None:
        return None
    metrics, x = run.metrics, time_axis(run)
    error = (rows["y_hat"] - rows["y"]).abs().groupby(rows["unique_id"], sort=False).mean().sort_values()
    everything = run.forecasts
    drawings = [
        small_forecast(
            everything[everything["unique_id"] == cell],
            metrics.model,
            metrics.reference,
            f"{cell}: MAE {four(error[cell])}",
            metrics.unit,
            x,
        )
        for cell in list(rows["unique_id"].unique())[:WALL]
    ]
    hit = (rows["y_hat"] - rows["y"]).abs() <= CONE * rows["y"].abs()
    share = f"{100 * float(hit.mean()):.0f} % of the forecasts are within {100 * CONE:.0f} % of the truth"
    figures = [
        Figure(
            "alpha_lambda",
            [alpha_lambda(rows, run.life(rows), _shares(run), metrics.model, metrics.reference)],
            "Alpha-lambda plot: forecast remaining life over the fraction of life that is over",
            f"Alpha-lambda plot, a line a cell: {share}.  Below: the share of cells inside the cone.",
        ),
        Figure(
            "scatter",
            [scatter(rows, metrics.model, metrics.unit, metrics.question.noun)],
            f"Forecast against true {metrics.question.noun}",
            "Between the dotted lines a forecast is within 15 % of the truth.",
        ),
        Figure("rul_curves", drawings, f"Remaining life of every cell, forecast by {metrics.model}", wall=True),
    ]
    tables = [table for table in group_tables(metrics) if table.caption.startswith(f"{metrics.model} by cell")]
    return Section("cells", "Cells", _heading(run, error), tables=tables, figures=figures)


def _heading(run: RunFolder, error: "pd.Series[float]") -> str:
    """Say how many cells there are, whether they were unseen, and which is the hardest."""
    hardest, easiest = str(error.index[-1]), str(error.index[0])
    count = f"{len(error)} {'cell' if len(error) == 1 else 'cells'}"
    split = [stage for stage in (run.metrics.audit or {}).get("stages", []) if stage.get("stage") == "split"]
    leaking = [str(stage.get("detail")) for stage in split if stage.get("verdict") == "LEAKS"]
    if leaking:
        named = NAMED.search(leaking[0])
        seen = [cell for cell in named.group(1).split(", ") if cell in error.index] if named else []
        count += f", of which {listed(seen) or 'some'} {'was' if len(seen) == 1 else 'were'} learnt from, too"
    elif split:
        count = f"{len(error)} unseen {count.partition(' ')[2]}"
    heading = f"{count}: {hardest} is the hardest (MAE {four(float(error.iloc[-1]))} {run.metrics.unit})"
    return heading + (f", {easiest} the easiest ({four(float(error.iloc[0]))})" if len(error) > 1 else "")


def _shares(run: RunFolder) -> dict[str, "pd.Series[float]"]:
    """Return for each model the share of cells inside the cone, by fraction of life; of finite forecasts only."""
    rows = run.forecasts
    assert rows is not None
    whole = rows.groupby("model")["y_hat"].transform(lambda said: np.isfinite(said).all())
    rows = rows[whole].reset_index(drop=True)
    rows = rows.assign(life=run.life(rows), age=run.life(rows) - rows["y"])
    hits = {at: pd.Series(in_cone(rows, at)).groupby(rows["model"], sort=False).mean() for at in LAMBDAS}
    table = pd.DataFrame(hits).T  # (fraction of life, model)
    return {str(model): table[model] for model in table}


BINS = 20


def over_life(run: RunFolder) -> Section | None:
    """Draw the error of every model over the life of the cells."""
    rows, model, unit = run.forecasts, run.metrics.model, run.metrics.unit
    if rows is None or run.own is None:
        return None
    bins = run.spent(rows).mul(BINS).floordiv(1).clip(0, BINS - 1) / BINS + 0.5 / BINS
    error = rows.assign(spent=bins, error=(rows["y"] - rows["y_hat"]).abs())
    table = error.pivot_table(index="spent", columns="model", values="error")
    early, late = table[model].iloc[:5].mean(), table[model].iloc[-5:].mean()
    drawing = over_time(table, model, run.metrics.reference, f"MAE [{unit}]", "fraction of life that is over")
    figure = Figure("error_over_life", [drawing], "MAE over the fraction of life that is over")
    heading = f"Over life: the error goes from {four(early)} {unit} in the first quarter to {four(late)} in the last"
    return Section("time", "Over life", heading, figures=[figure])


def thirds(run: RunFolder) -> Section | None:
    """Draw the error of every model in each third of the life of each cell."""
    table, model, unit = run.metrics.groups.get("third"), run.metrics.model, run.metrics.unit
    if table is None or "mae" not in table:
        return None
    mean = table.pivot_table(index="model", columns="third", values="mae")
    mean = mean.reindex(columns=[third for third in THIRDS if third in mean])
    if model not in mean.index:
        return None
    own = mean.loc[model]
    mean = mean.reindex(mean.mean(axis=1).sort_values(ascending=False).index)
    drawing = by_group(mean, f"MAE [{unit}]")
    figure = Figure(
        "error_by_third", [drawing], "MAE in early, middle and late life", "Thirds of the life of each cell."
    )
    parts = [f"{four(value)} in {third}" for third, value in zip(mean.columns, own.to_numpy(dtype=float), strict=True)]
    heading = f"By third of life: {model} is off by {listed(parts)} life [{unit}]"
    return Section("regimes", "Thirds of life", heading, figures=[figure])


def starts(run: RunFolder) -> Section | None:
    """Draw the error of every model over how much of the beginning of the cells is hidden."""
    found, metrics = run.metrics.groups.get(START), run.metrics
    table = start_table(metrics)
    if found is None or table is None or metrics.model not in set(found["model"]):
        return None
    errors = found.pivot_table(index=START, columns="model", values="mae")
    drawing = over_time(
        errors, metrics.model, metrics.reference, f"MAE [{metrics.unit}]", "cycles hidden from the beginning"
    )
    reference = called(metrics.reference)
    figure = Figure(
        "error_by_start",
        [drawing],
        "MAE over how many cycles of the beginning of a record are hidden",
        f"Cycles are counted from the first row that is left, and so {reference} takes a used cell for a new one.",
    )
    own = errors[metrics.model]
    heading = (
        f"Used cells: with {own.index[-1]:g} cycles hidden {metrics.model} is off by {four(float(own.iloc[-1]))} "
        f"{metrics.unit}, from the first cycle on by {four(float(own.iloc[0]))}"
    )
    return Section("starts", "Used cells", heading, tables=[table], figures=[figure])


def lives(run: RunFolder) -> Section | None:
    """Draw forecast against true life, a dot a cell."""
    rows, metrics = run.own, run.metrics
    if rows is None:
        return None
    noun, unit = metrics.question.noun, metrics.unit
    error = (rows["y_hat"] - rows["y"]).abs()
    near = 100 * float((error <= WITHIN * rows["y"]).mean())
    figure = Figure(
        "scatter",
        [scatter(rows, metrics.model, unit, noun)],
        f"Forecast against true {noun}, a dot a cell",
        "Between the dotted lines a forecast is within 15 % of the truth.",
    )
    tables = [table for table in group_tables(metrics) if table.caption.startswith(f"{metrics.model} by cell")]
    heading = f"{len(rows)} cells: {metrics.model} is off by {four(float(error.mean()))} {unit} on average, "
    heading += f"{near:.0f} % are within {100 * WITHIN:.0f} %"
    return Section("cells", "Cells", heading, tables=tables, figures=[figure])
