"""Roles of each row: training, validation or test."""

import numpy as np
import pandas as pd

from data.contracts import GAP, TEST, TRAIN, VALIDATION, Fold, IntArray, Panel
from data.panel import DataError


class ByTime:
    """Train on the oldest dates, validate on later ones, test on the latest, for all series at once.

    The last rows before validation and before test are left out as targets, ``gap`` of them, so
    that no two roles share a step of the same future.

    Parameters
    ----------
    validation, test : float
        Shares of the dates, in [0, 1) [fraction]; train gets the rest.
    gap : int or None
        Dates left out before each boundary [steps]; None takes one horizon.
    """

    def __init__(self, validation: float, test: float, gap: int | None = None) -> None:
        check_shares(validation, test)
        self.validation, self.test, self.gap = validation, test, gap

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold."""
        time, n_dates = _steps(panel)
        test = n_dates - round(self.test * n_dates)
        validation = test - round(self.validation * n_dates)
        gap = horizon if self.gap is None else self.gap
        return [Fold(_roles(time, validation, test, n_dates, gap), "by time")]


class WalkForward:
    """Refit every ``every`` steps on all that is known by then, and forecast the steps until the next refit.

    Parameters
    ----------
    test : float
        Share of the dates that is forecast, the latest [fraction].
    validation : float
        Share of what is known at a refit that chooses the weights, the latest [fraction].
    every : int
        Steps from one refit to the next.
    gap : int or None
        As of ``ByTime``.
    """

    def __init__(self, test: float, validation: float, every: int, gap: int | None = None) -> None:
        if not (0 < test < 1 and 0 <= validation < 1):
            raise ValueError(f"split.test={test} and split.validation={validation} must be fractions below 1.")
        if every < 1:
            raise ValueError(f"split.every={every} must be at least 1 step.")
        self.test, self.validation, self.every, self.gap = test, validation, every, gap

    def folds(self, panel: Panel, horizon: int) -> list[Fold]:
        """Return one fold a refit, in time order; together they test every date once.

        Raises
        ------
        DataError
            If a refit would come sooner than a forecast of ``horizon`` steps is over.
        """
        if self.every < horizon:
            raise DataError(
                f"split.every={self.every} is shorter than horizon={horizon}: no forecast would fit "
                f"between two refits.  Raise split.every."
            )
        time, n_dates = _steps(panel)
        gap = horizon if self.gap is None else self.gap
        folds: list[Fold] = []
        starts = list(range(n_dates - round(self.test * n_dates), n_dates, self.every))
        if len(starts) > 1 and n_dates - starts[-1] < horizon:
            del starts[-1]  # too few steps for a forecast: the refit before goes on to the end
        for test, stop in zip(starts, [*starts[1:], n_dates], strict=True):
            validation = test - round(self.validation * test)
            folds.append(Fold(_roles(time, validation, test, stop, gap), f"refit {len(folds) + 1}"))
        return folds


def check_shares(validation: float, test: float) -> None:
    """Refuse shares that leave no row for training or for the test.

    Raises
    ------
    ValueError
        If they are no fractions, or add up to all there is.
    """
    if not (0 <= validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(f"split.validation={validation} and split.test={test} must be fractions whose sum is below 1.")


def _steps(panel: Panel) -> tuple[IntArray, int]:
    """Return the number of each row's date among all dates of the panel, and how many there are."""
    codes, dates = pd.factorize(panel.frame["ds"], sort=True)
    return codes.astype(np.int64), len(dates)


def _roles(time: IntArray, validation: int, test: int, stop: int, gap: int) -> np.ndarray:
    """Give each row its role from the step of its date; nothing at or after ``stop`` has one."""
    role = np.full(time.size, GAP, dtype=np.int8)
    role[time < validation - gap] = TRAIN
    role[(time >= validation) & (time < test - gap)] = VALIDATION
    role[(time >= test) & (time < stop)] = TEST
    return role
