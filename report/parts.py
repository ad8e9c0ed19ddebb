"""What a report page is made of: verdicts, and sections with tables, figures, notes and texts."""

from dataclasses import dataclass, field
from typing import NamedTuple

from report.figures.drawing import Figure
from report.table import Table

MOST = 16  # series or networks to choose from
DRAWN = 40_000  # points of all lines of one figure


class Verdict(NamedTuple):
    """One of the first lines of a page; ``kind`` is ``causal``, ``leaks`` or ``unknown``."""

    kind: str
    word: str
    sentence: str


class Text(NamedTuple):
    """Preformatted text behind a heading that opens it."""

    title: str
    content: str
    open: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says, then what shows it."""

    name: str
    """Its anchor."""
    short: str
    """What it is called in the row of links."""
    heading: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    tables_first: bool = False
    unfolded: int = 4
    """Notes that are read without a click, where there are more."""
