"""GARCH of the returns, mapped to the volatility that is forecast.

Shapes
------
n window, L steps looked back upon, H horizon, X covariate
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray, Windows
from models.chunks import in_chunks
from models.har import joined
from models.model import Inputs, Needs, State

MEMORY = 150  # steps: what a filter has started from counts beta^150 after them, and beta is about 0.9


class GARCH:
    """GARCH(1, 1) or, asymmetric, GJR-GARCH(1, 1, 1) with Student's t errors (Bollerslev, 1986; Glosten et al., 1993).

    The variance of the return e at t + 1 is

        omega + (alpha + gamma [e_t < 0]) e_t^2 + beta variance_t

    Its parameters are fitted with ``arch`` on the training returns, and filtered forward for every window from its own
    last 150 returns: no window knows a return after its origin.  The mean of the variances forecast over the steps of
    a target becomes a forecast of the target by a line, fitted on training windows: the target is half the logarithm
    of the variance but for a bias and a slope.

    Parameters
    ----------
    label : str
        What tables call the model.
    asymmetric : bool
        Whether losses count otherwise than gains (GJR).
    over : int
        Steps whose mean variance is one target, as ``target.over`` [steps].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(
        scaled=False, gradients=False, chance=False, state=True, kinds=(SERIES,), returns=True, lookback=MEMORY
    )
    component: None = None

    def __init__(self, label: str, asymmetric: bool, over: int, n_components: int, lookback: int, horizon: int) -> None:
        self.label, self.asymmetric, self.over, self.horizon = label, asymmetric, over, horizon
        self._parameters = np.empty(0)  # (5,): mean, omega, alpha, gamma, beta
        self._line = np.empty(0)  # (2, H): slopes and intercepts

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether there is a single series: the parameters are those of one."""
        return bool(train["unique_id"].nunique() == 1)

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Fit the parameters on the returns of the training windows, then the line on their targets."""
        self.refit(train)

    def refit(self, known: Inputs) -> None:
        """Fit the parameters on the returns of all windows there are, then the line on their targets."""
        from arch import arch_model

        returns, o = _returns(known.windows), int(self.asymmetric)
        model = arch_model(returns, mean="Constant", vol="GARCH", p=1, o=o, q=1, dist="t", rescale=False)
        found = model.fit(disp="off", show_warning=False).params
        gamma = found["gamma[1]"] if self.asymmetric else 0.0
        self._parameters = np.array([found["mu"], found["omega"], found["alpha[1]"], gamma, found["beta[1]"]])
        seen = self._log_volatility(joined(known.windows))  # (n, H)
        self._line = np.stack([np.polyfit(x, y, 1) for x, y in zip(seen.T, known.windows.y.T, strict=True)], axis=1)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""

        def forecast(rows: FloatArray) -> FloatArray:
            return self._log_volatility(rows) * self._line[0] + self._line[1]

        return in_chunks(forecast, joined(inputs.windows))

    def variances(self, returns: FloatArray) -> FloatArray:
        """Map the last returns ``(n, L)`` [%] to the variances of the steps to come ``(n, H * over)`` [%^2]."""
        mean, omega, alpha, gamma, beta = self._parameters
        errors = returns - mean
        variance = np.square(errors).mean(axis=1)
        for error in errors.T:
            variance = omega + (alpha + gamma * (error < 0)) * error**2 + beta * variance
        ahead = [variance]
        for _ in range(self.horizon * self.over - 1):
            ahead.append(omega + (alpha + gamma / 2 + beta) * ahead[-1])
        return np.stack(ahead, axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"parameters": self._parameters, "line": self._line}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._parameters, self._line = state["parameters"], state["line"]

    def _log_volatility(self, rows: FloatArray) -> FloatArray:
        """Return half the log of the mean variance over the steps of each target, ``(n, H)``."""
        ahead = self.variances(rows[:, :, 1])
        tiny = np.finfo(np.float64).tiny  # of a chunk that is filled up with nothing
        found: FloatArray = np.log(np.maximum(ahead.reshape(len(rows), self.horizon, self.over).mean(axis=2), tiny)) / 2
        return found


def _returns(windows: Windows) -> FloatArray:
    """Return the returns of a single series in order, from the first step of its first window to the last origin.

    Origins may be missing in between: the windows after them show what came there, and what none shows is left out.
    """
    assert windows.covariates is not None
    length = windows.covariates.shape[1]
    last = windows.origin - windows.origin[0] + length - 1
    returns = np.full(last[-1] + 1, np.nan)
    returns[last[:, None] + np.arange(1 - length, 1)] = windows.covariates[:, :, 0]
    return returns[np.isfinite(returns)]
