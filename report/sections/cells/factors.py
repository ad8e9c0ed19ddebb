"""How closely each factor follows the remaining life, and how much a model makes of it."""

import numpy as np
import pandas as pd

from report.figures.drawing import Figure
from report.figures.rankings import ranking
from report.parts import Section
from report.run_folder import RunFolder

MOST = 30
TITLES = {"kendall_tau": "Kendall's tau with the remaining life", "importance": "importance"}


def section(run: RunFolder) -> Section | None:
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
