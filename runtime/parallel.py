"""Where the work on many items is done: on the cores of this machine, or on other machines."""

import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import parent_process
from typing import Any, TypeVar

from runtime.faults import is_ours
from runtime.files import ROOT
from runtime.progress import followed

Item = TypeVar("Item")
Result = TypeVar("Result")

_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")}
"""For workers: as many processes as cores, each with as many threads, stand in each other's way."""


class WorkerLost(RuntimeError):
    """A worker process ended before its work did."""


class Local:
    """Several items at once on this machine, each in a process with one thread.

    One item alone, or one process, is worked on here: its compiled loops use all threads.  A worker
    starts no workers of its own.

    Parameters
    ----------
    n_jobs : int
        Number of processes; -1 takes one for each core this process may use.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        self.n_jobs = _positive(n_jobs)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], label: str = "working"
    ) -> Iterator[Result]:
        """Yield the function's result for every item, in order, as soon as it is there.

        Parameters
        ----------
        label : str
            What the progress is called.

        Raises
        ------
        WorkerLost
            If a worker was killed.  A fault in a worker arrives as it was raised.
        """
        todo = list(items)
        n_jobs = min(cores() if self.n_jobs == -1 else self.n_jobs, len(todo))
        if n_jobs < 2 or parent_process() is not None:
            yield from followed(map(function, todo), len(todo), label)
            return
        from joblib import Parallel, delayed, parallel_config
        from joblib.externals.loky.process_executor import BrokenProcessPool

        work = _Work(function)
        # Large arrays are shared between processes; "c" lets a worker write to its own copy.
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(n_jobs, return_as="generator", mmap_mode="c")
        results: Iterator[Result] = iter(())
        try:
            results = pool(delayed(work)(item) for item in todo)
            yield from followed(results, len(todo), label)
        except BrokenProcessPool:
            raise WorkerLost(
                f"One of {n_jobs} worker processes was killed, most likely because the memory did not suffice for "
                f"all of them.  What is finished is kept; go on with fewer: parallel.n_jobs={max(1, n_jobs // 2)}"
            ) from None
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of work that was dropped because nobody asks for more
                getattr(results, "close", lambda: None)()


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
        self.address = address
        self.n_jobs = _positive(n_jobs)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], label: str = "working"
    ) -> Iterator[Result]:
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
                "parallel=ray needs Ray, which is not installed.  Run: pip install -e .[ray]  or choose parallel=local."
            ) from None
        from joblib import Parallel, delayed, parallel_config

        if not ray.is_initialized():
            surroundings: dict[str, Any] = {"env_vars": _ONE_THREAD}
            if self.address is not None:
                surroundings |= {"working_dir": str(ROOT), "excludes": [".git", "/outputs", "/.venv"]}
            ray.init(address=self.address or "local", runtime_env=surroundings, log_to_driver=False)
        register_ray()
        todo = list(items)
        with parallel_config(backend="ray"):
            results = Parallel(self.n_jobs)(delayed(function)(item) for item in todo)
        yield from followed(results, len(todo), label)


def cores() -> int:
    """Return the number of cores this process may use: of its affinity, its container, ``LOKY_MAX_CPU_COUNT``."""
    from joblib import cpu_count

    return int(cpu_count())


class _Work:
    """One item in a worker: its faults are marked for the user, and it does not outlive who asked for it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, item: Any) -> Any:
        end_with_parent()
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        try:
            return self.function(item)
        except Exception as error:
            error.told = is_ours(error)  # type: ignore[attr-defined]  # its lines do not come along
            _refuse_unpicklable(error)
            raise


_watching = False


def end_with_parent() -> None:
    """End this worker when its parent does, however that ends: a killed one says goodbye to nobody.

    One whose parent has ended already ends now; a process that is nobody's worker goes on.
    """
    global _watching
    parent = parent_process()
    if _watching or parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent.pid:
            time.sleep(0.5)
        os._exit(1)

    _watching = True
    threading.Thread(target=watch, daemon=True).start()


def _refuse_unpicklable(error: Exception) -> None:
    """Raise a fault that can travel in the place of one that cannot: the pool would break."""
    try:
        pickle.loads(pickle.dumps(error))  # made here, a moment ago
    except Exception:
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _positive(n_jobs: int) -> int:
    if n_jobs < 1 and n_jobs != -1:
        raise ValueError(f"parallel.n_jobs={n_jobs} does nothing.  Give a number of processes, or -1 for every core.")
    return n_jobs
