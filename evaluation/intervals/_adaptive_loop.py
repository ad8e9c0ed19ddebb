"""Compiled loop of adaptive conformal intervals.

Rules of this file: arrays in, arrays out, no Python objects; strict IEEE arithmetic (no ``fastmath``: it would make
``isfinite`` always true); the caller has checked shapes.
"""

import math

import numpy as np
from numba import njit

from data.contracts import FloatArray, IntArray

FIRST = 10  # errors that must be known before their size is believed


@njit(cache=True, nogil=True, error_model="numpy")
def follow(
    start: IntArray,
    ds: IntArray,
    origin: IntArray,
    error: FloatArray,
    target: FloatArray,
    fewest: IntArray,
    window: int,
    gamma: float,
    keep: float,
    reach: FloatArray,
    last: FloatArray,
) -> None:
    """Follow every stream through time and write how far its intervals reach.

    Parameters
    ----------
    start : array ``(S + 1,)``
        Where each stream begins.
    ds, origin, error : array ``(n,)``
        When the truth of a row arrives, when it is forecast, and the error; in time order within a stream.
    target, fewest : array ``(level,)``
        Share that may fall outside, and how many scores a level needs.
    window, gamma, keep : number
        Scores remembered, step of the correction, weight of an error after one further error.
    reach : array ``(n, level)``
        Written: of every row; NaN where too little is known.
    last : array ``(S, level)``
        Written: after the last truth of each stream.
    """
    n_levels = target.size
    size = np.empty(error.size)  # of errors, as expected at each origin
    alpha = np.empty(n_levels)
    came = np.empty(window)  # scores in the order they came, a ring
    ordered = np.empty(window)  # the same scores, sorted
    for stream in range(start.size - 1):
        begin, end = start[stream], start[stream + 1]
        alpha[:] = target
        n_scores, oldest, n_errors = 0, 0, 0
        total, weight = 0.0, 0.0
        arrived = begin
        for row in range(begin, end + 1):
            while arrived < row and (row == end or ds[arrived] <= origin[row]):
                if math.isfinite(error[arrived]):
                    missed = abs(error[arrived])
                    for k in range(n_levels):
                        if math.isfinite(reach[arrived, k]):
                            outside = 1.0 if missed > reach[arrived, k] else 0.0
                            alpha[k] += gamma * (target[k] - outside)
                    if size[arrived] > 0:  # not where all errors so far were 0
                        score = missed / size[arrived]
                        if n_scores == window:
                            remove(ordered, n_scores, came[oldest])
                            n_scores -= 1
                        insert(ordered, n_scores, score)
                        n_scores += 1
                        came[oldest] = score
                        oldest = (oldest + 1) % window
                    total = keep * total + missed * missed
                    weight = keep * weight + 1
                    n_errors += 1
                arrived += 1
            now = math.sqrt(total / weight) if n_errors >= FIRST else np.nan
            if row < end:
                size[row] = now
            for k in range(n_levels):
                far = np.nan
                if n_scores >= fewest[k]:
                    place = min(max(math.ceil((n_scores + 1) * (1 - alpha[k]) - 1e-9), 1), n_scores)
                    far = now * ordered[place - 1]
                if row < end:
                    reach[row, k] = far
                else:
                    last[stream, k] = far


@njit(cache=True, nogil=True, error_model="numpy")
def insert(ordered: FloatArray, n: int, value: float) -> None:
    """Insert a value into the first n, which are sorted."""
    place = np.searchsorted(ordered[:n], value, side="right")
    for k in range(n, place, -1):
        ordered[k] = ordered[k - 1]
    ordered[place] = value


@njit(cache=True, nogil=True, error_model="numpy")
def remove(ordered: FloatArray, n: int, value: float) -> None:
    """Remove a value from the first n, which are sorted."""
    place = np.searchsorted(ordered[:n], value)
    for k in range(place, n - 1):
        ordered[k] = ordered[k + 1]
