"""A regime-switching walk whose components are known: the series to test on."""

import numpy as np
import pandas as pd

from data.contracts import FloatArray, Panel
from data.panel import validated


class Synthetic:
    """Two waves on a random walk that switches between a calm and a wild regime.

    Parameters
    ----------
    n_steps : int
        Length of a series [days].
    n_series : int
        Number of independent series.
    periods : sequence of float
        Periods of the waves [days].
    amplitude : float
        Size of each wave [points].
    volatility : sequence of float
        Size of a daily step of the walk in each regime [points].
    stay : float
        Probability that a regime lasts another day, in (0, 1).
    seed : int
    """

    def __init__(
        self,
        n_steps: int,
        n_series: int,
        periods: list[float],
        amplitude: float,
        volatility: list[float],
        stay: float,
        seed: int,
    ) -> None:
        if not 0 < stay < 1:
            raise ValueError(f"source.stay must lie between 0 and 1, got {stay}.")
        self.n_steps, self.n_series, self.periods, self.amplitude = n_steps, n_series, periods, amplitude
        self.volatility, self.stay, self.seed = volatility, stay, seed

    def components(self, series: int) -> FloatArray:
        """Return what series number ``series`` is the sum of: ``(n_waves + 1, n_steps)``, the walk last."""
        rng = np.random.default_rng([self.seed, series])
        days = np.arange(self.n_steps)
        phases = rng.uniform(0, 2 * np.pi, len(self.periods))
        waves = [
            self.amplitude * np.sin(2 * np.pi * days / period + phase)
            for period, phase in zip(self.periods, phases, strict=True)
        ]
        switches = rng.random(self.n_steps) > self.stay
        regime = np.cumsum(switches) % len(self.volatility)
        walk = 1000 + np.cumsum(np.asarray(self.volatility)[regime] * rng.standard_normal(self.n_steps))
        return np.stack([*waves, walk])

    def load(self) -> Panel:
        """Return every series on business days from 2000-01-03."""
        days = pd.bdate_range("2000-01-03", periods=self.n_steps)
        parts = [
            pd.DataFrame({"unique_id": f"walk {k}", "ds": days, "y": self.components(k).sum(axis=0)})
            for k in range(self.n_series)
        ]
        return validated(pd.concat(parts), "Synthetic walk", "points")
