"""Cells that age by a semi-empirical law, so that nothing need be downloaded.

The capacity falls with the square root of age (growth of the interphase), linearly (cycling) and, past a
knee, ever faster (plating); a rest gives some of it back for a while.  The resistance grows with the fade
and with the number of cycles.  Capacity and resistance give the voltage curves of a 2.8 Ah cell, and these
the health factors, in the names of the HNEI table.  Cells differ in life, shape and resistance, so that
the number of the cycle alone tells little.
"""

import numpy as np
import pandas as pd

from data.cells.cells import (
    capacity_ends,
    check_eol,
    check_outliers,
    checked_cycles,
    labelled,
    sound_cycles,
    unlabelled,
)
from data.contracts import FloatArray, Panel
from data.sources.hnei import FACTORS

NAME = "Synthetic cells"
NOMINAL = 2.8  # [Ah]
DISCHARGE = 1.5 * NOMINAL  # [A]
CHARGE = 0.5 * NOMINAL  # [A]
TAPERED = 0.1  # [fraction of CHARGE] at which the hold at 4.2 V ends
FULL, EMPTY = 4.2, 3.0  # [V]
TAIL = 1.15  # [lives] the longest a record goes on
CAPACITY = "Discharge_Capacity (Ah)"

_CHARGED = np.linspace(0, 1, 2001)  # (s,) state of charge
_OCV = 3.5 + 0.7 * _CHARGED - 0.5 * np.exp(-20 * _CHARGED)  # (s,) open-circuit voltage [V]


class SyntheticCells:
    """Seeded cells with health factors, gaps and gross outliers.

    Parameters
    ----------
    n_cells : int
    life : sequence of float
        Shortest and longest life [cycles], evenly drawn between.
    longest : int
        No record is longer [cycles]; a cell that has not ended by then is censored.
    spread : float
        Standard deviation between cells of capacity, resistance and the shape of the fade [fraction].
    noise : float
        Standard deviation of a measured time [fraction]; voltages take a hundredth of it, in V.
    missing : float
        Share of cycles that were not recorded [fraction].
    outliers_in : float
        Share of records that are capacity tests of days or were cut off after seconds [fraction].
    outliers : str
        What becomes of those: ``"replace"``, ``"drop"`` or ``"keep"``.
    eol : float
        End of life as a fraction of the nominal capacity.
    seed : int
    """

    def __init__(
        self,
        n_cells: int = 12,
        life: tuple[float, float] = (400.0, 800.0),
        longest: int = 1200,
        spread: float = 0.02,
        noise: float = 0.003,
        missing: float = 0.02,
        outliers_in: float = 0.01,
        outliers: str = "replace",
        eol: float = 0.8,
        seed: int = 0,
    ) -> None:
        if n_cells < 1 or not 20 <= life[0] <= life[1]:
            raise ValueError(
                f"source.n_cells={n_cells} must be at least 1, and source.life={list(life)} two rising numbers of "
                f"at least 20 cycles."
            )
        if not (0 <= missing < 0.5 and 0 <= outliers_in < 0.2):
            raise ValueError(
                f"source.missing={missing} must be a fraction below 0.5, source.outliers_in={outliers_in} below 0.2."
            )
        self.n_cells, self.life, self.longest, self.spread, self.noise = n_cells, life, longest, spread, noise
        self.missing, self.outliers_in, self.seed = missing, outliers_in, seed
        check_eol(eol)
        self.outliers, self.eol = check_outliers(outliers), eol

    def states(self, cell: int) -> tuple[FloatArray, FloatArray]:
        """Return the true capacity [Ah] and resistance [Ohm] of cell number ``cell``: ``(cycle,)`` each."""
        return self._states(np.random.default_rng([self.seed, cell]))

    def read(self) -> Panel:
        """Return the sound cycles without their remaining life.

        Raises
        ------
        DataError
            If a setting gives no cell that can be used.
        """
        _, sound, notes = self._cycles()
        return unlabelled(sound, NAME, FACTORS, notes)

    def load(self) -> Panel:
        """Return every cell with its remaining life [cycles].

        Raises
        ------
        DataError
            If no cell ends within ``longest`` cycles.
        """
        measured, sound, notes = self._cycles()
        ends = capacity_ends(measured, CAPACITY, self.eol, NOMINAL)
        return labelled(sound, NAME, FACTORS, ends, notes)

    def _cycles(self) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
        cells = pd.concat([self._cell(k) for k in range(self.n_cells)])
        factors, told = checked_cycles(cells, NAME, FACTORS)
        sound, mended = sound_cycles(factors, NAME, FACTORS, self.outliers)
        return cells, sound, (*told, *mended)

    def _cell(self, cell: int) -> pd.DataFrame:
        """Return what was recorded of one cell: factors, and the capacity that decides its end."""
        rng = np.random.default_rng([self.seed, cell])
        capacity, resistance = self._states(rng)
        table = pd.DataFrame(_factors(capacity, resistance))
        for column in table.columns:
            error = rng.standard_normal(len(table)) * self.noise
            table[column] += error * (0.3 if column.endswith("(V)") else table[column])
        table.insert(0, CAPACITY, capacity)
        table.insert(0, "ds", np.arange(1, len(table) + 1))
        table.insert(0, "unique_id", f"cell {cell + 1:02d}")
        return self._faulty(table, rng)

    def _states(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        life = rng.uniform(*self.life)
        root, line, knee = rng.dirichlet(np.array([0.25, 0.45, 0.30]) / self.spread) * (1 - self.eol)
        bend, width = rng.uniform(0.70, 0.85), 0.06  # [lives] where the knee is
        first = NOMINAL * (1 + 0.3 * self.spread * rng.standard_normal())  # [Ah]
        cycle = np.arange(1, min(self.longest, int(TAIL * life)) + 1)
        age = cycle / life  # (cycle,) [lives]
        past = width * np.logaddexp(0, (age - bend) / width) / (width * np.logaddexp(0, (1 - bend) / width))
        fade = root * np.sqrt(age) + line * age + knee * past  # (cycle,) 1 - eol at age 1
        rests = np.flatnonzero(rng.random(cycle.size) < 1 / 60)
        recovered = sum(
            (rng.uniform(0.003, 0.010) * np.where(cycle > at, np.exp(-(cycle - at) / 12.0), 0.0) for at in rests),
            np.zeros(cycle.size),
        )
        resistance = 0.045 * (1 + 2 * self.spread * rng.standard_normal())  # [Ohm]
        per_cycle = 5e-4 * (1 + 5 * self.spread * rng.standard_normal())  # [1 / cycle]
        return first * (1 - fade + recovered), resistance * (1 + per_cycle * cycle + 2.0 * fade)

    def _faulty(self, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """Spoil some records as real ones are, and lose some."""
        times = [column for column in FACTORS if column.endswith("(s)")]
        draw = rng.random(len(table))
        table.loc[draw < self.outliers_in, times] *= rng.uniform(40, 120)  # a capacity test of days
        table.loc[draw < self.outliers_in / 3, times] *= 1e-5  # a record cut off after seconds
        recorded = rng.random(len(table)) >= self.missing
        recorded[0] = True
        return table.loc[recorded]


def _factors(capacity: FloatArray, resistance: FloatArray) -> dict[str, FloatArray]:
    """Return the health factors of a cell ``(cycle,)`` [s, V] from its capacity [Ah] and resistance [Ohm]."""
    seconds = 3600 * capacity
    falls, rises = DISCHARGE * resistance, CHARGE * resistance  # [V]
    empty = _charge_at(EMPTY + falls)
    held = _charge_at(FULL - rises)
    constant = (held - empty) * seconds / CHARGE
    decay = (1 - held) * seconds / ((1 - TAPERED) * CHARGE)  # [s] time constant of the hold
    return {
        "Discharge Time (s)": (1 - empty) * seconds / DISCHARGE,
        "Decrement 3.6-3.4V (s)": (_charge_at(3.6 + falls) - _charge_at(3.4 + falls)) * seconds / DISCHARGE,
        "Max. Voltage Dischar. (V)": FULL - falls,
        "Min. Voltage Charg. (V)": EMPTY + falls + rises,
        "Time at 4.15V (s)": (_charge_at(4.15 - rises) - empty) * seconds / CHARGE,
        "Time constant current (s)": constant,
        "Charging time (s)": constant + decay * np.log(1 / TAPERED),
    }


def _charge_at(voltage: FloatArray) -> FloatArray:
    """Return the state of charge at an open-circuit voltage [V], in [0, 1]."""
    return np.interp(voltage, _OCV, _CHARGED)
