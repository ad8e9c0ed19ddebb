"""Linear and kernel regression on scaled windows, which share the components out as the networks do.

Shapes
------
n window, L lookback, H horizon, C component, K network, F feature, S support vector
"""

from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn import linear_model, svm
from sklearn.metrics.pairwise import rbf_kernel

from data.contracts import FloatArray
from models.allocation import Joint, Separate
from models.chunks import in_chunks
from models.model import Inputs, Needs, State

CLASSICAL = Needs(scaled=True)


class Ridge:
    """Linear regression of every step of the horizon on the lookback, with a penalty on its weights.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Separate or Joint
        Which network sees and learns which components.
    alpha : float
        Penalty on the squared weights [squared scaled units].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = CLASSICAL

    def __init__(
        self,
        label: str,
        component: Separate | Joint,
        alpha: float,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.alpha = alpha
        self._weight = np.empty(0)  # (K, L F, H)
        self._bias = np.empty(0)  # (K, 1, H)

    @classmethod
    def applies(cls, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes: nothing is asked of a split."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows."""
        batch = train.batch
        assert batch is not None
        fits = [
            linear_model.Ridge(self.alpha, solver="svd").fit(rows, target)
            for rows, target in zip(
                _rows(self.component, batch.past), self.component.targets(batch.target), strict=True
            )
        ]
        self._weight = np.stack([np.atleast_2d(fit.coef_).T for fit in fits])
        self._bias = np.stack([np.atleast_2d(fit.intercept_) for fit in fits])

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        assert inputs.batch is not None
        return in_chunks(lambda past: _rows(self.component, past) @ self._weight + self._bias, inputs.batch.past)

    def state(self) -> dict[str, FloatArray]:
        """Return everything that was fitted."""
        return {"weight": self._weight, "bias": self._bias}

    def load_state(self, state: State) -> None:
        """Take what an earlier fit has learned."""
        self._weight, self._bias = state["weight"], state["bias"]


class SVR:
    """Support vector regression with a Gaussian kernel, one for every step of the horizon.

    Kernel, ``C`` and ``epsilon`` are measured in the spread of what a network sees and learns, so the same
    numbers suit every component on every scale.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Separate or Joint
        Which network sees and learns which components.
    C : float
        Price of leaving the tube [standard deviations of the target].
    epsilon : float
        Half width within which an error is free [standard deviations of the target].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = CLASSICAL

    def __init__(
        self,
        label: str,
        component: Separate | Joint,
        C: float,
        epsilon: float,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.C = C
        self.epsilon = epsilon
        self.n_networks = component.n_networks(n_components)
        self.horizon = horizon
        self._fitted: dict[str, FloatArray] = {}

    @classmethod
    def applies(cls, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes: nothing is asked of a split."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows."""
        batch = train.batch
        assert batch is not None
        targets = self.component.targets(batch.target)  # (K, n, H)
        for k, rows in enumerate(_rows(self.component, batch.past)):  # (n, L F)
            gamma = 1 / (rows.shape[1] * (rows.var() or 1.0))
            for h in range(self.horizon):
                target = targets[k, :, h]  # (n,)
                centre, spread = target.mean(), target.std() or 1.0
                machine = svm.SVR(gamma=gamma, C=self.C, epsilon=self.epsilon, cache_size=1000)
                machine.fit(rows, (target - centre) / spread)
                self._fitted |= {
                    f"vectors_{k}_{h}": machine.support_vectors_,  # (S, L F)
                    f"weights_{k}_{h}": machine.dual_coef_[0] * spread,  # (S,)
                    f"bias_{k}_{h}": machine.intercept_ * spread + centre,  # (1,)
                    f"gamma_{k}_{h}": np.array([gamma]),
                }

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        assert inputs.batch is not None
        return in_chunks(self._forecast, inputs.batch.past)

    def _forecast(self, past: FloatArray) -> FloatArray:
        rows = _rows(self.component, past)
        forecast = np.empty((self.n_networks, rows.shape[1], self.horizon))
        for k, h in np.ndindex(self.n_networks, self.horizon):
            vectors, weights, bias, gamma = (
                self._fitted[f"{name}_{k}_{h}"] for name in ("vectors", "weights", "bias", "gamma")
            )
            forecast[k, :, h] = bias
            if weights.size:  # none: the tube holds all windows
                forecast[k, :, h] += rbf_kernel(rows[k], vectors, gamma=gamma[0]) @ weights
        return forecast

    def state(self) -> dict[str, FloatArray]:
        """Return everything that was fitted."""
        return dict(self._fitted)

    def load_state(self, state: State) -> None:
        """Take what an earlier fit has learned."""
        self._fitted = dict(state)


def _rows(component: Separate | Joint, past: FloatArray) -> FloatArray:
    """Map ``past (n, L, C)`` to what every network sees of a window, side by side: ``(K, n, L F)``."""
    inputs: FloatArray = component.inputs(past)  # (K, n, L, F)
    return inputs.reshape(*inputs.shape[:2], -1)
