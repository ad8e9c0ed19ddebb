"""Instantaneous amplitude and frequency of components by the Hilbert transform.

Gabor: Theory of communication, Journal of the IEE 93(26), 1946, for the analytic signal; Huang et al.: On
instantaneous frequency, Advances in Adaptive Data Analysis 1(2), 2009, for components; Chen, Madhavan, Rapoport and
Anderson: Real-time brain oscillation detection and phase-locked stimulation using autoregressive spectral estimation
and time-series forward prediction, IEEE Transactions on Biomedical Engineering 60(3), 2013, for the end of a window.

Shapes
------
n window, L lookback, S span, C component, N row: one component of one window
"""

import numpy as np

from data.contracts import FloatArray

REACH = 64
"""Steps that a component is continued by at each end."""

_AT_ONCE = 1 << 18
"""Points that are computed on together: what fits into the caches."""

_ROUNDING = 1e-12
"""A component whose swings are smaller than this share of its values does not swing."""


class Analytic:
    """Put the instantaneous amplitude and frequency of every component but the last one beside the components.

    They are read off the analytic signal of the newest ``span`` steps of a window's own components, and of nothing
    else: the analytic signal at t depends on what comes after t, so that of a whole series would leak.  The end of a
    window, where a forecast begins, is where a Hilbert transform is worst: computed as it stands, it takes the first
    step for the one after the last.  So each component is first continued at both ends by an autoregressive forecast
    of itself (Burg's method, which cannot grow), which fades out.  What is left is an error that no method can avoid:
    the last steps are revised when the next ones arrive.

    The last component carries trend and level, and does not swing.

    Parameters
    ----------
    span : int
        S, steps of the components that the analytic signal is computed from [steps]; at least the lookback is.
    order : int
        Steps that the autoregression looks back upon [steps]; no more than a third of the span are used.

    Raises
    ------
    ValueError
        If a setting cannot work; all faults at once.
    """

    def __init__(self, span: int, order: int) -> None:
        faults = [
            f"channels.{name}={value} must be at least {least} steps."
            for name, value, least in (("span", span, 8), ("order", order, 1))
            if value < least
        ]
        if faults:
            raise ValueError("  ".join(faults))
        self.span, self.order = span, order

    def __call__(self, past: FloatArray, keep: int) -> FloatArray:
        """Map components ``(n, S, C)`` to the channels of their last ``keep`` steps, ``(n, keep, 2 (C - 1))``.

        First all amplitudes, in the unit of the series, then all frequencies [cycles per step].
        """
        n, steps, n_components = past.shape
        rows = np.ascontiguousarray(past[:, :, :-1].transpose(0, 2, 1)).reshape(-1, steps)  # (N, S)
        found = np.empty((2, len(rows), keep))
        step = max(1, _AT_ONCE // (steps + 2 * REACH))
        for first in range(0, len(rows), step):
            some = slice(first, first + step)
            found[0, some], found[1, some] = amplitude_and_frequency(rows[some], self.order, keep)
        beside = found.reshape(2, n, n_components - 1, keep).transpose(1, 3, 0, 2)  # (n, keep, 2, C - 1)
        return np.ascontiguousarray(beside).reshape(n, keep, -1)


def amplitude_and_frequency(rows: FloatArray, order: int, keep: int) -> tuple[FloatArray, FloatArray]:
    """Return both of the last ``keep`` steps of rows ``(N, S)``, ``(N, keep)`` each.

    The frequency at t is the turn of the phase from t - 1 to t; of the first step of a row it is that of the second.
    """
    swings, exponent = _swings(rows)
    signal = analytic_signal(swings, order)  # (N, S)
    real, imag = signal.real.copy(), signal.imag.copy()  # products of complex numbers have other bits in other places
    along = real[:, 1:] * real[:, :-1] + imag[:, 1:] * imag[:, :-1]
    across = imag[:, 1:] * real[:, :-1] - real[:, 1:] * imag[:, :-1]
    turn = np.arctan2(across, along) / (2 * np.pi)
    frequency = np.concatenate([turn[:, :1], turn], axis=1)
    amplitude = np.sqrt(real * real + imag * imag)
    return np.ldexp(amplitude[:, -keep:], exponent), frequency[:, -keep:]


def analytic_signal(swings: FloatArray, order: int) -> np.ndarray:
    """Return the analytic signal ``(N, S)`` of swings about zero, continued beyond both ends before."""
    steps = swings.shape[1]
    order = min(order, steps // 3)
    before = continued(swings[:, ::-1], order, REACH)[:, ::-1]
    whole = np.concatenate([before, swings, continued(swings, order, REACH)], axis=1)  # (N, S + 2 REACH)
    spectrum = np.fft.fft(whole, axis=1)
    half = (whole.shape[1] + 1) // 2
    spectrum[:, 1:half] *= 2.0
    spectrum[:, whole.shape[1] // 2 + 1 :] = 0.0  # negative frequencies
    return np.fft.ifft(spectrum, axis=1)[:, REACH : REACH + steps]


def continued(rows: FloatArray, order: int, reach: int) -> FloatArray:
    """Return the ``reach`` steps that an autoregression expects to follow rows ``(N, S)``, fading out to zero."""
    weights = burg(rows, order)[:, ::-1]  # (N, order), oldest step first
    known = np.concatenate([rows[:, rows.shape[1] - order :], np.empty((len(rows), reach))], axis=1)
    for k in range(reach):
        known[:, order + k] = (weights * known[:, k : k + order]).sum(axis=1)
    ahead = known[:, order:]
    ahead[:, reach // 2 :] *= np.cos(np.linspace(0, np.pi / 2, reach - reach // 2)) ** 2
    return ahead


def burg(rows: FloatArray, order: int) -> FloatArray:
    """Return the weights of the last steps, newest first, by which rows ``(N, S)`` go on best, ``(N, order)``.

    Burg (1967): reflection coefficients that make the errors of both directions least; none exceeds one.
    """
    forward, backward = rows[:, 1:], rows[:, :-1]
    weights = np.zeros((len(rows), order))
    for k in range(order):
        shared = 2.0 * (forward * backward).sum(axis=1, keepdims=True)  # (N, 1)
        energy = (forward * forward).sum(axis=1, keepdims=True) + (backward * backward).sum(axis=1, keepdims=True)
        reflection = np.where(energy > 0, shared / np.where(energy > 0, energy, 1.0), 0.0)
        weights[:, :k] -= reflection * weights[:, :k][:, ::-1]
        weights[:, k : k + 1] = reflection
        forward, backward = (forward - reflection * backward)[:, 1:], (backward - reflection * forward)[:, :-1]
    return weights


def _swings(rows: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Return rows less their means, in a power of two of their own, and which one; zeros where nothing swings."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    exponent = np.frexp(largest)[1]  # (N, 1)
    scaled = np.ldexp(rows, -exponent)  # magnitudes below 1: no square overflows
    swings = scaled - scaled.mean(axis=1, keepdims=True)
    still = np.abs(swings).max(axis=1, keepdims=True) <= _ROUNDING
    return np.where(still, 0.0, swings), exponent
