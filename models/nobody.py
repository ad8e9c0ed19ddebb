"""A model that learns nothing, in whose place the audit makes what stands before a model."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import FloatArray
from models.model import Inputs, Needs, State


class Nobody:
    """Forecast zero from scaled windows, whatever they are.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(scaled=True, gradients=False, chance=False, state=True)
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label, self.horizon = label, horizon

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn nothing."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return zeros ``(n, H)``."""
        return np.zeros((len(inputs.windows.origin), self.horizon))

    def state(self) -> State:
        """Return nothing: nothing was fitted."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take nothing."""
