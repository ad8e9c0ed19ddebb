"""PyEMD's calls on this engine: change ``from PyEMD import`` to ``from data.decomposition.compat import``.

    from data.decomposition.compat import CEEMDAN
    modes = CEEMDAN(trials=100, epsilon=0.005, seed=0)(closes)

Noise is drawn as PyEMD draws it, so the same seed gives the same modes up to rounding; PyEMD's
default thresholds apply.  What differs on purpose: a keyword that PyEMD does not know is an error,
as is one it knows but this engine does not compute; NaN and infinities are an error; a constant is
its own remainder; the work is shared among threads, and ``parallel`` and ``processes`` only say
among how many.
"""

import numpy as np
from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._complete import complete_ensemble
from data.decomposition._ensemble import Team, announced_compilation, thread_count
from data.decomposition._noise import NoiseModes
from data.decomposition._sifting import DONE, FIXED, FIXED_H, HUANG, Rule
from data.decomposition.emd import sift_modes
from data.decomposition.series import checked

_NONE = 1e-8
"""What PyEMD takes for nothing left."""


class EMD:
    """Empirical mode decomposition, called as ``PyEMD.EMD``.

    Parameters
    ----------
    spline_kind, nbsym, extrema_detection
        Only PyEMD's defaults: cubic splines through two mirrored extrema at each end.
    FIXE, FIXE_H : int
        Sift as often, or as often in a row with as many extrema as zero crossings; 0 is PyEMD's
        default rule.
    MAX_ITERATION : int
        No mode is sifted more often.
    energy_ratio_thr, std_thr, svar_thr : float
        Of the default rule.
    total_power_thr, range_thr : float
        What is left of a smaller sum of magnitudes or range ends the decomposition [unit].
    """

    def __init__(
        self,
        spline_kind: str = "cubic",
        nbsym: int = 2,
        *,
        extrema_detection: str = "simple",
        FIXE: int = 0,
        FIXE_H: int = 0,
        MAX_ITERATION: int = 1000,
        energy_ratio_thr: float = 0.2,
        std_thr: float = 0.2,
        svar_thr: float = 0.001,
        total_power_thr: float = 0.005,
        range_thr: float = 0.001,
    ) -> None:
        for name, given, only in (
            ("spline_kind", spline_kind, "cubic"),
            ("nbsym", nbsym, 2),
            ("extrema_detection", extrema_detection, "simple"),
        ):
            if given != only:
                raise ValueError(f"{name}={given!r} is not computed here, only {only!r}.  Use PyEMD for it.")
        self.rule = Rule(
            stop=FIXED if FIXE else FIXED_H if FIXE_H else HUANG,
            siftings=int(FIXE or FIXE_H or 1),
            longest=int(MAX_ITERATION),
            variance=float(svar_thr),
            deviation=float(std_thr),
            energy=float(energy_ratio_thr),
            range=float(range_thr),
            power=float(total_power_thr),
        )
        self.imfs: FloatArray | None = None
        self.residue: FloatArray | None = None

    def __call__(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Call ``emd``."""
        return self.emd(S, T, max_imf)

    def emd(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Return the modes of ``S`` and, unless it is zero, what they leave of it; ``T`` only counts."""
        series = _checked(S, T)
        with Team(series.size, 1, self.rule) as team, announced_compilation():
            rows = sift_modes(series, team, max_imf if max_imf > 0 else series.size)
        self.imfs, self.residue = rows[:-1], rows[-1]
        return rows if np.abs(self.residue).max() > _NONE else self.imfs

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the modes and what they leave, of the last call."""
        return _last(self.imfs), _last(self.residue)


class EEMD:
    """Ensemble EMD, called as ``PyEMD.EEMD``.

    As there, the k-th row is the mean over those trials that have a k-th row, trends among them;
    the rows need not sum to the series.  ``eemd.eemd`` averages trends apart.

    Parameters
    ----------
    trials : int
        Number of noises.
    noise_width : float
        Standard deviation of the noise [range of the series].
    ext_EMD : EMD, optional
        Whose stopping rule to use.
    parallel, processes
        Without ``parallel`` one thread, else ``processes`` of them, by default every core.
    noise_kind : str
        ``normal`` or ``uniform``.
    """

    def __init__(
        self,
        trials: int = 100,
        noise_width: float = 0.05,
        ext_EMD: EMD | None = None,
        parallel: bool = True,
        *,
        processes: int | None = None,
        noise_kind: str = "normal",
    ) -> None:
        self.trials = trials
        self.noise_width = noise_width
        self.EMD = EMD() if ext_EMD is None else ext_EMD
        self._noise = _Noise(None, noise_kind)
        self._threads = thread_count(processes if parallel else 1)
        self.E_IMF: FloatArray | None = None
        self.residue: FloatArray | None = None

    def __call__(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Call ``eemd``."""
        return self.eemd(S, T, max_imf)

    def noise_seed(self, seed: int) -> None:
        """Begin the noise anew."""
        self._noise.seed(seed)

    def eemd(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Return the mean rows of the noisy copies of ``S``."""
        series = _checked(S, T)
        noise = np.array([self._noise.draw(1.0, series.size) for _ in range(self.trials)])
        rest = series + self.noise_width * np.ptp(series) * noise
        state = np.zeros(self.trials, dtype=np.int64)
        rows: list[FloatArray] = []
        with Team(series.size, self._threads, self.EMD.rule) as team, announced_compilation():
            while not (state == DONE).all() and (max_imf < 1 or len(rows) < max_imf):
                mode = team.take_modes(rest, state)
                rows.append(team.sum_trials(mode) / max(1, (state != DONE).sum()))
            if max_imf > 0 and not (state == DONE).all():
                left = np.abs(rest).max(axis=1) > _NONE
                rows.append(team.sum_trials(rest * left[:, None]) / max(1, left.sum()))
        self.E_IMF = np.array([row for row in rows if row.any()])
        self.residue = series - self.E_IMF.sum(axis=0)
        return self.E_IMF

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the rows and what they leave, of the last call."""
        return _last(self.E_IMF), _last(self.residue)


class CEEMDAN:
    """Complete ensemble EMD with adaptive noise, called as ``PyEMD.CEEMDAN``.

    Parameters
    ----------
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    ext_EMD : EMD, optional
        Whose stopping rule to use.
    parallel, processes
        Without ``parallel`` one thread, else ``processes`` of them, by default every core.
    seed : int, optional
        Of the noise; a further call goes on with it, as in PyEMD.  ``noise_seed`` begins it anew.
    noise_scale : float
        Of the noise before it is decomposed.
    noise_kind : str
        ``normal`` or ``uniform``.
    range_thr, total_power_thr : float
        What is left of a smaller range or sum of magnitudes ends the decomposition [standard
        deviation of the series].
    beta_progress : bool
        Measure the modes of a noise by the standard deviation of its first one.
    max_imf : int
        Most modes after the first.
    """

    def __init__(
        self,
        trials: int = 100,
        epsilon: float = 0.005,
        ext_EMD: EMD | None = None,
        parallel: bool = True,
        *,
        processes: int | None = None,
        seed: int | None = None,
        noise_scale: float = 1.0,
        noise_kind: str = "normal",
        range_thr: float | None = None,
        total_power_thr: float | None = None,
        beta_progress: bool = True,
        max_imf: int = 100,
    ) -> None:
        self.trials = trials
        self.epsilon = epsilon
        self.noise_scale = noise_scale
        self.range_thr = 0.01 if range_thr is None else range_thr
        self.total_power_thr = 0.05 if total_power_thr is None else total_power_thr
        self.beta_progress = beta_progress
        self.EMD = EMD() if ext_EMD is None else ext_EMD
        if ext_EMD is None and range_thr is not None:  # PyEMD hands both on to its EMD
            self.EMD.rule = self.EMD.rule._replace(range=float(range_thr))
        if ext_EMD is None and total_power_thr is not None:
            self.EMD.rule = self.EMD.rule._replace(power=float(total_power_thr))
        self._most = max_imf
        self._noise = _Noise(seed, noise_kind)
        self._threads = thread_count(processes if parallel else 1)
        self.C_IMF: FloatArray | None = None
        self.residue: FloatArray | None = None

    def __call__(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Call ``ceemdan``."""
        return self.ceemdan(S, T, max_imf)

    def noise_seed(self, seed: int) -> None:
        """Begin the noise anew."""
        self._noise.seed(seed)

    def ceemdan(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Return the modes of ``S`` and, last, what they leave of it; ``T`` only counts."""
        series = _checked(S, T)
        noise = NoiseModes(self._noise.draw(self.noise_scale, (self.trials, series.size)), keep=False)
        with Team(series.size, self._threads, self.EMD.rule) as team, announced_compilation():
            self.C_IMF = complete_ensemble(
                series,
                noise,
                team,
                self.epsilon,
                improved=False,
                most=min(max_imf if max_imf > 0 else self._most + 1, self._most + 1),
                rescaled=self.beta_progress,
                least_range=self.range_thr,
                least_power=self.total_power_thr,
            )
        self.residue = series - self.C_IMF.sum(axis=0)
        return self.C_IMF

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the rows and what they leave, which is rounding, of the last call."""
        return _last(self.C_IMF), _last(self.residue)


class _Noise:
    """PyEMD's noise, drawn in its order."""

    def __init__(self, seed: int | None, kind: str) -> None:
        if kind not in ("normal", "uniform"):
            raise ValueError(f"noise_kind={kind!r} must be normal or uniform.")
        self._kind = kind
        self._random = np.random.RandomState(seed)  # PyEMD's generator

    def seed(self, seed: int) -> None:
        self._random.seed(seed)

    def draw(self, scale: float, size: int | tuple[int, int]) -> FloatArray:
        if self._kind == "normal":
            return self._random.normal(0.0, scale, size)
        return self._random.uniform(-scale / 2, scale / 2, size)


def _checked(S: ArrayLike, T: ArrayLike | None) -> FloatArray:
    series = checked(S, 4, "EMD")
    if T is not None and np.size(T) != series.size:
        raise ValueError(f"T has {np.size(T)} points, but S has {series.size}.  Give both the same length.")
    return series


def _last(value: FloatArray | None) -> FloatArray:
    if value is None:
        raise ValueError("Nothing has been decomposed yet.  Call the object with a series first.")
    return value
