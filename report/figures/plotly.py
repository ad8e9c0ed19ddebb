"""Render a drawing as the JSON that plotly.js draws on the report page.

Numbers are rounded to what a screen can show, so that a page stays small; text that comes from data or settings is
escaped, because plotly.js reads a little HTML.
"""

import html
from typing import Any

import numpy as np
import pandas as pd

from report.figures import drawing as draw
from report.text import literal, shortened

Spec = dict[str, Any]

DIGITS = 6  # significant digits of a number of a line
FEWER = 4  # of all else
LETTERS = 40  # of a title of a small drawing
LONGEST = 60  # letters of a label of an axis of categories
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12, "color": "#333333"}
LINE = {"gridcolor": "#E8E8E8", "zeroline": False, "linecolor": "#999999", "automargin": True}
DIVERGING = [(0.0, "#D55E00"), (0.35, "#F7D9C4"), (0.5, "#FFFFFF"), (0.65, "#C7DEEE"), (1.0, "#0072B2")]


def spec(drawing: draw.Drawing, small: bool = False) -> Spec:
    """Return ``data`` and ``layout`` of plotly.js, and ``x`` where most lines share it."""
    data: list[Spec] = []
    shapes: list[Spec] = []
    count = len(drawing.panels)
    layout = _sheet(drawing, small)
    tops = 1 - np.cumsum([0, *(panel.share for panel in drawing.panels)]) / sum(p.share for p in drawing.panels)
    for place, panel in enumerate(drawing.panels):
        y = "y" if place == 0 else f"y{place + 1}"
        for mark in panel.marks:
            if isinstance(mark, (draw.Rule, draw.Chance)):
                shapes.append(_shape(mark, y))
            else:
                data += [trace | ({"yaxis": y} if place else {}) for trace in _traces(mark)]
        layout[y.replace("y", "yaxis")] = _axis(panel.y, count > 3)
        if count > 1:
            head = 24 / drawing.height if panel.title else 12 / drawing.height
            layout[y.replace("y", "yaxis")] |= {"domain": [tops[place + 1] + 10 / drawing.height, tops[place] - head]}
            if panel.title:
                layout.setdefault("annotations", []).append(_heading(panel, float(tops[place])))
    last = drawing.panels[-1]
    layout["xaxis"] = _axis(last.x, few=False) | {
        "showgrid": any(getattr(mark, "sideways", False) for mark in last.marks)
    }
    if count > 1:
        layout["xaxis"] |= {"anchor": f"y{count}"}
    if drawing.slider:
        layout["xaxis"]["rangeslider"] = {"thickness": 0.09, "yaxis": {"rangemode": "auto"}}
    if shapes:
        layout["shapes"] = shapes
    layout["showlegend"] = drawing.legend and sum(trace.get("showlegend", True) for trace in data) > 1
    return _sharing(data) | {"layout": layout}


def words(text: object) -> str:
    """Return text as plotly.js shows it literally."""
    return html.escape(literal(text), quote=False)


def numbers(values: Any, digits: int = DIGITS) -> list[Any]:
    """Return numbers with so many significant digits; what is not finite becomes null."""
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.integer):
        return [int(value) for value in array]
    shown = [float(f"{value:.{digits}g}") if np.isfinite(value) else None for value in array.astype(np.float64)]
    return [int(value) if value is not None and value.is_integer() else value for value in shown]


def times(values: Any, digits: int = DIGITS) -> list[Any]:
    """Return dates as ISO text, without a clock time where all are midnight; numbers as ``numbers`` does."""
    series = pd.Series(values)
    if not draw.dated(series):
        return numbers(series, digits)
    whole = bool((series == series.dt.normalize()).all())
    return list(series.dt.strftime("%Y-%m-%d" if whole else "%Y-%m-%d %H:%M:%S"))


def _sheet(drawing: draw.Drawing, small: bool) -> Spec:
    """Return the layout every drawing shares."""
    layout: Spec = {
        "height": drawing.height,
        "autosize": True,
        "font": FONT,
        "hovermode": "x unified" if drawing.together else "closest",
        "paper_bgcolor": "#FFFFFF",
        "plot_bgcolor": "#FFFFFF",
        "margin": {"l": 56, "r": 14, "t": 26, "b": 44 if drawing.panels[-1].x.title else 30},
        "modebar": {"bgcolor": "rgba(255,255,255,0.85)", "color": "#9AA0A6", "activecolor": draw.BLUE},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "font": {"size": 11.5}},
    }
    if small:
        place = {"x": 0.02, "xanchor": "left", "y": 0.97, "yanchor": "top"}
        layout["title"] = {"text": words(shortened(drawing.name, LETTERS)), "font": {"size": 12.5}, **place}
        labelled = drawing.legend and sum(getattr(mark, "legend", False) for mark in drawing.panels[0].marks) > 1
        layout["margin"]["t"] = 52 if labelled else 34
        layout["legend"]["font"] = {"size": 11}
    return layout


def _axis(axis: draw.Axis, few: bool) -> Spec:
    """Return an axis of the layout; ``few`` ticks where panels are low."""
    made: Spec = {**LINE, "title": {"text": words(axis.title), "standoff": 8}}
    low, high = axis.low, axis.high
    if axis.labels is not None:
        low, high = -0.5, len(axis.labels) - 0.5
        made |= {
            "tickvals": list(range(len(axis.labels))),
            "ticktext": [words(shortened(label, LONGEST)) for label in axis.labels],
        }
        made |= {"showgrid": False} if axis.downward else {}
    elif axis.ticks is not None:
        made |= {"tickvals": numbers(axis.ticks), "ticktext": [f"{value:.6g}" for value in axis.ticks]}
    if axis.above:
        made |= {"side": "top", "autotickangles": [0, -40]}
    if axis.log:
        made["type"] = "log"
    if low is not None and high is not None:
        made["range"] = numbers([high, low] if axis.downward else [low, high])
    elif low == 0:
        made["rangemode"] = "tozero"
    elif axis.downward:
        made["autorange"] = "reversed"
    return made | ({"nticks": 3, "tickformat": "~s"} if few else {})


def _heading(panel: draw.Panel, top: float) -> Spec:
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": top, "xanchor": "left", "yanchor": "top"}
    return {
        "text": f"<b>{words(panel.title)}</b>",
        "showarrow": False,
        "font": {"size": 11, "color": panel.colour},
        **place,
    }


def _traces(mark: draw.Mark) -> list[Spec]:
    """Return what plotly.js draws of one mark; places along x are left as they are, to be shared."""
    match mark:
        case draw.Line():
            return [_line(mark)]
        case draw.Band():
            edge = {"x": mark.x, "mode": "lines", "line": {"width": 0, "color": mark.colour}, "hoverinfo": "skip"}
            area = {"fill": "tonexty", "fillcolor": _pale(mark.colour, mark.strength), "legendrank": 50}
            upper = {**edge, "y": numbers(mark.high), "name": words(mark.name), "showlegend": mark.legend, **area}
            group = {"legendgroup": words(mark.name)}
            return [{**edge, "y": numbers(mark.low), "showlegend": False} | group, upper | group]
        case draw.Bars():
            colour = mark.colours[0] if len(mark.colours) == 1 else list(mark.colours)
            bars = {"type": "bar", "name": words(mark.name), "marker": {"color": colour}, "showlegend": mark.legend}
            if mark.sideways:
                return [
                    {**bars, "orientation": "h", "x": numbers(mark.x, FEWER), "y": numbers(mark.y)} | _said("%{x:.4~g}")
                ]
            return [{**bars, "x": mark.x, "y": numbers(mark.y, FEWER)} | _said("%{y:.4~g}")]
        case draw.Dots():
            return [_dots(mark)]
        case draw.Heat():
            return [_heat(mark)]
    return []


def _line(mark: draw.Line) -> Spec:
    trace = {
        "x": mark.x,
        "y": numbers(mark.y),
        "name": words(mark.name),
        "mode": "lines+markers" if mark.marked else "lines",
        "line": {"color": mark.colour, "width": mark.width, "dash": mark.dash},
        "legendrank": mark.rank,
        "showlegend": mark.legend,
        "hovertemplate": f"%{{y:.{DIGITS}~g}}" + ("%{text}" if mark.notes else ""),
    }
    return (
        trace
        | ({"text": [words(note) for note in mark.notes]} if mark.notes else {})
        | ({"visible": "legendonly"} if mark.hidden else {})
    )


def _dots(mark: draw.Dots) -> Spec:
    trace: Spec = {
        "x": numbers(mark.x, FEWER) if mark.sideways else mark.x,
        "y": numbers(mark.y, FEWER),
        "name": words(mark.name),
        "mode": "markers",
        "showlegend": mark.legend,
        "marker": {"color": mark.colour, "symbol": mark.symbol, "size": mark.size, "opacity": mark.strength},
    }
    if mark.symbol.endswith("-open"):
        trace["marker"]["line"] = {"width": 2, "color": mark.colour}
    if mark.low is not None:
        middle = np.asarray(mark.x if mark.sideways else mark.y, dtype=np.float64)
        reach = {"array": numbers(mark.high - middle, FEWER), "arrayminus": numbers(middle - mark.low, FEWER)}
        style = {"type": "data", "symmetric": False, "color": mark.colour, "thickness": 1.3, "width": 4}
        trace["error_x" if mark.sideways else "error_y"] = style | reach
    if mark.notes:
        return trace | {"text": [words(note) for note in mark.notes]} | _said("%{text}<extra></extra>")
    return trace | ({"hoverinfo": "skip"} if len(trace["y"]) == 1 else _said("%{x:.4~g}, %{y:.4~g}<extra></extra>"))


def _heat(mark: draw.Heat) -> Spec:
    bar = {"title": {"text": words(mark.title), "side": "right"}, "thickness": 10, "outlinewidth": 0, "nticks": 5}
    trace: Spec = {
        "type": "heatmap",
        "x": times(mark.x),
        "y": numbers(mark.y),
        "z": [numbers(row, 3) for row in mark.z],
    }
    if mark.diverging:
        trace |= {
            "colorscale": DIVERGING,
            "zmin": -mark.reach,
            "zmax": mark.reach,
            "showscale": False,
            "xgap": 2,
            "ygap": 2,
        }
    else:
        trace |= {"colorscale": "Cividis", "colorbar": bar}
    if mark.words:
        trace |= {"text": [[words(text) for text in row] for row in mark.words], "texttemplate": "%{text}"}
    if mark.notes:
        notes = [[words(note) for note in row] for row in mark.notes]
        return trace | {"hovertext": notes} | _said("%{hovertext}<extra></extra>")
    return trace | _said("%{x}<br>%{y}: %{z:.3~g}<extra></extra>")


def _sharing(data: list[Spec]) -> Spec:
    """Return the traces with their places written out; those most of them share stand apart, once."""
    places: dict[int, Any] = {}
    users: dict[int, int] = {}
    for trace in data:
        if not isinstance(trace["x"], list):
            places[id(trace["x"])] = trace["x"]
            users[id(trace["x"])] = users.get(id(trace["x"]), 0) + 1
    written = {key: times(values) for key, values in places.items()}
    most = max(users, key=lambda key: users[key], default=0)
    shared = most if users.get(most, 0) > 1 else 0
    for trace in data:
        if not isinstance(trace["x"], list):
            key = id(trace["x"])
            trace |= {"x": written[key]} if key != shared else {}
            if key == shared:
                del trace["x"]
    return ({"x": written[shared]} if shared else {}) | {"data": data}


def _shape(mark: draw.Rule | draw.Chance, y: str) -> Spec:
    across = {"xref": "paper", "x0": 0, "x1": 1, "yref": y}
    if isinstance(mark, draw.Chance):
        area = {"fillcolor": "rgba(120,120,120,0.16)", "line": {"width": 0}, "layer": "below"}
        return {"type": "rect", **across, "y0": mark.low, "y1": mark.high, **area}
    style = {"type": "line", "line": {"color": mark.colour, "dash": mark.dash, "width": 1.3}}
    if mark.upright:
        at = times([mark.at])[0]
        return {**style, "x0": at, "x1": at, "yref": f"{y} domain", "y0": 0, "y1": 1}
    return {**style, **across, "y0": mark.at, "y1": mark.at}


def _said(template: str) -> Spec:
    return {"hovertemplate": template}


def _pale(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength:g})"
