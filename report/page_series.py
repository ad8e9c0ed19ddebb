"""The sections of a report page on series: pairs of models, over time, regimes, copycat test, errors, components."""

import math

import numpy as np
import pandas as pd

from evaluation.diagnostics import VOLATILITY, absolute_errors, lagged, mean_period, trailing_ratio, volatility_regimes
from evaluation.metrics import PERSISTENCE
from report import page_figures as figures
from report.page_figures import Figure, Panel
from report.page_run import Run, first_series
from report.page_tables import DRAWN, Section, called, p_value, plain_table, steps_of

LAGS = 20  # of autocorrelations
CHANCE = 1.96  # standard errors that hold 95 %


def pairs(run: Run) -> Section | None:
    """The significance matrix."""
    pairs = run.metrics.get("pairwise")
    if not pairs:
        return None
    frame = pd.DataFrame(pairs).astype({"difference": float, "p_corrected": float})
    mirrored = frame.rename(columns={"model": "other", "other": "model"}).assign(difference=-frame["difference"])
    both = pd.concat([frame, mirrored], ignore_index=True)
    order = [model for model in run.scores["model"] if model in set(both["model"])]
    p = both.pivot_table(index="model", columns="other", values="p_corrected").reindex(index=order, columns=order)
    difference = both.pivot_table(index="model", columns="other", values="difference").reindex(
        index=order, columns=order
    )
    significant = int((frame["p_corrected"] < 0.05).sum())
    figure = Figure(
        [Panel("", figures.matrix(p, difference < 0))],
        "p-value of every pair of models",
        "p-values of Diebold-Mariano tests, corrected for the number of pairs (Holm).  Blue: the model of the row has "
        "the smaller loss; orange: the one above.  Deeper is more certain.",
    )
    heading = f"{significant} of {len(frame)} pairs of models differ significantly"
    return Section("significance", "Pairs", heading, figures=[figure])


def over_time(run: Run) -> Section | None:
    """Trailing error against the reference."""
    rows, reference = first_series(run), run.reference
    if rows is None or reference not in set(rows["model"]):
        return None
    errors = absolute_errors(rows)
    width = min(60, max(20, len(errors) // 15))
    if len(errors) < 2 * width:
        return None
    ratio = trailing_ratio(errors, str(reference), width)
    if run.model not in ratio:
        return None
    share = float((ratio[run.model] < 1).mean())
    figure = Figure(
        [
            Panel(
                "",
                figures.relative(
                    ratio, run.model, f"MAE / MAE of {reference}", run.x, 1.0, None, DRAWN // max(1, ratio.shape[1])
                ),
            )
        ],
        f"MAE over the last {width} steps as a multiple of that of {reference}",
        f"Mean over the last {width} forecasts.  Below the dashed line a model is better than {called(reference)}.",
    )
    heading = (
        f"Over time: {run.model} has a lower error than {called(reference)} in {100 * share:.0f} % of all stretches "
        f"of {width} steps"
    )
    return Section("time", "Over time", heading, figures=[figure])


def regimes(run: Run) -> Section | None:
    """Error in calm and wild times."""
    rows, reference = first_series(run), run.reference
    if rows is None or reference not in set(rows["model"]) or run.model == reference:
        return None
    errors = absolute_errors(rows)
    if run.model not in errors:
        return None
    naive = rows[rows["model"] == reference].set_index("ds").sort_index()
    known = volatility_regimes(naive["y_hat"]) if reference == PERSISTENCE else pd.Series(dtype=str)
    if known.empty:
        return None
    mean = errors.loc[known.index].groupby(known).mean().T[["calm", "middle", "wild"]]
    ratio = mean.drop(index=reference).div(mean.loc[reference], axis=1)
    ratio = ratio.reindex(ratio.mean(axis=1).sort_values(ascending=False).index)
    calm, wild = (float(ratio[name].loc[run.model]) for name in ("calm", "wild"))
    figure = Figure(
        [Panel("", figures.by_regime(ratio, f"MAE / MAE of {figures.words(reference)}", 1.0))],
        "MAE in calm, middle and wild times as a multiple of the reference's",
        f"Terciles of the volatility of the last {VOLATILITY} steps, known at the time of the forecast.  "
        f"Left of the dashed line a model is better than {called(reference)}.",
    )
    naive_error = mean.loc[str(reference)].to_numpy(dtype=float)
    swing = naive_error[-1] / naive_error[0]
    heading = (
        f"By regime: wild times multiply the error of {called(reference)} by {swing:.1f}; there {run.model} errs "
        f"{_beside(wild)}, in calm times {_beside(calm)}"
    )
    return Section("regimes", "Regimes", heading, figures=[figure])


def _beside(ratio: float) -> str:
    """Say how far an error is from the reference's."""
    away = 100 * (ratio - 1)
    if round(abs(away), 1) == 0:
        return "as much"
    return f"{abs(away):.{1 if abs(away) < 10 else 0}f} % {'more' if away > 0 else 'less'}"


def copycat(run: Run) -> Section | None:
    """Whether the forecast is a shifted copy of the past."""
    rows, reference = first_series(run), run.reference
    if rows is None or reference != PERSISTENCE:
        return None
    own = rows[rows["model"] == run.model].sort_values("ds")
    naive = rows[rows["model"] == reference].set_index("ds").reindex(own["ds"])
    own = own[np.isfinite(own["y_hat"])]
    if len(own) < 4 * LAGS:
        return None
    horizon = int(own["step"].max())
    lags = list(range(-5, max(10, 2 * horizon) + 1))
    truth, forecast = own["y"].to_numpy(dtype=float), own["y_hat"].to_numpy(dtype=float)
    last = naive["y_hat"].reindex(own["ds"]).to_numpy(dtype=float)
    changes = lagged(np.diff(forecast), np.diff(truth), lags)
    levels = lagged(forecast, truth, lags)
    band = CHANCE / math.sqrt(len(own) - 1)
    best = lags[int(np.nanargmax(changes))] if np.isfinite(changes).any() else None
    level_lag = lags[int(np.nanargmax(levels))] if np.isfinite(levels).any() else None
    at_zero = changes[lags.index(0)]
    if best is None or np.nanmax(changes) < 1.5 * band:
        heading = "Copycat test: the changes of the forecast follow those of the truth at no lag"
    elif best > 0:
        heading = (
            f"Copycat test: the forecast follows the truth {steps_of(best)} late "
            f"(changes correlate {changes[lags.index(best)]:.2f} at lag {best}, {at_zero:.2f} at lag 0)"
        )
    elif best == 0:
        heading = (
            f"Copycat test: the forecast moves with the truth, not behind it (changes correlate {at_zero:.2f} at lag 0)"
        )
    else:
        heading = (
            f"Copycat test: the forecast moves {steps_of(-best)} BEFORE the truth "
            f"(changes correlate {changes[lags.index(best)]:.2f}): look for a leak"
        )
    paragraphs = []
    if best is not None and best > 0:
        paragraphs.append(
            f"A lag of {steps_of(best)} means that the line of forecasts is close to a copy of the past, shifted: it "
            "looks right on any plot of levels and knows little of the next move.  This is no fault of its own where "
            "persistence is hard to beat, but the good look of the line is then no evidence of skill."
        )
    moves = np.stack([truth - last, forecast - last], axis=1)
    kept = np.isfinite(moves).all(axis=1) & (len(own) > 0)
    moves = moves[kept]
    added = np.corrcoef(moves.T)[0, 1] if len(moves) > 2 and moves.std(axis=0).min() > 0 else math.nan
    if np.isfinite(added):
        meaning = (
            "within what chance gives"
            if abs(added) < band
            else "more than chance gives"
            if added > 0
            else "in the wrong direction"
        )
        paragraphs.append(
            f"What the forecast adds to the last known value correlates {added:.3f} with the true move "
            f"({meaning}: ±{band:.3f}).  On levels the best lag is {level_lag}."
        )
    drawn = [
        Figure(
            [
                Panel(
                    "",
                    figures.bars(
                        lags,
                        {run.model: changes},
                        band,
                        "lag [steps]: forecast behind the truth",
                        "correlation of changes",
                    ),
                )
            ],
            "Correlation of the changes of the forecast with those of the truth at every lag",
            f"At lag 0 a forecast moves with the truth; persistence has 1 at lag {horizon}.  Grey: what chance gives.",
        ),
        Figure(
            [
                Panel(
                    "",
                    figures.cloud(
                        {run.model: moves},
                        f"true move [{figures.words(run.unit)}]",
                        f"forecast move [{figures.words(run.unit)}]",
                        diagonal=True,
                    ),
                )
            ],
            "Forecast moves against true moves",
            "Moves from the last known value.  Dotted: a perfect forecast; persistence lies on the horizontal line.",
        ),
    ]
    return Section("copycat", "Copycat", heading, paragraphs, figures=drawn)


def residuals(run: Run) -> Section | None:
    """Autocorrelation of the errors of the first series."""
    from statsmodels.stats.diagnostic import acorr_ljungbox  # a second to import
    from statsmodels.tsa.stattools import acf

    rows = first_series(run)
    if rows is None:
        return None
    own = rows[rows["model"] == run.model].sort_values("ds")
    errors = (own["y"] - own["y_hat"]).to_numpy(dtype=float)
    errors = errors[np.isfinite(errors)]
    if errors.size < 4 * LAGS or errors.std() == 0:
        return None
    horizon = int(own["step"].max())
    found = acf(errors, nlags=LAGS, fft=True)[1:]
    band = CHANCE / math.sqrt(errors.size)
    if horizon > 1:
        heading = f"Errors: autocorrelated up to {steps_of(horizon - 1)} by construction, horizons overlap"
    else:
        p = float(acorr_ljungbox(errors, lags=[10])["lb_pvalue"].iloc[0])
        heading = (
            f"Errors: autocorrelation is left (Ljung-Box over 10 lags, {p_value(p)}): something could still be forecast"
            if p < 0.05
            else f"Errors: no autocorrelation that chance would not give (Ljung-Box over 10 lags, {p_value(p)})"
        )
    bias = errors.mean()
    figure = Figure(
        [Panel("", figures.bars(range(1, LAGS + 1), {run.model: found}, band, "lag [steps]", "autocorrelation"))],
        "Autocorrelation of the errors",
        "Grey: what chance alone gives 95 times in 100.",
    )
    away = abs(bias) / (errors.std() / math.sqrt(errors.size))
    said = f"The mean error (truth less forecast) is {bias:+.3g} {run.unit}, {away:.1f} standard errors from 0."
    return Section("residuals", "Errors", heading, [said], figures=[figure])


def components(run: Run) -> Section | None:
    """What the model saw last, split."""
    table = run.evidence("components.parquet")
    if table is None:
        return None
    names = [name for name in table.columns if name not in ("ds", "unique_id")]
    values = table[names].to_numpy(dtype=np.float64).T
    variance = values.var(axis=1)
    records = []
    for name, line, share in zip(names, values, variance / max(float(variance.sum()), 1e-300), strict=True):
        period = mean_period(line)
        records.append(
            {
                "component": name,
                "period": float(f"{period:.3g}") if np.isfinite(period) else None,
                "share": float(f"{100 * share:.3g}"),
                "crossings": int((np.diff(np.sign(line - line.mean())) != 0).sum()),
            }
        )
    periods = [record["period"] for record in records if record["period"] is not None]
    span = f", mean periods from {min(periods):.3g} to {max(periods):.3g} steps" if periods else ""
    labels = [
        f"{name}: {_period(period) if np.any(line) else 'empty'}"
        for name, period, line in zip(names, (record["period"] for record in records), values, strict=True)
    ]
    figure = Figure(
        [Panel("", figures.components(table["ds"], values, labels, run.unit, run.x))],
        "The series the model saw last and its components, fast first",
        "The history of the last forecast, as the model saw it.  A period is the mean distance of two maxima.",
    )
    details = plain_table(
        "Components",
        records,
        {
            "component": "component",
            "period": "mean period [steps]",
            "crossings": "crossings of its mean",
            "share": "share of the variances %",
        },
    )
    return Section("components", "Components", f"{len(names)} components{span}", tables=[details], figures=[figure])


def _period(steps: float | None) -> str:
    return "a trend" if steps is None else f"{steps:.3g} steps"
