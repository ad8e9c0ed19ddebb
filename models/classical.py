"""Linear and kernel regression on scaled windows.

Shapes
------
n window, L lookback, H horizon, C component, K network, F feature, P = L F inputs, S support vector, G penalty, R rank,
E covariate, Q = steps E covariates of the newest steps
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import svm
from sklearn.metrics.pairwise import rbf_kernel

from data.contracts import Batch, FloatArray
from models.allocation import Allocation, Joint, Separate
from models.chunks import in_chunks
from models.model import Inputs, Needs, State, all_channels, scaled_batch

MANY, BLOCK = 2, 4096  # rows an input and output from which a triangle is worth it; rows that are reduced at once
LEARNED = Needs(scaled=True, gradients=False, chance=False, state=True)


class Ridge:
    """Ridge regression of every step of the horizon on the lookback and, with a penalty of its own, on covariates.

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
    covariate_alpha : float or sequence of float
        The same of the weights of covariates.
    covariate_steps : int
        Newest steps whose covariates are inputs [steps]; of what is known ahead at least those of all targets.
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
        covariate_alpha: float | Sequence[float] = (1.0, 10.0, 100.0, 1000.0),
        covariate_steps: int = 1,
    ) -> None:
        self.label = label
        self.component = component
        self.alphas = _penalties(alpha, "alpha")  # (G,)
        self.covariate_alphas = _penalties(covariate_alpha, "covariate_alpha")  # (G,)
        if covariate_steps < 1:
            raise ValueError(f"model.covariate_steps={covariate_steps} must be at least 1 [steps].")
        self.steps = min(max(covariate_steps, horizon), lookback)
        self._alpha = np.empty(0)  # (), the one in use, or (2,) with that of the covariates
        self._weight = np.empty(0)  # (K, P, H)
        self._bias = np.empty(0)  # (K, 1, H)

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say yes."""
        return True

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Learn from scaled windows, and choose the penalties if there are several."""
        beside = scaled_batch(train).extra is not None
        pairs = [(alpha, beta) for alpha in self.alphas for beta in self.covariate_alphas[: None if beside else 1]]
        ratios = [round(float(np.sqrt(alpha / beta)), 12) if beside else 1.0 for alpha, beta in pairs]
        paths = {ratio: self._paths(train, ratio) for ratio in dict.fromkeys(ratios)}
        held_out = validation.batch is not None and validation.scaling is not None and len(validation.batch.past)
        scores = []
        for (alpha, beta), ratio in zip(pairs, ratios, strict=True) if len(pairs) > 1 else []:
            if held_out:
                self._take(paths[ratio], alpha, beta)
                scores.append(self._mae(validation))
            else:
                scores.append(sum(network.gcv(alpha) for network in paths[ratio]))
        chosen = int(np.argmin(scores)) if scores else 0
        self._take(paths[ratios[chosen]], *pairs[chosen])

    def refit(self, known: Inputs) -> None:
        """Learn anew from all scaled windows there are, with the penalties that were chosen."""
        alpha, beta = self._alpha if self._alpha.ndim else (self._alpha, self._alpha)
        self._take(self._paths(known, round(float(np.sqrt(alpha / beta)), 12)), float(alpha), float(beta))

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)``."""
        batch = scaled_batch(inputs)
        n_components = batch.past.shape[2]

        def forecast(channels: FloatArray) -> FloatArray:  # (n, L, C + E) -> (K, n, H)
            return _columns(self.component, channels, n_components, self.steps) @ self._weight + self._bias

        return in_chunks(forecast, all_channels(batch), axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return {"weight": self._weight, "bias": self._bias, "alpha": self._alpha}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._weight, self._bias, self._alpha = state["weight"], state["bias"], state["alpha"]

    def _paths(self, inputs: Inputs, ratio: float) -> "list[_RidgePath]":
        """Return the regression of every network, for any penalty and one ratio of the two."""
        batch = scaled_batch(inputs)
        n_beside = 0 if batch.extra is None else self.steps * batch.extra.shape[2]  # Q
        targets = self.component.targets(batch.target)
        seen = (batch.each(partial(self._rows, number, ratio)) for number in range(len(targets)))  # (n, P + Q) each
        return [_RidgePath(rows, target, n_beside, ratio) for rows, target in zip(seen, targets, strict=True)]

    def _rows(self, number: int, ratio: float, batch: Batch) -> FloatArray:
        """Return what one network sees, with covariates ``ratio`` times as large behind it."""
        own = _flattened(self.component, batch.past)[number]  # (n, P)
        if batch.extra is None:
            return own
        return np.concatenate([own, ratio * _newest(batch.extra, self.steps)], axis=1)

    def _take(self, networks: "Sequence[_RidgePath]", alpha: float, covariate_alpha: float) -> None:
        """Put the weights of one penalty in place."""
        solved = [network.solution(alpha) for network in networks]
        self._alpha = np.array([alpha, covariate_alpha] if networks[0].n_beside else alpha)
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

    Covariates ``ratio`` times as large have weights as much smaller: the squares of their weights are penalised by
    ``alpha / ratio^2``.

    Parameters
    ----------
    rows : FloatArray
        ``(n, P + Q)`` with the covariates last, ``ratio`` times as large.
    target : FloatArray
        ``(n, H)``
    n_beside : int
        Q
    ratio : float
    """

    def __init__(self, rows: FloatArray, target: FloatArray, n_beside: int = 0, ratio: float = 1.0) -> None:
        self.n_beside = n_beside
        self._n_rows, n_inputs = rows.shape
        self._ratio = np.repeat([1.0, ratio], [n_inputs - n_beside, n_beside])[:, None]  # (P + Q, 1)
        self._centre, self._level = rows.mean(axis=0), target.mean(axis=0)  # (P + Q,), (H,)
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
        """Return weights ``(P + Q, H)`` and intercepts ``(H,)``."""
        weight = self._right @ (self._along * (self._size / (self._size**2 + alpha))[:, None])
        return self._ratio * weight, self._level - self._centre @ weight

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
        columns = _columns(self.component, all_channels(batch), batch.past.shape[2], self.horizon)
        for k, rows in enumerate(columns):  # (n, P + Q)
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
        batch = scaled_batch(inputs)
        n_components = batch.past.shape[2]

        def forecast(channels: FloatArray) -> FloatArray:  # (n, L, C + E) -> (K, n, H)
            return self._forecast(_columns(self.component, channels, n_components, self.horizon))

        return in_chunks(forecast, all_channels(batch), axis=1)

    def state(self) -> State:
        """Return everything that was fitted."""
        return dict(self._fitted)

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take what an earlier fit has learned."""
        self._fitted = dict(state)

    def _forecast(self, rows: FloatArray) -> FloatArray:
        """Map what every network sees ``(K, n, P + Q)`` to ``(K, n, H)``."""
        forecast = np.empty((self.n_networks, rows.shape[1], self.horizon))
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


def _columns(component: Allocation, channels: FloatArray, n_components: int, steps: int) -> FloatArray:
    """Map components and covariates ``(n, L, C + E)`` to what every network sees of a window, ``(K, n, P + Q)``."""
    rows = _flattened(component, channels[..., :n_components])  # (K, n, P)
    if channels.shape[2] == n_components:
        return rows
    beside = _newest(channels[..., n_components:], steps)  # (n, Q)
    return np.concatenate([rows, np.broadcast_to(beside, (len(rows), *beside.shape))], axis=2)


def _newest(extra: FloatArray, steps: int) -> FloatArray:
    """Map covariates ``(n, L, E)`` to those of the newest steps side by side, ``(n, Q)``."""
    return extra[:, -steps:].reshape(len(extra), -1)


def _penalties(alpha: float | Sequence[float], name: str) -> FloatArray:
    alphas = np.atleast_1d(np.asarray(alpha, dtype=np.float64))  # (G,)
    if not alphas.size or not (alphas > 0).all():
        raise ValueError(f"model.{name}={alpha} must be above 0, or a list of such numbers to choose from.")
    return alphas
