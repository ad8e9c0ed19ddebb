"""What a picture shows, described once: lines, bands, bars, dots and heat maps on axes.

``figures.plotly`` renders a description for the report page, ``figures.png`` for a file.  A description holds text as
it is in the data; the renderers make sure that it is shown as text.  Colours are Okabe and Ito's, which the
colour-blind can tell apart: the truth is black, the reference grey, and a model keeps its colour from figure to figure.

Shapes
------
n point, (r, c) rows and columns of a heat map
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from evaluation.rows import CLOCK, PERSISTENCE

TRUTH, GREY, RED = "#1A1A1A", "#8C8C8C", "#B3001B"
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31"]
BLUE, VERMILION, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
KNOWN = {PERSISTENCE: GREY, CLOCK: GREY} | dict(
    zip(
        ["CEEMDAN-CNN-LSTM-AM", "CNN-LSTM-AM", "CNN-LSTM", "LSTM", "MLP", "SVR", "Ridge", "Drift"], PALETTE, strict=True
    )
)
POINTS = 2500  # of a line; more are not seen
LOG_FROM = 8  # ratio from which on an axis of errors is logarithmic
TWO_DECADES = 100  # ratio up to which a logarithmic axis has a tick at 1, 2 and 5

Dash = Literal["solid", "dash", "dot"]
Symbol = Literal["circle", "diamond", "square", "circle-open", "square-open", "cross"]
Places = Any
"""Where points lie: numbers, dates, or an array or Series of them ``(n,)``."""


@dataclass(frozen=True)
class Line:
    """A line through points, or the points of a curve marked too."""

    name: str
    x: Places
    y: Places
    colour: str
    width: float = 1.5
    dash: Dash = "solid"
    marked: bool = False
    hidden: bool = False
    """Whether a reader must ask for it; a file leaves it out."""
    legend: bool = True
    rank: int = 10
    """Place in the legend, the lowest first."""
    notes: Sequence[str] = ()
    """What is said of each point besides its value."""


@dataclass(frozen=True)
class Band:
    """The area between two lines; ``strength`` is its opacity."""

    name: str
    x: Places
    low: Places
    high: Places
    colour: str
    strength: float = 0.2
    legend: bool = True


@dataclass(frozen=True)
class Bars:
    """Bars from 0; a bar of its own colour where several are given.  Of sideways bars ``x`` is the length."""

    name: str
    x: Places
    y: Places
    colours: Sequence[str]
    sideways: bool = False
    legend: bool = False


@dataclass(frozen=True)
class Dots:
    """Points that are not joined, maybe with error bars from ``low`` to ``high`` (along x if ``sideways``)."""

    name: str
    x: Places
    y: Places
    colour: str
    symbol: Symbol = "circle"
    size: float = 8
    strength: float = 1.0
    low: Places = None
    high: Places = None
    sideways: bool = False
    legend: bool = True
    notes: Sequence[str] = ()
    """What is said of each point instead of its place."""


@dataclass(frozen=True)
class Heat:
    """A map of values ``z (r, c)`` at places ``x (c,)`` and ``y (r,)``; ``words`` stand in the cells."""

    x: Places
    y: Places
    z: FloatArray
    title: str = ""
    words: Sequence[Sequence[str]] = ()
    notes: Sequence[Sequence[str]] = ()
    """What is said of each cell instead of its value."""
    diverging: bool = False
    """Whether 0 is white, and the ends, ``-reach`` and ``reach``, have colours of their own."""
    reach: float = 1.0


@dataclass(frozen=True)
class Rule:
    """A straight line across the panel, at a height or, if ``upright``, at a place."""

    at: Any
    upright: bool = False
    colour: str = GREY
    dash: Dash = "dash"


@dataclass(frozen=True)
class Chance:
    """A grey band across the panel from ``low`` to ``high``: what chance alone gives."""

    low: float
    high: float


Mark = Line | Band | Bars | Dots | Heat | Rule | Chance


@dataclass(frozen=True)
class Axis:
    """An axis: its title, and where it begins and ends."""

    title: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    downward: bool = False
    """Whether the smallest value is on top (of an upright axis)."""
    labels: Sequence[str] | None = None
    """Names of the places 0, 1, 2, ... of an axis of categories."""
    ticks: Sequence[float] | None = None
    above: bool = False
    """Whether its ticks stand above the panel."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes with what is drawn between them; ``share`` is its part of the height."""

    marks: Sequence[Mark]
    x: Axis = Axis()
    y: Axis = Axis()
    title: str = ""
    colour: str = TRUTH
    """Of the title."""
    share: float = 1.0


class Drawing(NamedTuple):
    """Panels one below the other on the same x axis."""

    name: str
    """What a reader chooses it by, where there are several."""
    panels: list[Panel]
    height: int = 340
    """[px] on the page."""
    slider: bool = False
    """Whether a slider below shows the whole range."""
    legend: bool = True
    """Whether the page says what the lines are."""
    together: bool = True
    """Whether a pointer shows all lines at its place, not the nearest point alone."""


class Figure(NamedTuple):
    """A place of the page where one of several drawings is shown, or all side by side on a wall."""

    name: str
    """Of its file."""
    drawings: list[Drawing]
    says: str
    """What it shows, in words: the heading of a file, and for those who cannot see it."""
    caption: str = ""
    choose: str = ""
    """What the drawings differ in."""
    last: tuple[int, ...] = ()
    """Numbers of last steps a reader can zoom to; the first is shown at the beginning."""
    wall: bool = False


def colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour for every model: its own if it is known, else one no other of them has."""
    models = list(dict.fromkeys(models))
    free = [colour for colour in PALETTE if colour not in {KNOWN.get(model) for model in models}] or PALETTE
    unknown = [model for model in models if model not in KNOWN]
    chosen = {model: free[number % len(free)] for number, model in enumerate(unknown)}
    return {model: KNOWN.get(model) or chosen[model] for model in models}


def from_fast_to_slow(count: int) -> list[str]:
    """Return shades from blue (fast) to vermilion (slow), dark in the middle."""
    ends = np.array([[0x00, 0x72, 0xB2], [0x4B, 0x3F, 0x72], [0xD5, 0x5E, 0x00]])
    at = np.linspace(0, 2, count)
    rgb = np.stack([np.interp(at, [0, 1, 2], ends[:, channel]) for channel in range(3)], axis=1).round()
    return ["#" + "".join(f"{int(value):02X}" for value in row) for row in rgb]


def every(count: int, limit: int = POINTS) -> IntArray:
    """Return at most ``limit`` evenly spaced places of ``count``, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def extremes(line: FloatArray, limit: int = POINTS // 2) -> IntArray:
    """Return at most ``limit`` places of a line ``(n,)``: the lowest and highest of equal stretches."""
    if line.size <= limit:
        return np.arange(line.size)
    places: set[int] = {0, line.size - 1}
    for part in np.array_split(np.arange(line.size), limit // 2 - 1):
        places |= {int(part[line[part].argmin()]), int(part[line[part].argmax()])}
    return np.array(sorted(places))


def of_errors(title: str, *values: Any) -> Axis:
    """Return an axis of errors, logarithmic where the largest is many times the smallest."""
    known = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in values])
    known = known[np.isfinite(known)]
    if known.size and known.min() > 0 and known.max() / known.min() > LOG_FROM:
        return Axis(title, log=True, ticks=_decades(float(known.min()), float(known.max())))
    return Axis(title)


def _decades(low: float, high: float) -> list[float]:
    """Return the ticks of a logarithmic axis: 1, 2 and 5 of each decade, or its begin alone where there are many."""
    steps = (1, 2, 5) if high / low < TWO_DECADES else (1,)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 2)
    return [step * 10.0**power for power in powers for step in steps]


def dated(values: Places) -> bool:
    """Return whether places are dates."""
    return pd.api.types.is_datetime64_any_dtype(values)
