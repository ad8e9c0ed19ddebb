"""Tests by cell: whether a model errs less than the reference on cells, of which each is one observation."""

import numpy as np
import pandas as pd

from evaluation.inference.significance import LEVEL, Verdict, holm
from evaluation.scores import CONFIDENCE

FEWEST = 6  # cells from which on p can be below 5 %
RESAMPLES = 10_000


def against_reference(rows: pd.DataFrame, reference: str, seed: int = 0) -> pd.DataFrame:
    """Test every model against the reference, cell by cell: Wilcoxon's test and a bootstrap interval.

    Rows of one cell err together, so cells are what is drawn and counted.  A model is called better or
    worse only if two tests agree: Wilcoxon's signed-rank test of the differences in MAE over cells,
    corrected for the table with Holm's method, and the 95 % interval of the difference in MAE over all
    rows (10,000 resamples of cells; bias-corrected and accelerated, Efron, 1987).  Below 6 cells the
    smallest p there is lies above 5 %, and nothing is tested.

    Parameters
    ----------
    rows : DataFrame
        As ``rows.enriched`` returns them.
    reference : str
        Label of the model the others are tested against.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    DataFrame
        A row a model:

        - ``difference``: MAE minus that of the reference on the same rows [cycles], with ``difference_low`` and
          ``difference_high``.
        - ``p_reference``: two-sided p-value; NaN for the reference and where nothing was tested.
        - ``p_corrected``: the same after Holm's correction.
        - ``verdict``: ``better``, ``worse``, ``same``, ``untested``; ``reference`` for the reference itself.
    """
    lost = (rows["y"] - rows["y_hat"]).abs() - (rows["y"] - rows["reference"]).abs()
    table = []
    for model, part in lost.groupby(rows["model"], sort=False):
        by_cell = part.groupby(rows["unique_id"]).agg(["sum", "count"])
        whole = bool(np.isfinite(part).all())
        tested = whole and model != reference and len(by_cell) >= FEWEST
        low, high = _interval(by_cell, seed) if tested else (np.nan, np.nan)
        p = _wilcoxon(by_cell["sum"] / by_cell["count"]) if tested else np.nan
        table.append((model, part.mean() if whole else np.nan, low, high, p))
    columns = ["model", "difference", "difference_low", "difference_high", "p_reference"]
    result = pd.DataFrame(table, columns=columns)
    result["p_corrected"] = holm(result["p_reference"])
    verdicts = [verdict(*row) for row in zip(*(result[name] for name in ["p_corrected", *columns[2:4]]), strict=True)]
    result["verdict"] = np.where(result["model"] == reference, "reference", verdicts)
    return result


def verdict(p_corrected: float, low: float, high: float) -> Verdict:
    """Say in a word what a corrected p-value and the interval of the difference mean together."""
    if not np.isfinite(p_corrected):
        return "untested"
    if p_corrected < LEVEL and high < 0:
        return "better"
    return "worse" if p_corrected < LEVEL and low > 0 else "same"


def _interval(by_cell: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean loss difference over rows, from resampled cells."""
    from scipy.stats import bootstrap  # a second to import

    total, count = by_cell["sum"].to_numpy(dtype=np.float64), by_cell["count"].to_numpy(dtype=np.float64)
    means = total / count
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        return float(means[0]), float(means[0])  # every resample is the same
    result = bootstrap(
        (total, count),
        lambda total, count, axis: total.sum(axis=axis) / count.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _wilcoxon(differences: "pd.Series[float]") -> float:
    """Return the two-sided p-value that differences over cells lie symmetrically around 0."""
    from scipy.stats import wilcoxon  # a second to import

    return float(wilcoxon(differences).pvalue) if (differences != 0).any() else 1.0
