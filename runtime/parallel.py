"""Where the work on many items is done: here, in other processes, or on other machines."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel, delayed, parallel_config

ROOT = Path(__file__).resolve().parents[1]

Item = TypeVar("Item")
Result = TypeVar("Result")

_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")}
"""For workers: as many processes as cores, each with as many threads, stand in each other's way."""


class Local:
    """One item after another in this process, whose compiled loops use all threads."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the function's result for every item, in order, as soon as it is there."""
        return map(function, items)


class Processes:
    """Several items at once on this machine, one thread each.

    Parameters
    ----------
    n_jobs : int
        Number of processes; -1 takes one per core.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        if n_jobs == 0:
            raise ValueError("parallel.n_jobs=0 does nothing.  Give a number of processes, or -1.")
        self.n_jobs = n_jobs

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the function's result for every item, in order, as soon as it is there."""
        with parallel_config(backend="loky", inner_max_num_threads=1):
            results = _workers(self.n_jobs, return_as="generator")(delayed(function)(item) for item in items)
        return iter(results)


class Ray:
    """Several items at once on a Ray cluster, one thread each.

    The checkout is sent to a cluster along with the work; what it depends on must be installed
    there.  A cluster that asks who is calling is answered by Ray's own settings (its documentation,
    "token authentication"), never by this configuration.

    Parameters
    ----------
    address : str or None
        Of the cluster: ``auto``, ``10.0.0.1:6379`` or ``ray://10.0.0.1:10001``; None starts Ray
        on this machine.
    n_jobs : int
        Number of workers; -1 takes one per core of the cluster.
    """

    def __init__(self, address: str | None = None, n_jobs: int = -1) -> None:
        if n_jobs == 0:
            raise ValueError("parallel.n_jobs=0 does nothing.  Give a number of workers, or -1.")
        self.address = address
        self.n_jobs = n_jobs

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the function's result for every item, in order, once all are there.

        Raises
        ------
        ModuleNotFoundError
            If Ray is not installed.
        """
        try:
            import ray
            from ray.util.joblib import register_ray
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "parallel=ray needs Ray, which is not installed.  Run: pip install -e .[ray]  "
                "or choose parallel=processes."
            ) from None
        if not ray.is_initialized():
            surroundings: dict[str, Any] = {"env_vars": _ONE_THREAD}
            if self.address is not None:
                surroundings |= {"working_dir": str(ROOT), "excludes": [".git", "/outputs", "/.venv"]}
            ray.init(address=self.address or "local", runtime_env=surroundings, log_to_driver=False)
        register_ray()
        with parallel_config(backend="ray"):
            return iter(_workers(self.n_jobs)(delayed(function)(item) for item in items))


def _workers(n_jobs: int, return_as: str = "list") -> Parallel:
    """Return joblib's pool, which tells a terminal how much is done and how long the rest takes."""
    return Parallel(n_jobs=n_jobs, verbose=5 if sys.stderr.isatty() else 0, return_as=return_as)
