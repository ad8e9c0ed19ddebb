"""Keep what libraries say about themselves out of what a run says, and what they cost at the start small."""

import gc
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from runtime.faults import printable

WIDE = 120  # columns where nobody's terminal sets them


def quiet() -> None:
    """Silence Lightning's hints, and its one deprecated call into torch; warnings about a run stay."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")  # nothing held out


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while modules are imported: they leave none, and torch and Lightning take a fifth longer."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def console() -> Console:
    """Return where a run speaks: as wide as the terminal, or wide enough for its table."""
    return PlainConsole(width=None if sys.stdout.isatty() else WIDE, soft_wrap=False)


class PlainConsole(Console):
    """A terminal that obeys nothing in the text it is given: names come from files of strangers."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments with escapes and direction marks replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
