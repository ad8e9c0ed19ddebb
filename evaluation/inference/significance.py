"""Verdicts of tests: the level, Holm's correction for many tests, and the words."""

from typing import Literal

import numpy as np
import pandas as pd

LEVEL = 0.05  # of a verdict, after correction
FEWEST = 20  # moves or origins from which on an approximation is believed
Verdict = Literal["reference", "better", "worse", "same", "untested"]


def holm(p: pd.Series) -> np.ndarray:
    """Correct the p-values of one table that are there, so that all its verdicts hold together (Holm, 1979)."""
    corrected = p.to_numpy(dtype=np.float64, copy=True)
    there = np.flatnonzero(np.isfinite(corrected))
    order = there[np.argsort(corrected[there], kind="stable")]
    stepped = corrected[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected


def word(difference: float, p: float) -> Verdict:
    """Say in a word what a loss difference and its corrected p-value mean."""
    if p < LEVEL:
        return "better" if difference < 0 else "worse"
    return "same"
