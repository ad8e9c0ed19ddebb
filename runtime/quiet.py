"""Keep what libraries say about themselves out of what a run says."""

import logging
import sys
import warnings

from rich.console import Console

WIDE = 120  # columns where nobody's terminal sets them


def quiet() -> None:
    """Silence Lightning's hints, and its one deprecated call into torch; warnings about a run stay."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
    warnings.filterwarnings("ignore", message=r".*does not have many workers")
    warnings.filterwarnings("ignore", message=r"Total length of `list` across ranks is zero")  # nothing held out


def console() -> Console:
    """Return where a run speaks: as wide as the terminal, or wide enough for its table."""
    return Console(width=None if sys.stdout.isatty() else WIDE, soft_wrap=False)
