"""Models that need no training loop: the numbers to beat.

All are built as the networks are, with ``n_components``, ``lookback`` and ``horizon`` from the data.
The naive ones forecast from the windows as they are (``scaled`` is False); the others learn from
scaled windows, and share the components out as the networks do.

Shapes
------
n window, L lookback, H horizon, C component, K network, F feature, S support vector
"""

from typing import ClassVar

import numpy as np
from sklearn import linear_model, svm
from sklearn.metrics.pairwise import rbf_kernel

from data.contracts import Batch, FloatArray, Windows
from models.components import Joint, Separate


class Persistence:
    """Tomorrow is as today: the last value known, for every step of the horizon.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    scaled: ClassVar[bool] = False
    only_for: ClassVar[tuple[str, str]] = ("series", "goes on with a series, which job=life does not forecast.")

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        self.label = label
        self.horizon = horizon

    def predict(self, windows: Windows) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        last = windows.past[:, -1:].sum(axis=2)  # (n, 1)
        return last.repeat(self.horizon, axis=1)  # (n, H)


class Drift:
    """The last value known moves on by the mean step of its lookback.

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

    scaled: ClassVar[bool] = False
    only_for: ClassVar[tuple[str, str]] = ("series", "goes on with a series, which job=life does not forecast.")

    def __init__(self, label: str, n_components: int, lookback: int, horizon: int) -> None:
        if lookback < 2:
            raise ValueError(
                f"lookback={lookback} shows no change to go on with; drift needs at least 2 steps.  "
                f"Use a longer lookback, or leave drift out of the baselines."
            )
        self.label = label
        self.horizon = horizon

    def predict(self, windows: Windows) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``."""
        y = windows.past.sum(axis=2)  # (n, L)
        mean_change = (y[:, -1:] - y[:, :1]) / (y.shape[1] - 1)  # (n, 1)
        return y[:, -1:] + mean_change * np.arange(1, self.horizon + 1)  # (n, H)


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

    scaled: ClassVar[bool] = True

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

    def fit(self, train: Batch) -> None:
        """Learn from scaled windows."""
        fits = [
            linear_model.Ridge(self.alpha, solver="svd").fit(rows, target)
            for rows, target in zip(_rows(self.component, train), self.component.targets(train.target), strict=True)
        ]
        self._weight = np.stack([np.atleast_2d(fit.coef_).T for fit in fits])
        self._bias = np.stack([np.atleast_2d(fit.intercept_) for fit in fits])

    def predict(self, batch: Batch) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        forecast: FloatArray = _rows(self.component, batch) @ self._weight + self._bias
        return forecast

    def state(self) -> dict[str, FloatArray]:
        """Return everything that was fitted."""
        return {"weight": self._weight, "bias": self._bias}

    def load_state(self, state: dict[str, FloatArray]) -> None:
        """Take what an earlier fit has learned."""
        self._weight, self._bias = state["weight"], state["bias"]


class SVR:
    """Support vector regression with a Gaussian kernel, one for every step of the horizon.

    Kernel, cost and tube are measured in the spread of what a network sees and learns, so the same
    numbers suit every component on every scale.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Separate or Joint
        Which network sees and learns which components.
    cost : float
        Price of leaving the tube [standard deviations of the target].
    tube : float
        Half width within which an error is free [standard deviations of the target].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    scaled: ClassVar[bool] = True

    def __init__(
        self,
        label: str,
        component: Separate | Joint,
        cost: float,
        tube: float,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.cost = cost
        self.tube = tube
        self.n_networks = component.n_networks(n_components)
        self.horizon = horizon
        self._fitted: dict[str, FloatArray] = {}

    def fit(self, train: Batch) -> None:
        """Learn from scaled windows."""
        targets = self.component.targets(train.target)  # (K, n, H)
        for k, rows in enumerate(_rows(self.component, train)):  # (n, L F)
            gamma = 1 / (rows.shape[1] * (rows.var() or 1.0))
            for h in range(self.horizon):
                target = targets[k, :, h]  # (n,)
                centre, spread = target.mean(), target.std() or 1.0
                machine = svm.SVR(gamma=gamma, C=self.cost, epsilon=self.tube, cache_size=1000)
                machine.fit(rows, (target - centre) / spread)
                self._fitted |= {
                    f"vectors_{k}_{h}": machine.support_vectors_,  # (S, L F)
                    f"weights_{k}_{h}": machine.dual_coef_[0] * spread,  # (S,)
                    f"bias_{k}_{h}": machine.intercept_ * spread + centre,  # (1,)
                    f"gamma_{k}_{h}": np.array([gamma]),
                }

    def predict(self, batch: Batch) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        rows = _rows(self.component, batch)
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

    def load_state(self, state: dict[str, FloatArray]) -> None:
        """Take what an earlier fit has learned."""
        self._fitted = dict(state)


def _rows(component: Separate | Joint, batch: Batch) -> FloatArray:
    """Map ``past (n, L, C)`` to what every network sees of a window, side by side: ``(K, n, L F)``."""
    inputs: FloatArray = component.inputs(batch.past)  # (K, n, L, F)
    return inputs.reshape(*inputs.shape[:2], -1)
