"""CEEMDAN by PyEMD: the reference engine, to check ours against."""

from typing import Any

from numpy.typing import ArrayLike

from data.contracts import FloatArray
from data.decomposition._noise import white_noise
from data.decomposition.alignment import align_modes
from data.decomposition.checks import check_settings
from data.decomposition.series import checked
from data.decomposition.units import in_own_unit


class CeemdanPyEMD:
    """A fixed number of components by PyEMD's CEEMDAN, on one thread.

    It is handed the noise of ``ceemdan.Ceemdan``, so that both give the same components up to
    rounding.

    Parameters
    ----------
    n_components : int
        Number of rows of a result.  The last one holds what the modes leave of the series.
    trials : int
        Number of noises.
    epsilon : float
        Strength of the noise [standard deviation of what is decomposed].
    seed : int
        Of the noise.
    align : str
        How modes are given to rows, ``period`` or ``index``; see ``alignment.align_modes``.
    """

    causal = False
    memory = None

    def __init__(
        self,
        n_components: int = 5,
        trials: int = 100,
        epsilon: float = 0.005,
        seed: int = 0,
        align: str = "period",
    ) -> None:
        check_settings(n_components=n_components, trials=trials, noise=epsilon, seed=seed, align=align)
        self._n_components = n_components
        self.trials = trials
        self.epsilon = epsilon
        self.seed = seed
        self.align = align

    @property
    def n_components(self) -> int:
        """Number of rows of every result."""
        return self._n_components

    def __call__(self, series: ArrayLike) -> FloatArray:
        """Map ``(time,)`` to ``(n_components, time)``, fast first, the remainder last."""
        values = checked(series, 4, "decomposition=ceemdan_pyemd")
        if values.max() == values.min():  # PyEMD would divide by zero
            return align_modes(values[None], self.n_components, self.align)
        noise = white_noise(self.trials, values.size, self.seed)
        engine = _reference(self.trials, self.epsilon, noise)
        return align_modes(in_own_unit(values, engine, "decomposition=ceemdan_pyemd"), self.n_components, self.align)


def _reference(trials: int, epsilon: float, noise: FloatArray) -> Any:
    """Return PyEMD's object, drawing the given noise."""
    try:
        from PyEMD import CEEMDAN
    except ImportError as missing:
        raise ImportError("decomposition=ceemdan_pyemd needs PyEMD: pip install -e '.[pyemd]'") from missing

    engine = CEEMDAN(trials=trials, epsilon=epsilon, parallel=False)
    engine.generate_noise = lambda scale, size: scale * noise
    return engine
