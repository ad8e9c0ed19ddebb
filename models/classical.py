"""Linear and kernel regression on scaled windows.

Shapes
------
n window, L lookback, H horizon, C component, K network, F feature, P = L F inputs, S support vector, G penalty, R rank
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import svm
from sklearn.metrics.pairwise import rbf_kernel

from data.contracts import FloatArray
from models.allocation import Allocation, Joint, Separate
from models.chunks import in_chunks
from models.model import Inputs, Needs, State, scaled_batch

MANY, BLOCK = 2, 4096  # rows an input and output from which a triangle is worth it; rows that are reduced at once
LEARNED = Needs(scaled=True, gradients=False, chance=False, state=True)


class Ridge:
    """Ridge regression of every step of the horizon on the lookback.

    Of several penalties the one is kept whose forecasts, restored to the unit of ``y``, have the smallest
    mean absolute error on validation windows; without any, that of the smallest generalised
    cross-validation score on training windows (Golub, Heath and Wahba, 1979).

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Separate or Joint
        Which network sees and learns which components.
    alpha : float or sequence of float
        Penalty on the squared weights, or those to choose from [squared scaled units].
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If there is no penalty, or one is not above zero.
    """

    needs: ClassVar[Needs] = LEARNED

    def __init__(
        self,
        label: str,
        component: Separate | Joint,
        alpha: float | Sequence[float],
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.alphas = np.atleast_1d(np.asarray(alpha, dtype=np.float64))  # (G,)
        if not self.alphas.size or not (self.alphas > 0).all():
            raise ValueError(f"model.alpha={alpha} must be above 0, or a list of such numbers to choose from.")
        self._alpha = np.empty(0)  # (), the one in use
        self._weight = np.empty(0)  # (K, P, H)
        self._bias = np.empty(0)  # (K, 1, H)

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows, and choose the penalty if there are several."""
        networks = self._paths(train)
        chosen = 0
        if self.alphas.size > 1:
            held_out = validation.batch is not None and validation.scaling is not None and len(validation.batch.past)
            scores = []
            for alpha in self.alphas:
                if held_out:
                    self._take(networks, alpha)
                    scores.append(self._mae(validation))
                else:
                    scores.append(sum(network.gcv(alpha) for network in networks))
            chosen = int(np.argmin(scores))
        self._take(networks, self.alphas[chosen])

    def refit(self, known: Inputs) -> None:
        """Learn anew from all scaled windows there are, with the penalty that was chosen."""
        self._take(self._paths(known), float(self._alpha))

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""

        def forecast(past: FloatArray) -> FloatArray:
            return _flattened(self.component, past) @ self._weight + self._bias

        return in_chunks(forecast, scaled_batch(inputs).past, axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"weight": self._weight, "bias": self._bias, "alpha": self._alpha}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._weight, self._bias, self._alpha = state["weight"], state["bias"], state["alpha"]

    def _paths(self, inputs: Inputs) -> "list[_RidgePath]":
        """Return the regression of every network, for any penalty."""
        batch = scaled_batch(inputs)
        seen, targets = _flattened(self.component, batch.past), self.component.targets(batch.target)
        return [_RidgePath(rows, target) for rows, target in zip(seen, targets, strict=True)]

    def _take(self, networks: "Sequence[_RidgePath]", alpha: float) -> None:
        """Put the weights of one penalty in place."""
        solved = [network.solution(alpha) for network in networks]
        self._alpha = np.array(alpha)
        self._weight = np.stack([weight for weight, _ in solved])
        self._bias = np.stack([bias[None] for _, bias in solved])

    def _mae(self, inputs: Inputs) -> float:
        """Return the mean absolute error of the restored forecasts [unit of y]."""
        assert inputs.scaling is not None
        restored = self.component.restore(self.predict(inputs), inputs.windows, inputs.scaling)
        return float(np.abs(restored - inputs.windows.y).mean())


class _RidgePath:
    """Ridge regression with an intercept for any penalty, from one singular value decomposition.

    Many rows are first reduced to the P + H rows of the triangle R in [rows, target] = Q R, from which everything
    follows and which is found block by block: faster than a decomposition of all rows, and without the squared
    condition number of the normal equations, which a small penalty does not forgive.

    Parameters
    ----------
    rows : FloatArray
        ``(n, P)``
    target : FloatArray
        ``(n, H)``
    """

    def __init__(self, rows: FloatArray, target: FloatArray) -> None:
        self._centre, self._level = rows.mean(axis=0), target.mean(axis=0)  # (P,), (H,)
        self._n_rows, n_inputs = rows.shape
        if self._n_rows > MANY * (n_inputs + target.shape[1]):
            triangle = _triangle(rows, target, self._centre, self._level)  # (P + H, P + H)
            inputs, outputs = triangle[:, :n_inputs], triangle[:, n_inputs:]
        else:
            inputs, outputs = rows - self._centre, target - self._level
        left, self._size, right = np.linalg.svd(inputs, full_matrices=False)
        self._right = right.T  # (P, R)
        self._along = left.T @ outputs  # (R, H)
        self._beyond = float(np.square(outputs - left @ self._along).sum())

    def solution(self, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Return weights ``(P, H)`` and intercepts ``(H,)``."""
        weight = self._right @ (self._along * (self._size / (self._size**2 + alpha))[:, None])
        return weight, self._level - self._centre @ weight

    def gcv(self, alpha: float) -> float:
        """Return the generalised cross-validation score, summed over the steps of the horizon."""
        kept = self._size**2 / (self._size**2 + alpha)  # (R,)
        squares = self._beyond + np.square(self._along * (1 - kept)[:, None]).sum()  # of the residuals
        free = self._n_rows - kept.sum() - 1  # degrees of freedom left, the intercept's taken off
        return float(self._n_rows * squares / free**2) if free > 0 else np.inf


def _triangle(rows: FloatArray, target: FloatArray, centre: FloatArray, level: FloatArray) -> FloatArray:
    """Return R ``(P + H, P + H)`` of a QR decomposition of ``[rows - centre, target - level]``, block by block."""
    triangle = np.empty((0, centre.size + level.size))
    for start in range(0, len(rows), BLOCK):
        own = slice(start, start + BLOCK)
        block = np.hstack([rows[own] - centre, target[own] - level])
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, block]), mode="r"))
    return triangle


class SVR:
    """Support vector regression with a Gaussian kernel, one for every step of the horizon.

    Kernel, C and epsilon are measured in the spread of what a network sees and learns, so the same
    numbers suit every component on every scale.

    Parameters
    ----------
    label : str
        What tables call the model.
    component : Separate or Joint
        Which network sees and learns which components.
    C : float
        Price of an error beyond epsilon [standard deviations of the target].
    epsilon : float
        Error that costs nothing [standard deviations of the target].
    most_windows : int
        Training windows above which the model leaves itself out: a fit takes time that grows with their square.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = LEARNED

    def __init__(
        self,
        label: str,
        component: Separate | Joint,
        C: float,
        epsilon: float,
        most_windows: int,
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        self.label = label
        self.component = component
        self.C = C
        self.epsilon = epsilon
        self.most_windows = most_windows
        self.n_networks = component.n_networks(n_components)
        self.horizon = horizon
        self._fitted: State = {}

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether there are few enough training rows."""
        return len(train) <= self.most_windows

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows."""
        batch = scaled_batch(train)
        targets = self.component.targets(batch.target)  # (K, n, H)
        for k, rows in enumerate(_flattened(self.component, batch.past)):  # (n, P)
            gamma = 1 / (rows.shape[1] * (rows.var() or 1.0))
            for h in range(self.horizon):
                target = targets[k, :, h]  # (n,)
                centre, spread = target.mean(), target.std() or 1.0
                machine = svm.SVR(gamma=gamma, C=self.C, epsilon=self.epsilon, cache_size=1000)
                machine.fit(rows, (target - centre) / spread)
                self._fitted |= {
                    f"vectors_{k}_{h}": machine.support_vectors_,  # (S, P)
                    f"weights_{k}_{h}": machine.dual_coef_[0] * spread,  # (S,)
                    f"bias_{k}_{h}": machine.intercept_ * spread + centre,  # (1,)
                    f"gamma_{k}_{h}": np.array([gamma]),
                }

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        return in_chunks(self._forecast, scaled_batch(inputs).past, axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return dict(self._fitted)

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._fitted = dict(state)

    def _forecast(self, past: FloatArray) -> FloatArray:
        """Map scaled windows ``(n, L, C)`` to ``(K, n, H)``."""
        rows = _flattened(self.component, past)
        forecast = np.empty((self.n_networks, len(past), self.horizon))
        for k, h in np.ndindex(self.n_networks, self.horizon):
            vectors, weights, bias, gamma = (
                self._fitted[f"{name}_{k}_{h}"] for name in ("vectors", "weights", "bias", "gamma")
            )
            forecast[k, :, h] = bias
            if weights.size:  # none: no error is beyond epsilon
                forecast[k, :, h] += rbf_kernel(rows[k], vectors, gamma=gamma[0]) @ weights
        return forecast


def _flattened(component: Allocation, past: FloatArray) -> FloatArray:
    """Map ``(n, L, C)`` to what every network sees of a window, side by side: ``(K, n, P)``."""
    inputs = component.inputs(past)  # (K, n, L, F)
    return inputs.reshape(*inputs.shape[:2], -1)
