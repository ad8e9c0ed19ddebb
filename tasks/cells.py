"""What all tasks on cells share: a target of its own row, in cycles, which are what users think in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from data.contracts import TEST, TRAIN, VALIDATION, FloatArray, Fold, Panel, Source, Windows
from evaluation.leakage.perturb import How, replacement
from evaluation.leakage.prove import Finding
from tasks.task import BoolArray


def learning_from_validation(fold: Fold) -> Fold:
    """Return a fold whose validation rows are training rows."""
    return Fold(np.where(fold.role == VALIDATION, TRAIN, fold.role).astype(np.int8), fold.name)


def as_table(panel: Panel) -> pd.DataFrame:
    """Return the covariates of a panel as floats with the index (``unique_id``, ``ds``)."""
    return panel.frame.set_index(["unique_id", "ds"])[list(panel.covariates)].astype(np.float64)


def cell_overlap(panel: Panel, folds: Sequence[Fold]) -> Finding:
    """Find tested rows whose cell, or whose future, was learnt from."""
    ids, cycles = panel.frame["unique_id"].to_numpy(), panel.frame["ds"].to_numpy()
    checked = shared = earlier = 0
    cells: set[str] = set()
    for fold in folds:
        learnt, tested = np.isin(fold.role, (TRAIN, VALIDATION)), fold.role == TEST
        checked += int(tested.sum())
        for cell in np.unique(ids[tested]):
            own = ids == cell
            if (own & learnt).any():
                cells.add(str(cell))
                shared += int((own & tested).sum())
                earlier += int((cycles[own & tested] < cycles[own & learnt].max()).sum())
    if earlier:
        detail = f"{earlier} of {checked} tested rows lie before rows of the same cell that were learnt from"
        return Finding("split", "LEAKS", checked, earlier, detail)
    if shared:
        detail = (
            f"{shared} of {checked} tested rows are of cells that were learnt from ({', '.join(sorted(cells))}), whose "
            f"end of life is thereby known"
        )
        return Finding("split", "LEAKS", checked, shared, detail)
    return Finding("split", "causal", checked, 0, f"no cell of {checked} tested rows was learnt from")


def replaced(panel: Panel, rows: BoolArray, columns: Sequence[str], how: How, rng: np.random.Generator) -> Panel:
    """Return the panel with some columns of some rows replaced."""
    frame = panel.frame.copy()
    for column in columns:
        frame[column] = replacement(frame[column].to_numpy(dtype=np.float64), rows, how, rng)
    return replace(panel, frame=frame)


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

    def explained(self, finding: Finding, windows: Windows) -> Finding:
        """Return the finding as it is."""
        return finding

    def n_channels(self, scaling: Mapping[str, FloatArray]) -> int:
        """Return the number of features."""
        return int(scaling["mean"].size)
