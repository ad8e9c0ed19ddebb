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
    size = np.empty(error.size)  # of errors, as expected at each origin
    alpha = np.empty(target.size)
    came = np.empty(window)  # scores in the order they came, a ring
    ordered = np.empty(window)  # the same scores, sorted
    counts = np.zeros(3, dtype=np.int64)  # scores, place of the oldest, errors
    sums = np.zeros(2)  # weighted squares of errors, weights
    for stream in range(start.size - 1):
        begin, end = start[stream], start[stream + 1]
        alpha[:] = target
        counts[:] = 0
        sums[:] = 0.0
        arrived = begin
        for row in range(begin, end + 1):
            while arrived < row and (row == end or ds[arrived] <= origin[row]):
                if math.isfinite(error[arrived]):
                    missed = abs(error[arrived])
                    learn(
                        alpha, came, ordered, counts, sums, target, gamma, keep, missed, size[arrived], reach[arrived]
                    )
                arrived += 1
            if row < end:
                size[row] = expect(alpha, ordered, counts, sums, fewest, reach[row])
            else:
                expect(alpha, ordered, counts, sums, fewest, last[stream])


@njit(cache=True, nogil=True, error_model="numpy")
def learn(
    alpha: FloatArray,
    came: FloatArray,
    ordered: FloatArray,
    counts: IntArray,
    sums: FloatArray,
    target: FloatArray,
    gamma: float,
    keep: float,
    missed: float,
    size: float,
    reach: FloatArray,
) -> None:
    """Take the absolute error of a forecast whose truth has arrived into the state.

    Parameters
    ----------
    alpha, came, ordered, counts, sums : array
        The state, as ``follow`` makes it; written.
    target, gamma, keep : array, number
        As of ``follow``.
    missed, size, reach : number, number, array ``(level,)``
        The absolute error, and what ``expect`` returned and wrote when the forecast was made.
    """
    for k in range(target.size):
        if math.isfinite(reach[k]):
            outside = 1.0 if missed > reach[k] else 0.0
            alpha[k] += gamma * (target[k] - outside)
    if size > 0:  # not where all errors so far were 0
        score = missed / size
        if counts[0] == came.size:
            remove(ordered, counts[0], came[counts[1]])
            counts[0] -= 1
        insert(ordered, counts[0], score)
        counts[0] += 1
        came[counts[1]] = score
        counts[1] = (counts[1] + 1) % came.size
    sums[0] = keep * sums[0] + missed * missed
    sums[1] = keep * sums[1] + 1
    counts[2] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def expect(
    alpha: FloatArray, ordered: FloatArray, counts: IntArray, sums: FloatArray, fewest: IntArray, reach: FloatArray
) -> float:
    """Return the size of errors as it is now, and write how far the interval of each level reaches."""
    now = math.sqrt(sums[0] / sums[1]) if counts[2] >= FIRST else np.nan
    n_scores = counts[0]
    for k in range(alpha.size):
        reach[k] = np.nan
        if n_scores >= fewest[k]:
            place = min(max(math.ceil((n_scores + 1) * (1 - alpha[k]) - 1e-9), 1), n_scores)
            reach[k] = now * ordered[place - 1]
    return now


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
