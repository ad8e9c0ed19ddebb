"""How many truths the intervals hold, overall and in parts."""

import pandas as pd

from data.contracts import REMAINING, TOTAL
from evaluation.diagnostics import covered
from evaluation.intervals.scores import years
from evaluation.rows import THIRDS, third_of
from report.figures.drawing import Figure
from report.figures.errors import coverage
from report.parts import Section
from report.run_folder import RunFolder
from report.table import plain_table

TITLES = {
    "level": "interval",
    "share": "truths inside %",
    "worst": "worst part %",
    "width": "mean width",
    "winkler": "Winkler score",
    "crps": "CRPS",
    "n": "forecasts",
}


def section(run: RunFolder) -> Section | None:
    """Return the coverage of the run's model."""
    rows = run.own
    if rows is None or not any(rows[name].notna().any() for name in rows if str(name).startswith("lo_")):
        return None
    group, what = _parts(run, rows)
    parts = covered(rows, group).sort_values("group", key=lambda names: names.map(_order))
    records, said = [], []
    for _, total in covered(rows, pd.Series("all", index=rows.index)).iterrows():
        own = parts[parts["level"] == total["level"]]
        worst = own.sort_values("coverage").iloc[0]
        share = f"{100 * total['coverage']:.1f}"
        said.append(f"the {total['level']} % interval holds {share} %")
        told = {
            "level": f"{total['level']} %",
            "share": f"{share} ({100 * total['low']:.1f}–{100 * total['high']:.1f})",
            "worst": f"{100 * worst['coverage']:.1f} ({worst['group']})",
        }
        records.append(told | {name: total[name] for name in ("width", "winkler", "crps", "n")})
    titles = TITLES | {"worst": f"worst {what} %"}
    table = plain_table(f"Intervals of {run.metrics.model} [{run.metrics.unit}]", pd.DataFrame(records), titles)
    caption = (
        "Dotted: what was promised.  Bars: 95 % binomial intervals, rather too narrow where errors follow each other."
    )
    figure = Figure("coverage", [coverage(parts, what)], f"Coverage by {what}", caption)
    heading = " and ".join(reversed(said)) + " of the truths"
    return Section("calibration", "Calibration", heading[0].upper() + heading[1:], tables=[table], figures=[figure])


def _parts(run: RunFolder, rows: pd.DataFrame) -> tuple["pd.Series[str]", str]:
    """Return the part each row is in, and what a part is: a third of life, a year, or a fifth of the test rows."""
    kind = run.metrics.question.kind
    if kind == TOTAL:
        return pd.Series("all", index=rows.index), "part"
    if kind == REMAINING:
        life = run.life(rows)
        return third_of(life - rows["y"], life).map(dict(enumerate(THIRDS))), "third of life"
    by_year = years(rows)
    if by_year is not None:
        return by_year, "year"
    fifth = (5 * rows["ds"].rank(pct=True)).clip(upper=4.999).astype(int) + 1
    return fifth.astype(str) + "/5", "fifth of the test set"


def _order(name: str) -> str:
    return str(THIRDS.index(name)) if name in THIRDS else name
