"""Mean and autocorrelation of the errors of the first series."""

import math

import numpy as np

from report.figures.drawing import Figure
from report.figures.errors import at_lags
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import first_series
from report.text import p_value, steps_of

LAGS = 20
CHANCE = 1.96  # standard errors that hold 95 %


def section(run: RunFolder) -> Section | None:
    """Draw the autocorrelation of the errors."""
    from statsmodels.stats.diagnostic import acorr_ljungbox  # a second to import
    from statsmodels.tsa.stattools import acf

    rows = first_series(run)
    if rows is None:
        return None
    own = rows[rows["model"] == run.metrics.model]
    errors = (own["y"] - own["y_hat"]).to_numpy(dtype=np.float64)
    errors = errors[np.isfinite(errors)]
    if errors.size < 4 * LAGS or errors.std() == 0:
        return None
    horizon = int(own["step"].max())
    band = CHANCE / math.sqrt(errors.size)
    if horizon > 1:
        heading = f"Errors: autocorrelated up to {steps_of(horizon - 1)} by construction, horizons overlap"
    else:
        p = float(acorr_ljungbox(errors, lags=[10])["lb_pvalue"].iloc[0])
        left = "autocorrelation is left" if p < 0.05 else "no autocorrelation that chance would not give"
        heading = f"Errors: {left} (Ljung-Box over 10 lags, {p_value(p)})"
        heading += ": something could still be forecast" if p < 0.05 else ""
    found = acf(errors, nlags=LAGS, fft=True)[1:]
    lags = list(range(1, LAGS + 1))
    drawing = at_lags(lags, found, run.metrics.model, band, "lag [steps]", "autocorrelation")
    caption = "Grey: what chance alone gives 95 times in 100."
    figure = Figure("autocorrelation", [drawing], "Autocorrelation of the errors", caption)
    bias = errors.mean()
    away = abs(bias) / (errors.std() / math.sqrt(errors.size))
    said = f"The mean error (truth less forecast) is {bias:+.3g} {run.metrics.unit}, {away:.1f} standard errors from 0."
    return Section("residuals", "Errors", heading, [said], figures=[figure])
