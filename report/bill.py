"""The leakage bill: what one model gains by each way of letting it see the future."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from evaluation.metrics import PERSISTENCE
from report.table import LEAKS, VERDICTS, Metrics, decimals_for, markdown_table, shown

HONEST = "rolling"  # what the others are compared with
HEADER = ["decomposed", "audit", "MAE", "of persistence", "R²", "up/down %", "against persistence", "worth of the leak"]


def bill(runs: Mapping[str, Metrics]) -> pd.DataFrame:
    """Return a row a way to decompose, persistence first.

    Parameters
    ----------
    runs : mapping
        The judgement of one run each, by what it is called; ``rolling`` is the honest one.

    Returns
    -------
    DataFrame
        ``way``; ``audit`` (verdict); ``mae`` [unit of y]; ``ratio`` of the MAE of persistence; ``r2``;
        ``direction`` [fraction]; ``verdict`` in words; ``worth``: the honest MAE less this one, as a fraction
        of the honest one, where the way leaks (NaN elsewhere).
    """
    honest = _own(runs[HONEST]) if HONEST in runs else None
    rows: list[dict[str, Any]] = []
    for way, run in runs.items():
        naive = run.scores[run.scores["model"] == PERSISTENCE].iloc[0]
        if not rows:
            rows.append(_row(PERSISTENCE, naive, naive["mae"], "causal", None))
        audit = (run.audit or {}).get("verdict", "not audited")
        rows.append(_row(way, _own(run), naive["mae"], audit, honest))
    return pd.DataFrame(rows)


def as_table(rows: pd.DataFrame, title: str) -> Table:
    """Return the bill for a terminal; what leaks is red."""
    table = Table(title=title, title_style="bold", title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    for place, column in enumerate(HEADER):
        table.add_column(column, justify="left" if place in (0, 1, 6) else "right")
    for cells, audit in zip(_cells(rows), rows["audit"], strict=True):
        table.add_row(*(Text(cell) for cell in cells), style="red" if audit == "LEAKS" else "")
    return table


def to_markdown(rows: pd.DataFrame, title: str) -> str:
    """Return the bill as Markdown."""
    return "\n".join([f"## {title}", "", *markdown_table(HEADER, _cells(rows))]) + "\n"


def _own(run: Metrics) -> "pd.Series[Any]":
    return run.scores[run.scores["model"] == run.model].iloc[0]


def _row(
    way: str, score: "pd.Series[Any]", naive: float, audit: str, honest: "pd.Series[Any] | None"
) -> dict[str, Any]:
    leaks = audit == "LEAKS"
    worth = 1 - score["mae"] / honest["mae"] if leaks and honest is not None else np.nan
    return {
        "way": way,
        "audit": audit,
        "mae": score["mae"],
        "ratio": score["mae"] / naive,
        "r2": score["r2"],
        "direction": score["direction"],
        "verdict": LEAKS if bool(score["leaks"]) else VERDICTS[str(score["verdict"])],
        "worth": worth,
    }


def _cells(rows: pd.DataFrame) -> list[list[str]]:
    digits = decimals_for(float(rows["mae"].iloc[0]))
    return [
        [
            str(row["way"]),
            str(row["audit"]),
            shown(row["mae"], digits),
            shown(row["ratio"], 2),
            shown(row["r2"], 4),
            shown(row["direction"], 1, percent=True),
            str(row["verdict"]),
            f"{shown(row['worth'], 0, percent=True)} %" if np.isfinite(row["worth"]) else "",
        ]
        for _, row in rows.iterrows()
    ]
