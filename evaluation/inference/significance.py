"""Whether a difference between two models, or a direction that was right, is more than luck."""

from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from data.contracts import FloatArray
from evaluation.metrics import PERSISTENCE, TARGET, checked

LEVEL = 0.05  # of a verdict, after correction
VERDICT_FROM = ["model", "difference", "p_corrected"]
Verdict = Literal["reference", "better", "worse", "same"]
Loss = Literal["absolute", "squared"]
FEWEST = 20  # moves or origins from which on an approximation is believed


def against_persistence(forecasts: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
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


def pairwise(forecasts: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
    """Test every model against every other as ``against_persistence`` does.

    Parameters
    ----------
    forecasts : DataFrame
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
    losses = losses_by_origin(forecasts, loss)
    horizon = int(forecasts["step"].max())
    table = []
    for model, other in combinations(losses.columns, 2):
        differences = (losses[model] - losses[other]).to_numpy()
        table.append((model, other, differences.mean(), diebold_mariano(differences, horizon)))
    result = pd.DataFrame(table, columns=["model", "other", "difference", "p"])
    result["p_corrected"] = holm(result["p"])
    result["verdict"] = [_word(*row) for row in zip(result["difference"], result["p_corrected"], strict=True)]
    return result


def direction(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Test whether a model knows up from down, with Pesaran and Timmermann (1992).

    A market that rises on most days is called right on most days by whoever always says "up"; the
    test asks for more than such habits give.  Of several steps the first is judged, because moves
    of overlapping futures are not independent, and of several series each on its own, because they
    move together.  Rows in which nothing moves, or no move is forecast, do not count.

    Parameters
    ----------
    forecasts : DataFrame
        The Forecasts table.

    Returns
    -------
    DataFrame
        A row a model (without persistence, which forecasts no move) and series:

        - ``model``, ``unique_id``, ``n`` (moves that count).
        - ``hits``: share of them whose sign was forecast [fraction].
        - ``expected``: the share if forecast and truth were independent [fraction].
        - ``statistic``: standard normal if they are.
        - ``p``: probability of so large a statistic by luck, one-sided; NaN below 20 moves, or where
          all moves, or all forecasts, go one way.
        - ``p_corrected``: after Holm's correction over the table.
        - ``verdict``: ``better`` than such habits if ``p_corrected`` is below 5 %, else ``same``.
    """
    rows = checked(forecasts)
    rows = rows[(rows["model"] != PERSISTENCE) & (rows["step"] == rows["step"].min())]
    table = []
    for (model, name), part in rows.groupby(["model", "unique_id"], sort=False):
        truth, forecast = (part["y"] - part["last"]).to_numpy(), (part["y_hat"] - part["last"]).to_numpy()
        table.append((model, name, *pesaran_timmermann(truth, forecast)))
    result = pd.DataFrame(table, columns=["model", "unique_id", *DirectionTest._fields])
    result["p_corrected"] = holm(result["p"])
    result["verdict"] = np.where(result["p_corrected"] < LEVEL, "better", "same")
    return result


class DirectionTest(NamedTuple):
    """What a test of directions has found."""

    n: int
    """Moves that count."""
    hits: float
    """Share of right signs [fraction]."""
    expected: float
    """The same under independence [fraction]."""
    statistic: float
    p: float


def pesaran_timmermann(truth: FloatArray, forecast: FloatArray) -> DirectionTest:
    """Test whether the signs of two arrays of moves are independent.

    With shares P_y and P_x of upward truths and forecasts among n moves, hits P and, under
    independence, P* = P_y P_x + (1 - P_y)(1 - P_x), the statistic is (P - P*) / sqrt(V(P) - V(P*)) with

        V(P)  = P* (1 - P*) / n
        V(P*) = ((2 P_y - 1)^2 P_x (1 - P_x) + (2 P_x - 1)^2 P_y (1 - P_y)) / n
                + 4 P_y P_x (1 - P_y)(1 - P_x) / n^2

    (Pesaran and Timmermann, 1992, equations 3 to 6; one-sided).

    Parameters
    ----------
    truth, forecast : array
        ``(n,)`` moves from the last value known.  Where one of them is 0 or not finite, the row does
        not count.
    """
    moved = np.isfinite(truth * forecast) & (truth * forecast != 0)
    n = int(moved.sum())
    if n == 0:
        return DirectionTest(0, np.nan, np.nan, np.nan, np.nan)
    up, said_up = truth[moved] > 0, forecast[moved] > 0
    p_y, p_x, hits = up.mean(), said_up.mean(), float((up == said_up).mean())
    expected = float(p_y * p_x + (1 - p_y) * (1 - p_x))
    of_hits = expected * (1 - expected) / n
    of_expected = ((2 * p_y - 1) ** 2 * p_x * (1 - p_x) + (2 * p_x - 1) ** 2 * p_y * (1 - p_y)) / n
    of_expected += 4 * p_y * p_x * (1 - p_y) * (1 - p_x) / n**2
    variance = of_hits - of_expected
    one_way = {p_y, p_x} & {0.0, 1.0}
    if n < FEWEST or one_way or variance <= 0:
        return DirectionTest(n, hits, expected, np.nan, np.nan)
    statistic = float((hits - expected) / np.sqrt(variance))
    return DirectionTest(n, hits, expected, statistic, float(norm.sf(statistic)))


def losses_by_origin(forecasts: pd.DataFrame, loss: Loss = "absolute") -> pd.DataFrame:
    """Return ``(origin, model)``: the loss of every model, averaged over the steps and series of an origin.

    Rows are in time order, models in the order of the table; a loss is NaN where the model lacks
    one of the forecasts.
    """
    rows = checked(forecasts)
    lost = (rows["y"] - rows["y_hat"]).abs().fillna(np.inf)
    rows = rows.assign(lost=lost**2 if loss == "squared" else lost)
    wide = rows.pivot_table(index=TARGET, columns="model", values="lost", aggfunc="first")
    means = wide.fillna(np.inf).groupby(level="origin").mean().replace(np.inf, np.nan)
    return means[list(rows["model"].unique())]


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
    return "reference" if model == PERSISTENCE else _word(difference, p)


def _word(difference: float, p: float) -> Verdict:
    if p < LEVEL:
        return "better" if difference < 0 else "worse"
    return "same"
