"""Heterogeneous autoregression of volatility on its means over a day, a week and a month.

Shapes
------
n window, L lookback, H horizon, C component, X covariate, P regressor
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray, Windows
from models.chunks import in_chunks
from models.model import Inputs, Needs, State

MONTH = 22  # trading days: its windows show as many in any case


class HAR:
    """Least squares of every step of the horizon on the means of the last 1, 5 and 22 values (Corsi, 2009).

    Parameters
    ----------
    label : str
        What tables call the model.
    lags : sequence of int
        How many of the last values each regressor is the mean of [steps].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If the windows do not hold the longest lag.
    """

    needs: ClassVar[Needs] = Needs(
        scaled=False, gradients=False, chance=False, state=True, kinds=(SERIES,), lookback=MONTH
    )
    component: None = None

    def __init__(self, label: str, lags: Sequence[int], n_components: int, lookback: int, horizon: int) -> None:
        _refuse_spans(label, "lags", lags, max(lookback, MONTH))
        self.label, self.lags = label, list(lags)
        self._weight: FloatArray = np.empty(0)  # (P + 1, H), the intercept last

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn by least squares from training windows."""
        self.refit(train)

    def refit(self, known: Inputs) -> None:
        """Learn by least squares from all windows there are."""
        seen = self._regressors(joined(known.windows))  # (n, P)
        design = np.column_stack([seen, np.ones(len(seen))])
        self._weight = np.linalg.lstsq(design, known.windows.y, rcond=None)[0].astype(np.float64)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""

        def forecast(rows: FloatArray) -> FloatArray:
            return self._regressors(rows) @ self._weight[:-1] + self._weight[-1]

        return in_chunks(forecast, joined(inputs.windows))

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"weight": self._weight}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._weight = state["weight"]

    def _regressors(self, rows: FloatArray) -> FloatArray:
        """Map series with their covariates ``(n, L, 1 + X)`` to regressors ``(n, P)``."""
        return means_of(rows[:, :, 0], self.lags)


class LHAR(HAR):
    """HAR with leverage: means of negative returns and of returns over the same spans beside those of the volatility.

    After losses volatility rises more than after gains (Corsi and Reno, 2012).  The returns [%] are the first
    covariate of the windows.  Of returns the mean over a single day is left out: that of negative ones tells it.

    Parameters
    ----------
    label, lags, n_components, lookback, horizon
        As of ``HAR``.
    covariates : bool
        Whether the newest value of every further covariate is a regressor (LHAR-X).
    returns : sequence of int or None
        Spans over which negative returns, and returns, are averaged [steps]; None takes ``lags``, without the mean
        return over a single day.

    Raises
    ------
    ValueError
        If the windows do not hold the longest lag, or the longest span of returns.
    """

    needs: ClassVar[Needs] = HAR.needs._replace(returns=True)

    def __init__(
        self,
        label: str,
        lags: Sequence[int],
        n_components: int,
        lookback: int,
        horizon: int,
        covariates: bool = False,
        returns: Sequence[int] | None = None,
    ) -> None:
        super().__init__(label, lags, n_components, lookback, horizon)
        if returns is not None:
            _refuse_spans(label, "returns", returns, max(lookback, MONTH))
        self.covariates = covariates
        self.falls = list(lags if returns is None else returns)
        self.moves = [lag for lag in lags if lag > 1] if returns is None else list(returns)

    def _regressors(self, rows: FloatArray) -> FloatArray:
        """Map series with their covariates ``(n, L, 1 + X)`` to regressors ``(n, P)``."""
        moves = rows[:, :, 1]
        parts = [super()._regressors(rows), means_of(np.minimum(moves, 0.0), self.falls), means_of(moves, self.moves)]
        if self.covariates:
            parts.append(rows[:, -1, 2:])
        return np.concatenate(parts, axis=1)


def _refuse_spans(label: str, name: str, spans: Sequence[int], longest: int) -> None:
    """Refuse spans that a window of so many steps does not show."""
    if not spans or min(spans) < 1 or max(spans) > longest:
        raise ValueError(
            f"model.{name}={list(spans)} must be numbers of steps from 1 up to {longest}, what a window shows; "
            f"{label} takes means over them.  Raise lookback, or lower model.{name}."
        )


def joined(windows: Windows) -> FloatArray:
    """Return the series, the sum of its components, and its covariates side by side ``(n, L, 1 + X)``."""
    total = np.ascontiguousarray(windows.past).sum(axis=2, keepdims=True)
    return total if windows.covariates is None else np.concatenate([total, windows.covariates], axis=2)


def means_of(values: FloatArray, lags: Sequence[int]) -> FloatArray:
    """Return the means of the last so many values of ``(n, L)``: ``(n, lag)``.

    Raises
    ------
    ValueError
        If a window is shorter than a lag: its mean would be one over less, in silence.
    """
    if max(lags, default=0) > values.shape[1]:
        raise ValueError(f"Windows of {values.shape[1]} steps do not show a mean over {max(lags)}.  Raise lookback.")
    return np.stack([values[:, -lag:].mean(axis=1) for lag in lags], axis=1) if lags else np.empty((len(values), 0))
