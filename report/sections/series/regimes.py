"""Error in calm and wild times."""

import pandas as pd

from evaluation.diagnostics import VOLATILITY, absolute_errors, volatility_regimes
from evaluation.rows import PERSISTENCE
from report.figures.drawing import Figure
from report.figures.errors import by_group
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import first_series
from report.text import called


def section(run: RunFolder) -> Section | None:
    """Draw the error of every model in each tercile of volatility."""
    rows, model, reference = first_series(run), run.metrics.model, run.metrics.reference
    if rows is None or reference != PERSISTENCE or reference not in set(rows["model"]) or model == reference:
        return None
    errors = absolute_errors(rows)
    known = volatility_regimes(rows[rows["model"] == reference].set_index("ds")["y_hat"])
    if model not in errors or known.empty:
        return None
    mean = errors.loc[known.index].groupby(known).mean().T[["calm", "middle", "wild"]]
    ratio = mean.drop(index=reference).div(mean.loc[reference], axis=1)
    ratio = ratio.reindex(ratio.mean(axis=1).sort_values(ascending=False).index)
    figure = Figure(
        "regimes",
        [by_group(ratio, f"MAE / MAE of {reference}", 1.0)],
        "MAE in calm, middle and wild times as a multiple of the reference's",
        f"Terciles of the volatility of the last {VOLATILITY} steps, known at the time of the forecast.  "
        f"Left of the dashed line a model is better than {called(reference)}.",
    )
    return Section("regimes", "Regimes", _heading(mean, ratio, model, reference), figures=[figure])


def _heading(mean: pd.DataFrame, ratio: pd.DataFrame, model: str, reference: str) -> str:
    calm, wild = (float(ratio[name][model]) for name in ("calm", "wild"))
    swing = float(mean["wild"][reference] / mean["calm"][reference])
    return (
        f"By regime: wild times multiply the error of {called(reference)} by {swing:.1f}; there {model} errs "
        f"{_beside(wild)}, in calm times {_beside(calm)}"
    )


def _beside(ratio: float) -> str:
    """Say how far an error is from the reference's."""
    away = 100 * (ratio - 1)
    if round(abs(away), 1) == 0:
        return "as much"
    return f"{abs(away):.{1 if abs(away) < 10 else 0}f} % {'more' if away > 0 else 'less'}"
