"""What all tasks on cells share: a target of its own row, in cycles, which are what users think in."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from data.contracts import TRAIN, VALIDATION, Fold, Panel, Source, Windows


def learning_from_validation(fold: Fold) -> Fold:
    """Return a fold whose validation rows are training rows."""
    return Fold(np.where(fold.role == VALIDATION, TRAIN, fold.role).astype(np.int8), fold.name)


class OfCells:
    """Ask one number of a row of a cell; nothing lies ahead, and nothing is restored."""

    @property
    def reach(self) -> int:
        """How many steps after its origin the last target of a forecast lies: it is the origin's own."""
        return 1

    def synthetic_from(self, windows: Windows, train: Windows) -> Windows:
        """Return the training windows."""
        return train

    def load(self, source: Source) -> Panel:
        """Read a source."""
        return source.load()

    def restored(self, panel: Panel, forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
        """Return the table as it is: cycles are what users think in."""
        return forecasts

    def kept_errors(self, calibration: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame | None:
        """Return None: nothing is restored."""
        return None

    def restored_ahead(self, panel: Panel, table: pd.DataFrame, errors: pd.DataFrame | None) -> pd.DataFrame:
        """Return the table as it is: cycles are what users think in."""
        return table
