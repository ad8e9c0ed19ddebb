"""A fixed number of components out of the modes of a series, however many those are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from data.contracts import FloatArray
from data.decomposition._ensemble import tails_of, thread_count
from data.decomposition.alignment import align_modes


@dataclass(frozen=True)
class Channels(ABC):
    """What every decomposition into modes has in common; a subclass finds the modes.

    Parameters
    ----------
    n_components : int
        Number of rows of a result.  The last one holds what is slower than the others: trend and level.
    align : str
        How modes are given to rows, ``period`` or ``index``; see ``alignment.align_modes``.
    stop, siftings, boundary
        See ``emd.emd``.
    threads : int, optional
        By default every core.  The result does not depend on it.
    """

    n_components: int = 5
    align: str = "period"
    stop: str = "huang"
    siftings: int = 10
    boundary: str = "mirror"
    threads: int | None = None

    causal: ClassVar[bool] = False
    memory: ClassVar[int | None] = None

    @abstractmethod
    def modes(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        """Map ``(time,)`` to its modes, fast first, and what they leave of it ``(n_modes + 1, time)``."""

    def __call__(self, series: FloatArray) -> FloatArray:
        """Map ``(time,)`` to ``(n_components, time)``, fast first."""
        return self._components(series, thread_count(self.threads), True)

    def tails(self, windows: Sequence[FloatArray], keep: int) -> FloatArray:
        """Map n windows ``(time,)`` to the last ``keep`` points of their components, a window a thread."""
        return tails_of(self._components, windows, keep, self.n_components, self.threads)

    def _components(self, series: FloatArray, threads: int, keep_noise: bool) -> FloatArray:
        return align_modes(self.modes(series, threads, keep_noise), self.n_components, self.align)
