"""Clouds of points: moves forecast against true moves, real and synthetic samples."""

from collections.abc import Mapping

import numpy as np

from data.contracts import FloatArray
from report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    TRUTH,
    VERMILION,
    Axis,
    Dots,
    Drawing,
    Line,
    Mark,
    Panel,
    Rule,
    Symbol,
    every,
)

CLOUD = 1500  # dots; more are not seen
LOOKS: list[tuple[str, Symbol]] = [(BLUE, "circle"), (VERMILION, "cross"), (GREEN, "square-open"), (GREY, "diamond")]
FRAME = 0.05  # share of the points on each side that may fall out of a frame
MARGIN = 0.4  # of a frame beyond the other points


def moves(name: str, points: FloatArray, unit: str, reference: str) -> Drawing:
    """Draw forecast moves against true moves ``(n, 2)`` from the last value known; the reference forecasts none."""
    reach = 1.05 * max(float(np.abs(points).max(initial=0.0)), 1e-300)
    ends = np.array([-reach, reach])
    kept = points[every(len(points), CLOUD)]
    marks: list[Mark] = [
        Line("perfect", ends, ends, TRUTH, 1.0, "dot"),
        Line(reference, ends, np.zeros(2), GREY, 1.3, "dash"),
        Dots(name, kept[:, 0], kept[:, 1], BLUE, size=5, strength=0.5),
    ]
    x, y = (Axis(f"{what} move [{unit}]", -reach, reach) for what in ("true", "forecast"))
    return Drawing("", [Panel(marks, x, y)], height=380, together=False)


def samples(clouds: Mapping[str, FloatArray], title: str, x: str, y: str) -> tuple[Drawing, int]:
    """Draw clouds of points ``(n, 2)`` and return how many lie beyond the frame: a few outliers do not decide it."""
    everything = np.concatenate(list(clouds.values()))
    low, high = np.quantile(everything, [FRAME, 1 - FRAME], axis=0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    framed = bool((high > low).all())
    beyond = int(((everything < low) | (everything > high)).any(axis=1).sum()) if framed else 0
    marks: list[Mark] = [Rule(0.0, colour="#BBBBBB", dash="solid"), Rule(0.0, True, "#BBBBBB", "solid")]
    for (name, points), (colour, symbol) in zip(clouds.items(), LOOKS, strict=False):
        kept = points[every(len(points), CLOUD)]
        marks.append(Dots(name, kept[:, 0], kept[:, 1], colour, symbol, 6, 0.55))
    along, up = (Axis(name, float(low[k]), float(high[k])) if framed else Axis(name) for k, name in enumerate((x, y)))
    return Drawing(title, [Panel(marks, along, up)], height=340, together=False), beyond
