"""Errors of one model, series and step in time order, calibration before test: what intervals in time learn from."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from evaluation.rows import COLUMNS, FOLD, ForecastsError

ROW = ["unique_id", "origin", "step", "model"]  # names one forecast
STREAM = ["model", "unique_id", "step"]  # whose errors belong together


class Streams(NamedTuple):
    """All streams of a table, one behind another.

    Shapes
    ------
    S stream, n row of calibration and test together
    """

    keys: list[tuple[str, str, int]]
    """``STREAM`` of each, in order of first appearance."""
    start: IntArray
    """``(S + 1,)`` where each begins."""
    n_calibration: IntArray
    """``(S,)`` how many of its rows, which come first, are calibration."""
    row: IntArray
    """``(n,)`` position in the table of forecasts; -1 of a calibration row."""
    origin: IntArray
    """``(n,)`` rank in time, to be compared with ``ds``."""
    ds: IntArray
    error: FloatArray

    def each(self) -> Iterator[tuple[int, slice, slice]]:
        """Yield the number of every stream and where its calibration and its test rows are."""
        for number, (begin, end) in enumerate(zip(self.start[:-1], self.start[1:], strict=True)):
            test = int(begin + self.n_calibration[number])
            yield number, slice(int(begin), test), slice(test, int(end))


def streams(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> Streams:
    """Return the streams of every fold, their rows sorted once.

    Raises
    ------
    ForecastsError
        If a table lacks something, holds a forecast twice, or a calibration truth is not known at the first test
        origin of its stream.
    """
    calibration = checked(forecasts, calibration)
    keys = by_fold(forecasts, STREAM)
    both = pd.concat([forecasts[[*keys, "ds", "origin"]], calibration[[*keys, "ds", "origin"]]], ignore_index=True)
    code = both.groupby(keys, sort=False).ngroup().to_numpy()
    rank = pd.factorize(pd.concat([both["ds"], both["origin"]]), sort=True)[0]
    ds, origin = rank[: len(both)], rank[len(both) :]
    tested = np.arange(len(both)) < len(forecasts)
    n_streams = int(code[tested].max()) + 1 if len(forecasts) else 0
    order = np.lexsort((origin, tested, code))
    order = order[code[order] < n_streams]  # a stream that is not tested needs no interval
    start = np.searchsorted(code[order], np.arange(n_streams + 1))
    n_calibration = np.bincount(code[order][~tested[order]], minlength=n_streams)
    error = np.concatenate([(t["y"] - t["y_hat"]).to_numpy(dtype=np.float64) for t in (forecasts, calibration)])
    names = forecasts.drop_duplicates(keys)[STREAM].itertuples(index=False, name=None)
    found = Streams(
        keys=[(str(model), str(unique_id), int(step)) for model, unique_id, step in names],
        start=start.astype(np.int64),
        n_calibration=n_calibration.astype(np.int64),
        row=np.where(tested[order], order, -1),
        origin=origin[order],
        ds=ds[order],
        error=error[order],
    )
    _refuse_later(found, both.iloc[order])
    return found


def last_fold(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the fold that comes last in the table: its model is the one that goes on."""
    calibration = checked(forecasts, calibration)
    if FOLD not in forecasts.columns:
        return forecasts, calibration
    last = forecasts[FOLD].iloc[-1]
    return forecasts[forecasts[FOLD] == last], calibration[calibration[FOLD] == last]


def checked(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the calibration table; refuse tables that lack something or hold a forecast twice."""
    if calibration.empty:
        calibration = forecasts.iloc[:0]
    for name, table in (("forecasts", forecasts), ("calibration forecasts", calibration)):
        absent = [column for column in by_fold(forecasts, COLUMNS) if column not in table.columns]
        if absent:
            raise ForecastsError(f"The {name} lack the column {', '.join(absent)}.")
        twice = table.duplicated(by_fold(forecasts, ROW))
        if twice.any():
            row = table[twice].iloc[0]
            raise ForecastsError(
                f"The {name} hold {row['unique_id']} at {row['ds']} twice for {row['model']}.  "
                f"Several folds need a column {FOLD!r}."
            )
    return calibration


def by_fold(forecasts: pd.DataFrame, names: list[str]) -> list[str]:
    """Return the names, and the fold where there are several."""
    return [FOLD, *names] if FOLD in forecasts.columns else names


def _refuse_later(found: Streams, rows: pd.DataFrame) -> None:
    for number, known, test in found.each():
        if known.stop > known.start and found.ds[known].max() > found.origin[test.start]:
            last = rows["ds"].iloc[known].max()
            raise ForecastsError(
                f"The calibration truth of {found.keys[number][1]} at {last} is not known at the first test origin, "
                f"{rows['origin'].iloc[test.start]}.  Calibrate on rows before the test set, or, where whole cells are "
                f"held out, with intervals=by_cell."
            )
