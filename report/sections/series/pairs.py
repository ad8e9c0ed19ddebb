"""The p-values of every pair of models."""

import pandas as pd

from report.figures.drawing import Figure
from report.figures.heat_maps import pairs
from report.parts import Section
from report.run_folder import RunFolder

CAPTION = (
    "p-values of Diebold-Mariano tests, corrected for the number of pairs (Holm).  Blue: the model of the row has "
    "the smaller loss; orange: the one above.  Deeper is more certain."
)


def section(run: RunFolder) -> Section | None:
    """Draw the matrix of p-values."""
    found = run.metrics.pairwise
    if found is None or found.empty:
        return None
    mirrored = found.rename(columns={"model": "other", "other": "model"}).assign(difference=-found["difference"])
    both = pd.concat([found, mirrored], ignore_index=True)
    order = [model for model in run.metrics.scores["model"] if model in set(both["model"])]
    p, difference = (
        both.pivot_table(index="model", columns="other", values=name).reindex(index=order, columns=order)
        for name in ("p_corrected", "difference")
    )
    significant = int((found["p_corrected"] < 0.05).sum())
    figure = Figure("pairs", [pairs(p, difference < 0)], "p-value of every pair of models", CAPTION)
    heading = f"{significant} of {len(found)} pairs of models differ significantly"
    return Section("significance", "Pairs", heading, figures=[figure])
