"""Conformal intervals by cell: every validation cell counts as one, however many rows it has."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from data.contracts import CELLS, FloatArray, IntArray, Kind
from evaluation.intervals.bounds import around, needed, rank, supported, valid_levels
from evaluation.intervals.offsets import ANY, Offset
from evaluation.intervals.streams import by_fold, checked, last_fold
from evaluation.rows import ForecastsError


class ByCell:
    """Cover the rows of a cell that nobody has learnt from, by how far off the validation cells were.

    Rows of one cell err together, so it is cells that are counted, not rows.  The score of a row is
    its absolute error over the usual error at that stage of life.  Within each validation cell the
    scores have a quantile; over the k cells, the j-th smallest of these quantiles is taken, with
    j = ceil((k + 1) level).  If cells are exchangeable, a new cell is covered at the level with a
    probability of at least j / (k + 1).  Where j is above k the cells do not support the level, and its
    bounds are NaN: 1 validation cell supports at most 50 %, 4 cells 80 %, and 95 % takes 19.

    The usual error is the mean absolute error of the validation rows, every cell counting the
    same, in ``stages`` equally filled parts by forecast life, between whose middles it is
    interpolated.  A bound below 0 becomes 0: no life is negative.

    Parameters
    ----------
    levels : sequence of int
        Share of the rows of a cell the intervals shall hold [%].
    stages : int
        Parts of life with a width of their own; 1 gives the same width everywhere.
    """

    kinds: ClassVar[Sequence[Kind]] = CELLS

    def __init__(self, levels: Sequence[int], stages: int) -> None:
        self.levels = valid_levels(levels)
        if stages < 1:
            raise ValueError(f"intervals.stages={stages} must be at least 1.")
        self.stages = stages

    def apply(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with intervals.

        Raises
        ------
        ForecastsError
            If a row is forecast twice, or a cell is both in the test and the calibration rows.
        """
        y_hat = forecasts["y_hat"].to_numpy(dtype=np.float64)
        reach = {level: np.full(len(forecasts), np.nan) for level in self.levels}
        for cells in _groups(forecasts, calibration):
            for level, (at, far) in self._reaches(cells).items():
                reach[level][cells.rows] = np.interp(y_hat[cells.rows], at, far)
        return around(forecasts, reach, smallest=0.0)

    def latest(self, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> list[dict[str, Any]]:
        """Return the widths by forecast life, for any further cell."""
        last = last_fold(forecasts, calibration)
        return [
            Offset(cells.model, ANY, cells.step, level, _plain(at), _plain(-reach), _plain(reach))._asdict()
            for cells in _groups(*last)
            for level, (at, reach) in self._reaches(cells).items()
            if np.isfinite(reach).all()
        ]

    def notes(self, calibration: pd.DataFrame) -> list[str]:
        """Say which levels the validation cells are too few for."""
        if calibration.empty:
            return supported(0, self.levels, "validation cell")
        cells = calibration.groupby(by_fold(calibration, ["model"]))["unique_id"].nunique()
        return supported(int(cells.min()), self.levels, "validation cell")

    def _reaches(self, cells: "_Cells") -> dict[int, tuple[FloatArray, FloatArray]]:
        """Return, for each level, forecasts ``(stages,)`` and how far an interval reaches there."""
        rows = cells.calibration
        rows = rows[np.isfinite(rows["error"])]
        if rows.empty:
            return {level: (np.zeros(1), np.full(1, np.nan)) for level in self.levels}
        at, usual = self._usual_error(rows)
        scores = rows["error"].abs() / np.interp(rows["y_hat"], at, usual)
        by_cell = [np.sort(part.to_numpy()) for _, part in scores.groupby(rows["unique_id"])]
        reaches = {}
        for level in self.levels:
            alpha = 1 - level / 100
            of_cells = np.sort([score[rank(score.size, alpha)] for score in by_cell])
            far = of_cells[rank(of_cells.size, alpha)] if of_cells.size >= needed(level) else np.nan
            reaches[level] = (at, usual * far)
        return reaches

    def _usual_error(self, rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Return the middles of the stages and the mean absolute error there, ``(stages,)`` each."""
        weight = 1 / rows.groupby("unique_id")["error"].transform("size").to_numpy()
        y_hat, error = rows["y_hat"].to_numpy(dtype=np.float64), rows["error"].abs().to_numpy()
        order = np.argsort(y_hat, kind="stable")
        share = np.cumsum(weight[order]) / weight.sum()
        stage = np.empty(y_hat.size, dtype=np.int64)
        stage[order] = np.minimum((share * self.stages - 1e-9).astype(np.int64), self.stages - 1)
        present = np.unique(stage)
        at = np.array([np.average(y_hat[stage == k], weights=weight[stage == k]) for k in present])
        usual = np.array([np.average(error[stage == k], weights=weight[stage == k]) for k in present])
        tiny = np.finfo(np.float64).tiny  # a stage without any error has an interval without width
        return at, np.maximum(usual, tiny)


class _Cells(NamedTuple):
    """One model and step: its test rows and the calibration rows of other cells."""

    model: str
    step: int
    rows: IntArray
    calibration: pd.DataFrame


def _groups(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> Iterator[_Cells]:
    """Yield the models of every fold with their calibration cells."""
    calibration = checked(forecasts, calibration)
    keys = by_fold(forecasts, ["model", "step"])
    before: Any = calibration.groupby(keys).indices
    tested: Any = forecasts.groupby(keys, sort=False).indices
    for key, rows in tested.items():
        known = calibration.iloc[before.get(key, np.empty(0, dtype=np.int64))]
        both = set(known["unique_id"]) & set(forecasts["unique_id"].iloc[rows])
        if both:
            raise ForecastsError(
                f"The cell {min(both)} is tested and calibrates its own intervals, which would then be too narrow.  "
                f"Hold other cells out for validation."
            )
        yield _Cells(str(key[-2]), int(key[-1]), rows, known.assign(error=known["y"] - known["y_hat"]))


def _plain(values: FloatArray) -> list[float]:
    return [float(value) for value in values]
