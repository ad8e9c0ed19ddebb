"""Show how far a long piece of work is: a bar on a terminal, a line a minute where there is none."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from threading import Event, Thread
from typing import TypeVar

MINUTE = 60.0

Result = TypeVar("Result")


_in_a_log = False


def watched() -> bool:
    """Return whether this process speaks to the user: a worker does not, unless it is a job with a log of its own."""
    return parent_process() is None or _in_a_log


@contextmanager
def spoken_in_a_log(own: bool) -> Iterator[None]:
    """Let a job speak in a log of its own, also in a worker process."""
    global _in_a_log
    before, _in_a_log = _in_a_log, own
    try:
        yield
    finally:
        _in_a_log = before


class Lines:
    """One line to stderr, at most once a minute and never in the first.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Steps of it.
    """

    def __init__(self, label: str, total: int, done: int = 0) -> None:
        self.label = label
        self.total = total
        self._first = done
        self._began = self._told = time.monotonic()

    def at(self, done: int, more: str = "") -> None:
        """Tell how many steps are done and how long the rest takes, where a minute has passed."""
        now = time.monotonic()
        if now - self._told < MINUTE or done >= self.total:
            return
        self._told = now
        each = (now - self._began) / max(done - self._first, 1)
        left = duration(each * (self.total - done))
        print(f"{self.label}: {done} of {self.total}{more}, {left} left", file=sys.stderr, flush=True)


def followed(results: Iterable[Result], total: int, label: str) -> Iterator[Result]:
    """Yield the results as they come, and show how many of them are there."""
    if total < 2 or not watched():
        yield from results
        return
    if not sys.stderr.isatty():
        began, done = time.monotonic(), 0

        def said() -> str:
            spent = time.monotonic() - began
            rest = f"{duration(spent / done * (total - done))} left" if done else f"{duration(spent)} so far"
            return f"{label}: {done} of {total}, {rest}"

        with _each_minute(said):
            for result in results:
                done += 1
                yield result
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        for result in results:
            bar.advance(task)
            yield result


@contextmanager
def alive(label: str) -> Iterator[None]:
    """Show that work whose steps nobody counts still goes on: a clock on a terminal, a line a minute elsewhere."""
    if not watched():
        yield
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as clock:
            clock.add_task(label, total=None)
            yield
        return
    began = time.monotonic()
    with _each_minute(lambda: f"{label}: {duration(time.monotonic() - began)} so far"):
        yield


@contextmanager
def _each_minute(said: Callable[[], str]) -> Iterator[None]:
    """Print a line to stderr every minute."""
    ended = Event()

    def tell() -> None:
        while not ended.wait(MINUTE):
            print(said(), file=sys.stderr, flush=True)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def duration(seconds: float) -> str:
    """Return a time in the two units that tell most."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
