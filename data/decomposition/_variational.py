"""Compiled loops of variational mode decomposition.

Rules of this file: arrays in, arrays out, no Python objects; the caller has checked shapes.  Real
and imaginary parts are arrays of their own and the innermost loop runs over frequencies, so that
it is computed in whole vectors.  What a loop calls becomes part of it; see ``_sifting``.
"""

from typing import Any

import numpy as np
from numba import njit

from data.contracts import FloatArray

_options: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},  # not "nnan": isnan would be false for ever
}
compiled = njit(**_options)
inlined = njit(**_options, forceinline=True)


@inlined
def sharpen(
    real: FloatArray,
    imag: FloatArray,
    total_real: FloatArray,
    total_imag: FloatArray,
    wanted_real: FloatArray,
    wanted_imag: FloatArray,
    frequency: FloatArray,
    centre: float,
    bandwidth: float,
) -> tuple[float, float, float]:
    """Filter what the other modes leave of the wanted spectrum, in place; all arrays ``(F,)``.

    Returns
    -------
    Energy of the change, of the mode, and its moment: energy times frequency.
    """
    change = 0.0
    energy = 0.0
    moment = 0.0
    for i in range(frequency.size):
        off = frequency[i] - centre
        gain = 1.0 / (1.0 + bandwidth * off * off)
        others_real = total_real[i] - real[i]
        others_imag = total_imag[i] - imag[i]
        after_real = (wanted_real[i] - others_real) * gain
        after_imag = (wanted_imag[i] - others_imag) * gain
        step_real = after_real - real[i]
        step_imag = after_imag - imag[i]
        total_real[i] = others_real + after_real
        total_imag[i] = others_imag + after_imag
        real[i] = after_real
        imag[i] = after_imag
        change += step_real * step_real + step_imag * step_imag
        power = after_real * after_real + after_imag * after_imag
        energy += power
        moment += frequency[i] * power
    return change, energy, moment


@compiled
def find_modes(
    spectrum_real: FloatArray,
    spectrum_imag: FloatArray,
    frequency: FloatArray,
    centre: FloatArray,
    real: FloatArray,
    imag: FloatArray,
    bandwidth: float,
    ascent: float,
    tolerance: float,
    iterations: int,
) -> int:
    """Sharpen modes and their centre frequencies in turn; return the number of iterations taken.

    Parameters
    ----------
    spectrum_real, spectrum_imag : arrays ``(F,)``
        Of the mirrored series, frequencies 0 <= f < 1/2.
    frequency : array ``(F,)``
        [cycles per step].
    centre : array ``(K,)``
        First guess of the centres [cycles per step]; overwritten.
    real, imag : arrays ``(K, F)``
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
    size = frequency.size
    total_real = np.zeros(size)
    total_imag = np.zeros(size)
    wanted_real = spectrum_real.copy()  # less half of the dual variable, which is zero at first
    wanted_imag = spectrum_imag.copy()
    for done in range(1, iterations + 1):
        change = 0.0
        for k in range(centre.size):
            moved, energy, moment = sharpen(
                real[k],
                imag[k],
                total_real,
                total_imag,
                wanted_real,
                wanted_imag,
                frequency,
                centre[k],
                bandwidth,
            )
            change += moved
            if energy > 0.0:
                centre[k] = moment / energy
        if ascent != 0.0:
            for i in range(size):
                wanted_real[i] -= 0.5 * ascent * (total_real[i] - spectrum_real[i])
                wanted_imag[i] -= 0.5 * ascent * (total_imag[i] - spectrum_imag[i])
        if change <= tolerance:
            return done
    return iterations
