"""The life of a cell from its beginning: the mean of others, and regression of its logarithm.

Shapes
------
n window, L lookback, C feature, K network, H horizon
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import linear_model

from data.contracts import TOTAL, FloatArray
from models.allocation import Joint
from models.chunks import in_chunks
from models.model import Inputs, Needs, State, scaled_batch

L1_RATIOS = (0.1, 0.5, 0.9, 1.0)  # shares of the absolute penalty an elastic net chooses from [fraction]
PARTS = 4  # of the training cells, by which penalties are chosen
LARGEST = 20.0  # size of a logarithm beyond which a forecast is no life


class MeanLife:
    """Mean life of the training cells: what is known of a cell without looking at it.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(scaled=False, gradients=False, chance=False, state=True, kinds=(TOTAL,))
    component: None = None

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self._life = np.empty(0)  # () [cycles]

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from training windows, one a cell."""
        self._life = np.array(train.windows.y.mean())

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return the life ``(n, 1)`` [cycles]."""
        return np.full((len(inputs.windows.origin), 1), self._life.item())

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"life": self._life}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._life = state["life"]


class LogLinear:
    """Linear regression of the logarithm of the life on the newest step of a window (Severson et al., 2019).

    With ``elastic`` an elastic net, whose penalty and share of absolute size are chosen by cross-validation over the
    training cells, in four parts as they stand; else least squares.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Joint
        Which network sees and learns which features.
    elastic : bool
        Whether weights are penalised.
    columns : str or None
        Pattern of the features the model is given, by their names; None gives all.  The task reads it.
    n_components, lookback, horizon : int
        C, L [cycles] and H [cycles]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(scaled=True, gradients=False, chance=False, state=True, kinds=(TOTAL,))

    def __init__(
        self,
        label: str,
        component: Joint,
        elastic: bool,
        columns: str | None,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.elastic = elastic
        self.columns = columns
        self._weight = self._bias = np.empty(0)  # (C,), (1,)

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows; their targets are above 0."""
        batch = scaled_batch(train)
        rows = self.component.inputs(batch.past)[0, :, -1]  # (n, C)
        logs = np.log(self.component.targets(batch.target)[0, :, 0])  # (n,)
        line = _chosen(rows, logs, L1_RATIOS) if self.elastic else linear_model.LinearRegression().fit(rows, logs)
        self._weight, self._bias = np.asarray(line.coef_), np.atleast_1d(line.intercept_)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(1, n, 1)``."""

        def forecast(past: FloatArray) -> FloatArray:
            logs = self.component.inputs(past)[:, :, -1] @ self._weight + self._bias  # (1, n)
            return np.exp(np.clip(logs, -LARGEST, LARGEST))[:, :, None]

        return in_chunks(forecast, scaled_batch(inputs).past, axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"weight": self._weight, "bias": self._bias}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._weight, self._bias = state["weight"], state["bias"]


def _chosen(rows: FloatArray, logs: FloatArray, l1_ratios: Sequence[float]) -> Any:
    """Return the elastic net with the penalty that errs least on held-out parts of the rows; ridge of few rows."""
    if len(rows) < 2 * PARTS:
        return linear_model.Ridge(1.0).fit(rows, logs)
    net = linear_model.ElasticNetCV(l1_ratio=list(l1_ratios), cv=PARTS, max_iter=20_000, selection="cyclic")
    return net.fit(rows, logs)
