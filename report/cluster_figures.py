"""How many clusters: the criteria as a table and a figure (paper 2, tables 5 and 6)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from report.figures import GREY, PALETTE, TRUTH

CRITERIA = {
    "fpc": "fuzzy partition\ncoefficient",
    "silhouette": "silhouette",
    "calinski_harabasz": "Calinski-Harabasz\nindex",
}
"""What a figure calls each criterion; the larger the better."""

Criteria = Sequence[Mapping[str, float | None]]
"""A row a number of clusters: ``n_clusters`` and each criterion, None where there is none."""


def criteria_table(table: Criteria, chosen: int) -> str:
    """Return the criteria as Markdown; the number of clusters in use is bold, the best of a criterion too."""
    rows = pd.DataFrame(list(table)).astype(np.float64)
    lines = ["| clusters | FPC | silhouette | Calinski-Harabasz |", "|--:|--:|--:|--:|"]
    for row in rows.to_dict("records"):
        number = int(row["n_clusters"])
        cells = [f"**{number}**" if number == chosen else f"{number}"]
        for name, digits in zip(CRITERIA, (4, 4, 0), strict=True):
            value = row[name]
            text = "–" if np.isnan(value) else f"{value:.{digits}f}"
            cells.append(f"**{text}**" if value == rows[name].max() else text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def criteria_figure(table: Criteria, chosen: int, title: str) -> Figure:
    """Draw each criterion over the number of clusters, a panel each, and mark the number in use."""
    rows = pd.DataFrame(list(table)).astype(np.float64)
    figure = Figure(figsize=(9, 3.1), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.07, wspace=0.05))
    for panel, (name, label), colour in zip(figure.subplots(1, 3), CRITERIA.items(), PALETTE, strict=False):
        known = rows.dropna(subset=[name])
        panel.plot(known["n_clusters"], known[name], color=colour, lw=1.6, marker="o", ms=4)
        panel.axvline(chosen, color=GREY, lw=1.2, ls=":")
        here = known[known["n_clusters"] == chosen]
        panel.plot(here["n_clusters"], here[name], "o", color=TRUTH, ms=7, mfc="none", mew=1.6)
        panel.set_title(label, loc="left", fontsize=9.5)
        panel.set_xlabel("clusters")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(axis="y", color="#E3E3E3", lw=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}: {chosen} in use", x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure
