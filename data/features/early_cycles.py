"""What the first cycles of a cell say beside its curves: capacity fade, charge time, temperature, resistance."""

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from data.features._named import Named
from data.features._rows import cell_starts
from data.panel import DataError


class EarlyCycles(Named):
    """Replace quantities of each cycle by what they were in the cell's life so far (Severson et al., 2019, full model).

    Together with the variance and the minimum of ``CurveDifference`` these are the nine features of the paper's full
    model: slope and intercept of a line through the capacities from the second record on, the capacity of the second
    record, the mean charge time of the second to the sixth, the sum of the temperatures, the least resistance and how
    far it has moved since the second.  The paper integrates the temperature over time; here each cycle counts once.

    Parameters
    ----------
    capacity, charge_time, temperature, resistance : str or None
        Column of each quantity; None where there is none.
    """

    def __init__(
        self,
        capacity: str | None = None,
        charge_time: str | None = None,
        temperature: str | None = None,
        resistance: str | None = None,
    ) -> None:
        self.capacity, self.charge_time = capacity, charge_time
        self.temperature, self.resistance = temperature, resistance

    def _learn(self, X: pd.DataFrame, y: "pd.Series[float]") -> None:
        named = {"capacity": self.capacity, "charge_time": self.charge_time}
        named |= {"temperature": self.temperature, "resistance": self.resistance}
        absent = {option: name for option, name in named.items() if name is not None and name not in X}
        if absent:
            told = " and ".join(f"{name!r}" for name in absent.values())
            options = " and ".join(f"features.steps.cycles.{option}=null" for option in absent)
            raise DataError(f"The data have no column {told}.  Set {options}, or name columns that are there.")

    def _transformed(self, X: pd.DataFrame) -> pd.DataFrame:
        taken = self._taken()
        starts = cell_starts(X)
        second = np.minimum(starts + 1, np.arange(len(X)))  # row of the second record, or of the first before it
        rank = (np.arange(len(X)) - starts).astype(np.float64)
        cells = pd.Series(starts)
        found: dict[str, FloatArray] = {}
        late = np.where(rank > 0, 1.0, np.nan)  # rows from the second on
        if self.capacity is not None:
            held = X[self.capacity].to_numpy(dtype=np.float64)
            found["capacity slope"], found["capacity intercept"] = _line(held, rank, late, cells)
            found["capacity at cycle 2"] = held[second]
        if self.charge_time is not None:
            quick = X[self.charge_time].to_numpy(dtype=np.float64)
            mean = pd.Series(quick * late).groupby(cells).expanding().mean().to_numpy()
            found["mean charge time"] = np.where(np.isnan(mean), quick, mean)[np.minimum(np.arange(len(X)), starts + 5)]
        if self.temperature is not None:
            warm = X[self.temperature].to_numpy(dtype=np.float64)
            found["temperature sum"] = pd.Series(warm * (rank > 0)).groupby(cells).cumsum().to_numpy()
        if self.resistance is not None:
            ohm = X[self.resistance].to_numpy(dtype=np.float64)
            least = pd.Series(ohm * late).groupby(cells).cummin().to_numpy()
            found["least resistance"] = np.where(np.isnan(least), ohm, least)
            found["resistance change"] = ohm - ohm[second]
        return pd.concat([X.drop(columns=taken), pd.DataFrame(found, X.index)], axis=1)

    def _names_out(self, inputs: list[str]) -> list[str]:
        made = ["capacity slope", "capacity intercept", "capacity at cycle 2"] * (self.capacity is not None)
        made += ["mean charge time"] * (self.charge_time is not None) + ["temperature sum"] * (
            self.temperature is not None
        )
        made += ["least resistance", "resistance change"] * (self.resistance is not None)
        return [*(name for name in inputs if name not in self._taken()), *made]

    def _taken(self) -> list[str]:
        named = (self.capacity, self.charge_time, self.temperature, self.resistance)
        return [name for name in named if name is not None]


def _line(
    values: FloatArray, rank: FloatArray, late: FloatArray, cells: "pd.Series[int]"
) -> tuple[FloatArray, FloatArray]:
    """Return slope and intercept of the line through all values so far from the second on, ``(n,)`` each."""
    x = rank * late
    parts = {"x": x, "y": values * late, "xx": x * x, "xy": x * values * late}
    mean = {key: pd.Series(part).groupby(cells).expanding().mean().to_numpy() for key, part in parts.items()}
    spread = mean["xx"] - mean["x"] ** 2
    slope = np.where(rank > 1, (mean["xy"] - mean["x"] * mean["y"]) / np.where(spread > 0, spread, 1.0), 0.0)
    level = np.where(rank > 0, mean["y"] - slope * mean["x"], values)
    return slope, level
