"""The figures of a run on remaining useful life, in the style of ``report.figures``.

The truth is black, the clock grey, and a model keeps its colour from figure to figure.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from evaluation.life_metrics import CLOCK, CONE, STAGES, WITHIN, alpha_lambda, checked
from report.figures import (
    DASHED,
    GREY,
    PALETTE,
    RED,
    SPREAD,
    TRUTH,
    colours,
    from_fast_to_slow,
    headline,
    legend,
    sheet,
    tidy,
    warn,
)
from report.life_comparison import LifeComparison

CELLS = 20  # small multiples of one figure
DOTS = 6000  # of a cloud; more only darken it
LINES = 8  # models that can be told apart
FACTORS = 25  # of a ranking
COLUMNS = 400  # of an attention map
LAMBDAS = np.arange(0.05, 1.0, 0.05)


def rul_curves_figure(
    forecasts: pd.DataFrame, lives: Mapping[str, float], model: str, title: str, leak_note: str | None = None
) -> Figure:
    """Draw the remaining life of every cell over its age, with the truth, the clock and the intervals.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table; ``lo_80``, ``hi_80``, ``lo_95``, ``hi_95`` are drawn where they are.
    lives : mapping
        Life of each cell [cycles].
    model, title : str
        Label of the model that is drawn, and the heading.
    leak_note : str or None
        A warning printed into the figure.
    """
    rows = checked(forecasts, lives)
    bounds = [name for name in ("lo_95", "hi_95", "lo_80", "hi_80") if name in forecasts.columns]
    rows = rows.join(forecasts.reset_index(drop=True)[bounds])
    names = list(rows.loc[rows["model"] == model, "unique_id"].unique())
    if len(names) > CELLS:
        title += f" (the first {CELLS} of {len(names)} cells)"
    columns, lines, panels, figure = _multiples(min(len(names), CELLS))
    colour = colours([model])[model]
    for panel, name in zip(panels, names, strict=False):
        own = rows[(rows["unique_id"] == name) & (rows["model"] == model)].sort_values("age")
        for level, strength in (("95", 0.15), ("80", 0.25)):
            if f"lo_{level}" in bounds and own[f"lo_{level}"].notna().any():
                panel.fill_between(
                    own["age"],
                    own[f"lo_{level}"],
                    own[f"hi_{level}"],
                    color=colour,
                    alpha=strength,
                    lw=0,
                    label=f"{level} % interval",
                )
        panel.plot(own["age"], own["clock"], color=GREY, lw=1.1, ls=DASHED, label=CLOCK)
        if model != CLOCK:
            panel.plot(own["age"], own["y_hat"], color=colour, lw=1.0, label=model)
        panel.plot(own["age"], own["y"], color=TRUTH, lw=1.3, label="truth")
        tidy(panel, own["age"])
        error = (own["y"] - own["y_hat"]).abs().mean()
        panel.set_title(f"{name}: MAE {error:.3g}", loc="left", fontsize=9.5)
        panel.set_ylim(bottom=0)
    _edges(panels, len(names), columns, lines, "age [cycles]", "remaining life\n[cycles]")
    _shared_legend(figure, panels[0])
    _title(figure, title)
    warn(figure, leak_note)
    return figure


def alpha_lambda_figure(
    forecasts: pd.DataFrame, lives: Mapping[str, float], model: str, title: str, leak_note: str | None = None
) -> Figure:
    """Draw the forecast remaining life of every cell over the fraction of life, with the cone around the truth.

    Both are fractions of a cell's life; below stands, for every model, the share of cells inside the cone
    (Saxena et al., 2010).
    """
    rows = checked(forecasts, lives)
    own = rows[rows["model"] == model]
    figure = sheet(7.5, 7.2)
    above, below = figure.subplots(2, 1, height_ratios=[1.9, 1], sharex=True)
    over = np.array([0.0, 1.0])
    above.fill_between(
        over,
        (1 - CONE) * (1 - over),
        (1 + CONE) * (1 - over),
        color=PALETTE[2],
        alpha=0.18,
        lw=0,
        label=f"within {100 * CONE:.0f} % of the truth",
    )
    cells = list(own.groupby("unique_id", sort=False))
    for number, ((_, part), shade) in enumerate(zip(cells, from_fast_to_slow(len(cells)), strict=True)):
        line = part.sort_values("age")
        label = f"{model}, a line a cell" if number == len(cells) // 2 else None
        x, y = line["age"] / line["life"], line["y_hat"] / line["life"]
        above.plot(x, y, color=shade, lw=0.8, alpha=0.8, label=label)
    above.plot(over, 1 - over, color=TRUTH, lw=1.6, label="truth")
    above.set_ylim(0, 1.3)
    above.set_ylabel("remaining life / life")
    shares = alpha_lambda(forecasts, lives, LAMBDAS)
    shade_of = colours(shares["model"]) | {CLOCK: GREY}
    for label in _few(list(shares["model"].unique()), model):
        part = shares[shares["model"] == label]
        below.plot(
            part["lambda"],
            100 * part["share"],
            color=shade_of[label],
            lw=2.0 if label == model else 1.2,
            ls=DASHED if label == CLOCK else "-",
            marker="o",
            ms=2.5,
            label=label,
        )
    below.set_ylim(-3, 103)
    below.set_ylabel("cells in the cone [%]")
    below.set_xlabel("fraction of life that is over")
    for axes in (above, below):
        tidy(axes, own["age"])
        legend(axes)
    headline(above, title)
    warn(figure, leak_note)
    return figure


def scatter_figure(
    forecasts: pd.DataFrame, lives: Mapping[str, float], model: str, title: str, leak_note: str | None = None
) -> Figure:
    """Draw forecast against true remaining life [cycles]; between the dotted lines it is within 15 %."""
    rows = checked(forecasts, lives)
    rows = rows[(rows["model"] == model) & np.isfinite(rows["y_hat"])]
    kept = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), DOTS)).astype(np.int64))]
    figure = sheet(5.8, 5.8)
    axes = figure.subplots()
    reach = 1.03 * float(rows[["y", "y_hat"]].to_numpy().max())
    ends = np.array([0.0, reach])
    axes.plot(kept["y"], kept["y_hat"], "o", color=colours([model])[model], ms=2.2, alpha=0.25, mew=0)
    axes.plot([], [], "o", color=colours([model])[model], ms=4, mew=0, label=model)
    axes.plot(ends, ends, color=TRUTH, lw=1.2, label="perfect")
    axes.plot(ends, (1 - WITHIN) * ends, color=GREY, lw=1.2, ls=":", label=f"{100 * WITHIN:.0f} % off")
    axes.plot(ends, (1 + WITHIN) * ends, color=GREY, lw=1.2, ls=":")
    axes.set(xlim=(0, reach), ylim=(min(0.0, float(rows["y_hat"].min())), reach), aspect="equal")
    tidy(axes, rows["y"])
    axes.set_xlabel("true remaining life [cycles]")
    axes.set_ylabel("forecast remaining life [cycles]")
    legend(axes)
    headline(axes, title)
    warn(figure, leak_note)
    return figure


def stage_error_figure(
    stages: pd.DataFrame, model: str, title: str, leaking: Sequence[str] = (), leak_note: str | None = None
) -> Figure:
    """Draw the MAE [cycles] of every model in early, middle and late life.

    Parameters
    ----------
    stages : DataFrame
        As ``life_metrics.stage_scores`` returns it.
    model, title : str
        Label of the run's model, and the heading.
    leaking : sequence of str
        Labels of the models that leak, drawn as diamonds with a red edge.
    leak_note : str or None
        A warning printed into the figure.
    """
    labels = _few(list(stages["model"].unique()), model)
    shade_of = colours(labels) | {CLOCK: GREY}
    figure = sheet(8.5, 4.2)
    axes = figure.subplots()
    errors = stages.set_index(["model", "stage"])["mae"]
    drawn = []
    for label in labels:
        heights = [errors.get((label, stage), np.nan) for stage in STAGES]
        leaks, own = label in leaking, label == model
        axes.plot(
            range(len(STAGES)),
            heights,
            color=shade_of[label],
            lw=2.4 if own else 1.4,
            ms=8 if own else 6,
            ls=DASHED if label == CLOCK else "-",
            marker="D" if leaks else "o",
            mec=RED if leaks else shade_of[label],
            mew=1.8 if leaks else 1.0,
            label=f"{label}, uses the future" if leaks else label,
        )
        drawn += [height for height in heights if np.isfinite(height) and height > 0]
    if drawn and max(drawn) / min(drawn) > SPREAD:
        _logarithmic(axes, "y")
    else:
        axes.set_ylim(bottom=0)
    tidy(axes, pd.Series(np.arange(len(STAGES))))
    axes.set_xlim(-0.25, len(STAGES) - 0.75)
    axes.set_xticks(range(len(STAGES)), [f"{stage} third of life" for stage in STAGES])
    axes.set_ylabel("MAE [cycles]")
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    headline(axes, title)
    warn(figure, leak_note)
    return figure


def factors_figure(factors: pd.DataFrame, title: str) -> Figure:
    """Draw how closely each factor follows the remaining life, and how much a model makes of it.

    Parameters
    ----------
    factors : DataFrame
        A row a factor: ``factor``, ``kendall_tau`` and, if known, ``importance``.
    title : str
        Of the figure.
    """
    ranked = factors.sort_values("kendall_tau", key=np.abs, ascending=False, ignore_index=True)
    if len(ranked) > FACTORS:
        title += f" (the first {FACTORS} of {len(ranked)})"
        ranked = ranked.head(FACTORS)
    known = [name for name in ("kendall_tau", "importance") if name in ranked and ranked[name].notna().any()]
    figure = sheet(5.2 + 2.6 * len(known), 1.2 + 0.28 * len(ranked))
    panels = figure.subplots(1, len(known), squeeze=False, sharey=True)[0]
    at = np.arange(len(ranked))[::-1]
    words = {"kendall_tau": "Kendall's tau with the remaining life", "importance": "importance"}
    for panel, name in zip(panels, known, strict=True):
        values = ranked[name].to_numpy(dtype=np.float64)
        panel.barh(at, values, height=0.7, color=[PALETTE[0] if value >= 0 else PALETTE[1] for value in values])
        panel.axvline(0, color=TRUTH, lw=0.8)
        tidy(panel, ranked[name])
        panel.grid(axis="y", visible=False)
        panel.grid(axis="x", color="#E3E3E3", lw=0.7)
        panel.set_xlabel(words[name])
        panel.set_ylim(-0.6, len(ranked) - 0.4)
    panels[0].set_yticks(at, [str(name) for name in ranked["factor"]])
    _title(figure, title)
    return figure


def attention_figure(attention: pd.DataFrame, title: str, leak_note: str | None = None) -> Figure:
    """Draw how much each attention looks at each of the cycles before, over the cycles of a cell.

    Parameters
    ----------
    attention : DataFrame
        ``name`` (of the attention), ``unique_id``, ``ds`` (cycle), ``lag`` (cycles before it) and ``weight``, which
        sums to 1 over the lags.  Of several cells the first is drawn; the title says so.
    title : str
        Of the figure.
    leak_note : str or None
        A warning printed into the figure.
    """
    cells = list(attention["unique_id"].unique())
    rows = attention[attention["unique_id"] == cells[0]]
    names = list(rows["name"].unique())
    figure = sheet(9, 0.8 + 2.5 * len(names))
    panels = figure.subplots(len(names), 1, squeeze=False, sharex=True).ravel()
    for panel, name in zip(panels, names, strict=True):
        table = rows[rows["name"] == name].pivot_table(index="lag", columns="ds", values="weight").sort_index()
        cycles, lags = table.columns.to_numpy(dtype=np.float64), table.index.to_numpy(dtype=np.float64)
        block = np.arange(cycles.size) * min(cycles.size, COLUMNS) // cycles.size
        mean = table.T.groupby(block).mean().T.to_numpy()  # (L, columns)
        edges = np.r_[cycles[np.flatnonzero(np.r_[True, np.diff(block) > 0])], cycles[-1] + 1]
        heat = panel.pcolormesh(edges, np.r_[lags, lags[-1] + 1] - 0.5, mean, cmap="cividis", vmin=0, rasterized=True)
        panel.invert_yaxis()
        panel.set_ylabel("cycles before")
        panel.set_title(f"{name} attention (equal weights would be {1 / len(lags):.3f})", loc="left", fontsize=9.5)
        panel.tick_params(labelsize=8.5)
        bar = figure.colorbar(heat, ax=panel, pad=0.01, aspect=15)
        bar.set_label("weight", fontsize=9)
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    panels[-1].set_xlabel("cycle")
    several = f" (1 of {len(cells)})" if len(cells) > 1 else ""
    _title(figure, f"{title}, cell {cells[0]}{several}")
    warn(figure, leak_note)
    return figure


def comparison_figure(comparisons: Sequence[LifeComparison]) -> Figure:
    """Draw the MAE of every model over the longest life, ours beside the published one, against the clock.

    A panel a comparison; numbers that use the future are red diamonds.
    """
    drawn = [_drawable(comparison.rows) for comparison in comparisons]
    figure = sheet(9, 0.9 + sum(1.1 + 0.3 * len(rows) for rows in drawn))
    panels = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=[2.0 + len(rows) for rows in drawn]).ravel()
    for panel, comparison, rows in zip(panels, comparisons, drawn, strict=True):
        _dots(panel, comparison, rows)
    leaking = any(comparison.rows["leaks"].any() for comparison in comparisons)
    warn(figure, "Red: USES THE FUTURE; such numbers cannot be had in practice." if leaking else None)
    return figure


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows[["mae_scaled", "mae_scaled_published"]].notna().any(axis=1)
    return rows[(rows["model"] != CLOCK) & known]


def _dots(axes: Axes, comparison: LifeComparison, rows: pd.DataFrame) -> None:
    """Draw one line of dots a model, the first above."""
    clock = float(comparison.rows.loc[comparison.rows["model"] == CLOCK, "mae_scaled"].iloc[0])
    rows = rows.assign(at=np.arange(len(rows), dtype=np.float64)[::-1])
    axes.axvline(clock, color=GREY, lw=1.6, ls=DASHED, label=f"{CLOCK}, {clock:.4f}", zorder=1)
    axes.hlines(rows["at"], rows["mae_scaled"], rows["mae_scaled_published"], color="#CFCFCF", lw=1.4, zorder=1)
    for label, chosen, colour, marker in (
        ("ours", rows[~rows["leaks"]], PALETTE[0], "o"),
        ("ours, uses the future", rows[rows["leaks"]], RED, "D"),
    ):
        if chosen["mae_scaled"].notna().any():
            axes.errorbar(
                chosen["mae_scaled"],
                chosen["at"],
                xerr=chosen["mae_scaled_std"].fillna(0),
                fmt=marker,
                color=colour,
                ms=6,
                elinewidth=1.4,
                label=label,
                zorder=3,
            )
    if rows["mae_scaled_published"].notna().any():
        axes.plot(
            rows["mae_scaled_published"],
            rows["at"],
            "s",
            color=PALETTE[1],
            mfc="white",
            mew=1.6,
            ms=6.5,
            label="published",
            zorder=2,
        )
    tidy(axes, rows["mae_scaled"])
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E3E3E3", lw=0.7)
    axes.set_yticks(rows["at"], rows["model"])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    numbers = np.r_[rows["mae_scaled"].dropna(), rows["mae_scaled_published"].dropna(), clock]
    if numbers.min() > 0 and numbers.max() / numbers.min() > SPREAD:
        _logarithmic(axes, "x")
    axes.set_xlabel(f"MAE / {comparison.scale:g} cycles")
    axes.legend(fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    headline(axes, f"{comparison.title} ({comparison.experiment})")


def _logarithmic(axes: Axes, which: str) -> None:
    scaled = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    scaled.set_major_locator(LogLocator(subs=(1, 2, 5)))
    scaled.set_major_formatter(StrMethodFormatter("{x:g}"))
    scaled.set_minor_formatter(NullFormatter())


def _few(labels: list[str], model: str) -> list[str]:
    """Return as many models as can be told apart, the run's own and the clock among them, the clock last."""
    others = [label for label in labels if label not in (model, CLOCK)]
    return [*dict.fromkeys([model, *others[: LINES - 2], CLOCK])]


def _multiples(count: int) -> tuple[int, int, list[Axes], Figure]:
    """Return the columns and lines of small panels, the panels and their figure."""
    columns = min(4, max(1, math.ceil(math.sqrt(count))))
    lines = max(1, math.ceil(count / columns))
    figure = sheet(max(5.5, 2.9 * columns), 1.3 + 2.1 * lines)
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel())
    return columns, lines, panels, figure


def _edges(panels: list[Axes], count: int, columns: int, lines: int, x: str, y: str) -> None:
    """Name the axes at the edges of small multiples, and take away the panels that are left over."""
    for place, panel in enumerate(panels):
        if place >= count:
            panel.set_axis_off()
        elif place + columns >= count:
            panel.set_xlabel(x)
            panel.tick_params(labelbottom=True)
        if place % columns == 0 and place < count:
            panel.set_ylabel(y)


def _shared_legend(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=8.5, frameon=False)


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
