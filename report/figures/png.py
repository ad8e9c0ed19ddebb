"""Render the figures of a run as PNG files with Matplotlib, on objects of their own: nothing global is touched."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure as Sheet
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator, StrMethodFormatter

from report.figures import drawing as draw
from report.figures.plotly import DIVERGING
from report.run_folder import RunFolder
from report.text import literal, shortened
from runtime.files import atomic

DPI = 150
WIDTH = 9.0  # [inch] of a figure
PIXELS = 105  # of a drawing of the page, an inch
LONGEST = 30  # letters of a label; longer ones leave no room for what is drawn
SIDE_BY_SIDE = 20  # drawings of a wall
BESIDE = 30  # letters of a line above a panel of a wall
TALLEST = 60.0  # [inch] of any figure
STYLES: dict[str, Any] = {"solid": "-", "dash": (0, (4, 1.5)), "dot": ":"}
SYMBOLS = {"circle": "o", "diamond": "D", "square": "s", "circle-open": "o", "square-open": "s", "cross": "x"}
BLUE_AND_ORANGE = LinearSegmentedColormap.from_list("pairs", DIVERGING)


def write_pngs(folder: Path) -> list[Path]:
    """Draw every figure of the report page of a run into its folder ``figures/`` and return the files.

    Raises
    ------
    FolderError
        If the folder holds no finished run, or one of its files cannot be read.
    """
    from report.page import leak_note, sections

    run = RunFolder(folder)
    figures = [figure for section in sections(run) for figure in section.figures]
    (folder / "figures").mkdir(exist_ok=True)
    paths = [folder / "figures" / f"{figure.name}.png" for figure in figures]
    for figure, path in zip(figures, paths, strict=True):
        save(sheet(figure, f"{run.metrics.title}: {figure.says}", leak_note(run)), path)
    return paths


def save(drawn: Sheet, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with atomic(path) as part:
        drawn.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def sheet(figure: draw.Figure, title: str, warning: str = "") -> Sheet:
    """Return a figure as Matplotlib draws it: several drawings side by side on a wall, else the first.

    A warning stands below in red.
    """
    if figure.wall:
        drawn = _wall(figure.drawings[:SIDE_BY_SIDE])
        if len(figure.drawings) > SIDE_BY_SIDE:
            title += f" (the first {SIDE_BY_SIDE} of {len(figure.drawings)})"
    else:
        first = figure.drawings[0]
        drawn = _stack(first, figure.last[0] if figure.last else 0)
        if len(figure.drawings) > 1:
            title += f", {first.name} (1 of {len(figure.drawings)})"
    drawn.suptitle(_fitting(drawn, title, 11.5), x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    if warning:
        note = _fitting(drawn, warning, 9)
        drawn.supxlabel(note, x=0.01, ha="left", fontsize=9, color=draw.RED, fontweight="bold")
    return drawn


def words(text: object) -> str:
    """Return text as Matplotlib shows it literally: a dollar sign begins no formula."""
    return literal(text).replace("$", r"\$")


def _empty(width: float, height: float) -> Sheet:
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.07, hspace=0.03, wspace=0.04)
    drawn = Sheet(figsize=(width, min(height, TALLEST)), layout=engine)
    FigureCanvasAgg(drawn)
    return drawn


def _stack(drawing: draw.Drawing, last: int) -> Sheet:
    """Draw panels one below the other, and the last steps enlarged below them."""
    panels = list(drawing.panels)
    first = _first_of_last(panels[0], last) if last else None
    if first is not None:
        near = [_cropped(mark, first) for mark in panels[0].marks]
        title = f"The last {last} steps (shaded above)"
        panels = [panels[0], replace(panels[0], marks=near, title=title)]
    drawn = _empty(WIDTH, 1.0 + drawing.height / PIXELS * (2 if first is not None else 1))
    shares = [panel.share for panel in panels]
    together = first is None
    axes = drawn.subplots(len(panels), 1, squeeze=False, sharex=together, height_ratios=shares).ravel()
    for place, (part, panel) in enumerate(zip(axes, panels, strict=True)):
        _draw(part, panel, below=place == len(panels) - 1)
        _legend(part, outside=any(getattr(mark, "sideways", False) for mark in panel.marks))
    if first is not None:
        axes[0].axvspan(first, np.asarray(_longest(panels[0]))[-1], color=draw.GREY, alpha=0.18, lw=0)
    drawn.align_ylabels(axes)
    return drawn


def _wall(drawings: Sequence[draw.Drawing]) -> Sheet:
    """Draw small panels side by side, each on axes of its own, with one legend."""
    columns = min(4, max(1, math.ceil(math.sqrt(len(drawings)))))
    lines = math.ceil(len(drawings) / columns)
    drawn = _empty(max(5.5, 3.0 * columns), 1.3 + 2.3 * lines)
    axes = drawn.subplots(lines, columns, squeeze=False).ravel()
    labelled: dict[str, Any] = {}
    for place, (part, drawing) in enumerate(zip(axes, drawings, strict=False)):
        panel = drawing.panels[0]
        y = (
            panel.y
            if place % columns == 0 or panel.y.title != drawings[0].panels[0].y.title
            else replace(panel.y, title="")
        )
        below = place + columns >= len(drawings)
        _draw(part, replace(panel, title=drawing.name, y=y), below)
        name = textwrap.fill(part.get_title(loc="left"), BESIDE)  # the next panel begins where a longer line would end
        part.set_title(name, loc="left", fontsize=9.5, color=panel.colour)
        labelled |= {label: handle for handle, label in zip(*part.get_legend_handles_labels(), strict=True)}
    for part in axes[len(drawings) :]:
        part.set_axis_off()
    shared = {label.partition(", best")[0]: handle for label, handle in labelled.items()}
    if len(shared) > 1:
        drawn.legend(shared.values(), shared.keys(), loc="outside right center", fontsize=8.5, frameon=False)
    return drawn


def _draw(axes: Axes, panel: draw.Panel, below: bool) -> None:
    """Draw one panel; the lowest of several has the title of the x axis."""
    for mark in panel.marks:
        _mark(axes, mark)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#666666")
    axes.tick_params(which="both", labelsize=8.5, color="#666666")
    sideways = any(getattr(mark, "sideways", False) for mark in panel.marks)
    if not any(isinstance(mark, draw.Heat) for mark in panel.marks):
        axes.grid(axis="x" if sideways else "y", color="#E3E3E3", lw=0.7)
        axes.margins(x=0.03 if sideways else 0.01)
    axes.set_axisbelow(True)
    _scale(axes, panel.x, "x", "".join(np.asarray(mark.x).dtype.kind for mark in panel.marks if hasattr(mark, "x")))
    _scale(axes, panel.y, "y")
    if below:
        axes.set_xlabel(words(shortened(panel.x.title, 2 * LONGEST)))
    axes.set_ylabel(words(shortened(panel.y.title, LONGEST)))
    if panel.title:
        axes.set_title(words(shortened(panel.title, 3 * LONGEST)), loc="left", fontsize=9.5, color=panel.colour)


def _mark(axes: Axes, mark: draw.Mark) -> None:
    match mark:
        case draw.Line(hidden=False):
            look: dict[str, Any] = {"color": mark.colour, "lw": mark.width, "ls": STYLES[mark.dash], "zorder": 3}
            look |= {"marker": "o", "ms": 4} if mark.marked else {}
            axes.plot(np.asarray(mark.x), np.asarray(mark.y), label=_label(mark), **look)
        case draw.Band():
            low, high = (np.asarray(part, dtype=np.float64) for part in (mark.low, mark.high))
            at, label = np.asarray(mark.x), _label(mark)
            axes.fill_between(at, low, high, color=mark.colour, alpha=mark.strength, lw=0, label=label)
        case draw.Bars():
            bars = axes.barh if mark.sideways else axes.bar
            along, length = (mark.y, mark.x) if mark.sideways else (mark.x, mark.y)
            width = _spacing(along)
            bars(np.asarray(along), np.asarray(length), 0.7 * width, color=list(mark.colours), label=_label(mark))
            (axes.axvline if mark.sideways else axes.axhline)(0, color=draw.TRUTH, lw=0.8)
        case draw.Dots():
            _dots(axes, mark)
        case draw.Heat():
            _heat(axes, mark)
        case draw.Rule():
            line = axes.axvline if mark.upright else axes.axhline
            line(mark.at, color=mark.colour, lw=1.3, ls=STYLES[mark.dash], zorder=2)
        case draw.Chance():
            axes.axhspan(mark.low, mark.high, color="#777777", alpha=0.16, lw=0)


def _dots(axes: Axes, mark: draw.Dots) -> None:
    x, y = np.asarray(mark.x), np.asarray(mark.y)
    hollow = mark.symbol.endswith("-open")
    look: dict[str, Any] = {"marker": SYMBOLS[mark.symbol], "ms": 0.75 * mark.size, "ls": "none", "color": mark.colour}
    look |= {"mfc": "none", "mew": 1.6} if hollow else {"mew": 1.0 if mark.symbol == "cross" else 0}
    axes.plot(x, y, alpha=mark.strength, label=_label(mark), zorder=4, **look)
    if mark.low is not None:
        middle = np.asarray(x if mark.sideways else y, dtype=np.float64)
        reach = np.nan_to_num([middle - mark.low, mark.high - middle])
        error = {"xerr": reach} if mark.sideways else {"yerr": reach}
        axes.errorbar(x, y, ls="none", ecolor=mark.colour, elinewidth=1.4, capsize=2, zorder=3, **error)


def _heat(axes: Axes, mark: draw.Heat) -> None:
    x, y = _edges(mark.x), _edges(mark.y)
    reach = mark.reach if mark.diverging else None
    cmap = BLUE_AND_ORANGE if mark.diverging else "cividis"
    low = None if reach is None else -reach
    heat = axes.pcolormesh(x, y, np.asarray(mark.z), cmap=cmap, rasterized=True, vmin=low, vmax=reach)
    if mark.title:
        bar = axes.figure.colorbar(heat, ax=axes, pad=0.01, aspect=15)
        bar.set_label(words(shortened(mark.title, LONGEST)), fontsize=9)
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    for row, texts in enumerate(mark.words):
        for column, text in enumerate(texts):
            ink = "white" if abs(mark.z[row, column]) > 0.6 * mark.reach else draw.TRUTH
            axes.text(column, row, words(shortened(text, 12)), ha="center", va="center", fontsize=8, color=ink)


def _scale(axes: Axes, axis: draw.Axis, which: str, kinds: str = "") -> None:
    """Give an axis its range, its scale and its ticks; ``kinds`` are those of the arrays along it (NumPy's letters)."""
    scaled = axes.xaxis if which == "x" else axes.yaxis
    limit = axes.set_xlim if which == "x" else axes.set_ylim
    low, high = axis.low, axis.high
    if axis.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        scaled.set_major_formatter(StrMethodFormatter("{x:g}"))
        scaled.set_minor_formatter(NullFormatter())
    if axis.labels is not None:
        low, high = -0.5, len(axis.labels) - 0.5
        scaled.set_major_locator(FixedLocator(range(len(axis.labels))))
        slanted = which == "x" and sum(map(len, axis.labels)) > 60
        turned: dict[str, Any] = {"rotation": 30, "ha": "left" if axis.above else "right"} if slanted else {}
        scaled.set_ticklabels([words(shortened(label, LONGEST)) for label in axis.labels], **turned)
    elif axis.ticks is not None:
        begin, end = sorted(limit())
        scaled.set_major_locator(FixedLocator([tick for tick in axis.ticks if begin <= tick <= end] or axis.ticks))
        scaled.set_minor_locator(NullLocator())
    elif "M" in kinds:
        locator = AutoDateLocator(minticks=4, maxticks=9)
        scaled.set_major_locator(locator)
        scaled.set_major_formatter(ConciseDateFormatter(locator))
    elif not axis.log:
        few = axes.bbox.height < 150 if which == "y" else axes.bbox.width < 300
        scaled.set_major_locator(MaxNLocator(4 if few else 7, integer=kinds != "" and set(kinds) <= set("iu")))
    if low is not None or high is not None:
        limit(low, high)
    if axis.downward:
        scaled.set_inverted(True)
    if axis.above:
        axes.xaxis.tick_top()


def _legend(axes: Axes, outside: bool) -> None:
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 1:
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if outside else {"loc": "best"}
        axes.legend(fontsize=8.5, frameon=not outside, framealpha=0.85, edgecolor="none", **place)


def _fitting(drawn: Sheet, text: str, size: float) -> str:
    """Break text into lines that are no wider than the figure: measured, capitals are wider than the rest."""
    renderer = drawn.canvas.get_renderer()  # type: ignore[attr-defined]
    font = FontProperties(size=size, weight="bold")
    room = 0.97 * drawn.get_figwidth() * drawn.dpi
    plain = shortened(text, 600)
    for letters in range(int(drawn.get_figwidth() * 18), 10, -2):
        lines = textwrap.wrap(plain, letters) or [""]
        if all(renderer.get_text_width_height_descent(line, font, ismath=False)[0] <= room for line in lines):
            break
    return "\n".join(words(line) for line in lines)


def _longest(panel: draw.Panel) -> Any:
    return max((mark.x for mark in panel.marks if isinstance(mark, draw.Line)), key=len)


def _first_of_last(panel: draw.Panel, last: int) -> Any:
    """Return the place from which on there are so many steps, or None where there are no more than these."""
    x = np.asarray(_longest(panel))
    return x[-last] if x.size > last else None


def _cropped(mark: draw.Mark, first: Any) -> draw.Mark:
    """Return a mark from a place on; points of a line are marked."""
    if not isinstance(mark, (draw.Line, draw.Band)):
        return mark
    kept = np.asarray(mark.x) >= first
    x = np.asarray(mark.x)[kept]
    if isinstance(mark, draw.Line):
        return replace(mark, x=x, y=np.asarray(mark.y)[kept])
    return replace(mark, x=x, low=np.asarray(mark.low)[kept], high=np.asarray(mark.high)[kept])


def _edges(places: Any) -> Any:
    """Return the edges ``(n + 1,)`` of cells around places ``(n,)``."""
    at = np.asarray(places)
    if at.size == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    steps = np.diff(at)
    return np.concatenate([[at[0] - steps[0] / 2], at[:-1] + steps / 2, [at[-1] + steps[-1] / 2]])


def _spacing(places: Any) -> Any:
    at = np.asarray(places)
    return np.diff(at).min() if at.size > 1 else 1.0


def _label(mark: draw.Line | draw.Band | draw.Bars | draw.Dots) -> str:
    return words(shortened(mark.name, LONGEST)) if mark.legend else "_nolegend_"
