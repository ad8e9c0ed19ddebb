"""From a table of cycles to a panel of remaining useful life, or everything that is wrong with the table.

What cannot be mended without guessing is refused, all of it in one message: missing columns, text among
the numbers, cycle numbers that are no whole numbers, a cycle told twice in two ways, units off by a
thousand, a column that mostly lies beyond its physical limits.  What can be mended is mended and told, a
sentence each: identical rows, missing values, single values beyond their limits, cycles after the end of
life, cells that never reach it or in which nothing changes, cycles that were not recorded.

The end of life rests on the capacity alone: no fault of an input moves it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import Panel
from data.panel import DataError, listed, validated

SHORTEST = 5  # [cycles] a cell with fewer has no life to learn from
MOSTLY = 0.2  # [fraction] of a column beyond its limits is no glitch but a wrong column
SHOWN = 3  # faulty rows listed before "and n more"
SMOOTHING = 5  # [cycles] whose median must lie below the end-of-life capacity too

SLIPS = {
    1e-3: "a thousandfold too large (mV, mAh or ms?): divide it by 1000",
    1e3: "a thousandfold too small (kA, kWh?): multiply it by 1000",
    3600.0: "too small by the seconds of an hour (hours?): multiply it by 3600",
    60.0: "too small by the seconds of a minute (minutes?): multiply it by 60",
}


class Quantity(NamedTuple):
    """What a column holds, and between which limits it is physically possible."""

    meaning: str
    """What it is, with the unit in brackets."""
    low: float = -np.inf
    high: float = np.inf


class Ends(NamedTuple):
    """When each cell ends, and by which rule."""

    cycle: Mapping[str, int | None]
    """Cycle of the end of life of each cell; None where the record stops before it."""
    rule: str
    """One sentence, printed and kept with the run."""
    doubts: tuple[str, ...] = ()
    """What speaks against the rule, a sentence each."""


def checked_cycles(
    table: pd.DataFrame, name: str, quantities: Mapping[str, Quantity]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the cycles as numbers, sorted by cell and cycle, and what was mended on the way.

    Parameters
    ----------
    table : DataFrame
        Columns ``unique_id``, ``ds`` (cycle number) and one a quantity; further ones are dropped.
    name : str
        What messages call the data.
    quantities : mapping
        What each column of measurements holds, by its name.

    Returns
    -------
    frame : DataFrame
        ``unique_id`` (str), ``ds`` (int64) and the quantities (float64).
    notes : tuple of str

    Raises
    ------
    DataError
        Naming every fault that cannot be mended.
    """
    absent = [column for column in ("unique_id", "ds", *quantities) if column not in table.columns]
    if absent:
        raise DataError(
            f"{name} lacks the column {listed(map(repr, absent))}; it has {listed(map(repr, table.columns))}."
        )
    if table.empty:
        raise DataError(f"{name} has no rows.  Give a file with at least one cell.")
    given = table[["unique_id", "ds", *quantities]].reset_index(drop=True)
    numbers = given[["ds", *quantities]].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    numbers.insert(0, "unique_id", given["unique_id"].astype(str))
    faults = _faults_of_text(given, numbers) + _faults_of_cycle_numbers(numbers)
    once = numbers.drop_duplicates(ignore_index=True)
    faults += _faults_of_repeats(once)
    faults += [fault for column, quantity in quantities.items() for fault in _faults_of_size(once, column, quantity)]
    still = _constant_cells(once, list(quantities))
    if still and len(still) == once["unique_id"].nunique():
        faults.append(f"Cell {listed(still)} is constant in every column: there is nothing to learn.  Leave it out.")
    if faults:
        raise DataError(f"{name} cannot be used as it is:\n  " + "\n  ".join(faults))
    once = once[~once["unique_id"].isin(still)]
    frame = once.astype({"ds": np.int64}).sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)
    notes = []
    twice = int(numbers.duplicated().sum())
    if twice:
        notes.append(f"{twice} rows stood in the table twice, to the last digit, and count once.")
    if still:
        notes.append(f"{len(still)} cells are constant in every column and are left out: {listed(still)}.")
    return frame, (*notes, *_gaps(frame))


def sound_cycles(
    frame: pd.DataFrame, name: str, quantities: Mapping[str, Quantity], outliers: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Deal with the rows in which a value is missing or beyond its limits.

    A row is judged by fixed limits alone, and mended from the past of its own cell alone: nothing is
    fitted, no later row is looked at.

    Parameters
    ----------
    frame : DataFrame
        As returned by ``checked_cycles``.
    outliers : str
        ``"replace"``: a row with a value beyond its limits takes the last sound values of its cell, a missing
        value the last one known (rows before the first sound one are left out); ``"drop"``: the row is left
        out; ``"keep"``: it stays as recorded.

    Raises
    ------
    DataError
        If values that are missing were to be kept.
    """
    check_outliers(outliers)
    columns = list(quantities)
    values = frame[columns].to_numpy(dtype=np.float64)
    low = np.array([quantity.low for quantity in quantities.values()])
    high = np.array([quantity.high for quantity in quantities.values()])
    missing = np.isnan(values)
    beyond = ((values < low) | (values > high) | np.isinf(values)).any(axis=1)
    rows = np.asarray(beyond | missing.any(axis=1))
    if not rows.any():
        return frame, ()
    found = (
        f"{int(rows.sum())} of {len(frame)} rows hold a missing value or one beyond its physical limits "
        f"({_per_cell(frame['unique_id'], rows)})"
    )
    if outliers == "keep":
        if not np.isfinite(values).all():
            lacking = listed([repr(column) for column in frame[columns].columns[~np.isfinite(values).all(axis=0)]])
            raise DataError(
                f"{name} has missing values in {lacking}, which cannot be kept.  Set source.outliers=replace or drop."
            )
        return frame, (f"{found}; they are kept as recorded.",)
    if outliers == "drop":
        return frame.loc[~rows].reset_index(drop=True), (f"{found}; they are left out.",)
    mended = frame.copy()
    mended.loc[beyond, columns] = np.nan
    mended[columns] = mended.groupby("unique_id", sort=False)[columns].ffill()
    early = np.asarray(mended[columns].isna().any(axis=1))
    told = f"{found}; they take the last sound values of their cell"
    told += f", but for {int(early.sum())} that come before any, which are left out." if early.any() else "."
    return mended.loc[~early].reset_index(drop=True), (told,)


def check_outliers(outliers: str) -> str:
    """Return the choice if it is one.

    Raises
    ------
    ValueError
        Listing the choices otherwise.
    """
    if outliers not in ("replace", "drop", "keep"):
        raise ValueError(f"source.outliers={outliers} must be replace, drop or keep.")
    return outliers


def check_eol(eol: float | None) -> float | None:
    """Return the end-of-life fraction if it is one.

    Raises
    ------
    ValueError
        If it is not between 0 and 1.
    """
    if eol is not None and not 0 < eol < 1:
        raise ValueError(f"source.eol={eol} must be a fraction of the nominal capacity below 1, such as 0.8, or null.")
    return eol


def last_cycles(frame: pd.DataFrame) -> Ends:
    """Take the last recorded cycle of each cell for its end of life."""
    last = frame.groupby("unique_id", sort=False)["ds"].max()
    return Ends(
        {str(cell): int(cycle) for cell, cycle in last.items()},
        "End of life is the last cycle on record of each cell, whatever its state was then.",
    )


def sound_capacity(frame: pd.DataFrame, name: str, quantities: Mapping[str, Quantity]) -> pd.DataFrame:
    """Return the cycles with their capacity mended from its own past, whatever the inputs beside it hold.

    Parameters
    ----------
    frame : DataFrame
        As returned by ``checked_cycles``.
    name : str
        What messages call the data.
    quantities : mapping
        The capacity, and what else decides whether it was measured over a whole discharge.
    """
    return sound_cycles(frame[["unique_id", "ds", *quantities]], name, quantities, "replace")[0]


def capacity_ends(frame: pd.DataFrame, column: str, eol: float, nominal: float | None) -> Ends:
    """Find the first cycle from which the capacity is lost.

    That is the first cycle below ``eol`` times the nominal capacity of which the median of it and the
    next four recorded ones (fewer where the record stops) is below as well: a single weak cycle does not
    end a life, a recovery after a rest does not lengthen it.  Weak cycles before the first whole one, as cells
    are formed by, end none.  Where a third of what follows an end is above it again, that is told.

    Parameters
    ----------
    frame : DataFrame
        Cycles with a sound capacity, as of ``sound_capacity``, those of a cell one after another.
    column : str
        Column of the discharge capacity [Ah].
    eol : float
        Fraction of the nominal capacity.
    nominal : float or None
        Nominal capacity [Ah]; None takes the median of each cell's first ten cycles.
    """
    cycles: dict[str, int | None] = {}
    again: list[str] = []
    every, cells = pd.factorize(frame["unique_id"])
    capacities, ahead, ds = frame[column].to_numpy(), _medians_ahead(frame[column].to_numpy(), every), frame["ds"]
    starts = np.r_[np.flatnonzero(np.diff(every, prepend=-1)), len(frame)]
    for cell, start, stop in zip(cells, starts[:-1], starts[1:], strict=True):
        full = float(pd.Series(capacities[start : min(start + 10, stop)]).median()) if nominal is None else nominal
        whole = capacities[start:stop] >= eol * full
        lost = ~whole & (ahead[start:stop] < eol * full) & np.maximum.accumulate(whole)
        if not lost.any():
            cycles[str(cell)] = None
            continue
        end = int(lost.argmax())
        cycles[str(cell)] = int(ds.iloc[start + end])
        after = whole[end + 1 :]
        if after.sum() > max(len(after) / 3, 2 * SMOOTHING):
            again.append(f"{cell} in {int(after.sum())} of {len(after)} cycles after cycle {cycles[str(cell)]}")
    of = "the median of a cell's first ten cycles" if nominal is None else f"the nominal {nominal:g} Ah"
    rule = (
        f"End of life is the first cycle whose discharge capacity, and the median of it and the next "
        f"{SMOOTHING - 1}, is below {eol:.0%} of {of}."
    )
    doubt = (
        f"Capacities are above the end of life again: {listed(again)}.  If cycles before it were no whole discharges, "
        f"leave them out."
    )
    return Ends(cycles, rule, (doubt,) if again else ())


def _medians_ahead(values: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the median of each value and the next ones of its cell; cells stand one after another."""
    after = np.full((len(values), SMOOTHING), np.nan)
    for step in range(SMOOTHING):
        there = np.flatnonzero(cells[step:] == cells[: len(cells) - step])
        after[there, step] = values[there + step]
    return pd.DataFrame(after).median(axis=1).to_numpy()


def labelled(
    frame: pd.DataFrame,
    name: str,
    quantities: Mapping[str, Quantity],
    ends: Ends,
    notes: tuple[str, ...] = (),
    counter: str = "ds",
) -> Panel:
    """Add the remaining useful life and return the panel.

    Parameters
    ----------
    frame : DataFrame
        Sound cycles: ``unique_id``, ``ds``, the quantities and the counter.
    name : str
        What titles call the data.
    quantities : mapping
        The covariates of the panel.
    ends : Ends
        Cycle at which each cell ends; one that never does is censored and left out.
    notes : tuple of str
        What was told so far.
    counter : str
        Column with the number of cycles a row's cell has seen: ``y`` is the end minus it [cycles].

    Raises
    ------
    DataError
        If no cell is left.
    """
    told = [*notes, ends.rule, *ends.doubts]
    end = frame["unique_id"].map(ends.cycle).astype(np.float64)
    censored = sorted(cell for cell in frame["unique_id"].unique() if ends.cycle.get(cell) is None)
    life = (end - frame[counter]).rename("y")
    if censored:
        told.append(
            f"{len(censored)} cells never reach their end of life on record and are left out: {listed(censored)}."
        )
    late = (life < 0).to_numpy()
    if late.any():
        ids = _per_cell(frame["unique_id"], late)
        told.append(f"{int(late.sum())} rows after the end of life are left out ({ids}).")
    frame = frame.copy().assign(y=life).loc[(life >= 0).to_numpy()]  # a copy lies in one piece, however many columns
    sizes = frame["unique_id"].value_counts()
    short = sorted(sizes.index[sizes < SHORTEST])
    if short:
        told.append(f"{len(short)} cells have fewer than {SHORTEST} rows and are left out: {listed(short)}.")
        frame = frame[~frame["unique_id"].isin(short)]
    if frame.empty:
        raise DataError(
            f"{name} has no cell whose end of life is on record.  {' '.join(told)}  "
            f"Give cells that were cycled to their end, or another source.eol (null ends each at its last cycle)."
        )
    panel = validated(frame[["unique_id", "ds", "y", *_beside(counter), *quantities]], name, "cycles")
    notes = (*told, *panel.notes)
    return replace(panel, covariates=_meanings(quantities), notes=notes, age=counter)


def unlabelled(
    frame: pd.DataFrame,
    name: str,
    quantities: Mapping[str, Quantity],
    notes: tuple[str, ...] = (),
    counter: str = "ds",
) -> Panel:
    """Return cycles whose end need not be known as a panel; ``y`` is NaN.

    Parameters are those of ``labelled``.
    """
    columns = ["unique_id", "ds", "y", *_beside(counter), *quantities]
    known = frame.copy().assign(y=np.nan)[columns].sort_values(["unique_id", "ds"], kind="stable", ignore_index=True)
    return Panel(known, name, "cycles", _meanings(quantities), notes, age=counter)


def _beside(counter: str) -> list[str]:
    return [] if counter == "ds" else [counter]


def _meanings(quantities: Mapping[str, Quantity]) -> dict[str, str]:
    return {column: quantity.meaning for column, quantity in quantities.items()}


def chosen_cells(frame: pd.DataFrame, cells: list[str] | None, name: str) -> pd.DataFrame:
    """Return the rows of the named cells, or all.

    Raises
    ------
    DataError
        If a named cell is not there, saying which are.
    """
    if cells is None:
        return frame
    there = frame["unique_id"].astype(str)
    wanted = [str(cell) for cell in cells]
    absent = [cell for cell in wanted if cell not in set(there)]
    if absent:
        raise DataError(
            f"{name} has no cell {listed(absent)}; it has {listed(sorted(there.unique()))}.  Set source.cells."
        )
    return frame[there.isin(wanted)].reset_index(drop=True)


def _faults_of_text(given: pd.DataFrame, numbers: pd.DataFrame) -> list[str]:
    faults = []
    for column in numbers.columns.drop("unique_id"):
        text = (numbers[column].isna() & given[column].notna()).to_numpy()
        if text.any():
            faults.append(
                f"{column} is not a number at {_places(numbers, text)}, such as {given[column][text].iloc[0]!r}.  "
                f"Correct these rows."
            )
    return faults


def _faults_of_cycle_numbers(numbers: pd.DataFrame) -> list[str]:
    cycles = numbers["ds"].to_numpy()
    absent = np.isnan(cycles)
    faults = []
    if absent.any():
        faults.append(f"{int(absent.sum())} rows have no cycle number.  Correct or remove them.")
    odd = ~absent & ((cycles != np.floor(cycles)) | (cycles < 0))
    if odd.any():
        faults.append(f"Cycle numbers must be whole and not negative; they are not at {_places(numbers, odd)}.")
    return faults


def _faults_of_repeats(once: pd.DataFrame) -> list[str]:
    twice = once.duplicated(["unique_id", "ds"]).to_numpy() & once["ds"].notna().to_numpy()
    if not twice.any():
        return []
    return [f"More than one row, and not the same, stands for {_places(once, twice)}.  Keep one row a cycle."]


def _faults_of_size(once: pd.DataFrame, column: str, quantity: Quantity) -> list[str]:
    """Tell a wrong unit and a wrong column from glitches, which are mended later."""
    values = once[column].to_numpy()
    known = values[np.isfinite(values)]
    if known.size == 0:
        return [f"{column} holds no finite number at all.  Leave the column out or correct it."]
    wrong = (known < quantity.low) | (known > quantity.high)
    if wrong.mean() <= MOSTLY:
        return []
    median = float(np.median(known))
    advice = [told for factor, told in SLIPS.items() if quantity.low <= median * factor <= quantity.high]
    if advice and median > 0:
        return [f"{column} has the median {median:g}, where {quantity.meaning} is expected: {', or '.join(advice)}."]
    if (known < 0).mean() > MOSTLY and quantity.low >= 0:
        return [f"{column} is negative in {int((known < 0).sum())} of {known.size} rows, but is {quantity.meaning}."]
    return [
        f"{column} lies beyond its physical limits {quantity.low:g} .. {quantity.high:g} in {int(wrong.sum())} of "
        f"{known.size} rows (median {median:g}), but is {quantity.meaning}.  Is it the right column?"
    ]


def _constant_cells(once: pd.DataFrame, columns: list[str]) -> list[str]:
    if not columns:
        return []
    cells = once.groupby("unique_id", sort=True)
    same = (cells[columns].nunique(dropna=False) == 1).all(axis=1) & (cells.size() >= SHORTEST)
    return [str(cell) for cell in same.index[same]]


def _gaps(frame: pd.DataFrame) -> tuple[str, ...]:
    cells = frame.groupby("unique_id")["ds"]
    missing = cells.max() - cells.min() + 1 - cells.size()
    missing = missing[missing > 0]
    if missing.empty:
        return ()
    shown = listed([f"{cell} {n}" for cell, n in missing.items()])
    return (f"Cycles that were not recorded between the first and the last of a cell, bridged: {shown}.",)


def _per_cell(ids: "pd.Series[str]", rows: NDArray[np.bool_]) -> str:
    return listed([f"{cell} {n}" for cell, n in ids.loc[rows].value_counts().sort_index().items()])


def _places(rows: pd.DataFrame, at: np.ndarray) -> str:
    picked = rows[at]
    shown = ", ".join(
        f"cell {cell} cycle {ds:g}" for cell, ds in zip(picked["unique_id"][:SHOWN], picked["ds"][:SHOWN], strict=True)
    )
    return shown + (f" and {len(picked) - SHOWN} more" if len(picked) > SHOWN else "")
