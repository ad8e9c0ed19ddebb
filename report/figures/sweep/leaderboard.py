"""Settings of a sweep: parallel coordinates, and errors against cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from report.figures.drawing import BLUE, GREY, RED, Axis, Dots, Drawing, Line, Panel, from_fast_to_slow, of_errors

HEIGHT = 340  # [px]
FEW = 4  # texts that are all named below an axis


def coordinates(table: pd.DataFrame, settings: Sequence[str], error: str, unit: str) -> Drawing:
    """Draw a line a row through its settings to its error: blue the best, vermilion the worst (parallel coordinates).

    Each axis goes from the lowest value of a setting to its highest, and says so below; texts stand in the order of
    the alphabet.
    """
    places = [_place(table[name]) for name in settings] + [_place(table[error])]
    shades = from_fast_to_slow(len(table))
    rank = table[error].rank(method="first", na_option="bottom").astype(int).to_numpy() - 1
    at = np.arange(len(places), dtype=float)
    lines = []
    for row in range(len(table)):
        told = [f"{name} {table[name].iloc[row]}" for name in settings] + [f"{table[error].iloc[row]:.5g} {unit}"]
        heights = np.array([place[row] for place in places])
        lines.append(Line(", ".join(told), at, heights, shades[rank[row]], 1.4, marked=True, legend=False, notes=told))
    x = Axis(labels=[*(f"{name}: {_span(table[name])}" for name in settings), f"MAE: {_span(table[error])} {unit}"])
    y = Axis("lowest to highest", low=-0.05, high=1.05)
    return Drawing("settings", [Panel(lines, x, y)], height=HEIGHT, legend=False, together=False)


def cost(table: pd.DataFrame, labels: Sequence[str], error: str, unit: str) -> Drawing:
    """Draw the error of every row against the time of its fits."""
    marks = []
    for name, own, colour in (
        ("cannot be told from the best", ~table["leaks"] & table["in_set"], BLUE),
        ("others", ~table["leaks"] & ~table["in_set"], GREY),
        ("uses the future", table["leaks"], RED),
    ):
        rows = table[own.astype(bool)]
        if len(rows):
            notes = [
                f"{label}: {value:.5g}" for label, value, kept in zip(labels, table[error], own, strict=True) if kept
            ]
            marks.append(Dots(name, rows["seconds"], rows[error], colour, notes=notes))
    seconds = Axis("fits of a run [s]", log=bool((table["seconds"] > 0).all()))
    y = of_errors(f"MAE on {error} rows [{unit}]", table[error])
    return Drawing("cost", [Panel(marks, seconds, y)], height=HEIGHT, together=False)


def _span(values: "pd.Series") -> str:
    """Return what stands on an axis, from below: both ends of numbers, a few texts, or both ends of many."""
    names = _texts(values)
    if names is None:
        return f"{values.min():.4g} to {values.max():.4g}"
    return ", ".join(names) if len(names) <= FEW else f"{names[0]} to {names[-1]}"


def _texts(values: "pd.Series") -> list[str] | None:
    """Return the values of a setting in the order of the alphabet, or None where they are numbers."""
    if values.map(lambda value: isinstance(value, (int, float))).all():
        return None
    return sorted(set(values.astype(str)))


def _place(values: "pd.Series") -> np.ndarray:
    """Return the place of every value on an axis from 0 to 1."""
    numbers, names = pd.to_numeric(values, errors="coerce"), _texts(values)
    if numbers.isna().any() and names is not None:
        numbers = values.astype(str).map(names.index).astype(float)
    low, high = numbers.min(), numbers.max()
    return ((numbers - low) / (high - low) if high > low else numbers * 0 + 0.5).to_numpy(dtype=float)
