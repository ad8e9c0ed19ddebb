"""The interactive figures of a report page, as specifications that plotly.js draws.

A specification is plain JSON.  Numbers are rounded to what a screen can show and long lines are
thinned, so that a page stays small; text that comes from data or settings is escaped, because
plotly.js reads a little HTML.

Shapes
------
n row, C component, L lag
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import FloatArray
from report.figures import GREY, PALETTE, RED, TRUTH, colours, from_fast_to_slow

Spec = dict[str, Any]

POINTS = 2500  # of a line; more are not seen
COLUMNS = 150  # of an attention map
DOTS = 1500  # of a cloud
FEW = 150  # of a line of a small figure
DIGITS = 6  # significant digits of a number
LETTERS = 40  # of a title of a figure of a wall
TINY = 260  # [px] height of a figure of a wall
CONE = 0.2  # alpha: relative error that counts as a hit in an alpha-lambda plot
TWO_DECADES = 100  # ratio up to which an axis has a tick at 1, 2 and 5
LOG_FROM = 8  # ratio of losses from which on their axis is logarithmic
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12, "color": "#333333"}
LINE = {"gridcolor": "#E8E8E8", "zeroline": False, "linecolor": "#999999", "automargin": True}
BLUE, VERMILION, GREEN = PALETTE[0], PALETTE[1], PALETTE[2]


class Panel(NamedTuple):
    """One drawing."""

    name: str
    """What a reader chooses it by, where there are several."""
    spec: Spec
    """``data`` and ``layout`` of plotly.js, and ``x`` where all lines share it."""


class Figure(NamedTuple):
    """A place of the page where one of several drawings is shown."""

    panels: list[Panel]
    says: str
    """What it shows, in words, for those who cannot see it."""
    caption: str = ""
    choose: str = ""
    """What the panels differ in."""
    last: tuple[int, ...] = ()
    """Numbers of last steps a reader can zoom to; the first is shown at the beginning."""
    small: bool = False
    """Whether several stand side by side."""


def forecast(
    rows: pd.DataFrame, model: str, reference: str, unit: str, x: str, zoom: bool = True, limit: int = POINTS
) -> Spec:
    """Draw the truth, its forecasts and the intervals of the run's model, of one series.

    Parameters
    ----------
    rows : DataFrame
        Forecasts of one series, one row a target and model; ``lo_80`` to ``hi_95`` where there are
        intervals.
    model, reference : str
        The run's model, and what it is measured against: only these are shown at first.
    unit, x : str
        Of the values, and what stands on the time axis.
    zoom : bool
        Whether a slider below shows the whole range.
    limit : int
        Most points of a line.
    """
    wide = rows.pivot_table(index="ds", columns="model", values="y_hat", dropna=False)
    truth = rows.drop_duplicates("ds").set_index("ds")["y"].sort_index()
    kept = every(len(truth), limit)
    at = times(truth.index[kept])
    own = rows[rows["model"] == model].set_index("ds").reindex(truth.index).iloc[kept]
    digits = f".{DIGITS}~g"
    data: list[Spec] = []
    for level, shade in (("95", 0.14), ("80", 0.26)):
        if f"lo_{level}" in own and own[f"lo_{level}"].notna().any():
            edge = {"mode": "lines", "line": {"width": 0, "color": BLUE}, "hoverinfo": "skip"}
            group = f"interval{level}"
            data.append({**edge, "y": numbers(own[f"lo_{level}"]), "showlegend": False, "legendgroup": group})
            data.append(
                {
                    **edge,
                    "y": numbers(own[f"hi_{level}"]),
                    "fill": "tonexty",
                    "legendgroup": group,
                    "fillcolor": f"rgba(0,114,178,{shade})",
                    "name": f"{level} % interval",
                    "legendrank": 5,
                }
            )
    shown_first = [name for name in (reference, model) if name in wide]
    paint = colours([model, *(name for name in wide.columns if name not in (model, reference))])
    order = dict.fromkeys([*shown_first, *wide.columns])
    limits = _limits(own)
    for name in order:
        own_line = name == model
        data.append(
            {
                "y": numbers(wide[name].reindex(truth.index).iloc[kept]),
                "name": words(name),
                "mode": "lines",
                "visible": True if name in shown_first else "legendonly",
                "legendrank": 2 if own_line else 3 if name == reference else 10,
                "line": {
                    "color": GREY if name == reference else BLUE if own_line else paint[str(name)],
                    "width": 1.8 if own_line else 1.3,
                    "dash": "dash" if name == reference and not own_line else "solid",
                },
                "hovertemplate": f"%{{y:{digits}}}%{{text}}" if own_line and limits else f"%{{y:{digits}}}",
                **({"text": limits} if own_line and limits else {}),
            }
        )
    data.append(
        {
            "y": numbers(truth.iloc[kept]),
            "name": "truth",
            "mode": "lines",
            "legendrank": 1,
            "line": {"color": TRUTH, "width": 2},
            "hovertemplate": f"%{{y:{digits}}}",
        }
    )
    layout = sheet(430, x, words(unit))
    if zoom:
        layout["xaxis"]["rangeslider"] = {"thickness": 0.09, "yaxis": {"rangemode": "auto"}}
    return {"x": at, "data": data, "layout": layout}


def small_forecast(rows: pd.DataFrame, model: str, title: str, unit: str, x: str) -> Spec:
    """Draw the truth and one model's forecast, small, with the interval at 95 %."""
    spec = forecast(rows[rows["model"] == model], model, model, unit, x, False, FEW)
    for trace in spec["data"]:
        if trace.get("name") == words(model):
            trace["line"] = {"color": BLUE, "width": 1.8}
    spec["layout"] |= {"showlegend": False, "title": _title(title), "height": TINY}
    spec["layout"]["margin"]["t"] = 34
    return spec


def components(dates: pd.Series, values: FloatArray, names: Sequence[str], unit: str, x: str) -> Spec:
    """Draw the sum ``(n,)`` and each component ``(C, n)`` on its own scale, one below the other."""
    drawn = [values.sum(axis=0), *values]
    count = len(drawn)
    shades = [TRUTH, *from_fast_to_slow(count - 1)]
    data, layout = [], sheet(70 + 72 * count, x, "")
    layout["hovermode"], layout["showlegend"] = "x unified", False
    layout["margin"] |= {"t": 24, "l": 62}
    layout["annotations"] = []
    del layout["yaxis"]
    for place, (name, line, colour) in enumerate(zip(["sum", *names], drawn, shades, strict=True)):
        axis = "y" if place == 0 else f"y{place + 1}"
        top = 1 - place / count
        kept = extremes(line)
        data.append(
            {
                "x": times(dates.iloc[kept]),
                "y": numbers(line[kept], 5),
                "yaxis": axis,
                "name": words(name),
                "mode": "lines",
                "line": {"color": colour, "width": 1.2},
                "hovertemplate": "%{y:.5~g}",
            }
        )
        layout[axis.replace("y", "yaxis")] = {
            **LINE,
            "domain": [top - 1 / count + 0.35 / count, top],
            "nticks": 3,
            "anchor": "x",
            "tickformat": "~s",
        }
        layout["annotations"].append(
            {
                "text": f"<b>{words(name)}</b>" + (f" [{words(unit)}]" if place == 0 else ""),
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": top,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11, "color": colour},
            }
        )
    layout["xaxis"] |= {"anchor": f"y{count}" if count > 1 else "y"}
    return {"data": data, "layout": layout}


def attention_map(rows: pd.DataFrame, x: str, limit: int = COLUMNS) -> Spec:
    """Draw the weight of every step looked back upon, ``lag``, for every origin ``ds``."""
    table = rows.pivot_table(index="lag", columns="ds", values="weight")
    limit = min(limit, COLUMNS)
    block = np.arange(table.shape[1]) * limit // max(limit, table.shape[1])
    first = pd.Series(table.columns).groupby(block).first()
    mean = table.T.groupby(block).mean().T  # (L, columns)
    layout = sheet(340, x, "lag [steps]")
    layout["hovermode"] = "closest"
    layout["yaxis"]["autorange"] = "reversed"
    heat = {
        "type": "heatmap",
        "x": times(first),
        "y": numbers(mean.index),
        "z": [numbers(line, 3) for line in mean.to_numpy()],
        "colorscale": "Cividis",
        "hovertemplate": "%{x}<br>lag %{y}: %{z:.3~g}<extra></extra>",
        "colorbar": {"title": {"text": "weight", "side": "right"}, "thickness": 10, "outlinewidth": 0, "nticks": 5},
    }
    return {"data": [heat], "layout": layout}


def relative(
    table: pd.DataFrame, model: str, y: str, x: str, line: float | None, reference: str | None, limit: int = POINTS
) -> Spec:
    """Draw a line a column of ``(time, model)``; ``line`` marks where a model equals the reference."""
    kept = every(len(table), min(limit, POINTS))
    at = times(table.index[kept]) if table.index.dtype.kind != "f" else numbers(table.index[kept], 3)
    paint = colours([model, *(name for name in table.columns if name != model)])
    data = [
        {
            "y": numbers(table[name].iloc[kept], 4),
            "name": words(name),
            "mode": "lines",
            "visible": True if name in (model, reference) or len(table.columns) < 4 else "legendonly",
            "line": {
                "color": BLUE if name == model else GREY if name == reference else paint[name],
                "width": 2 if name == model else 1.3,
                "dash": "dash" if name == reference else "solid",
            },
            "hovertemplate": "%{y:.4~g}",
        }
        for name in dict.fromkeys([model, *table.columns])
    ]
    layout = sheet(330, x, words(y))
    if line is not None:
        layout["shapes"] = [_across(line, GREY, "dash")]
    return {"x": at, "data": data, "layout": layout}


def by_regime(table: pd.DataFrame, x: str, line: float | None) -> Spec:
    """Draw one number of every model in each regime.

    Parameters
    ----------
    table : DataFrame
        A row a model, the best last; a column a regime.
    x : str
        What the number is.
    line : float or None
        Where a model equals the reference.
    """
    labels = [words(name) for name in table.index]
    marks, sizes = ["circle-open", "diamond", "square"], [14, 10, 8]  # one that lies under another still shows
    paint = [BLUE, "#777777", VERMILION]
    data = [
        {
            "x": numbers(table[regime], 4),
            "y": labels,
            "name": words(regime),
            "mode": "markers",
            "marker": {
                "symbol": marks[place % 3],
                "color": paint[place % 3],
                "size": sizes[place % 3],
                "line": {"width": 2, "color": paint[place % 3]},
            },
            "hovertemplate": f"%{{y}}, {words(regime)}: %{{x:.4~g}}<extra></extra>",
        }
        for place, regime in enumerate(table.columns)
    ]
    layout = sheet(110 + 30 * len(table), x, "")
    layout["hovermode"] = "closest"
    layout["yaxis"] |= {"type": "category"}
    if line is not None:
        layout["shapes"] = [
            {
                "type": "line",
                "x0": line,
                "x1": line,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": GREY, "dash": "dash"},
            }
        ]
    return {"data": data, "layout": layout}


def coverage(table: pd.DataFrame, what: str) -> Spec:
    """Draw how many truths each interval holds.

    Parameters
    ----------
    table : DataFrame
        A row a group (``group``) and ``level`` [%]: ``coverage``, ``low`` and ``high`` [fraction], ``n``.
    what : str
        What a group is.
    """
    data, shapes = [], []
    groups = list(table["group"].drop_duplicates().astype(str))
    for place, (level, rows) in enumerate(table.groupby("level")):
        colour = (VERMILION, BLUE)[place % 2]
        share = 100 * rows["coverage"]
        data.append(
            {
                "x": [round(groups.index(str(group)) + (0.06, -0.06)[place % 2], 2) for group in rows["group"]],
                "y": numbers(share, 4),
                "mode": "markers",
                "name": f"{level} % interval",
                "customdata": [[words(g), n] for g, n in zip(rows["group"], numbers(rows["n"]), strict=True)],
                "marker": {"color": colour, "size": 9, "symbol": ("diamond", "circle")[place % 2]},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "color": colour,
                    "thickness": 1.2,
                    "width": 4,
                    "array": numbers(100 * rows["high"] - share, 4),
                    "arrayminus": numbers(share - 100 * rows["low"], 4),
                },
                "hovertemplate": "%{customdata[0]}: %{y:.1f} % of %{customdata[1]}",
            }
        )
        shapes.append(_across(float(str(level)), colour, "dot"))
    layout = sheet(320, words(what), "truths inside [%]")
    layout["hovermode"] = "closest"
    layout["xaxis"] |= {"tickvals": list(range(len(groups))), "ticktext": [words(group) for group in groups]}
    layout["xaxis"]["range"] = [-0.5, len(groups) - 0.5]
    layout["yaxis"] |= {"range": [min(70.0, 100 * float(table["low"].min()) - 3), 101.5]}
    layout["shapes"] = shapes
    return {"data": data, "layout": layout}


def bars(lags: Sequence[int], lines: Mapping[str, FloatArray], band: float, x: str, y: str) -> Spec:
    """Draw a correlation at every lag, and the band that chance alone fills 95 times in 100."""
    paint = [BLUE, GREY]
    data = [
        {
            "type": "bar",
            "x": list(lags),
            "y": numbers(values, 3),
            "name": words(name),
            "marker": {"color": paint[place % 2]},
            "hovertemplate": "%{y:.3f}",
        }
        for place, (name, values) in enumerate(lines.items())
    ]
    layout = sheet(290, x, y)
    layout["showlegend"] = len(lines) > 1
    layout["bargap"] = 0.35
    layout["xaxis"]["dtick"] = 1 if len(lags) < 20 else 5
    layout["shapes"] = [
        {
            "type": "rect",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": -band,
            "y1": band,
            "fillcolor": "rgba(120,120,120,0.16)",
            "line": {"width": 0},
            "layer": "below",
        }
    ]
    return {"data": data, "layout": layout}


def cloud(groups: Mapping[str, FloatArray], x: str, y: str, diagonal: bool = False) -> Spec:
    """Draw points ``(n, 2)``; a diagonal marks where both coordinates are the same."""
    look = [(BLUE, "circle"), (VERMILION, "cross"), (GREEN, "square"), (GREY, "diamond")]
    data = []
    for place, (name, points) in enumerate(groups.items()):
        kept = points[every(len(points), DOTS)]
        colour, mark = look[place % 4]
        data.append(
            {
                "x": numbers(kept[:, 0], 4),
                "y": numbers(kept[:, 1], 4),
                "name": words(name),
                "mode": "markers",
                "marker": {"color": colour, "symbol": mark, "size": 5, "opacity": 0.5},
                "hovertemplate": "%{x:.4~g}, %{y:.4~g}<extra></extra>",
            }
        )
    layout = sheet(340, x, y)
    layout["hovermode"] = "closest"
    layout["showlegend"] = len(groups) > 1
    layout["xaxis"]["zeroline"] = layout["yaxis"]["zeroline"] = True
    layout["xaxis"]["zerolinecolor"] = layout["yaxis"]["zerolinecolor"] = "#BBBBBB"
    if diagonal:
        reach = max(float(np.abs(points).max()) for points in groups.values())
        layout["shapes"] = [
            {
                "type": "line",
                "x0": -reach,
                "x1": reach,
                "y0": -reach,
                "y1": reach,
                "line": {"color": TRUTH, "dash": "dot", "width": 1},
            }
        ]
    return {"data": data, "layout": layout}


def matrix(p: pd.DataFrame, better: pd.DataFrame) -> Spec:
    """Draw the p-value of every pair of models, signed by which of them is better.

    Parameters
    ----------
    p : DataFrame
        ``(model, model)`` p-values; NaN where nothing was tested.
    better : DataFrame
        ``(model, model)``: True where the model of the row has the smaller loss.
    """
    strength = np.clip(-np.log10(np.maximum(p.to_numpy(dtype=float), 1e-4)), 0, 4)
    signed = np.where(better.to_numpy(dtype=bool), strength, -strength)
    text = [
        ["" if not np.isfinite(v) else "< .001" if v < 0.001 else f"{v:.3f}" for v in line]
        for line in p.to_numpy(dtype=float)
    ]
    heat = {
        "type": "heatmap",
        "x": [words(name) for name in p.columns],
        "y": [words(name) for name in p.index],
        "z": [numbers(line, 3) for line in signed],
        "text": text,
        "texttemplate": "%{text}",
        "zmin": -4,
        "zmax": 4,
        "colorscale": [[0, "#D55E00"], [0.35, "#F7D9C4"], [0.5, "#FFFFFF"], [0.65, "#C7DEEE"], [1, "#0072B2"]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{y} against %{x}: p = %{text}<extra></extra>",
    }
    layout = sheet(130 + 34 * len(p), "", "")
    layout["hovermode"] = "closest"
    layout["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False}
    layout["xaxis"] |= {"type": "category", "showgrid": False, "side": "top", "autotickangles": [0, -40]}
    return {"data": [heat], "layout": layout}


def losses(epochs: Sequence[Mapping[str, float]], title: str) -> Spec:
    """Draw the loss of training and validation over the epochs; the best epoch is marked."""
    table = pd.DataFrame(list(epochs))
    at = numbers(table["epoch"])
    kept = [name for name in ("train/loss", "val/loss") if name in table and table[name].notna().any()]
    data: list[Spec] = []
    for name, label, colour, dash in (
        ("train/loss", "training", BLUE, "solid"),
        ("val/loss", "validation", VERMILION, "dash"),
    ):
        if name in kept:
            data.append(
                {
                    "x": at,
                    "y": numbers(table[name], 4),
                    "name": label,
                    "mode": "lines",
                    "line": {"color": colour, "dash": dash, "width": 1.8},
                    "hovertemplate": "%{y:.4~g}",
                }
            )
    layout = sheet(TINY, "epoch", "loss")
    layout["margin"]["t"] = 52
    layout["legend"]["font"] = {"size": 11}
    layout["xaxis"] |= {"tickformat": "d"} | ({"dtick": 1} if len(at) <= 8 else {})
    layout["title"] = _title(title)
    if "val/loss" in kept:
        best = int(table["val/loss"].argmin())
        data[-1]["name"] = f"validation, best at {at[best]}"
        data.append(
            {
                "x": [at[best]],
                "y": numbers(table["val/loss"].iloc[[best]], 4),
                "name": "best",
                "showlegend": False,
                "mode": "markers",
                "marker": {"color": VERMILION, "size": 8},
                "hoverinfo": "skip",
            }
        )
    values = table[kept].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        layout["yaxis"] |= {"type": "log"} | ticks(float(values.min()), float(values.max()))
    return {"data": data, "layout": layout}


def alpha_lambda(rows: pd.DataFrame, lives: "pd.Series[float]") -> Spec:
    """Draw the forecast remaining life of each cell over its life, both as fractions of the life.

    ``lives`` is the life of the cell of each row [cycles].  The cone holds the forecasts that are off by at most
    ``CONE`` of the truth (Saxena et al., 2010).
    """
    reach = np.array([0.0, 1.0])
    data: list[Spec] = [
        {
            "x": [0, 1],
            "y": numbers((1 - CONE) * (1 - reach)),
            "mode": "lines",
            "line": {"width": 0},
            "showlegend": False,
            "hoverinfo": "skip",
        },
        {
            "x": [0, 1],
            "y": numbers((1 + CONE) * (1 - reach)),
            "mode": "lines",
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "rgba(0,158,115,0.2)",
            "name": f"within {100 * CONE:.0f} % of the truth",
            "hoverinfo": "skip",
        },
        {
            "x": [0, 1],
            "y": [1, 0],
            "mode": "lines",
            "line": {"color": TRUTH, "width": 2},
            "name": "truth",
            "hoverinfo": "skip",
        },
    ]
    groups = list(rows.groupby("unique_id", sort=False))
    shades = from_fast_to_slow(len(groups))
    for (cell, own), colour in zip(groups, shades, strict=True):
        life = lives.loc[own.index]
        kept = every(len(own), POINTS // 4)
        data.append(
            {
                "x": numbers((1 - own["y"] / life).iloc[kept], 4),
                "y": numbers((own["y_hat"] / life).iloc[kept], 4),
                "mode": "lines",
                "line": {"color": colour, "width": 1.1},
                "name": words(cell),
                "showlegend": False,
                "hovertemplate": f"{words(cell)}: %{{y:.3f}} at %{{x:.2f}}<extra></extra>",
            }
        )
    layout = sheet(420, "fraction of life that is over", "forecast remaining life / life")
    layout["hovermode"] = "closest"
    layout["yaxis"]["range"] = [-0.05, 1.35]
    layout["legend"]["traceorder"] = "normal"
    return {"data": data, "layout": layout}


def ranking(labels: Sequence[str], values: FloatArray, x: str) -> Spec:
    """Draw one horizontal bar a label, the first on top; negative bars in another colour."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": numbers(values, 3),
            "y": [words(label) for label in labels],
            "marker": {"color": [BLUE if value >= 0 else VERMILION for value in values]},
            "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
        }
    ]
    layout = sheet(80 + 22 * len(labels), x, "")
    layout["hovermode"] = "closest"
    layout["yaxis"] |= {"autorange": "reversed", "type": "category"}
    layout["showlegend"] = False
    return {"data": data, "layout": layout}


def indices(table: pd.DataFrame, name: str, title: str, chosen: int | None) -> Spec:
    """Draw one validity index over the number of clusters; the chosen number is marked."""
    at, values = numbers(table["n_clusters"]), numbers(table[name], 4)
    data: list[Spec] = [
        {
            "x": at,
            "y": values,
            "mode": "lines+markers",
            "line": {"color": BLUE},
            "hovertemplate": "%{y:.4~g}",
            "name": words(title),
        }
    ]
    if chosen in at:
        data.append(
            {
                "x": [chosen],
                "y": [values[at.index(chosen)]],
                "mode": "markers",
                "name": "chosen",
                "marker": {"color": VERMILION, "size": 12, "symbol": "circle-open", "line": {"width": 2.5}},
                "hoverinfo": "skip",
            }
        )
    layout = sheet(TINY, "clusters", "")
    layout["title"], layout["margin"]["t"], layout["showlegend"] = _title(title), 34, False
    return {"data": data, "layout": layout}


def dots(rows: pd.DataFrame, reference: str, naive: float, unit: str, logarithmic: bool) -> Spec:
    """Draw the MAE of every model of a comparison, and what was published, against the reference.

    Parameters
    ----------
    rows : DataFrame
        ``model``, ``mae``, ``mae_std``, ``mae_published`` and ``leaks``; the first on top.
    """
    labels = [words(model) for model in rows["model"]]
    data: list[Spec] = []
    for name, own, colour, mark in (
        ("ours", ~rows["leaks"].to_numpy(dtype=bool), BLUE, "circle"),
        ("ours, uses the future", rows["leaks"].to_numpy(dtype=bool), RED, "diamond"),
    ):
        chosen = own & rows["mae"].notna().to_numpy()
        if chosen.any():
            data.append(
                {
                    "x": numbers(rows.loc[chosen, "mae"], 5),
                    "y": [label for label, yes in zip(labels, chosen, strict=True) if yes],
                    "mode": "markers",
                    "name": name,
                    "marker": {"color": colour, "symbol": mark, "size": 10},
                    "error_x": {
                        "type": "data",
                        "array": numbers(rows.loc[chosen, "mae_std"].fillna(0), 4),
                        "thickness": 1.4,
                    },
                    "hovertemplate": "%{y}: %{x:.5~g}<extra>" + name + "</extra>",
                }
            )
    if rows["mae_published"].notna().any():
        data.append(
            {
                "x": numbers(rows["mae_published"], 5),
                "y": labels,
                "mode": "markers",
                "name": "published",
                "marker": {"color": VERMILION, "symbol": "square-open", "size": 10, "line": {"width": 2}},
                "hovertemplate": "%{y}: %{x:.5~g}<extra>published</extra>",
            }
        )
    layout = sheet(120 + 30 * len(rows), f"MAE [{words(unit)}]; dashed: {words(reference)}, {naive:.4g}", "")
    layout["hovermode"] = "closest"
    layout["yaxis"] |= {"autorange": "reversed", "type": "category", "categoryorder": "array", "categoryarray": labels}
    if logarithmic:
        known = np.r_[rows["mae"].dropna(), rows["mae_published"].dropna(), naive]
        layout["xaxis"] |= {"type": "log"} | ticks(float(known.min()), float(known.max()))
    layout["shapes"] = [
        {
            "type": "line",
            "x0": naive,
            "x1": naive,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": "#777777", "dash": "dash"},
        }
    ]
    return {"data": data, "layout": layout}


def sheet(height: int, x: str, y: str) -> Spec:
    """Return the layout every figure shares; ``height`` in pixels."""
    return {
        "height": height,
        "autosize": True,
        "font": FONT,
        "hovermode": "x unified",
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "margin": {"l": 56, "r": 14, "t": 26, "b": 44 if x else 30},
        "modebar": {"bgcolor": "rgba(255,255,255,0.85)", "color": "#9AA0A6", "activecolor": BLUE},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "font": {"size": 11.5}},
        "xaxis": {**LINE, "title": {"text": x, "standoff": 8}, "showgrid": False},
        "yaxis": {**LINE, "title": {"text": y, "standoff": 8}},
    }


def ticks(low: float, high: float) -> Spec:
    """Return the ticks of a logarithmic axis, written out; those of plotly.js leave the power of ten away."""
    steps = (1, 2, 5) if high / low < TWO_DECADES else (1,)
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 2)
    values = [step * 10.0**power for power in powers for step in steps]
    return {"tickvals": numbers(values), "ticktext": [f"{value:.6g}" for value in values]}


def words(text: object) -> str:
    """Return text as plotly.js shows it literally."""
    return html.escape(str(text), quote=False)


def numbers(values: Any, digits: int = DIGITS) -> list[Any]:
    """Return numbers with so many significant digits; what is not finite becomes null."""
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.integer):
        return [int(value) for value in array]
    shown = [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in array.astype(np.float64)]
    return [int(value) if value is not None and value.is_integer() else value for value in shown]


def times(values: Any) -> list[Any]:
    """Return dates as ISO text, without a clock time where all are midnight; numbers as they are."""
    series = pd.Series(values)
    if not pd.api.types.is_datetime64_any_dtype(series):
        return numbers(series) if pd.api.types.is_numeric_dtype(series) else [str(value) for value in series]
    whole = bool((series == series.dt.normalize()).all())
    return list(series.dt.strftime("%Y-%m-%d" if whole else "%Y-%m-%d %H:%M:%S"))


def every(count: int, limit: int = POINTS) -> NDArray[np.int64]:
    """Return at most ``limit`` evenly spaced places of ``count``, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def extremes(line: FloatArray, limit: int = POINTS // 2) -> NDArray[np.int64]:
    """Return at most ``limit`` places of a line ``(n,)``: the lowest and highest of equal stretches."""
    if line.size <= limit:
        return np.arange(line.size)
    places: set[int] = {0, line.size - 1}
    for part in np.array_split(np.arange(line.size), limit // 2 - 1):
        places |= {int(part[line[part].argmin()]), int(part[line[part].argmax()])}
    return np.array(sorted(places))


def _limits(own: pd.DataFrame) -> list[str]:
    """Return the interval of every row as text; empty where there is none."""
    level = next((level for level in ("95", "80") if f"lo_{level}" in own and own[f"lo_{level}"].notna().any()), None)
    if level is None:
        return []
    pairs = zip(numbers(own[f"lo_{level}"], 5), numbers(own[f"hi_{level}"], 5), strict=True)
    return ["" if low is None or high is None else f" ({level} %: {low} to {high})" for low, high in pairs]


def _title(text: str) -> Spec:
    """Return the title of a small figure, which has room for so many letters."""
    short = text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"
    return {"text": words(short), "x": 0.02, "xanchor": "left", "y": 0.97, "yanchor": "top", "font": {"size": 12.5}}


def _across(y: float, colour: str, dash: str) -> Spec:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": colour, "dash": dash, "width": 1.3},
    }
