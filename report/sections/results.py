"""Scores of every model, of each step, third of life and seed, and the p-values of pairs of models."""

import pandas as pd

from report.figures.drawing import Figure
from report.figures.heat_maps import pairs as pair_map
from report.parts import Section
from report.run_folder import Metrics, RunFolder
from report.table import digits_of, group_tables, score_table, start_table
from report.text import called, shown


def section(run: RunFolder) -> Section:
    """Return the table of models, what it says and what must be known to read it."""
    metrics, scores = run.metrics, run.metrics.scores
    red = "  Red rows use the future and do not compete." if scores["leaks"].any() else ""
    unit = metrics.unit
    caption = f"Errors in {unit}; the best number of each column is bold.{red}  A click on a heading sorts."
    by_cell = f"{metrics.model} by cell"  # has a place of its own
    beginnings = start_table(metrics)
    elsewhere = None if beginnings is None else beginnings.caption
    further = [
        table for table in group_tables(metrics) if not table.caption.startswith(by_cell) and table.caption != elsewhere
    ]
    return Section(
        "results",
        "Results",
        _heading(metrics),
        tables=[score_table(metrics, caption), *further],
        notes=[*metrics.notes, *metrics.tests],
        tables_first=True,
    )


def _heading(metrics: Metrics) -> str:
    honest = metrics.scores[~metrics.scores["leaks"]]
    reference = called(metrics.reference)
    if honest["mae"].isna().all():
        return "Scores"
    best = honest.sort_values("mae", kind="stable").iloc[0]
    lowest = f"{shown(best['mae'], digits_of(metrics.question, metrics.reference, metrics.scores))} {metrics.unit}"
    others = honest[honest["model"] != metrics.reference]
    if best["model"] == metrics.reference:
        heading = f"No honest model has a lower MAE than {reference}, {lowest}"
    else:
        heading = f"{best['model']} has the lowest MAE, {lowest}"
    return f"{heading}; {_proven(others, reference)}" if len(others) else heading


def _proven(honest: pd.DataFrame, reference: str) -> str:
    """Say how many of the models that do not use the future are significantly better."""
    if "p_corrected" not in honest or honest["p_corrected"].isna().all():
        return "nothing was tested"
    proven, count = int((honest["verdict"] == "better").sum()), len(honest)
    if count == 1:
        return f"{honest['model'].iloc[0]} is {'' if proven else 'not '}significantly better than {reference}"
    how_many = f"all {count}" if proven == count else f"{proven or 'none'} of {count}"
    return f"{how_many} honest models {'is' if proven < 2 else 'are'} significantly better than {reference}"


CAPTION = (
    "p-values of Diebold-Mariano tests, corrected for the number of pairs (Holm).  Blue: the model of the row has "
    "the smaller loss; orange: the one above.  Deeper is more certain."
)


def pairs(run: RunFolder) -> Section | None:
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
    figure = Figure("pairs", [pair_map(p, difference < 0)], "p-value of every pair of models", CAPTION)
    heading = f"{significant} of {len(found)} pairs of models differ significantly"
    return Section("significance", "Pairs", heading, figures=[figure])
