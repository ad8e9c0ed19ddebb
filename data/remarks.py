"""What a reader of a forecast should know of its data, though nothing is wrong with them: a sentence each."""

from dataclasses import replace

import numpy as np
import pandas as pd

from data.calendar import missing_dates
from data.contracts import Panel
from data.panel import listed, shown_date

USUAL = 1000.0  # [usual moves] beyond which a value is worth a look
EARLY = 0.1  # [fraction] of the dates of a panel that a series may end before it
FEW = 20  # [dates] that it may end before it in any case
STAND_INS = (0.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0)
"""Numbers that files write where nothing was measured."""


def remarked(panel: Panel) -> Panel:
    """Return the panel with notes on series that end early, holes, irregular dates and values far from all others.

    Series that end early are left out: they have no row to be judged by, and their next date has passed.
    """
    panel = _current(panel)
    notes = [*_holes(panel), *_stand_ins(panel), *_jumps(panel)]
    return replace(panel, notes=(*panel.notes, *notes))


def _current(panel: Panel) -> Panel:
    frame = panel.frame
    place, dates = pd.factorize(frame["ds"], sort=True)
    last = pd.Series(place).groupby(frame["unique_id"].to_numpy(), sort=False).max()
    before = len(dates) - 1 - last
    early = before[(before > FEW) & (before > EARLY * len(dates))]
    if early.empty:
        return panel
    ends = listed([f"{name} ({shown_date(dates[last[name]])})" for name in early.index])
    note = (
        f"{len(early)} series end before the others, whose last date is {shown_date(dates[-1])}, and are left out: "
        f"{ends}.  To forecast them, give them in a file of their own."
    )
    kept = frame[~frame["unique_id"].isin(early.index)].reset_index(drop=True)
    return replace(panel, frame=kept, notes=(*panel.notes, note))


def _holes(panel: Panel) -> list[str]:
    """Say where dates are missing in all series, and in which series those are that others have."""
    frame = panel.frame
    place, dates = pd.factorize(frame["ds"], sort=True)
    notes = [missing_dates(pd.Series(dates))]
    by_series = pd.Series(place).groupby(frame["unique_id"].to_numpy(), sort=False).agg(["min", "max", "size"])
    lacking = by_series["max"] - by_series["min"] + 1 - by_series["size"]
    lacking = lacking[lacking > 0]
    if len(lacking):
        shown = listed([f"{name} {int(n)}" for name, n in lacking.items()])
        notes.append(f"Dates that other series have are missing in {len(lacking)}: {shown}.")
    return [note for note in notes if note]


def _stand_ins(panel: Panel) -> list[str]:
    """Name numbers such as -999 that lie further from all others of their series than these from each other."""
    frame = panel.frame.assign(alike=np.isin(panel.frame["y"], STAND_INS))
    some = frame[frame["unique_id"].isin(frame.loc[frame["alike"], "unique_id"].unique())]
    found = []
    for label, own in some.groupby("unique_id", sort=False):
        rest, odd = (own.loc[own["alike"] == alike, "y"].to_numpy() for alike in (False, True))
        span = np.ptp(rest) if rest.size else np.inf
        odd = odd[(odd < rest.min(initial=np.inf) - span) | (odd > rest.max(initial=-np.inf) + span)]
        found += [f"{label}: {value:g}, {int((odd == value).sum())} times" for value in np.unique(odd)]
    if not found:
        return []
    return [
        f"Values that often stand for missing ones lie far from all others ({listed(found)}) and count as measured.  "
        f"Where they are none, empty these cells and set source.missing."
    ]


def _jumps(panel: Panel) -> list[str]:
    """Name the values that are a thousand usual moves away from the one before."""
    frame = panel.frame
    ids = frame["unique_id"].to_numpy()
    moves = np.abs(np.diff(frame["y"].to_numpy(), prepend=np.nan))
    moves[np.r_[True, ids[1:] != ids[:-1]]] = np.nan
    usual = pd.Series(np.where(moves > 0, moves, np.nan)).groupby(ids, sort=False).transform("median").to_numpy()
    with np.errstate(invalid="ignore"):
        far = np.flatnonzero(moves > USUAL * usual)
    if not far.size:
        return []
    y, dates = frame["y"].to_numpy(), frame["ds"]
    several = len(np.unique(ids)) > 1
    shown = [f"{f'{ids[row]} ' if several else ''}{y[row]:g} at {shown_date(dates.iloc[row])}" for row in far[:11]]
    rest = f" and {far.size - 10} more" if far.size > 10 else ""
    return [
        f"{far.size} values lie more than {USUAL:.0f} usual moves from the one before: "
        f"{', '.join(shown[:10])}{rest}.  Are they right?"
    ]
