"""Discharge curves of cells that fade with a knee, so that a life can be told from its beginning without a file.

Made after what Severson et al. (2019) saw of 124 lithium-iron-phosphate cells: in the first hundred cycles the capacity
hardly moves, and even rises a little, while the discharge curve already sags at low voltages, the more the shorter the
cell will live.  The capacity falls slowly and then, past a knee, ever faster; a life ends at a fraction of the nominal
capacity.  How much a curve sags, how early the knee comes and what a cell holds at first differ between cells of one
life, so that no single number tells the life exactly.
"""

import numpy as np
import pandas as pd

from data.cells.cells import check_eol
from data.cells.curves import CAPACITY, column_names, curve_panel, grid_of
from data.contracts import FloatArray, Panel

NAME = "Synthetic curves"
NOMINAL = 1.1  # [Ah]
VOLTAGE = (2.0, 3.5)  # [V] of the grid
MEDIAN, SPREAD = 800.0, 0.5  # [cycles] of the lives, and standard deviation of their logarithm
SAG, CENTRE, WIDTH = (
    0.035,
    2.95,
    0.16,
)  # [Ah] lost at the sag of a cell of median life at cycle 100, and where it is [V]


class SyntheticCurves:
    """Seeded cells: a discharge curve, resistance, temperature and charge time a cycle, for the first cycles.

    Parameters
    ----------
    n_cells : int
    first : int or None
        Cycles on record of each cell, or as many as it lives; None: all [cycles].
    points : int
        Voltages of a curve.
    scatter : float
        Standard deviation, between cells of one life, of the logarithm of how much their curves sag [-].
    noise : float
        Standard deviation of a charge [Ah].
    eol : float
        End of life as a fraction of the nominal capacity.
    seed : int
    """

    def __init__(
        self,
        n_cells: int = 96,
        first: int | None = 150,
        points: int = 50,
        scatter: float = 0.25,
        noise: float = 4e-4,
        eol: float = 0.8,
        seed: int = 0,
    ) -> None:
        if n_cells < 1 or (first is not None and first < 1):
            raise ValueError(f"source.n_cells={n_cells} and source.first={first} must be at least 1.")
        if scatter < 0 or noise < 0:
            raise ValueError(f"source.scatter={scatter} and source.noise={noise} must not be negative.")
        self.n_cells, self.first, self.scatter, self.noise, self.seed = n_cells, first, scatter, noise, seed
        self.grid = grid_of(VOLTAGE, points)
        check_eol(eol)
        self.eol = eol

    def capacity(self, life: float, rng: np.random.Generator, cycles: int) -> FloatArray:
        """Return the true capacity of a cell of a given life, ``(cycle,)`` [Ah]."""
        first = NOMINAL * (1 + 0.01 * rng.standard_normal())
        late = rng.uniform(6.0, 10.0)  # how sharply the knee bends
        slow = rng.uniform(0.15, 0.4)  # [fraction] of the fade before it
        age = np.arange(1, cycles + 1) / life  # (cycle,) [lives]
        fade = slow * age + (1 - slow) * np.expm1(late * age) / np.expm1(late)
        rise = 0.004 * (1 - np.exp(-np.arange(cycles) / 25.0))  # at first, as of real cells
        return (first - NOMINAL * self.eol) * (1 - fade) + NOMINAL * self.eol + NOMINAL * rise * np.maximum(1 - age, 0)

    def load(self) -> Panel:
        """Return the first cycles of every cell with its remaining life [cycles]."""
        made = [self._cell(number) for number in range(self.n_cells)]
        lives: dict[str, float | None] = {str(table["unique_id"].iloc[0]): life for table, life in made}
        rule = f"End of life is the cycle at which the capacity has fallen to {self.eol:.0%} of {NOMINAL} Ah."
        return curve_panel(pd.concat([table for table, _ in made], ignore_index=True), lives, NAME, rule)

    def read(self) -> Panel:
        """Return the first cycles without the remaining life."""
        made = [self._cell(number)[0] for number in range(self.n_cells)]
        return curve_panel(pd.concat(made, ignore_index=True), None, NAME, "")

    def _cell(self, number: int) -> tuple[pd.DataFrame, float]:
        """Return what was recorded of one cell, and its life [cycles]."""
        rng = np.random.default_rng([self.seed, number])
        life = float(np.round(np.clip(MEDIAN * np.exp(SPREAD * rng.standard_normal()), 150.0, 2500.0)))
        cycles = int(life) if self.first is None else min(self.first, int(life))
        capacity = self.capacity(life, rng, cycles)  # (cycle,)
        voltage = self.grid
        rested = 1 / (1 + np.exp((voltage - 3.22) / 0.025))  # the plateau of iron phosphate
        rested = 0.93 * rested + 0.07 * (VOLTAGE[1] - voltage) / (VOLTAGE[1] - VOLTAGE[0])  # (V,) 0 .. 1
        sag = SAG * (MEDIAN / life) ** 1.2 * np.exp(self.scatter * rng.standard_normal())
        grows = (np.arange(1, cycles + 1) / 100.0) ** rng.uniform(0.9, 1.3)  # (cycle,)
        bump = np.exp(-0.5 * ((voltage - CENTRE - 0.03 * rng.standard_normal()) / WIDTH) ** 2)  # (V,)
        curve = capacity[:, None] * rested - (sag * grows)[:, None] * bump  # (cycle, V)
        curve = curve + self.noise * rng.standard_normal(curve.shape)
        cold, heat = 30 + rng.standard_normal(), rng.uniform(0.5, 2.0)
        quick = rng.normal(10.5, 0.8)  # [min]
        aged = (np.arange(cycles) / life)[:, None]
        ohm = 0.0165 * (1 + 0.03 * rng.standard_normal()) * (1 + 0.15 * aged[:, 0])
        table = pd.DataFrame(
            {
                "unique_id": f"cell {number + 1:03d}",
                "ds": np.arange(1, cycles + 1),
                CAPACITY: capacity + self.noise * rng.standard_normal(cycles),
                "charge time (min)": quick * (1 + 0.01 * rng.standard_normal(cycles)),
                "temperature (C)": cold + heat * aged[:, 0] + 0.3 * rng.standard_normal(cycles),
                "resistance (Ohm)": ohm + 5e-5 * rng.standard_normal(cycles),
            }
        )
        return pd.concat([table, pd.DataFrame(np.maximum(curve, 0.0), columns=column_names(voltage))], axis=1), life
