"""Naive forecasts, which learn nothing: the numbers to beat.

Shapes
------
n window, L lookback, H horizon, C component
"""

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from models.model import Inputs, Needs, State

NAIVE = Needs(scaled=False, task="forecast")


class Unfitted:
    """What a model without a memory has in common with all others."""

    @classmethod
    def applies(cls, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes: nothing is asked of a split."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn nothing."""

    def state(self) -> dict[str, Any]:
        """Return nothing: nothing was fitted."""
        return {}

    def load_state(self, state: State) -> None:
        """Take nothing."""


class Persistence(Unfitted):
    """Persistence forecast: the last value known, for every step of the horizon.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = NAIVE

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self.horizon = horizon

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        last = inputs.windows.past[:, -1:].sum(axis=2)  # (n, 1)
        return last.repeat(self.horizon, axis=1)  # (n, H)


class Drift(Unfitted):
    """Random walk with drift: the last value known moves on by the mean step of its lookback.

    The mean of the L - 1 changes is (last - first) / (L - 1).

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If the lookback shows no change.
    """

    needs: ClassVar[Needs] = NAIVE

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        if lookback < 2:
            raise ValueError(
                f"lookback={lookback} shows no change to go on with; drift needs at least 2 steps.  "
                f"Use a longer lookback, or leave drift out of the baselines."
            )
        self.label = label
        self.horizon = horizon

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        y = inputs.windows.past.sum(axis=2)  # (n, L)
        mean_change = (y[:, -1:] - y[:, :1]) / (y.shape[1] - 1)  # (n, 1)
        return y[:, -1:] + mean_change * np.arange(1, self.horizon + 1)  # (n, H)
