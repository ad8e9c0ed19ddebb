"""Naive forecasts from the windows as they are: the numbers to beat.

Shapes
------
n window, L lookback, H horizon, C component
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray
from models.model import Inputs, Needs, State

NAIVE = Needs(scaled=False, gradients=False, chance=False, state=True, kinds=(SERIES,))


class Persistence:
    """Forecast the last known value for every step of the horizon (random walk).

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = NAIVE
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self.horizon = horizon

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn nothing."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        last = summed(inputs.windows.past[:, -1:])  # (n, 1)
        return last.repeat(self.horizon, axis=1)  # (n, H)

    def state(self) -> State:
        """Return nothing: nothing was fitted."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take nothing."""


class NoMove:
    """Forecast zero for every step: of changes and returns, that the level stays where it is (random walk).

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = NAIVE
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self.horizon = horizon

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn nothing."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return zeros ``(n, H)`` in the unit of ``y``."""
        return np.zeros((len(inputs.windows.past), self.horizon))

    def state(self) -> State:
        """Return nothing: nothing was fitted."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take nothing."""


class Drift:
    """Extrapolate from the last known value by the mean step of the lookback (random walk with drift).

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
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        if lookback < 2:
            raise ValueError(
                f"lookback={lookback} shows no change to go on with; drift needs at least 2 steps.  "
                f"Use a longer lookback, or leave drift out of the baselines."
            )
        self.label = label
        self.horizon = horizon

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn nothing."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        past = inputs.windows.past  # (n, L, C)
        first, last = summed(past[:, :1]), summed(past[:, -1:])  # (n, 1) each
        mean_change = (last - first) / (past.shape[1] - 1)
        return last + mean_change * np.arange(1, self.horizon + 1)  # (n, H)

    def state(self) -> State:
        """Return nothing: nothing was fitted."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take nothing."""


def summed(past: FloatArray) -> FloatArray:
    """Add the components of ``(n, L, C)`` one after another, ``(n, L)``.

    The order in which ``numpy.sum`` adds, and with it the last bit, depends on how an array lies in memory.
    """
    return functools.reduce(np.add, np.moveaxis(past, 2, 0))
