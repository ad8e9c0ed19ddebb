"""Error of models over time: trailing, by month, in calm and wild times."""

import pandas as pd

from evaluation.diagnostics import VOLATILITY, absolute_errors, trailing_ratio, volatility_regimes
from evaluation.rows import PERSISTENCE
from report.figures.drawing import Figure, dated
from report.figures.errors import by_group, by_month, over_time
from report.parts import DRAWN, Section
from report.run_folder import RunFolder
from report.selection import first_series, time_axis
from report.text import called

BLOCK = 30  # steps of a month where time is a number


def section(run: RunFolder) -> Section | None:
    """Draw when a model is better than the reference."""
    rows, model, reference = first_series(run), run.metrics.model, run.metrics.reference
    if rows is None or reference not in set(rows["model"]) or model == reference:
        return None
    errors = absolute_errors(rows)
    width = min(60, max(20, len(errors) // 15))
    if len(errors) < 2 * width or model not in errors:
        return None
    ratio = trailing_ratio(errors, reference, width)
    share = float((ratio[model] < 1).mean())
    limit = DRAWN // max(1, ratio.shape[1])
    trailing = Figure(
        "trailing_error",
        [over_time(ratio, model, None, f"MAE / MAE of {reference}", time_axis(run), 1.0, limit)],
        f"MAE over the last {width} steps as a multiple of that of {reference}",
        f"Mean over the last {width} forecasts.  Below the dashed line a model is better than {called(reference)}.",
    )
    months = _months(errors)
    block = "month" if dated(errors.index) else f"step, in blocks of {BLOCK}"
    monthly = Figure(
        "error_by_month",
        [by_month(months, model, reference, run.metrics.unit, block)],
        f"MAE of {model} and {reference} by {block.partition(',')[0]}",
        f"Below: by how much {model} is better than {called(reference)}.",
    )
    heading = (
        f"Over time: {model} has a lower error than {called(reference)} in {100 * share:.0f} % of all stretches "
        f"of {width} steps"
    )
    return Section("time", "Over time", heading, figures=[trailing, monthly])


def _months(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error ``(month, model)`` of each calendar month, or of blocks of steps."""
    times = errors.index.to_series()
    block = times.dt.to_period("M").dt.to_timestamp() if dated(times) else times // BLOCK * BLOCK
    return errors.groupby(block).mean()


def regimes(run: RunFolder) -> Section | None:
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
    return Section("regimes", "Regimes", _swing(mean, ratio, model, reference), figures=[figure])


def _swing(mean: pd.DataFrame, ratio: pd.DataFrame, model: str, reference: str) -> str:
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
