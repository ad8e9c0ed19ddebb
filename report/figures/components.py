"""A series and its components, one below the other."""

from collections.abc import Sequence

import pandas as pd

from data.contracts import FloatArray
from report.figures.drawing import TRUTH, Axis, Drawing, Line, Panel, Rule, extremes, from_fast_to_slow


def components(
    dates: pd.Series, values: FloatArray, names: Sequence[str], unit: str, x: str = "", test_start: object = None
) -> Drawing:
    """Draw the sum ``(n,)`` and each component ``(C, n)`` on its own scale; a line marks where the test begins."""
    shades = [TRUTH, *from_fast_to_slow(len(values))]
    begin = [] if test_start is None else [Rule(test_start, upright=True, dash="dot")]
    panels = []
    for name, line, colour in zip([f"sum [{unit}]", *names], [values.sum(axis=0), *values], shades, strict=True):
        kept = extremes(line)
        drawn = Line(name, dates.iloc[kept], line[kept], colour, 1.2, legend=False)
        panels.append(Panel([drawn, *begin], Axis(x), title=name, colour=colour))
    return Drawing("", panels, height=70 + 72 * len(panels))
