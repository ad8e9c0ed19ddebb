"""Whether the forecast is a shifted copy of the past, and what its errors still tell."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.diagnostics import lagged
from evaluation.rows import PERSISTENCE
from report.figures.clouds import moves
from report.figures.drawing import Figure
from report.figures.errors import at_lags
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import first_series
from report.text import p_value, steps_of

FEWEST = 80  # forecasts that say something
CHANCE = 1.96  # standard errors that hold 95 %
LATE = (
    "A lag of {steps} means that the line of forecasts is close to a copy of the past, shifted: it looks right on any "
    "plot of levels and knows little of the next move.  This is no fault of its own where persistence is hard to "
    "beat, but the good look of the line is then no evidence of skill."
)


class Lag(NamedTuple):
    """How the changes of a forecast follow those of the truth."""

    lags: list[int]
    changes: FloatArray
    """Correlation of the changes at each lag."""
    level: int | None
    """Lag of the highest correlation of the levels."""
    band: float
    """What chance alone fills 95 times in 100."""

    @property
    def best(self) -> int | None:
        """Lag of the highest correlation of the changes."""
        return self.lags[int(np.nanargmax(self.changes))] if np.isfinite(self.changes).any() else None

    def at(self, lag: int) -> float:
        """Return the correlation of the changes at a lag."""
        return float(self.changes[self.lags.index(lag)])


def section(run: RunFolder) -> Section | None:
    """Draw how far the forecast is behind the truth, and its moves against the true ones."""
    rows, model, unit = first_series(run), run.metrics.model, run.metrics.unit
    if rows is None or run.metrics.reference != PERSISTENCE:
        return None
    own = rows[(rows["model"] == model) & np.isfinite(rows["y_hat"])]
    last = rows[rows["model"] == PERSISTENCE].set_index("ds")["y_hat"].reindex(own["ds"]).to_numpy(dtype=np.float64)
    if len(own) < FEWEST:
        return None
    found = _lag(own)
    moved = np.stack([own["y"].to_numpy() - last, own["y_hat"].to_numpy() - last], axis=1)
    moved = moved[np.isfinite(moved).all(axis=1)]
    paragraphs = [LATE.format(steps=steps_of(found.best))] if found.best is not None and found.best > 0 else []
    paragraphs += _added(moved, found)
    horizon = int(own["step"].max())
    lag = at_lags(
        found.lags, found.changes, model, found.band, "lag [steps]: forecast behind the truth", "correlation of changes"
    )
    figures = [
        Figure(
            "copycat",
            [lag],
            "Correlation of the changes of the forecast with those of the truth at every lag",
            f"At lag 0 a forecast moves with the truth; persistence has 1 at lag {horizon}.  Grey: what chance gives.",
        ),
        Figure(
            "moves",
            [moves(model, moved, unit, PERSISTENCE)],
            "Forecast moves against true moves",
            "Moves from the last known value.  Dotted: a perfect forecast; persistence lies on the horizontal line.",
        ),
    ]
    return Section("copycat", "Copycat", _heading(found), paragraphs, figures=figures)


def _lag(own: pd.DataFrame) -> Lag:
    lags = list(range(-5, max(10, 2 * int(own["step"].max())) + 1))
    truth, forecast = own["y"].to_numpy(dtype=np.float64), own["y_hat"].to_numpy(dtype=np.float64)
    levels = lagged(forecast, truth, lags)
    level = lags[int(np.nanargmax(levels))] if np.isfinite(levels).any() else None
    return Lag(lags, lagged(np.diff(forecast), np.diff(truth), lags), level, CHANCE / math.sqrt(len(own) - 1))


def _heading(found: Lag) -> str:
    best = found.best
    if best is None or np.nanmax(found.changes) < 1.5 * found.band:
        return "Copycat test: the changes of the forecast follow those of the truth at no lag"
    if best > 0:
        return (
            f"Copycat test: the forecast follows the truth {steps_of(best)} late "
            f"(changes correlate {found.at(best):.2f} at lag {best}, {found.at(0):.2f} at lag 0)"
        )
    if best == 0:
        return (
            "Copycat test: the forecast moves with the truth, not behind it "
            f"(changes correlate {found.at(0):.2f} at lag 0)"
        )
    return (
        f"Copycat test: the forecast moves {steps_of(-best)} BEFORE the truth "
        f"(changes correlate {found.at(best):.2f}): look for a leak"
    )


def _added(moved: FloatArray, found: Lag) -> list[str]:
    """Say what the forecast knows besides the last known value."""
    if len(moved) < 3 or moved.std(axis=0).min() == 0:
        return []
    added = float(np.corrcoef(moved[:, 0], moved[:, 1])[0, 1])
    meaning = "more than chance gives" if added > 0 else "in the wrong direction"
    meaning = "within what chance gives" if abs(added) < found.band else meaning
    return [
        f"What the forecast adds to the last known value correlates {added:.3f} with the true move "
        f"({meaning}: ±{found.band:.3f}).  On levels the best lag is {found.level}."
    ]


LAGS = 20


def residuals(run: RunFolder) -> Section | None:
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
