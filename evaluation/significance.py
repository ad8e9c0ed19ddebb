"""Whether a difference from persistence is more than luck."""

from typing import Literal

import numpy as np
import pandas as pd

from evaluation.metrics import PERSISTENCE, checked

LEVEL = 0.05                            # of a verdict, after correction
VERDICT_FROM = ["model", "difference", "p_corrected"]
Verdict = Literal["reference", "better", "worse", "same"]


def against_persistence(
    forecasts: pd.DataFrame, loss: Literal["absolute", "squared"] = "absolute"
) -> pd.DataFrame:
    """Test every model against persistence with Diebold and Mariano (1995).

    The losses are averaged over the steps and series of an origin, which leaves one difference an
    origin, in time order.  Forecasts of H steps overlap, and losses come in calm and wild times, so
    the variance is Newey and West's, with max(H - 1, cube root of n) lags; Harvey, Leybourne and
    Newbold (1997) correct it for small samples.  The p-values of a table are then corrected with
    Holm's method: the chance of even one false verdict in a table is at most 5 %.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table (see ``evaluation.metrics``).
    loss : str
        What a forecast loses by its error.

    Returns
    -------
    DataFrame
        A row a model:

        - ``p_persistence``: two-sided p-value; NaN for persistence and where it cannot be computed.
        - ``p_corrected``: the same after Holm's correction.
        - ``verdict``: ``better`` or ``worse`` than persistence if ``p_corrected`` is below 5 %, else
          ``same``; ``reference`` for persistence itself.
    """
    rows = checked(forecasts)
    errors = pd.DataFrame({"model": rows["y"] - rows["y_hat"], "naive": rows["y"] - rows["last"]}).abs()
    if loss == "squared":
        errors = errors**2
    rows = rows.assign(difference=errors["model"] - errors["naive"])
    horizon = int(rows["step"].max())
    table = []
    for model, part in rows.groupby("model", sort=False):
        differences = part.groupby("origin")["difference"].mean().to_numpy(dtype=np.float64)
        p = np.nan if model == PERSISTENCE else diebold_mariano(differences, horizon)
        table.append((model, differences.mean(), p))
    result = pd.DataFrame(table, columns=["model", "difference", "p_persistence"])
    result["p_corrected"] = holm(result["p_persistence"])
    result["verdict"] = [verdict(*row) for row in zip(*(result[c] for c in VERDICT_FROM), strict=True)]
    return result.drop(columns="difference")


def diebold_mariano(differences: np.ndarray, horizon: int) -> float:
    """Return the two-sided p-value that loss differences ``(n,)``, in time order, have mean zero.

    Parameters
    ----------
    differences : array
        Loss of one model less that of another, one an origin.
    horizon : int
        Steps forecast from each origin; ``differences`` closer than this overlap.

    Returns
    -------
    float
        1 if the losses are all equal, NaN if there are too few of them or one is not finite.
    """
    from statsmodels.tsa.stattools import diebold_mariano_test  # a second to import

    n = differences.size
    if n <= max(horizon, np.ceil(n ** (1 / 3))) + 1 or not np.isfinite(differences).all():
        return np.nan
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    nothing = np.zeros(n)
    test = diebold_mariano_test(
        nothing, differences, nothing, criterion=lambda _, loss: loss, horizon=horizon, harvey_adj=True
    )
    return float(test.pvalue)


def holm(p: pd.Series) -> np.ndarray:
    """Correct the p-values of one table that are there, so that all its verdicts hold together."""
    from statsmodels.stats.multitest import multipletests  # a second to import

    corrected = p.to_numpy(dtype=np.float64, copy=True)
    there = np.isfinite(corrected)
    if there.any():
        corrected[there] = multipletests(corrected[there], method="holm")[1]
    return corrected


def verdict(model: str, difference: float, p: float) -> Verdict:
    """Say in a word what a loss difference from persistence and its corrected p-value mean."""
    if model == PERSISTENCE:
        return "reference"
    if p < LEVEL:
        return "better" if difference < 0 else "worse"
    return "same"
