"""The leakage bill: what one model gains by each way of letting it see the future."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.scores import scores_of
from report.run_folder import Metrics
from report.table import Cell, Column, Row, Table, digits_of, markdown, measure_of
from report.text import LEAKS, VERDICTS, called, in_markdown, shown

HONEST = "rolling"  # what the others are compared with
SCORES = ("r2", "direction")


def bill(runs: Mapping[str, Metrics]) -> pd.DataFrame:
    """Return a row a way to decompose, the reference first.

    Parameters
    ----------
    runs : mapping
        The metrics of one run each, by what it is called; ``rolling`` is the honest one.

    Returns
    -------
    DataFrame
        ``way``; ``audit`` (verdict); ``mae`` [unit of y]; ``ratio`` of the MAE of the reference; ``r2``;
        ``direction`` [fraction]; ``verdict`` in words; ``worth``: the honest MAE less this one, as a fraction
        of the honest one, where the way leaks (NaN elsewhere).
    """
    honest = _row(runs[HONEST], runs[HONEST].model)["mae"] if HONEST in runs else np.nan
    rows: list[dict[str, Any]] = []
    for way, run in runs.items():
        reference = _row(run, run.reference)
        if not rows:
            rows.append(_entry(run.reference, reference, reference["mae"], "causal", honest))
        audit = str((run.audit or {}).get("verdict", "not audited"))
        rows.append(_entry(way, _row(run, run.model), reference["mae"], audit, honest))
    return pd.DataFrame(rows)


def as_table(rows: pd.DataFrame, run: Metrics, title: str) -> Table:
    """Return the bill as a table; what leaks is marked."""
    digits = digits_of(run.question, run.reference, run.scores)
    known = {score.name: measure_of(score, digits, run.longest_rul) for score in scores_of(run.question.kind)}
    kept = [known[name] for name in ("mae", *SCORES) if name in known]
    columns = [Column("decomposed", numeric=False), Column("audit", numeric=False)]
    columns += [Column(measure.title, hint=measure.score.hint) for measure in kept]
    columns.insert(3, Column(f"of {run.reference.lower()}"))
    columns += [Column(f"against {called(run.reference)}", numeric=False), Column("worth of the leak")]
    body = []
    for _, row in rows.iterrows():
        numbers = [measure.text(row[measure.score.name]) for measure in kept]
        numbers.insert(1, shown(row["ratio"], 2))
        worth = f"{shown(row['worth'], 0, percent=True)} %" if np.isfinite(row["worth"]) else ""
        cells = [str(row["way"]), str(row["audit"]), *numbers, str(row["verdict"]), worth]
        body.append(Row([Cell(cell) for cell in cells], "leaks" if row["audit"] == "LEAKS" else ""))
    return Table(title, columns, body)


def to_markdown(table: Table) -> str:
    """Return the bill as Markdown."""
    return "\n".join([f"## {in_markdown(table.caption)}", "", *markdown(table)]) + "\n"


def _row(run: Metrics, label: str) -> "pd.Series[Any]":
    return run.scores[run.scores["model"] == label].iloc[0]


def _entry(way: str, row: "pd.Series[Any]", reference: float, audit: str, honest: float) -> dict[str, Any]:
    return {
        "way": way,
        "audit": audit,
        "mae": row["mae"],
        "ratio": row["mae"] / reference,
        **{name: row.get(name, np.nan) for name in SCORES},
        "verdict": LEAKS if row["leaks"] else VERDICTS[str(row["verdict"])],
        "worth": 1 - row["mae"] / honest if audit == "LEAKS" else np.nan,
    }
