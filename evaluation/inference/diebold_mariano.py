"""Diebold-Mariano test: whether a difference between two models' losses over time is more than luck."""

from itertools import combinations

import numpy as np
import pandas as pd

from evaluation.inference.losses import Loss, loss_of, losses_by_origin
from evaluation.inference.significance import holm, word


def against_reference(rows: pd.DataFrame, reference: str, loss: Loss = "absolute") -> pd.DataFrame:
    """Test every model against the reference with Diebold and Mariano (1995).

    The losses are averaged over the steps and series of an origin, which leaves one difference an
    origin, in time order.  Forecasts of H steps overlap, and losses come in calm and wild times, so
    the variance is Newey and West's, with max(H - 1, cube root of n) lags; Harvey, Leybourne and
    Newbold (1997) correct it for small samples.  The p-values of a table are then corrected with
    Holm's method: the chance of even one false verdict in a table is at most 5 %.

    Parameters
    ----------
    rows : DataFrame
        As ``rows.enriched`` returns them.
    reference : str
        Label of the model the others are tested against.
    loss : str
        What a forecast loses by its error.

    Returns
    -------
    DataFrame
        A row a model:

        - ``difference``: mean loss less that of the reference at the same origins [unit of y, or squared].
        - ``p_reference``: two-sided p-value; NaN for the reference and where it cannot be computed.
        - ``p_corrected``: the same after Holm's correction.
        - ``verdict``: ``better`` or ``worse`` than the reference if ``p_corrected`` is below 5 %, else
          ``same``; ``reference`` for the reference itself.
    """
    lost = loss_of(rows["y"], rows["y_hat"], loss) - loss_of(rows["y"], rows["reference"], loss)
    origin = pd.factorize(rows["origin"], sort=True)[0]
    horizon = int(rows["step"].max())
    table = []
    for model, own in rows.groupby("model", sort=False).indices.items():
        sums, counts = np.bincount(origin[own], weights=lost[own]), np.bincount(origin[own])
        differences = sums[counts > 0] / counts[counts > 0]
        p = np.nan if model == reference else diebold_mariano(differences, horizon)
        table.append((model, differences.mean(), p))
    result = pd.DataFrame(table, columns=["model", "difference", "p_reference"])
    result["p_corrected"] = holm(result["p_reference"])
    verdicts = [word(*row) for row in zip(result["difference"], result["p_corrected"], strict=True)]
    result["verdict"] = np.where(result["model"] == reference, "reference", verdicts)
    return result


def pairwise(rows: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
    """Test every model against every other as ``against_reference`` does.

    Parameters
    ----------
    rows : DataFrame
        The Forecasts table.
    loss : str
        What a forecast loses by its error.

    Returns
    -------
    DataFrame
        A row a pair, in the order of the table:

        - ``model``, ``other``.
        - ``difference``: mean loss of ``model`` less that of ``other`` [unit of y, or squared].
        - ``p``: two-sided p-value; NaN where a model lacks a forecast or there are too few.
        - ``p_corrected``: after Holm's correction over all pairs.
        - ``verdict``: ``better`` or ``worse`` than ``other`` if ``p_corrected`` is below 5 %, else ``same``.
    """
    losses = losses_by_origin(rows, loss)
    horizon = int(rows["step"].max())
    table = []
    for model, other in combinations(losses.columns, 2):
        differences = (losses[model] - losses[other]).to_numpy()
        table.append((model, other, differences.mean(), diebold_mariano(differences, horizon)))
    result = pd.DataFrame(table, columns=["model", "other", "difference", "p"])
    result["p_corrected"] = holm(result["p"])
    result["verdict"] = [word(*row) for row in zip(result["difference"], result["p_corrected"], strict=True)]
    return result


def against(pairs: pd.DataFrame, other: str) -> pd.DataFrame:
    """Return the tests of every model against one of them, of all pairs that were tested.

    Parameters
    ----------
    pairs : DataFrame
        As ``pairwise`` returns them.
    other : str
        Label of that model.

    Returns
    -------
    DataFrame
        A row a model but that one:

        - ``model``.
        - ``difference_simple``: mean loss less that of ``other`` [unit of y].
        - ``p_simple``: two-sided p-value after Holm's correction over these models.
    """
    first, second = pairs[pairs["other"] == other], pairs[pairs["model"] == other]
    models = [*first["model"], *second["other"]]
    difference = np.concatenate([first["difference"], -second["difference"]])
    p = pd.concat([first["p"], second["p"]], ignore_index=True)
    return pd.DataFrame({"model": models, "difference_simple": difference, "p_simple": holm(p)})


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
