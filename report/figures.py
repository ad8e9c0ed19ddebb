"""The figures of a run, drawn on Figure objects of their own: nothing global is touched.

Colours are Okabe and Ito's, which the colour-blind can tell apart; the truth is black,
persistence grey, and a model keeps its colour from figure to figure.  Numbers that use the
future carry a red note.
"""

import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from evaluation.metrics import PERSISTENCE, checked
from report.comparison import Comparison

TRUTH, GREY, RED = "#1A1A1A", "#8C8C8C", "#B3001B"
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31"]
KNOWN = {
    PERSISTENCE: GREY,
    "CEEMDAN-CNN-LSTM-AM": PALETTE[0],
    "CNN-LSTM-AM": PALETTE[1],
    "CNN-LSTM": PALETTE[2],
    "LSTM": PALETTE[3],
    "MLP": PALETTE[4],
    "SVR": PALETTE[5],
    "Ridge": PALETTE[6],
    "Drift": PALETTE[7],
}
ZOOM = 60  # steps of the zoom panel
BLOCK = 30  # steps of an error bar where time is a number
SPREAD = 8  # ratio of losses or errors from which on their axis is logarithmic
PANELS = 12  # of networks whose losses are drawn
DPI = 150
DASHED = (0, (4, 1.5))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    figure.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
    os.replace(unfinished, path)


def colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour for every model: its own if it is known, else one no other of them has."""
    models = list(dict.fromkeys(models))
    free = [colour for colour in PALETTE if colour not in {KNOWN.get(model) for model in models}] or PALETTE
    unknown = [model for model in models if model not in KNOWN]
    chosen = {model: free[number % len(free)] for number, model in enumerate(unknown)}
    return {model: KNOWN.get(model) or chosen[model] for model in models}


def forecast_figure(forecasts: pd.DataFrame, model: str, unit: str, title: str, leak_note: str | None = None) -> Figure:
    """Draw forecasts against the truth: the whole test set above, its last steps enlarged below.

    Of several series the first is drawn, of several steps the furthest; the title says so.
    """
    rows, title = _one_line_each(forecasts, title)
    figure = sheet(9, 6.2)
    whole, zoom = figure.subplots(2, 1, height_ratios=[1, 1.15])
    truth = rows[rows["model"] == PERSISTENCE]
    drawn = rows[rows["model"] == model]
    colour = colours([model])[model]
    whole.plot(truth["ds"], truth["y"], color=TRUTH, lw=2.2, alpha=0.85, label="truth")
    whole.plot(drawn["ds"], drawn["y_hat"], color=colour, lw=0.9, label=model)

    near, there = truth.tail(ZOOM), drawn[drawn["ds"].isin(truth["ds"].tail(ZOOM))]
    zoom.plot(near["ds"], near["y"], color=TRUTH, lw=1.6, marker="o", ms=2.8, label="truth")
    zoom.plot(near["ds"], near["y_hat"], color=GREY, lw=1.3, ls=DASHED, label=PERSISTENCE)
    if model != PERSISTENCE:
        zoom.plot(there["ds"], there["y_hat"], color=colour, lw=1.6, marker="s", ms=2.4, label=model)
    whole.axvspan(near["ds"].iloc[0], near["ds"].iloc[-1], color=GREY, alpha=0.18, lw=0)

    for axes in (whole, zoom):
        tidy(axes, truth["ds"])
        axes.set_ylabel(unit)
        axes.margins(x=0.01)
    legend(whole)
    legend(zoom)
    headline(whole, title)
    zoom.set_title(f"The last {len(near)} steps (shaded above)", loc="left", fontsize=9.5)
    warn(figure, leak_note)
    return figure


def components_figure(
    dates: pd.Series,
    components: NDArray[np.float64],
    title: str,
    unit: str,
    names: Sequence[str] | None = None,
    test_start: object = None,
    leak_note: str | None = None,
) -> Figure:
    """Draw the series and, stacked below it, each of its components on its own scale.

    Parameters
    ----------
    dates : Series
        ``(time,)``.
    components : array
        ``(C, time)``, fast first.
    title, unit : str
        Of the figure and of the values.
    names : sequence of str or None
        Of the components; None numbers them.
    test_start : date or None
        Where a line marks the beginning of the test set.
    leak_note : str or None
        A warning printed into the figure.
    """
    count = len(components)
    names = names or [f"component {number}" for number in range(1, count + 1)]
    figure = sheet(9, 1.3 + 0.85 * (count + 1), between=0.01)
    panels = list(figure.subplots(count + 1, 1, sharex=True, height_ratios=[1.5, *[1] * count]))
    shades = from_fast_to_slow(count)
    for panel, name, values, colour in zip(
        panels, ["sum", *names], [components.sum(axis=0), *components], [TRUTH, *shades], strict=True
    ):
        panel.plot(dates, values, color=colour, lw=0.8)
        if test_start is not None:
            panel.axvline(test_start, color=GREY, lw=1, ls=":")
        tidy(panel, dates)
        panel.yaxis.set_major_locator(MaxNLocator(3))
        if not values.any():
            name += "\n(empty)"
            panel.set_yticks([0.0])
        panel.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        panel.margins(x=0.005)
    figure.align_ylabels(panels)
    if test_start is not None:
        above = {"xycoords": ("data", "axes fraction"), "va": "bottom", "fontsize": 8.5, "color": "#555555"}
        panels[0].annotate("test →", (test_start, 1.01), **above)
    headline(panels[0], f"{title} [{unit}]")
    warn(figure, leak_note)
    return figure


def error_by_month_figure(
    forecasts: pd.DataFrame, model: str, unit: str, title: str, leak_note: str | None = None
) -> Figure:
    """Draw the MAE of each calendar month for a model and persistence, and their difference below.

    Where time is a number, a month is a block of 30 steps.
    """
    rows = checked(forecasts)
    rows = rows[rows["model"].isin([model, PERSISTENCE])]
    dated = pd.api.types.is_datetime64_any_dtype(rows["ds"])
    block = rows["ds"].dt.to_period("M").dt.to_timestamp() if dated else rows["ds"] // BLOCK * BLOCK
    errors = (rows["y"] - rows["y_hat"]).abs()
    table = errors.groupby([block.rename("block"), rows["model"]]).mean().unstack("model")  # noqa: PD010
    at = pd.Series(table.index)
    width = 22.0 if dated else 0.75 * BLOCK  # [days] or [steps]
    gain = table[PERSISTENCE] - table[model]
    colour = colours([model])[model]

    figure = sheet(9, 5.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.7, 1])
    above.plot(at, table[PERSISTENCE], color=GREY, lw=1.4, marker="o", ms=3.5, label=PERSISTENCE)
    if model != PERSISTENCE:
        above.plot(at, table[model], color=colour, lw=1.6, marker="s", ms=3.5, label=model)
    above.set_ylim(bottom=0)
    above.set_ylabel(f"MAE [{unit}]")
    below.bar(at, gain, width=width, color=[PALETTE[0] if g >= 0 else PALETTE[1] for g in gain], lw=0)
    below.axhline(0, color=TRUTH, lw=0.8)
    below.set_ylabel(f"advantage\n[{unit}]")
    better = int((gain > 0).sum())
    below.set_title(
        f"{PERSISTENCE} less {model}: above 0 the model is better ({better} of {len(gain)})",
        loc="left",
        fontsize=9.5,
    )
    for axes in (above, below):
        tidy(axes, at)
    below.set_xlabel("month" if dated else f"step, in blocks of {BLOCK}")
    legend(above)
    headline(above, title)
    warn(figure, leak_note)
    return figure


def losses_figure(history: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> Figure:
    """Draw the loss of training and validation over the epochs, a panel a network.

    Parameters
    ----------
    history : mapping
        For each model or fold its epochs: ``epoch``, ``train/loss`` and, if something was held
        out, ``val/loss``.
    title : str
        Of the figure.
    """
    drawn = dict(list(history.items())[:PANELS])
    if len(drawn) < len(history):
        title += f" (the first {len(drawn)} of {len(history)} networks)"
    columns = min(3, max(1, len(drawn)))
    lines = max(1, math.ceil(len(drawn) / columns))
    figure = sheet(max(5.5, 3.2 * columns), 0.7 + 2.7 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, (name, epochs) in zip(panels, drawn.items(), strict=False):
        table = pd.DataFrame(list(epochs)).set_index("epoch")
        panel.plot(table.index, table["train/loss"], color=PALETTE[0], lw=1.5, label="training")
        held_out = table["val/loss"].dropna() if "val/loss" in table else pd.Series(dtype=float)
        if len(held_out):
            panel.plot(held_out.index, held_out, color=PALETTE[1], lw=1.5, ls=DASHED, label="validation")
            best = int(held_out.argmin())
            epoch = int(held_out.index[best])
            label = f"best, epoch {epoch}"
            panel.plot([epoch], [held_out.iloc[best]], "o", color=PALETTE[1], ms=5, label=label)
        losses = table.filter(["train/loss", "val/loss"])
        low, high = losses.min().min(), losses.max().max()
        if low > 0 and high / low > SPREAD:
            panel.set_yscale("log")
        tidy(panel, pd.Series(table.index))
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.set_title(name, loc="left", fontsize=9.5)
        panel.set_xlabel("epoch")
        legend(panel)
    for panel in panels[len(drawn) :]:
        panel.set_axis_off()
    for panel in panels[::columns]:
        panel.set_ylabel("loss (scaled units)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure


def moves_figure(forecasts: pd.DataFrame, model: str, unit: str, title: str, leak_note: str | None = None) -> Figure:
    """Draw forecast moves against true moves from the last known value.

    Levels always look forecast, because tomorrow is near today; moves show whether they are.
    """
    rows, title = _one_line_each(forecasts, title)
    rows = rows[(rows["model"] == model) & np.isfinite(rows["y_hat"])]
    truth, forecast = rows["y"] - rows["last"], rows["y_hat"] - rows["last"]
    figure = sheet(5.6, 5.6)
    axes = figure.subplots()
    reach = 1.05 * float(max(truth.abs().max(), forecast.abs().max()))
    for low, high in ((-reach, 0.0), (0.0, reach)):
        axes.fill_between([low, high], min(low, 0.0), max(high, 0.0), color=PALETTE[2], alpha=0.09, lw=0)
    axes.plot([-reach, reach], [-reach, reach], color=TRUTH, lw=1, ls=":", label="perfect")
    axes.axhline(0, color=GREY, lw=1.3, ls=DASHED, label=PERSISTENCE)
    axes.plot(truth, forecast, "o", color=colours([model])[model], ms=3, alpha=0.5, mew=0, label=model)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    tidy(axes, truth)
    axes.set_xlabel(f"true move [{unit}]")
    axes.set_ylabel(f"forecast move [{unit}]")
    legend(axes)
    headline(axes, title)
    warn(figure, leak_note)
    return figure


def comparison_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Draw the MAE of every model, ours beside the published one, against persistence.

    A panel a comparison; numbers that use the future are red diamonds.
    """
    counts = [len(comparison.rows) - 1 for comparison in comparisons]
    figure = sheet(8.5, 0.9 + sum(1.1 + 0.34 * count for count in counts))
    panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=[1.5 + n for n in counts]).ravel()
    for panel, comparison in zip(panels, comparisons, strict=True):
        _dots(panel, comparison)
    leaking = any(comparison.rows["leaks"].any() for comparison in comparisons)
    warn(figure, "Red: USES THE FUTURE; such numbers cannot be had in practice." if leaking else None)
    return figure


def _dots(axes: Axes, comparison: Comparison) -> None:
    """Draw one line of dots a model, the best above."""
    rows = comparison.rows
    naive = float(rows.loc[rows["model"] == PERSISTENCE, "mae"].iloc[0])
    rows = rows[rows["model"] != PERSISTENCE]
    rows = rows.assign(at=np.arange(len(rows), dtype=np.float64)[::-1])
    axes.axvline(naive, color=GREY, lw=1.6, ls=DASHED, label=f"{PERSISTENCE}, {naive:.4g}", zorder=1)
    axes.hlines(rows["at"], rows["mae"], rows["mae_published"], color="#CFCFCF", lw=1.4, zorder=1)
    for label, chosen, colour, marker in (
        ("ours", rows[~rows["leaks"]], PALETTE[0], "o"),
        ("ours, uses the future", rows[rows["leaks"]], RED, "D"),
    ):
        if chosen["mae"].notna().any():
            axes.errorbar(
                chosen["mae"],
                chosen["at"],
                xerr=chosen["mae_std"].fillna(0),
                fmt=marker,
                color=colour,
                ms=6.5,
                elinewidth=1.4,
                label=label,
                zorder=3,
            )
    if comparison.published:
        axes.plot(
            rows["mae_published"],
            rows["at"],
            "s",
            color=PALETTE[1],
            mfc="white",
            mew=1.6,
            ms=6.5,
            label="published",
            zorder=2,
        )
    tidy(axes, rows["mae"])
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E3E3E3", lw=0.7)
    axes.set_yticks(rows["at"], rows["model"])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    numbers = np.r_[rows["mae"].dropna(), rows["mae_published"].dropna(), naive]
    if numbers.min() > 0 and numbers.max() / numbers.min() > SPREAD:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"MAE [{comparison.unit}]")
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    headline(axes, f"{comparison.title} ({comparison.experiment})")


def sheet(width: float, height: float, between: float = 0.04) -> Figure:
    """Return an empty figure [inch] whose panels make room for their labels."""
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.07, hspace=between, wspace=0.04)
    return Figure(figsize=(width, height), layout=engine)


def _one_line_each(forecasts: pd.DataFrame, title: str) -> tuple[pd.DataFrame, str]:
    """Return the first series at the furthest step, and a title that says what was left out."""
    rows = checked(forecasts)
    names, horizon = rows["unique_id"].unique(), int(rows["step"].max())
    rows = rows[(rows["unique_id"] == names[0]) & (rows["step"] == horizon)].sort_values("ds", kind="stable")
    if len(names) > 1:
        title += f", series {names[0]} (1 of {len(names)})"
    if horizon > 1:
        title += f", {horizon} steps ahead"
    return rows, title


def from_fast_to_slow(count: int) -> list[str]:
    """Return shades from blue (fast) to vermilion (slow), dark in the middle."""
    ends = np.array([[0x00, 0x72, 0xB2], [0x4B, 0x3F, 0x72], [0xD5, 0x5E, 0x00]])
    at = np.linspace(0, 2, count)
    rgb = np.stack([np.interp(at, [0, 1, 2], ends[:, channel]) for channel in range(3)], axis=1).round()
    return ["#" + "".join(f"{int(value):02X}" for value in row) for row in rgb]


def tidy(axes: Axes, x: "pd.Series") -> None:
    """Take away what is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#666666")
    axes.tick_params(which="both", labelsize=8.5, color="#666666")
    axes.grid(axis="y", color="#E3E3E3", lw=0.7)
    axes.set_axisbelow(True)
    if pd.api.types.is_datetime64_any_dtype(x):
        locator = AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def legend(axes: Axes) -> None:
    """Show what the lines are, where they leave room."""
    axes.legend(fontsize=8.5, frameon=True, framealpha=0.85, edgecolor="none", loc="best")


def headline(axes: Axes, title: str) -> None:
    """Say above the panel what it shows."""
    axes.set_title(textwrap.fill(title, 90), loc="left", fontsize=11.5, fontweight="bold", pad=8)


def warn(figure: Figure, note: str | None) -> None:
    """Print a warning in red under the panels, which make room for it."""
    if note:
        letters = int(figure.get_figwidth() * 13)
        text = textwrap.fill(note, letters)
        figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=RED, fontweight="bold")
