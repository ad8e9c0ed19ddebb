"""Which models may be the best, and whether any of many beats the reference.

A table of nine models has a best row by luck alone.  The model confidence set (Hansen, Lunde and
Nason, 2011) keeps every model that cannot be told from the best; the test of superior predictive
ability (Hansen, 2005) asks whether even the best of many is better than the reference.  Both come
from the package arch; the blocks they draw are as long as errors resemble each other.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from data.contracts import FloatArray
from evaluation.inference.bootstrap import REPLICATIONS, block_length, resamples
from evaluation.inference.losses import Loss, losses_by_origin
from evaluation.inference.significance import FEWEST, LEVEL


def model_confidence_set(
    rows: pd.DataFrame,
    leaking: Collection[str],
    loss: Loss = "absolute",
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the models that cannot be told from the best at 5 %.

    The set holds the best model with a probability of at least 95 %.  It is found with the range
    statistic T_R and a stationary bootstrap.  Models with the same losses share their p-value.

    Parameters
    ----------
    rows : DataFrame
        The Forecasts table (see ``evaluation.rows``).
    leaking : collection of str
        Models that use the future; they do not compete.
    loss : str
        What a forecast loses by its error.
    replications, seed : int
        Of the bootstrap; the same seed gives the same set.

    Returns
    -------
    DataFrame
        A row a model:

        - ``model``.
        - ``p_mcs``: the smallest size of the test at which it leaves the set; NaN for models that leak or
          lack a forecast, and everywhere if there are fewer than 20 origins or 2 models.
        - ``in_set`` (bool): whether ``p_mcs`` is above 5 %.
    """
    losses = losses_by_origin(rows, loss)
    p = pd.Series(np.nan, index=losses.columns, name="p_mcs")
    fair = _fair(losses, leaking)
    distinct = fair.loc[:, ~fair.T.duplicated().to_numpy()]
    if len(fair) >= FEWEST and distinct.shape[1] > 1:
        differences = distinct.sub(distinct.mean(axis="columns"), axis="index")
        block = block_length(differences.to_numpy(), int(rows["step"].max()))
        found = _p_values(distinct.to_numpy(), block, replications, seed)
        for place, model in enumerate(distinct.columns):
            twins = [twin for twin in fair.columns if (fair[twin] == fair[model]).all()]
            p[twins] = float(found.loc[place])
    elif len(fair) >= FEWEST and fair.shape[1] > 1:
        p[fair.columns] = 1.0  # all the same
    return pd.DataFrame({"model": p.index, "p_mcs": p.to_numpy(), "in_set": (p > LEVEL).to_numpy()})


def _p_values(losses: FloatArray, block: int, replications: int, seed: int) -> "pd.Series[float]":
    """Return the p-value of every column ``(time, n)``, by its number."""
    try:
        return _by_arch(losses, block, replications, seed)
    except TypeError:  # arch fails where two models err exactly as much: then the later one errs a hair more
        tie = 1e-12 * np.abs(losses).mean() * np.arange(losses.shape[1])
        return _by_arch(losses + tie, block, replications, seed)


def _by_arch(losses: FloatArray, block: int, replications: int, seed: int) -> "pd.Series[float]":
    from arch.bootstrap import MCS  # a second to import

    test = MCS(losses, size=LEVEL, reps=replications, block_size=block, method="R", seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # two models may differ by a constant
        test.compute()
    found: pd.Series[float] = test.pvalues["Pvalue"]
    found.index = pd.Index([int(place) for place in found.index])  # of a tie arch may also name both at once
    return found


def superior_predictive_ability(
    rows: pd.DataFrame,
    reference: str,
    leaking: Collection[str],
    loss: Loss = "absolute",
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Test whether any model is better than the reference, given how many were tried.

    Each model's gains are divided by their standard error, as Hansen (2005, section 2.3) advises, so
    that one erratic model does not drown the others; arch by itself compares gains as they are.

    Parameters
    ----------
    rows, leaking, loss, replications, seed
        As of ``model_confidence_set``.
    reference : str
        Label of the model the others are compared with.

    Returns
    -------
    DataFrame
        One row:

        - ``benchmark`` (the reference) and ``n_models``, those that are compared with it.
        - ``best``: the one with the smallest mean loss.
        - ``p_lower``, ``p``, ``p_upper``: p-values; ``p`` is Hansen's consistent one, and the other two bound
          it.  NaN if there are fewer than 20 origins or no models.
        - ``verdict``: ``better`` if ``p`` is below 5 %, else ``same``.
    """
    from arch.bootstrap import SPA  # a second to import

    losses = losses_by_origin(rows, loss)
    fair = _fair(losses, [*leaking, reference])
    gains = -fair.sub(losses[reference], axis="index")
    gains = gains[[model for model in gains if np.ptp(gains[model]) > 0]]
    row = {"benchmark": reference, "n_models": gains.shape[1], "best": None, "p_lower": np.nan, "p": np.nan}
    row |= {"p_upper": np.nan, "verdict": "same"}
    if len(gains) >= FEWEST and gains.shape[1]:
        block = block_length(gains.to_numpy(), int(rows["step"].max()))
        scaled = gains / standard_errors(gains.to_numpy(), block, replications, seed) / np.sqrt(len(gains))
        test = SPA(np.zeros(len(gains)), -scaled.to_numpy(), block_size=block, reps=replications, seed=seed)
        test.compute()
        found = test.pvalues
        row |= {"p_lower": float(found["lower"]), "p": float(found["consistent"]), "p_upper": float(found["upper"])}
        row |= {"best": gains.mean().idxmax(), "verdict": "better" if found["consistent"] < LEVEL else "same"}
    return pd.DataFrame([row])


def standard_errors(series: FloatArray, block: int, replications: int, seed: int) -> FloatArray:
    """Return the standard error of the mean of every column ``(time, n)``, by the stationary bootstrap."""
    means = resamples(len(series), block, replications, seed) @ series / len(series)
    errors: FloatArray = means.std(axis=0)
    return errors


def _fair(losses: pd.DataFrame, out: Collection[str]) -> pd.DataFrame:
    """Keep the models that have all forecasts and may compete."""
    whole = losses.columns[np.isfinite(losses.to_numpy()).all(axis=0)]
    return losses[[model for model in whole if model not in out]]
