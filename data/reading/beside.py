"""Further columns of a file that stand beside its values: covariates, and what is the same all along a series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data.contracts import FloatArray, Panel
from data.panel import KEYS, DataError, listed
from data.reading.table import Table


def columns_beside(table: Table, names: Sequence[str]) -> dict[str, FloatArray]:
    """Return the numbers of some columns, ``(row,)`` each; NaN where nothing stands.

    Raises
    ------
    DataError
        Naming every column that is not there, holds text, or has no value at all.
    """
    columns, faults = {}, []
    for name in names:
        if name in KEYS:
            faults.append(f"{table.name}: a covariate cannot be called {name!r}.  Rename the column.")
            continue
        found = table.named(name)
        if not found:
            faults.append(table.lacks([name], "covariates"))
            continue
        numbers = table.numbers(found[0])
        values = np.asarray(numbers.parsed, dtype=np.float64)
        if numbers.wrong.any():
            faults.append(f"{table.name}: {int(numbers.wrong.sum())} values of the covariate {name!r} are not numbers.")
        elif not np.isfinite(values).any():
            faults.append(f"{table.name}: the covariate {name!r} has no value at all.  Leave it out.")
        columns[name] = values
    if faults:
        raise DataError("\n  ".join(faults))
    return columns


def described(panel: Panel, covariates: Sequence[str], static: Sequence[str]) -> Panel:
    """Return the panel with roles for its further columns; where a value is missing the last one known counts.

    Raises
    ------
    DataError
        If a column that should be the same all along a series is not, or no row has a value of all.
    """
    names = [*covariates, *static]
    if not names:
        return panel
    frame, notes = panel.frame, []
    values = frame[names].where(np.isfinite(frame[names]))
    filled = values.groupby(frame["unique_id"], sort=False).ffill()
    gaps = (values.isna() & filled.notna()).to_numpy().sum()
    if gaps:
        notes.append(f"{int(gaps)} missing values of {listed(names)} take the last one known.")
    known = filled.notna().all(axis=1)
    if not known.any():
        raise DataError(f"No row of {panel.name} has a value of all of {listed(names)}.")
    if not known.all():
        notes.append(f"{int((~known).sum())} rows before {listed(names)} are known are left out.")
    frame = frame.assign(**{name: filled[name] for name in names})[known].reset_index(drop=True)
    for name in static:
        changing = frame.groupby("unique_id", sort=False)[name].nunique() > 1
        if changing.any():
            raise DataError(
                f"{panel.name}: {name!r} is not the same in every row of {listed(changing[changing].index)}.  Name it "
                f"in source.covariates instead of source.static."
            )
    told = dict.fromkeys(names, "in its own unit")
    return replace(panel, frame=frame, covariates=told, static=tuple(static), notes=(*panel.notes, *notes))
