"""Audit anybody's pipeline over a table of series: what it made of a row must not change with what comes after it.

The pipeline is a black box.  The values after some date are replaced in all series, in several ways, or the rows are
removed; the pipeline is run again, and every column of what it returns is held against what it returned before.  The
converse is asked as well: a table that does not move when all values are replaced was not made of them.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import FloatArray, IntArray
from evaluation.leakage.differences import difference
from evaluation.leakage.directions import directions_explained
from evaluation.leakage.peers import Peer, as_function
from evaluation.leakage.perturb import SHIFT, WAYS, How, replacement
from evaluation.leakage.prove import STALE, Audit, Change, Finding, Stage, compare
from evaluation.leakage.prove import audit as audit_series

ID, DATE, CUTOFF, TARGET = "unique_id", "ds", "cutoff", "y"
REMOVED = "removed"
ALONE = "series"  # what a series without a name is called
CUTS = 5  # dates after which everything is replaced
TELLS = 70.0  # directions of the next step that chance does not explain [%]
ENOUGH = 50  # rows by which that is measured


class _Rows(NamedTuple):
    """The rows of a table in the order of series and time."""

    order: IntArray
    """``(rows,)`` place in the table of each."""
    code: IntArray
    """``(rows,)`` number of its series, ascending."""
    date: IntArray
    """``(rows,)`` rank of its date among ``dates``."""
    names: NDArray[Any]
    """``(series,)``."""
    dates: "pd.Index[Any]"
    """Ascending, each once."""

    def last_known(self, series: IntArray, rank: IntArray) -> IntArray:
        """Return the last row of each series up to a date; -1 where it has not begun."""
        key = self.code * (len(self.dates) + 1) + self.date
        found = np.searchsorted(key, series * (len(self.dates) + 1) + rank, side="right") - 1
        begun = (found >= 0) & (self.code[np.maximum(found, 0)] == series)
        return cast(IntArray, np.where(begun, found, -1))


class _Made(NamedTuple):
    """One column of what a pipeline returned."""

    key: pd.MultiIndex
    """Series, date and, of a forecast, last date known: what a value is known again by."""
    found: NDArray[Any]
    own_past: IntArray
    """``(n,)`` row up to which each value may look; -1: nothing."""
    forecast: bool


def audit_table(
    pipeline: Any,
    df: pd.DataFrame,
    train: Any = None,
    known: Collection[str] = (),
    ways: Sequence[str] | None = None,
    lag: int = 0,
    seed: int = 0,
) -> Audit:
    """Audit a pipeline over a table; see ``modecast.audit`` for the parameters.

    Raises
    ------
    ValueError
        If the table has no ``y`` or dates, the pipeline gives other numbers when it is called again, or returns what
        cannot be laid beside the rows of the table.
    """
    began = time.perf_counter()
    if isinstance(df, np.ndarray | pd.Series):
        return audit_series(pipeline, np.asarray(df, dtype=np.float64), seed=seed, known=known)
    tried = _checked_ways(ways)
    rows = _rows_of(df)
    train = 0.7 if train is None and not callable(pipeline) else train
    until = None if train is None else _train_end(rows, train)
    peer = as_function(pipeline, df, None if until is None else rows.dates[until])
    lag = max(lag, peer.lag)
    before = _columns(peer, df, rows, lag)
    _refuse_chance(before, _columns(peer, df, rows, lag))
    tried = tuple(way for way in tried if way != REMOVED or not any(made.forecast for made in before.values()))
    stages = [_stage(name, made, rows, until) for name, made in before.items()]
    rng = np.random.default_rng(seed)
    replaced = [column for column in df.columns if column not in (ID, DATE, *known)]

    def changes() -> Iterator[Change]:
        cuts = _cuts(rows, before, until)
        turns = [(cuts[0], way) for way in tried]
        turns += [(cut, tried[place % len(tried)]) for place, cut in enumerate(cuts[1:])]
        for cut, way in turns:
            later = rows.date > cut
            other = _changed(df, rows, later, replaced, way, rng)
            made = _columns(peer, other, rows, lag)
            name = f"what comes after {_shown(rows.dates[cut])} is {'left out' if way == REMOVED else way}"
            yield Change(name, later, [_laid_beside(stage, before, made, way) for stage in stages])

    findings = compare(stages, changes(), rows.code)
    everything = np.ones(len(rows.order), dtype=bool)
    moved = _columns(peer, _changed(df, rows, everything, replaced, "scrambled", rng), rows, lag)
    found = _judged(findings, stages, before, moved, df, rows)
    return Audit(found, time.perf_counter() - began)


def _checked_ways(ways: Sequence[str] | None) -> tuple[str, ...]:
    known = (*WAYS, REMOVED)
    tried = known if ways is None else tuple(ways)
    strange = [way for way in tried if way not in known]
    if strange or not tried:
        raise ValueError(f"ways={list(tried)} must be some of {', '.join(known)}.")
    return tried


def _rows_of(df: pd.DataFrame) -> _Rows:
    """Read series and dates of a table, and refuse one that has none."""
    if not isinstance(df, pd.DataFrame):
        raise ValueError(f"audit needs a DataFrame with unique_id, ds and y, not {type(df).__name__}.")
    absent = [column for column in (DATE, TARGET) if column not in df]
    if absent:
        raise ValueError(f"The table lacks the column {', '.join(absent)}; it has {', '.join(map(str, df.columns))}.")
    if df[DATE].isna().any() or len(df) < 4:
        raise ValueError("The table needs at least 4 rows, each with a date in ds.")
    ids = df[ID].astype(str).to_numpy() if ID in df else np.full(len(df), ALONE)
    code, names = pd.factorize(ids, sort=True)
    date, dates = pd.factorize(df[DATE], sort=True)
    order = np.lexsort((date, code))
    code, date = code[order].astype(np.int64), date[order].astype(np.int64)
    if ((code[1:] == code[:-1]) & (date[1:] == date[:-1])).any():
        raise ValueError(
            "The table has two rows of one series at one date.  Keep one, or tell series apart by unique_id."
        )
    return _Rows(order.astype(np.int64), code, date, np.asarray(names), pd.Index(dates))


def _train_end(rows: _Rows, train: Any) -> int:
    """Return the rank of the last date that may have been fitted on."""
    n = len(rows.dates)
    if isinstance(train, float) and 0 < train < 1:
        return max(int(train * n) - 1, 0)
    date = train if pd.api.types.is_number(rows.dates[0]) else pd.Timestamp(train)
    rank = int(rows.dates.searchsorted(date, side="right")) - 1
    if not 0 <= rank < n - 1:
        span = f"{_shown(rows.dates[0])} .. {_shown(rows.dates[-1])}"
        raise ValueError(
            f"train={train} must be a date within the table ({span}), or a share of its dates such as 0.7."
        )
    return rank


def _cuts(rows: _Rows, before: Mapping[str, _Made], until: int | None) -> IntArray:
    """Return the dates after which the future is replaced: of forecasts some last dates known, else some late ones."""
    n = len(rows.dates)
    known = [made.own_past[made.own_past >= 0] for made in before.values() if made.forecast]
    if known:
        places = np.unique(rows.date[np.concatenate(known)])
        places = places[places < n - 1]
        places = places if places.size else np.array([n - 2])
    else:
        places = np.arange(n // 2 if until is None else until, n - 1)
    return np.unique(places[np.linspace(0, places.size - 1, CUTS).astype(int)])


def _changed(
    df: pd.DataFrame, rows: _Rows, later: NDArray[np.bool_], columns: Sequence[str], way: str, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the table with the values of some rows replaced, or without these rows."""
    if way == REMOVED:
        there = np.zeros(len(df), dtype=bool)
        there[rows.order[~later]] = True
        return df[there].copy()
    other = df.copy()
    starts = np.flatnonzero(np.r_[True, rows.code[1:] != rows.code[:-1]])
    for column in columns:
        values = df[column].to_numpy()[rows.order]
        parts = [
            _replaced(values[start:stop], later[start:stop], cast(How, way), rng)
            for start, stop in zip(starts, [*starts[1:], len(values)], strict=True)
        ]
        back = np.empty_like(values)
        back[rows.order] = np.concatenate(parts)
        other[column] = pd.Series(back, index=df.index).astype(df[column].dtype)
    return other


def _replaced(values: NDArray[Any], later: NDArray[np.bool_], way: How, rng: np.random.Generator) -> NDArray[Any]:
    """Replace the values of one series, where there are any; of words and truth values only the order."""
    if values.dtype.kind not in "fiu":
        if way == "scrambled":
            values = values.copy()
            values[later] = rng.permutation(values[later])
        return values
    there = np.isfinite(values)
    other = values.astype(np.float64)
    if there.any():
        other[there] = replacement(other[there], later[there], way, rng)
    if values.dtype.kind in "iu":
        other = np.rint(other)
        step = max(1.0, np.rint(SHIFT * float(values.std() or 1.0)))
        if way == "shifted":  # whole numbers move by a whole number
            other[later] = values[later] + step
    return other.astype(values.dtype)


def _columns(peer: Peer, df: pd.DataFrame, rows: _Rows, lag: int) -> dict[str, _Made]:
    """Run the pipeline, and lay every column of what it returns beside the rows of the whole table."""
    returned = peer.function(df.copy())
    parts = returned if isinstance(returned, Mapping) and not isinstance(returned, pd.DataFrame) else {"": returned}
    made: dict[str, _Made] = {}
    for part, table in parts.items():
        for name, column in _beside(table, df, rows, lag).items():
            made[f"{part}: {name}" if part else name] = column
    if not made:
        raise ValueError("The pipeline returns no column to audit.  Return a DataFrame or an array with a row a row.")
    return made


def _beside(table: Any, df: pd.DataFrame, rows: _Rows, lag: int) -> dict[str, _Made]:
    if hasattr(table, "toarray"):  # a sparse matrix
        table = table.toarray()
    if isinstance(table, pd.Series):
        table = table.to_frame(str(table.name or "inputs"))
    if isinstance(table, pd.DataFrame):
        names = [name for name in (ID, DATE, CUTOFF) if name in table.index.names]
        table = table.reset_index(level=names) if names else table
    if isinstance(table, pd.DataFrame) and DATE in table and (ID in table or ID not in df):
        ids = table[ID].astype(str).to_numpy() if ID in table else np.full(len(table), ALONE)
        cutoff = table.get(CUTOFF)
        left_out = (ID, DATE, CUTOFF) if cutoff is None else (ID, DATE, CUTOFF, TARGET)  # there y is the truth itself
        values = {str(name): table[name].to_numpy() for name in table if name not in left_out}
        return _keyed(values, ids, pd.Index(table[DATE]), None if cutoff is None else pd.Index(cutoff), rows, lag)
    place = _places(table, df)
    array = table.to_numpy() if isinstance(table, pd.DataFrame) else np.asarray(table)
    flat = array.reshape(len(array), -1) if array.ndim != 1 else array[:, None]
    titles = list(map(str, table.columns)) if isinstance(table, pd.DataFrame) else _titles(array)
    if isinstance(table, pd.DataFrame):
        columns = {title: table.iloc[:, number].to_numpy() for number, title in enumerate(titles)}
    else:
        columns = {title: flat[:, number] for number, title in enumerate(titles)}
    ids = df[ID].astype(str).to_numpy()[place] if ID in df else np.full(len(place), ALONE)
    return _keyed(columns, ids, pd.Index(df[DATE].iloc[place]), None, rows, lag)


def _titles(array: NDArray[Any]) -> list[str]:
    if array.ndim == 1:
        return ["inputs"]
    return [f"inputs[{', '.join(map(str, at))}]" for at in np.ndindex(*array.shape[1:])]


def _places(table: Any, df: pd.DataFrame) -> IntArray:
    """Return the place in the table of each row that was returned.

    Raises
    ------
    ValueError
        If that cannot be told.
    """
    if isinstance(table, pd.DataFrame) and df.index.is_unique and table.index.isin(df.index).all():
        return np.asarray(df.index.get_indexer(table.index), dtype=np.int64)
    n = len(table) if hasattr(table, "__len__") else -1
    if n == len(df):
        return np.arange(n)
    if 0 < n < len(df) and (ID not in df or df[ID].nunique() == 1) and df[DATE].is_monotonic_increasing:
        return np.arange(len(df) - n, len(df))  # windows: the last one ends with the last row
    raise ValueError(
        f"The pipeline returns {type(table).__name__} of {n} rows for a table of {len(df)}, and nothing tells which "
        f"row is which.  Return a DataFrame with unique_id and ds (of forecasts also cutoff), or the table's index."
    )


def _keyed(
    columns: Mapping[str, NDArray[Any]],
    ids: NDArray[Any],
    ds: "pd.Index[Any]",
    cutoff: "pd.Index[Any] | None",
    rows: _Rows,
    lag: int,
) -> dict[str, _Made]:
    """Return columns by their names, their rows known again by series and dates, those of other series left out."""
    series = pd.Index(rows.names).get_indexer(pd.Index(ids)).astype(np.int64)
    until = ds if cutoff is None else cutoff
    rank = rows.dates.searchsorted(until, side="right").astype(np.int64) - 1
    known = rows.last_known(series, rank)
    if cutoff is None and lag:
        known = np.where((known >= lag) & (rows.code[np.maximum(known - lag, 0)] == series), known - lag, -1)
    dates = [ds] if cutoff is None else [ds, cutoff]
    key = pd.MultiIndex.from_arrays([series, *dates])
    if key.has_duplicates:
        raise ValueError(
            "The pipeline returns two rows of one series at one date.  Name their last date known in cutoff."
        )
    order = np.lexsort((ds.argsort().argsort(), series))
    order = order[(series[order] >= 0) & (known[order] >= 0)]
    return {
        name: _Made(key[order], _plain(values)[order], known[order].astype(np.int64), cutoff is not None)
        for name, values in columns.items()
    }


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers and truth values as they are, and all else as text."""
    if values.dtype.kind in "fiub":
        return values
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    if values.dtype.kind == "O" and numbers.notna().any() and (numbers.notna() | pd.isna(values)).all():
        return numbers.to_numpy(dtype=np.float64)
    missing = pd.isna(values)
    return np.array(["" if gone else str(value) for gone, value in zip(missing, values, strict=True)], dtype=object)


def _stage(name: str, made: _Made, rows: _Rows, until: int | None) -> Stage:
    fitted_on = None if until is None else rows.date <= until
    return Stage(name, made.found, made.own_past, fitted_on)


def _laid_beside(stage: Stage, before: Mapping[str, _Made], now: Mapping[str, _Made], way: str) -> Stage:
    """Return the values of a stage after a change, in the order of before.

    A row that is no longer there counts as changed; where rows were removed, windows end earlier, and it does not.
    """
    old = before[stage.name]
    if stage.name not in now:
        return stage._replace(values=np.full(len(old.found), np.nan))
    new = now[stage.name]
    place = new.key.get_indexer(old.key)
    there = place >= 0
    if there.all():
        return stage._replace(values=new.found[place])
    if not len(new.found):
        return stage if way == REMOVED else stage._replace(values=np.full(len(old.found), np.nan))
    values = new.found[np.maximum(place, 0)]
    if way == REMOVED:
        values = np.where(there, values, old.found)
    elif values.dtype.kind == "O":
        values[~there] = "not there"
    else:
        values = np.where(there, values.astype(np.float64), np.nan)
    return stage._replace(values=values)


def _refuse_chance(one: Mapping[str, _Made], other: Mapping[str, _Made]) -> None:
    for name, made in one.items():
        again = other.get(name)
        there = again is not None and made.key.equals(again.key)
        if again is None or not there or difference(made.found, again.found).beyond.any():
            raise ValueError(
                f"The pipeline gives another {name} for the same table when it is called again, so nothing can be said "
                f"of what changes it.  Fix its random numbers (seeds), then audit it."
            )


def _judged(
    findings: Sequence[Finding],
    stages: Sequence[Stage],
    before: Mapping[str, _Made],
    moved: Mapping[str, _Made],
    df: pd.DataFrame,
    rows: _Rows,
) -> list[Finding]:
    """Name the first row of each leak, and say which columns do not come from the data at all."""
    stays = {
        stage.name
        for stage in stages
        if not difference(stage.values, _laid_beside(stage, before, moved, "scrambled").values).beyond.any()
    }
    judged = []
    for finding in findings:
        made = before[finding.stage]
        if finding.verdict == "LEAKS" and finding.first is not None:
            detail = f"{finding.detail}, first {_place(made, finding.first, rows)}{_told(made, df, rows)}"
            if finding.detail.endswith("left out"):
                detail += " (and only then: it depends on where the table ends, as a split by a share of the rows does)"
            finding = finding._replace(detail=detail)
        elif finding.stage in stays:
            told = _told(made, df, rows)
            if len(stays) == len(findings) or told:
                finding = finding._replace(verdict="LEAKS", detail=STALE + told)
            else:
                finding = finding._replace(
                    verdict="not audited", checked=0, detail="does not depend on what is replaced"
                )
        judged.append(finding)
    return judged


def _place(made: _Made, first: int, rows: _Rows) -> str:
    key: Any = made.key[first]
    name = "" if len(rows.names) == 1 and rows.names[0] == ALONE else f"of {rows.names[key[0]]} "
    return f"{name}at {_shown(key[1])}"


def _told(made: _Made, df: pd.DataFrame, rows: _Rows) -> str:
    """Return what a column that leaks knows of the next move, where that is more than chance."""
    y: FloatArray = df[TARGET].to_numpy(dtype=np.float64)[rows.order]
    last = made.own_past
    has_next = (last + 1 < len(y)) & (rows.code[np.minimum(last + 1, len(y) - 1)] == rows.code[last])
    if made.forecast or made.found.dtype.kind not in "fiu":
        return ""
    values, last = made.found[has_next].astype(np.float64), last[has_next]
    moves = y[last + 1] - y[last]
    sound = np.isfinite(values) & np.isfinite(moves)
    if sound.sum() < ENOUGH or not moves[sound][int(0.7 * sound.sum()) :].any():
        return ""
    share = 100 * directions_explained(values[sound][:, None], moves[sound])
    return f"; {share:.0f} % of the directions of the next step can be told from it" if share > TELLS else ""


def _shown(date: Any) -> str:
    if isinstance(date, pd.Timestamp):
        return f"{date:%Y-%m-%d}" if date == date.normalize() else f"{date:%Y-%m-%d %H:%M:%S}"
    return str(date)
