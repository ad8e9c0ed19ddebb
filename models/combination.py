"""Weights by which the forecasts of several models are combined into one; none is negative, and they sum to one.

Shapes
------
n forecast, M model
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.optimize import nnls

from data.contracts import FloatArray

PARTICLES, ROUNDS, INERTIA, PULL = 30, 200, 0.7, 1.5
"""Of the swarm: particles, rounds, share of a velocity that is kept, and pull towards each of the two best places."""

Weigher = Callable[[FloatArray, int], FloatArray]
"""Maps forecast errors ``(n, M)`` and a seed to weights ``(M,)``."""


def equal(errors: FloatArray, seed: int) -> FloatArray:
    """Return the same weight for every model: hard to beat, because nothing is estimated (Stock and Watson, 2004)."""
    return np.full(errors.shape[1], 1 / errors.shape[1])


def inverse_mse(errors: FloatArray, seed: int) -> FloatArray:
    """Return weights in proportion to one over the mean squared error (Bates and Granger, 1969)."""
    mse = np.square(errors).mean(axis=0)
    if not (mse > 0).all():
        return (mse == 0) / (mse == 0).sum()
    share = mse.min() / mse
    return share / share.sum()


def simplex(errors: FloatArray, seed: int) -> FloatArray:
    """Return the weights with the smallest mean squared error of the combination: convex least squares.

    As weights sum to one, the error of the combination is that combination of the errors, E w.  Adding
    ``c^2 (sum w - 1)^2`` to ``|E w|^2`` leaves the direction of the best w as it is for any c, so non-negative least
    squares solve it exactly and the sum is put right behind it.
    """
    size = float(np.sqrt(np.square(errors).sum(axis=0).max())) or 1.0
    system = np.vstack([errors, np.full(errors.shape[1], size)])
    found: FloatArray = nnls(system, np.r_[np.zeros(len(errors)), size])[0]
    return found / found.sum()


def pso(errors: FloatArray, seed: int) -> FloatArray:
    """Return what particle swarm optimisation makes of the problem that ``simplex`` solves exactly.

    For repeating papers that search weights with a swarm (Kennedy and Eberhart, 1995).
    """
    n_models = errors.shape[1]
    rng, products = np.random.default_rng(seed), errors.T @ errors
    place = rng.dirichlet(np.ones(n_models), PARTICLES)  # (particle, M)
    speed = np.zeros_like(place)
    best, lowest = place.copy(), _losses(place, products)
    for _ in range(ROUNDS):
        own, shared = rng.random((2, *place.shape))
        leader = best[np.argmin(lowest)]
        speed = INERTIA * speed + PULL * (own * (best - place) + shared * (leader - place))
        place = _on_simplex(place + speed)
        losses = _losses(place, products)
        better = losses < lowest
        best[better], lowest[better] = place[better], losses[better]
    found: FloatArray = best[np.argmin(lowest)]
    return found


WEIGHERS: Mapping[str, Weigher] = {"equal": equal, "inverse_mse": inverse_mse, "simplex": simplex, "pso": pso}
"""Ways to combine, by the names a configuration calls them."""


def _losses(weights: FloatArray, products: FloatArray) -> FloatArray:
    """Map weights ``(particle, M)`` to the sum of squared errors of each combination, ``(particle,)``."""
    return np.einsum("pm,mk,pk->p", weights, products, weights)


def _on_simplex(place: FloatArray) -> FloatArray:
    """Cut negative weights off and let the others sum to one; equal ones where nothing is left."""
    kept = place.clip(min=0)
    total = kept.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.where(total > 0, total, 1.0), 1 / place.shape[1])
