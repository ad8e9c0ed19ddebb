"""What the features of cells found in training: factors, clusters, and the quality of synthetic samples."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from report.figures.clouds import samples
from report.figures.components import components
from report.figures.drawing import Drawing, Figure
from report.figures.losses import adversaries
from report.figures.rankings import criterion, ranking
from report.parts import Section
from report.run_folder import RunFolder
from report.selection import time_axis
from report.table import Cell, Column, Row, Table, plain_table
from report.text import MISSING, four, worded

MOST = 30
TITLES = {"kendall_tau": "Kendall's tau with the remaining life", "importance": "importance"}


def factors(run: RunFolder) -> Section | None:
    """Draw the strongest factors."""
    records = run.artifact("factors.json")
    if not records:
        return None
    frame = pd.DataFrame(records)
    frame = frame.reindex(frame["kendall_tau"].abs().sort_values(ascending=False).index)
    top = frame.head(MOST)
    labels = [str(name) for name in top["factor"]]
    caption = f"The strongest {len(top)} of {len(frame)}." if len(top) < len(frame) else ""
    figures = [
        Figure(
            "factors" if name == "kendall_tau" else f"factors_{name}",
            [ranking(labels, top[name].to_numpy(dtype=np.float64), title)],
            f"{title[0].upper()}{title[1:]} of each factor",
            caption,
        )
        for name, title in TITLES.items()
        if name in top and top[name].notna().any()
    ]
    first = frame.iloc[0]
    heading = f"{first['factor']} follows the remaining life most closely (Kendall's tau {first['kendall_tau']:.3f})"
    return Section("factors", "Factors", heading, figures=figures)


def bands(run: RunFolder) -> Section | None:
    """Draw a factor and the wavelet packets it is split into (paper 2, figures 6 and 7)."""
    content = run.artifact("bands.json")
    if not content:
        return None
    values = np.asarray(content["bands"], dtype=np.float64)
    column, cell = str(content["column"]), str(content["cell"])
    names = [f"band {number}" for number in range(1, len(values) + 1)]
    drawing = components(pd.Series(content["ds"]), values, names, column, time_axis(run))
    says = f"{column} of cell {cell} and its wavelet-packet bands, fast first"
    figure = Figure("bands", [drawing], says, "Each point sees the rows up to its own; the bands sum to the factor.")
    variance = values.var(axis=1)
    slow = 100 * float(variance[-1] / max(float(variance.sum()), 1e-300))
    heading = f"Wavelet packets: {len(values)} bands of {column}; the slowest has {slow:.0f} % of their variances"
    return Section("bands", "Bands", heading, figures=[figure])


CRITERIA = {"fpc": "fuzzy partition coefficient", "silhouette": "silhouette", "calinski_harabasz": "Calinski-Harabasz"}
"""What each criterion is called; the larger the better."""


def clusters(run: RunFolder) -> Section | None:
    """Draw each criterion over the number of clusters; the number in use is marked."""
    content = run.artifact("clusters.json")
    if not content or not content.get("table"):
        return None
    table, chosen = pd.DataFrame(content["table"]), content.get("chosen")
    table = table.apply(pd.to_numeric, errors="coerce")
    known = {name: title for name, title in CRITERIA.items() if name in table}
    drawings = [criterion(table, name, title, chosen) for name, title in known.items()]
    listed = plain_table("Validity of the clusters", table, {"n_clusters": "clusters", **known})
    best = {place: table[name].idxmax() for place, name in enumerate(known, start=1) if table[name].notna().any()}
    rows = []
    for number, row in enumerate(listed.rows):
        cells = [cell._replace(best=best.get(place) == number) for place, cell in enumerate(row.cells)]
        rows.append(row._replace(cells=cells, kind="own" if row.cells[0].value == chosen else ""))
    span = f"{table['n_clusters'].min():g} to {table['n_clusters'].max():g}"
    heading = f"{chosen} clusters were chosen among {span}" if chosen else "Clusters"
    figure = Figure("clusters", drawings, "Criteria over the number of clusters", wall=True)
    return Section("clusters", "Clusters", heading, tables=[listed._replace(rows=rows)], figures=[figure])


NAMES = {"train": "training", "held_out": "held out"}
SAME_CELLS = (
    "Nothing is held out for validation here: what is called held out is a fifth of the training windows, which are of "
    "the same cells, and what is judged was made of the rest."
)


def synthetic(run: RunFolder) -> Section | None:
    """Return what measures say of synthetic samples, and where they lie among real ones, a drawing a condition."""
    content = run.artifact("augmentation.json")
    if not content:
        return None
    own = {name: value for name, value in content.items() if name not in ("beside", "history")}  # drawn, and columns
    numbers = list(_numbers_in(own))
    told = content.get("beside")
    beside = {str(name): dict(_numbers_in(found)) for name, found in told.items()} if isinstance(told, Mapping) else {}
    rows = []
    for name, value in numbers:
        others = [found.get(name, np.nan) for found in beside.values()]
        cells = [Cell(four(other), value=other) if np.isfinite(other) else Cell(MISSING) for other in others]
        rows.append(Row([Cell(worded(name)), Cell(four(value), value=value), *cells]))
    figures = []
    drawn = _drawings(content)
    if drawn:
        beyond = sum(count for _, count in drawn)
        outside = f"  {beyond} samples lie beyond the frames." if beyond else ""
        says = "Real and synthetic samples in the plane of the first two principal components"
        drawings = [drawing for drawing, _ in drawn]
        figures.append(Figure("augmentation", drawings, says, f"{says}.{outside}", wall=len(drawn) > 1))
    if content.get("history"):
        says = "Loss of the critic and discrepancy of what the generator draws, over the generator's steps"
        best = min(content["history"], key=lambda look: float(look["mmd"]))["step"]
        kept = f"The weights of step {best:g} are kept, where the discrepancy is smallest."
        figures.append(Figure("adversaries", [adversaries(content["history"])], says, kept))
    mmd = next((value for name, value in numbers if "mmd" in name.lower()), None)
    heading = "Synthetic samples" + (f": squared distance to the real ones (MMD) {mmd:.3g}" if mmd is not None else "")
    label = run.metrics.choices.get("augmentation", "value") if beside else "value"
    columns = [Column("measure", numeric=False), Column(label), *(Column(name) for name in beside)]
    tables = [Table("Quality of the synthetic samples", columns, rows)] if rows else []
    notes = [SAME_CELLS] if content.get("held_out_of_training") is True else []
    return Section("synthetic", "Synthetic", heading, tables=tables, figures=figures, notes=notes)


def _drawings(content: Mapping[str, Any]) -> list[tuple[Drawing, int]]:
    """Return a drawing a condition of the samples, and how many of them lie beyond its frame."""
    clouds = {NAMES.get(name, name): np.asarray(points, np.float64) for name, points in content.get("pca", {}).items()}
    if not clouds or any(points.ndim != 2 or points.shape[1] != 2 for points in clouds.values()):
        return []
    axes = [
        f"{which} principal component" + (f" ({share:.0%})" if share is not None else "")
        for which, share in zip(("first", "second"), content.get("explained") or (None, None), strict=True)
    ]
    known = {NAMES.get(name, name): np.asarray(values) for name, values in content.get("condition", {}).items()}
    told = known.keys() >= clouds.keys() and all(len(known[name]) == len(clouds[name]) for name in clouds)
    conditions = sorted({value for name in clouds for value in known[name].tolist()}) if told else []
    if len(conditions) < 2:
        return [samples(clouds, "", *axes)]
    return [samples(_of(clouds, known, value), f"condition {value}", *axes) for value in conditions]


def _of(clouds: Mapping[str, FloatArray], known: Mapping[str, Any], condition: Any) -> dict[str, FloatArray]:
    """Return the points of one condition."""
    return {name: points[known[name] == condition] for name, points in clouds.items()}


def _numbers_in(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of nested mappings under its path of names."""
    for name, value in content.items():
        path = f"{before} {name}".strip()
        if isinstance(value, Mapping):
            yield from _numbers_in(value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path, float(value)
