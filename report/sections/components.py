"""What the model saw last, split into its components."""

import numpy as np
import pandas as pd

from evaluation.diagnostics import mean_period
from report.figures.components import components
from report.figures.drawing import Figure
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import time_axis
from report.table import plain_table

TITLES = {
    "component": "component",
    "period": "mean period [steps]",
    "crossings": "crossings of its mean",
    "share": "share of the variances %",
}


def section(run: RunFolder) -> Section | None:
    """Draw the components below their sum."""
    table = run.artifact("components.parquet", ["ds"])
    if table is None:
        return None
    names = [name for name in table.columns if name not in ("ds", "unique_id")]
    values = table[names].to_numpy(dtype=np.float64).T
    variance = values.var(axis=1)
    periods = [mean_period(line) for line in values]
    records = pd.DataFrame(
        {
            "component": names,
            "period": [float(f"{period:.3g}") if np.isfinite(period) else np.nan for period in periods],
            "share": [float(f"{100 * part:.3g}") for part in variance / max(float(variance.sum()), 1e-300)],
            "crossings": [int((np.diff(np.sign(line - line.mean())) != 0).sum()) for line in values],
        }
    )
    known = records["period"].dropna()
    span = f", mean periods from {known.min():.3g} to {known.max():.3g} steps" if len(known) else ""
    labels = [
        f"{name}: {_period(period) if line.any() else 'empty'}"
        for name, period, line in zip(names, periods, values, strict=True)
    ]
    figure = Figure(
        "components",
        [components(table["ds"], values, labels, run.metrics.unit, time_axis(run), _test_start(run, table["ds"]))],
        "The series the model saw last and its components, fast first",
        "The history of the last forecast, as the model saw it.  A period is the mean distance of two maxima.",
    )
    details = plain_table("Components", records, TITLES)
    return Section("components", "Components", f"{len(names)} components{span}", tables=[details], figures=[figure])


def _test_start(run: RunFolder, dates: pd.Series) -> object:
    """Return the first tested time, if it lies among the dates."""
    if run.own is None or run.own["ds"].dtype.kind != dates.dtype.kind:
        return None
    start = run.own["ds"].min()
    return start if dates.iloc[0] < start <= dates.iloc[-1] else None


def _period(steps: float) -> str:
    return f"{steps:.3g} steps" if np.isfinite(steps) else "a trend"
