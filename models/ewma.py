"""Exponentially weighted moving average of the past.

Shapes
------
n window, L lookback, H horizon, C component, G decay
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray
from models.chunks import in_chunks
from models.har import joined
from models.model import Inputs, Needs, State

MEMORY = 100  # steps looked back upon: of RiskMetrics' decay, 0.94, what lies before weighs 0.002


class EWMA:
    """Forecast an exponentially weighted mean of the last 100 values for every step (RiskMetrics, 1996).

    The weights are scaled to add up to one.  Of several decays the one is kept that errs
    least on validation windows, without any on training windows.

    Parameters
    ----------
    label : str
        What tables call the model.
    decay : float or sequence of float
        Weight of a value over that of the value after it, in (0, 1), or those to choose from; RiskMetrics takes 0.94.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If there is no decay, or one is out of its range.
    """

    needs: ClassVar[Needs] = Needs(
        scaled=False, gradients=False, chance=False, state=True, kinds=(SERIES,), lookback=MEMORY
    )
    component: None = None

    def __init__(
        self, label: str, decay: float | Sequence[float], n_components: int, lookback: int, horizon: int
    ) -> None:
        self.label, self.horizon = label, horizon
        self.decays = np.atleast_1d(np.asarray(decay, dtype=np.float64))  # (G,)
        if not self.decays.size or not ((self.decays > 0) & (self.decays < 1)).all():
            raise ValueError(f"model.decay={decay} must lie between 0 and 1, or be a list of such numbers.")
        self._decay = self.decays[:1]  # (1,), the one in use

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Choose the decay, if there are several."""
        judge = validation if len(validation.windows.origin) else train
        errors = []
        for decay in self.decays:
            self._decay = np.array([decay])
            errors.append(np.abs(self.predict(judge) - judge.windows.y).mean())
        self._decay = self.decays[[int(np.argmin(errors))]]

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""

        def forecast(rows: FloatArray) -> FloatArray:  # (n, L, 1 + X)
            weights = self._decay ** np.arange(rows.shape[1])[::-1]  # (L,)
            weights /= weights.sum()
            return np.repeat((rows[:, :, 0] * weights).sum(axis=1, keepdims=True), self.horizon, axis=1)

        return in_chunks(forecast, joined(inputs.windows))

    def state(self) -> State:
        """Return the decay in use."""
        return {"decay": self._decay}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._decay = state["decay"]
