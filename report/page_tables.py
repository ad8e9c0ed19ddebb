"""The parts a report page is made of, its tables, and numbers as its sentences say them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.metrics import PERSISTENCE
from report.page_figures import Figure
from report.table import LEAKS, MISSING, VERDICTS, decimals_for, shown

MOST = 16  # series or maps to choose from
DRAWN = 40_000  # points of all lines of one figure


class Verdict(NamedTuple):
    """One of the first lines of a page."""

    kind: str
    """``causal``, ``leaks`` or ``unknown``."""
    word: str
    sentence: str


class Column(NamedTuple):
    """A column of a table."""

    title: str
    numeric: bool = True
    hint: str = ""


class Cell(NamedTuple):
    """A cell: its text, what it is sorted by, and whether it is the best of its column."""

    text: str
    value: float | None = None
    best: bool = False


class Row(NamedTuple):
    """A row: ``kind`` is "leaks", "own" or nothing; rows set apart stay on top."""

    cells: list[Cell]
    kind: str = ""
    apart: bool = False


class Table(NamedTuple):
    """A table that a click on a heading sorts."""

    caption: str
    columns: list[Column]
    rows: list[Row]


class Text(NamedTuple):
    """Preformatted text behind a heading that opens it."""

    title: str
    content: str
    open: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says, then what shows it."""

    name: str
    short: str
    heading: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    tables_first: bool = False
    unfolded: int = 4
    """Notes that are read without a click, where there are more."""


class Score(NamedTuple):
    """How a number of metrics.json is shown."""

    title: str
    best: str = ""
    """"small" or "large" where one end is good."""
    decimals: int | None = None
    """None: as many as show four digits of the reference's MAE."""
    percent: bool = False
    hint: str = ""


SHOWN = {
    "mae": Score("MAE", "small", hint="mean absolute error"),
    "rmse": Score("RMSE", "small", hint="root of the mean squared error"),
    "mape": Score("MAPE %", "small", 3, hint="mean absolute percentage error"),
    "r2": Score("R²", "large", 4, hint="explained share of the variance of the level"),
    "mase": Score("MASE", "small", 3, hint="1 is the error of persistence one step ahead while training"),
    "skill": Score("skill", "large", 3, hint="1 - MAE / MAE of the reference; above 0 is better"),
    "direction": Score(
        "up/down %", "large", 1, percent=True, hint="share of moves whose sign was forecast, with its 95 % interval"
    ),
    "mae_scaled": Score("MAE scaled", "small", 4, hint="as a fraction of the longest life in the data"),
    "rmse_scaled": Score("RMSE scaled", "small", 4, hint="as a fraction of the longest life in the data"),
    "accuracy_15": Score("±15 %", "large", 1, percent=True, hint="share of forecasts within 15 % of the truth [%]"),
    "alpha_lambda": Score(
        "α-λ %", "large", 0, percent=True, hint="share of cells within 20 % of the truth at half their life"
    ),
    "eol_mae": Score("end of life", "small", 1, hint="mean error of the forecast end of life"),
    "crps": Score("CRPS", "small", hint="continuous ranked probability score"),
}


BESIDE = re.compile(r"^(p|n|direction|difference|seed)(_|$)|_(low|high|std|bias)$|^bias$")  # these explain others


def score_table(
    scores: pd.DataFrame, caption: str, own: str, reference: str | None, decimals: int, scale: float | None
) -> Table:
    """Return the headline table: the reference apart, leaking rows marked, the best honest numbers bold.

    Parameters
    ----------
    scores : DataFrame
        A row a model.
    caption, own : str
        What the table says of itself, and the label of the run's model.
    reference : str or None
        Label of the row that is set apart.
    decimals : int
        Of errors in the unit of the data.
    scale : float or None
        What scaled errors are fractions of.
    """
    looks = looks_of(scale)
    honest = ~flags(scores, "leaks")
    known = [name for name in SHOWN if name in scores and scores[name].notna().any()]
    others = [
        str(name)
        for name in scores.select_dtypes("number").columns
        if name not in SHOWN and not BESIDE.search(str(name))
    ]
    columns = [Column("model", numeric=False)]
    for name in [*known, *others]:
        look = looks.get(name)
        columns.append(Column(look.title, hint=look.hint) if look else Column(name.replace("_", " ")))
    against = "verdict" in scores
    confident = next((name for name in ("in_mcs", "in_set") if name in scores), None)
    if confident:
        columns.append(
            Column("best set", numeric=False, hint="in the model confidence set: not told apart from the best")
        )
    if against:
        columns.append(
            Column(
                f"against {called(reference)}", numeric=False, hint="test of the loss difference, p-values corrected"
            )
        )
    rows = []
    for _, score in scores.iterrows():
        cells = [Cell(str(score["model"]))]
        for name in [*known, *others]:
            look = looks.get(name, Score(name))
            value = float(score[name])
            places = decimals if look.decimals is None else look.decimals
            if name == "mape":
                places = min(places, max(0, decimals_for(float(scores[name].median())) - 1))
            if name not in looks:
                text = f"{value:.4g}" if np.isfinite(value) else MISSING
            else:
                text = shown(value, places, percent=look.percent)
            if name == "direction" and np.isfinite(score.get("direction_low", np.nan)):
                text += f" ({100 * score['direction_low']:.0f}–{100 * score['direction_high']:.0f})"
            best = False
            if look.best and honest.any() and np.isfinite(value):
                candidates = scores.loc[honest, name]
                best = bool(
                    not score.get("leaks", False)
                    and value == (candidates.min() if look.best == "small" else candidates.max())
                )
            cells.append(Cell(text, value if np.isfinite(value) else None, best))
        if confident:
            cells.append(Cell("●" if score[confident] else ""))
        if against:
            cells.append(Cell(_against(score)))
        kind = "leaks" if score.get("leaks", False) else "own" if score["model"] == own else ""
        rows.append(Row(cells, kind, apart=score["model"] == reference))
    return Table(caption, columns, rows)


def looks_of(scale: float | None) -> dict[str, Score]:
    """Return how scores are shown; those that are fractions of ``scale`` say so."""
    if scale is None:
        return SHOWN
    return SHOWN | {
        name: look._replace(title=look.title.replace(" scaled", f"/{scale:g}"))
        for name, look in SHOWN.items()
        if name.endswith("_scaled")
    }


def plain_table(caption: str, records: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Table:
    """Return records as a table: ``titles`` names the columns and their order; a column has the same decimals."""
    frame = pd.DataFrame(list(records))
    kept = [name for name in titles if name in frame]
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool for name in kept}
    places = {name: _decimals(frame[name]) for name in kept if numeric[name]}
    rows = [Row([_plain(record[name], places.get(name)) for name in kept]) for _, record in frame.iterrows()]
    return Table(caption, [Column(titles[name], numeric[name]) for name in kept], rows)


def _against(score: "pd.Series[Any]") -> str:
    if score.get("leaks", False):
        return LEAKS
    word = VERDICTS.get(str(score["verdict"]), str(score["verdict"]))
    p = score.get("p_corrected", math.nan)
    if score["verdict"] == "reference":
        return word
    return f"{word} ({p_value(p)})" if isinstance(p, (int, float)) and np.isfinite(p) else "not tested"


def flags(scores: pd.DataFrame, name: str) -> "pd.Series[bool]":
    """Return a column of yes and no; no where there is none."""
    return scores[name].astype(bool) if name in scores else pd.Series(False, index=scores.index)


def _decimals(column: "pd.Series[Any]") -> int:
    """Return the decimals that show four digits of the largest number of a column; none of whole numbers."""
    known = column.dropna().to_numpy(dtype=float)
    known = known[np.isfinite(known)]
    if not known.size or (known == known.round()).all():
        return 0
    return min(6, decimals_for(float(np.abs(known).max())))


def _plain(value: Any, decimals: int | None) -> Cell:
    """Return a number with so many decimals; None for what is no number."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Cell(MISSING)
    if decimals is None:
        return Cell({True: "yes", False: "no"}[bool(value)] if isinstance(value, (bool, np.bool_)) else str(value))
    return Cell(f"{float(value):.{decimals}f}", float(value))


def worded(name: str) -> str:
    """Return a key of metrics.json or of the evidence as a table calls it."""
    words = {
        "mae": "MAE",
        "rmse": "RMSE",
        "mape": "MAPE %",
        "r2": "R²",
        "mmd": "MMD",
        "tstr": "TSTR",
    }
    return words.get(name) or " ".join(words.get(part, part) for part in name.split("_"))


def four(value: float) -> str:
    """Return a number with about four digits, never in powers of ten where it can be helped."""
    if not np.isfinite(value):
        return MISSING
    return f"{value:.{min(6, decimals_for(abs(float(value))))}f}" if 1e-4 <= abs(value) < 1e7 else f"{value:.3g}"


def p_value(value: float) -> str:
    """Return a p-value as a sentence quotes it."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def called(reference: str | None) -> str:
    """Return the reference as a sentence calls it."""
    known = {PERSISTENCE: "persistence", "Clock": "the clock", None: "the reference"}
    return known.get(reference, str(reference))


def steps_of(count: int) -> str:
    """Return a number of steps in words."""
    return "1 step" if count == 1 else f"{count} steps"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    return (
        f"{seconds:.1f} s"
        if seconds < 90
        else f"{seconds / 60:.1f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
