"""PyEMD's calls on this engine: change ``from PyEMD import`` to ``from data.decomposition.compat import``.

    from data.decomposition.compat import CEEMDAN
    modes = CEEMDAN(trials=100, epsilon=0.005, seed=0)(closes)

Noise is drawn as PyEMD draws it, so the same seed gives the same modes up to rounding; PyEMD's
default thresholds apply, and like there they have the unit of the series.  Settings may be given
to the constructor or set on the object, and are read when a series is decomposed.

What differs on purpose: a setting that PyEMD does not know is an error, as is a value that this
engine does not compute; NaN and infinities are an error; a constant is its own remainder;
``EEMD(max_imf=)`` is obeyed, which PyEMD takes and forgets; a series in single precision is
decomposed in double; the work is shared among threads, and ``parallel``
and ``processes`` only say among how many.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from data.contracts import FloatArray
from data.decomposition._complete import complete_ensemble
from data.decomposition._ensemble import Team, announced_compilation, thread_count
from data.decomposition._noise import NoiseModes
from data.decomposition._sifting import (
    DONE,
    ENDED,
    FADING,
    FIXED,
    FIXED_H,
    HUANG,
    Rule,
    find_extrema,
    new_workspace,
)
from data.decomposition.emd import sift_modes
from data.decomposition.series import checked

_NONE = 1e-8
"""What PyEMD takes for nothing left."""


class _Settings:
    """An object that has the attributes of PyEMD's class and refuses others."""

    _names: ClassVar[tuple[str, ...]]

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._names and not name.startswith("_") and not hasattr(type(self), name):
            close = get_close_matches(name, self._names, n=1, cutoff=0.5)
            hint = f"  Did you mean {close[0]!r}?" if close else f"  It has {', '.join(self._names)}."
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}.{hint}")
        super().__setattr__(name, value)


class EMD(_Settings):
    """Empirical mode decomposition, called as ``PyEMD.EMD``.

    Parameters
    ----------
    spline_kind, nbsym, extrema_detection, DTYPE, scale_factor
        Only PyEMD's defaults are computed: cubic splines in float64 through two mirrored extrema at each end.
    FIXE, FIXE_H : int
        Sift as often, or as often in a row with as many extrema as zero crossings; 0 is PyEMD's
        default rule.
    MAX_ITERATION : int
        No mode is sifted more often.
    energy_ratio_thr, std_thr, svar_thr : float
        Of the default rule.
    total_power_thr, range_thr : float
        What is left of a smaller sum of magnitudes or range ends the decomposition [unit].

    Attributes
    ----------
    imfs, residue : array or None
        Modes of the last call and what they left.
    """

    _names = (
        "FIXE",
        "FIXE_H",
        "MAX_ITERATION",
        "energy_ratio_thr",
        "std_thr",
        "svar_thr",
        "total_power_thr",
        "range_thr",
        "spline_kind",
        "nbsym",
        "extrema_detection",
        "DTYPE",
        "scale_factor",
        "imfs",
        "residue",
    )

    def __init__(
        self,
        spline_kind: str = "cubic",
        nbsym: int = 2,
        *,
        extrema_detection: str = "simple",
        DTYPE: DTypeLike = np.float64,
        scale_factor: float = 1.0,
        FIXE: int = 0,
        FIXE_H: int = 0,
        MAX_ITERATION: int = 1000,
        energy_ratio_thr: float = 0.2,
        std_thr: float = 0.2,
        svar_thr: float = 0.001,
        total_power_thr: float = 0.005,
        range_thr: float = 0.001,
    ) -> None:
        self.spline_kind = spline_kind
        self.nbsym = nbsym
        self.extrema_detection = extrema_detection
        self.DTYPE = DTYPE
        self.scale_factor = scale_factor
        self.FIXE = FIXE
        self.FIXE_H = FIXE_H
        self.MAX_ITERATION = MAX_ITERATION
        self.energy_ratio_thr = energy_ratio_thr
        self.std_thr = std_thr
        self.svar_thr = svar_thr
        self.total_power_thr = total_power_thr
        self.range_thr = range_thr
        self.imfs: FloatArray | None = None
        self.residue: FloatArray | None = None

    def __call__(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Call ``emd``."""
        return self.emd(S, T, max_imf)

    def emd(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Return the modes of ``S`` and, unless it is zero, what they leave of it; ``T`` only counts."""
        rule, series = self.rule(), _checked(S, T)
        with Team(series.size, 1, rule) as team, announced_compilation():
            rows = sift_modes(series, team, max_imf if max_imf > 0 else series.size)
        self.imfs, self.residue = rows[:-1], rows[-1]
        return rows if np.abs(self.residue).max() > _NONE else self.imfs

    def rule(self) -> Rule:
        """Return the present settings as the compiled loops read them.

        Raises
        ------
        ValueError
            Naming all that are not computed here.
        """
        self._refuse_others("spline_kind", "nbsym", "extrema_detection", "DTYPE", "scale_factor")
        return Rule(
            stop=FIXED if self.FIXE else FIXED_H if self.FIXE_H else HUANG,
            siftings=int(self.FIXE or self.FIXE_H or 1),
            longest=int(self.MAX_ITERATION),
            variance=float(self.svar_thr),
            deviation=float(self.std_thr),
            energy=float(self.energy_ratio_thr),
            range=float(self.range_thr),
            power=float(self.total_power_thr),
        )

    def find_extrema(self, T: ArrayLike, S: ArrayLike) -> tuple[NDArray[Any], ...]:
        """Return positions and values of maxima, of minima, and indices of zero crossings; a run counts at its middle.

        Raises
        ------
        ValueError
            If ``extrema_detection`` is not ``simple``.
        """
        self._refuse_others("extrema_detection")
        times, values = np.asarray(T), np.asarray(S)
        series = checked(values, 3, "find_extrema")
        work = new_workspace(series.size)
        at = work.extrema[: find_extrema(series, work.turns, work.extrema)].astype(np.int64)
        first = at.size > 0 and series[at[0]] > series[at[1] if at.size > 1 else 0]
        high = (np.arange(at.size) % 2 == 0) == first  # maxima and minima take turns
        jumps = np.flatnonzero(series[:-1] * series[1:] < 0)
        edges = np.diff(np.r_[0, series == 0, 0])
        runs = np.round((np.flatnonzero(edges == 1) + np.flatnonzero(edges == -1) - 1) / 2).astype(np.int64)
        crossings = np.sort(np.r_[jumps, runs])
        top, low = at[high], at[~high]
        return times[top], values[top], times[low], values[low], crossings

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the modes and what they leave, of the last call."""
        return _last(self.imfs), _last(self.residue)

    def get_imfs_and_trend(self) -> tuple[FloatArray, FloatArray]:
        """Return the modes of the last call and its trend: what they leave or, where that is zero, the last mode."""
        imfs, residue = self.get_imfs_and_residue()
        if len(imfs) and np.abs(residue).max() <= _NONE:
            return imfs[:-1].copy(), imfs[-1].copy()
        return imfs, residue

    def _refuse_others(self, *names: str) -> None:
        computed = {
            "spline_kind": "cubic",
            "nbsym": 2,
            "extrema_detection": "simple",
            "DTYPE": np.float64,
            "scale_factor": 1.0,
        }
        faults = [
            f"{name}={getattr(self, name)!r} is not computed here, only {only!r}."
            for name, only in computed.items()
            if name in names and getattr(self, name) != only
        ]
        if faults:
            raise ValueError("\n".join(faults) + "\nUse PyEMD for it.")


class _Ensemble(_Settings):
    """What EEMD and CEEMDAN have in common: the noise, and who shares the work."""

    noise_kinds_all: ClassVar[list[str]] = ["normal", "uniform"]

    trials: int
    parallel: bool
    processes: int | None
    noise_kind: str
    random: np.random.RandomState
    EMD: EMD

    def noise_seed(self, seed: int) -> None:
        """Begin the noise anew."""
        self.random.seed(seed)

    def generate_noise(self, scale: float, size: int | Sequence[int]) -> FloatArray:
        """Draw the next noise: normal of that standard deviation, or uniform of that range about zero."""
        if self.noise_kind not in self.noise_kinds_all:
            raise ValueError(f"noise_kind={self.noise_kind!r} must be one of {', '.join(self.noise_kinds_all)}.")
        if self.noise_kind == "normal":
            return self.random.normal(0.0, scale, size)
        return self.random.uniform(-scale / 2, scale / 2, size)

    def emd(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1) -> FloatArray:
        """Return the modes of ``S`` without noise, by the rule of this ensemble."""
        return self.EMD.emd(S, T, max_imf)

    def _threads(self) -> int:
        return thread_count(self.processes if self.parallel else 1)


class EEMD(_Ensemble):
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
        Whose settings to use; they cannot be given here as well.
    parallel, processes
        Without ``parallel`` one thread, else ``processes`` of them, by default every core.
    noise_kind : str
        ``normal`` or ``uniform``.
    separate_trends : bool
        The last row is the mean trend, and trends are in no other row.
    max_imf : int
        Most modes of a trial, unless a call says how many.
    spline_kind, ..., range_thr
        Settings of ``EMD``, by default as there.

    Attributes
    ----------
    E_IMF, residue : array or None
        Rows of the last call and what they left.
    """

    _names = (
        "trials",
        "noise_width",
        "separate_trends",
        "noise_kind",
        "parallel",
        "processes",
        "max_imf",
        "random",
        "EMD",
        "E_IMF",
        "residue",
    )

    def __init__(
        self,
        trials: int = 100,
        noise_width: float = 0.05,
        ext_EMD: EMD | None = None,
        parallel: bool = True,
        *,
        processes: int | None = None,
        noise_kind: str = "normal",
        separate_trends: bool = False,
        max_imf: int = -1,
        spline_kind: str | None = None,
        nbsym: int | None = None,
        extrema_detection: str | None = None,
        DTYPE: DTypeLike | None = None,
        scale_factor: float | None = None,
        FIXE: int | None = None,
        FIXE_H: int | None = None,
        MAX_ITERATION: int | None = None,
        energy_ratio_thr: float | None = None,
        std_thr: float | None = None,
        svar_thr: float | None = None,
        total_power_thr: float | None = None,
        range_thr: float | None = None,
    ) -> None:
        self.trials = trials
        self.noise_width = noise_width
        self.separate_trends = separate_trends
        self.max_imf = max_imf
        self.parallel = parallel
        self.processes = processes
        self.noise_kind = noise_kind
        self.random = np.random.RandomState()  # PyEMD's generator
        self.EMD = _emd_with(
            ext_EMD,
            {
                "spline_kind": spline_kind,
                "nbsym": nbsym,
                "extrema_detection": extrema_detection,
                "DTYPE": DTYPE,
                "scale_factor": scale_factor,
                "FIXE": FIXE,
                "FIXE_H": FIXE_H,
                "MAX_ITERATION": MAX_ITERATION,
                "energy_ratio_thr": energy_ratio_thr,
                "std_thr": std_thr,
                "svar_thr": svar_thr,
                "total_power_thr": total_power_thr,
                "range_thr": range_thr,
            },
        )
        self.E_IMF: FloatArray | None = None
        self.residue: FloatArray | None = None
        self._all_imfs: dict[int, FloatArray] = {}

    def __call__(
        self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1, progress: bool = False
    ) -> FloatArray:
        """Call ``eemd``."""
        return self.eemd(S, T, max_imf, progress)

    def eemd(self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1, progress: bool = False) -> FloatArray:
        """Return the mean rows of the noisy copies of ``S``; ``progress`` tells on stderr what is being done."""
        rule, series = self.EMD.rule(), _checked(S, T)
        scale = self.noise_width * np.ptp(series)
        noisy = np.array([series + self.generate_noise(scale, series.size) for _ in range(self.trials)])
        most = max_imf if max_imf > 0 else self.max_imf
        with Team(series.size, self._threads(), rule) as team, announced_compilation():
            trials = _rows_of_trials(noisy, team, most, progress)
        self._all_imfs = _by_order(trials, self.separate_trends) or {0: noisy}  # nothing but zeros
        self.E_IMF = self.ensemble_mean()
        self.residue = series - self.E_IMF.sum(axis=0)
        return self.E_IMF

    @property
    def all_imfs(self) -> dict[int, FloatArray]:
        """The k-th rows ``(trial, time)`` of all trials that have one, by k."""
        return self._all_imfs

    def ensemble_count(self) -> list[int]:
        """Return how many trials have a k-th row."""
        return [len(rows) for rows in self._all_imfs.values()]

    def ensemble_mean(self) -> FloatArray:
        """Return the mean k-th row ``(row, time)``, which is what a call returns."""
        return np.array([rows.mean(axis=0) for rows in self._all_imfs.values()])

    def ensemble_std(self) -> FloatArray:
        """Return the standard deviation of the k-th row among the trials ``(row, time)``."""
        return np.array([rows.std(axis=0) for rows in self._all_imfs.values()])

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the rows and what they leave, of the last call."""
        return _last(self.E_IMF), _last(self.residue)


class CEEMDAN(_Ensemble):
    """Complete ensemble EMD with adaptive noise, called as ``PyEMD.CEEMDAN``.

    Parameters
    ----------
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    ext_EMD : EMD, optional
        Whose settings to use; they cannot be given here as well.
    parallel, processes
        Without ``parallel`` one thread, else ``processes`` of them, by default every core.
    seed : int, optional
        Of the noise; a further call goes on with it, as in PyEMD.  ``noise_seed`` begins it anew.
    noise_scale : float
        Of the noise before it is decomposed.
    noise_kind : str
        ``normal`` or ``uniform``.
    range_thr, total_power_thr : float
        What is left of a smaller range or sum of magnitudes ends the decomposition, by default .01
        and .05 [standard deviation of the series].  As in PyEMD, they are handed on to its ``EMD``, too.
    beta_progress : bool
        Measure the modes of a noise by the standard deviation of its first one.
    max_imf : int
        Most modes after the first.
    spline_kind, ..., svar_thr
        Settings of ``EMD``, by default as there.

    Attributes
    ----------
    C_IMF, residue : array or None
        Rows of the last call and what they left.
    all_noises : array or None
        ``(trial, time)`` noise of the last call.
    """

    _names = (
        "trials",
        "epsilon",
        "noise_scale",
        "noise_kind",
        "range_thr",
        "total_power_thr",
        "beta_progress",
        "parallel",
        "processes",
        "max_imf",
        "random",
        "EMD",
        "C_IMF",
        "residue",
        "all_noises",
    )

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
        spline_kind: str | None = None,
        nbsym: int | None = None,
        extrema_detection: str | None = None,
        DTYPE: DTypeLike | None = None,
        scale_factor: float | None = None,
        FIXE: int | None = None,
        FIXE_H: int | None = None,
        MAX_ITERATION: int | None = None,
        energy_ratio_thr: float | None = None,
        std_thr: float | None = None,
        svar_thr: float | None = None,
    ) -> None:
        self.trials = trials
        self.epsilon = epsilon
        self.noise_scale = noise_scale
        self.range_thr = 0.01 if range_thr is None else range_thr
        self.total_power_thr = 0.05 if total_power_thr is None else total_power_thr
        self.beta_progress = beta_progress
        self.max_imf = max_imf
        self.parallel = parallel
        self.processes = processes
        self.noise_kind = noise_kind
        self.random = np.random.RandomState(seed)  # PyEMD's generator
        self.EMD = _emd_with(
            ext_EMD,
            {
                "spline_kind": spline_kind,
                "nbsym": nbsym,
                "extrema_detection": extrema_detection,
                "DTYPE": DTYPE,
                "scale_factor": scale_factor,
                "FIXE": FIXE,
                "FIXE_H": FIXE_H,
                "MAX_ITERATION": MAX_ITERATION,
                "energy_ratio_thr": energy_ratio_thr,
                "std_thr": std_thr,
                "svar_thr": svar_thr,
            },
        )
        if ext_EMD is None and range_thr is not None:
            self.EMD.range_thr = range_thr
        if ext_EMD is None and total_power_thr is not None:
            self.EMD.total_power_thr = total_power_thr
        self.C_IMF: FloatArray | None = None
        self.residue: FloatArray | None = None
        self.all_noises: FloatArray | None = None

    def __call__(
        self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1, progress: bool = False
    ) -> FloatArray:
        """Call ``ceemdan``."""
        return self.ceemdan(S, T, max_imf, progress)

    def ceemdan(
        self, S: ArrayLike, T: ArrayLike | None = None, max_imf: int = -1, progress: bool = False
    ) -> FloatArray:
        """Return the modes of ``S`` and, last, what they leave of it; ``T`` only counts.

        ``progress`` tells on stderr what is being done.
        """
        rule, series = self.EMD.rule(), _checked(S, T)
        self.all_noises = self.generate_noise(self.noise_scale, (self.trials, series.size))
        most = int(self.max_imf) + 1
        with Team(series.size, self._threads(), rule) as team, announced_compilation():
            self.C_IMF = complete_ensemble(
                series,
                _ToldNoiseModes(self.all_noises) if progress else NoiseModes(self.all_noises, keep=False),
                team,
                self.epsilon,
                improved=False,
                most=min(max_imf, most) if max_imf > 0 else most,
                rescaled=self.beta_progress,
                least_range=self.range_thr,
                least_power=self.total_power_thr,
            )
        self.residue = series - self.C_IMF.sum(axis=0)
        return self.C_IMF

    def get_imfs_and_residue(self) -> tuple[FloatArray, FloatArray]:
        """Return the rows and what they leave, which is rounding, of the last call."""
        return _last(self.C_IMF), _last(self.residue)


class _ToldNoiseModes(NoiseModes):
    """Modes of noises that say which of them is being used."""

    def __init__(self, noise: FloatArray) -> None:
        super().__init__(noise, keep=False)

    def stage(self, k: int, team: Team) -> FloatArray:
        _tell("CEEMDAN", k + 1)
        return super().stage(k, team)


def _tell(what: str, mode: int) -> None:
    print(f"{what}: mode {mode}", file=sys.stderr, flush=True)


def _emd_with(given: EMD | None, settings: dict[str, Any]) -> EMD:
    """Return the EMD that was given, or a new one with the settings that are not None.

    Raises
    ------
    TypeError
        If what was given is no EMD of this module, or settings come with it, which it has itself.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if given is None:
        return EMD(**chosen)
    if not isinstance(given, EMD):
        raise TypeError(
            f"ext_EMD must be an EMD of {__name__}, but is a {type(given).__module__}.{type(given).__name__}."
        )
    if chosen:
        raise TypeError(f"{', '.join(chosen)} cannot be given beside ext_EMD.  Set it on the EMD that you give.")
    return given


def _rows_of_trials(noisy: FloatArray, team: Team, most: int, progress: bool) -> list[list[FloatArray]]:
    """Return what PyEMD's EMD returns of each signal ``(trial, time)``: modes, then a trend that is not zero.

    Parameters
    ----------
    most : int
        Most modes of a signal; below 1 all.
    """
    rest, state = noisy.copy(), np.zeros(len(noisy), dtype=np.int64)
    found: list[list[FloatArray]] = [[] for _ in noisy]
    for k in range(most if most > 0 else noisy.shape[1]):
        if (state == DONE).all():
            break
        if progress:
            _tell("EEMD", k + 1)
        mode = team.take_modes(rest, state)
        for trial in np.flatnonzero(state != DONE):
            found[trial].append(mode[trial])
    for trial in np.flatnonzero((state != DONE) & (state != ENDED)):  # the number of modes was bounded
        if state[trial] == FADING:  # a last mode with too few extrema is trend
            rest[trial] += found[trial].pop()
        if np.abs(rest[trial]).max() > _NONE:
            found[trial].append(rest[trial])
    return found


def _by_order(trials: list[list[FloatArray]], separate_trends: bool) -> dict[int, FloatArray]:
    """Return the k-th rows of all trials that have one, by k; trends under the last k if they are separate."""
    trends = [rows.pop() for rows in trials if rows] if separate_trends else []
    longest = max(map(len, trials), default=0)
    by_order = {k: np.array([rows[k] for rows in trials if len(rows) > k]) for k in range(longest)}
    if trends:
        by_order[longest] = np.array(trends)
    return by_order


def _checked(S: ArrayLike, T: ArrayLike | None) -> FloatArray:
    series = checked(S, 4, "EMD")
    if T is not None and np.size(T) != series.size:
        raise ValueError(f"T has {np.size(T)} points, but S has {series.size}.  Give both the same length.")
    return series


def _last(value: FloatArray | None) -> FloatArray:
    if value is None:
        raise ValueError("Nothing has been decomposed yet.  Call the object with a series first.")
    return value
