"""Duan's smearing estimate: the mean of a function of a truth that is forecast with errors."""

from collections.abc import Callable

import numpy as np

from data.contracts import FloatArray

MOST = 1000  # errors a mean is taken over; more are thinned evenly by their size
AT_ONCE = 1_000_000  # values in memory


def thinned(errors: FloatArray) -> FloatArray:
    """Return errors less their mean, in order, at most a thousand of them."""
    ordered = np.sort(errors[np.isfinite(errors)])
    if ordered.size > MOST:
        ordered = np.quantile(ordered, (np.arange(MOST) + 0.5) / MOST)
    return ordered - ordered.mean() if ordered.size else ordered


def smeared(
    function: Callable[[FloatArray, FloatArray], FloatArray],
    forecasts: FloatArray,
    beside: FloatArray,
    errors: FloatArray,
) -> FloatArray:
    """Return the expected value of a function of the truth, given its forecast (Duan, 1983).

    The truth is the forecast plus an error of the kind made before; a function that is no line, such as the
    exponential, makes more of errors above than of those below, so its value at the forecast alone is biased.

    Parameters
    ----------
    function : callable
        Maps truths ``(n, 1)`` or ``(n, e)``, and what stands beside them ``(n, 1)``, to as many values.
    forecasts, beside : array
        ``(n,)``
    errors : array
        ``(e,)`` truth less forecast, with mean zero; of none the function is taken as it is.

    Returns
    -------
    array
        ``(n,)``
    """
    known = errors if errors.size else np.zeros(1)
    rows = max(AT_ONCE // known.size, 1)
    parts = [
        function(forecasts[start : start + rows, None] + known, beside[start : start + rows, None]).mean(axis=1)
        for start in range(0, forecasts.size, rows)
    ]
    return np.concatenate(parts) if parts else np.empty(0)
