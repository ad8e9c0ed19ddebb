"""Compiled loop of variational mode decomposition.

Rules of this file: arrays in, arrays out, no Python objects; strict IEEE arithmetic; the caller
has checked shapes.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from data.contracts import FloatArray

ComplexArray = NDArray[np.complex128]


@njit(cache=True, nogil=True, error_model="numpy")
def find_modes(
    spectrum: ComplexArray,
    frequency: FloatArray,
    centre: FloatArray,
    modes: ComplexArray,
    bandwidth: float,
    ascent: float,
    tolerance: float,
    iterations: int,
) -> int:
    """Sharpen modes and their centre frequencies in turn; return the number of iterations taken.

    A filter of one iteration is built from the centres of the iteration before, so all modes
    are updated at one frequency before the next is looked at: one pass through the memory.

    Parameters
    ----------
    spectrum : complex array ``(F,)``
        Of the mirrored series, frequencies 0 <= f < 1/2.
    frequency : array ``(F,)``
        [cycles per step].
    centre : array ``(K,)``
        First guess of the centres [cycles per step]; overwritten.
    modes : complex array ``(F, K)``
        Zeros; overwritten with the spectra of the modes.
    bandwidth : float
        Weight of a narrow band against fidelity (alpha of the paper).
    ascent : float
        Step of the dual ascent (tau of the paper).
    tolerance : float
        Change of the modes in one iteration at which they count as found [energy of spectrum].
    iterations : int
        Most of them.
    """
    n_modes = centre.size
    dual = np.zeros(spectrum.size, dtype=np.complex128)
    moment = np.empty(n_modes)
    energy = np.empty(n_modes)
    for done in range(1, iterations + 1):
        moment[:] = 0.0
        energy[:] = 0.0
        change = 0.0
        for i in range(spectrum.size):
            total = 0j
            for k in range(n_modes):
                total += modes[i, k]
            wanted = spectrum[i] - dual[i] / 2
            for k in range(n_modes):
                before = modes[i, k]
                others = total - before
                off = frequency[i] - centre[k]
                after = (wanted - others) / (1.0 + bandwidth * off * off)
                total = others + after
                modes[i, k] = after
                step = after - before
                change += step.real * step.real + step.imag * step.imag
                power = after.real * after.real + after.imag * after.imag
                energy[k] += power
                moment[k] += frequency[i] * power
            dual[i] += ascent * (total - spectrum[i])
        for k in range(n_modes):
            if energy[k] > 0.0:
                centre[k] = moment[k] / energy[k]
        if change <= tolerance:
            return done
    return iterations
