"""Pesaran-Timmermann test: whether a model knows up from down, beyond a habit of saying one of them."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from data.contracts import FloatArray
from evaluation.inference.significance import FEWEST, LEVEL, holm
from evaluation.rows import PERSISTENCE


def direction(rows: pd.DataFrame, reference: str = PERSISTENCE) -> pd.DataFrame:
    """Test whether a model knows up from down, with Pesaran and Timmermann (1992).

    A market that rises on most days is called right on most days by whoever always says "up"; the
    test asks for more than such habits give.  Of several steps the first is judged, because moves
    of overlapping futures are not independent, and of several series each on its own, because they
    move together.  Rows in which nothing moves, or no move is forecast, do not count.

    Parameters
    ----------
    rows : DataFrame
        As ``rows.enriched`` returns them.
    reference : str
        Label of persistence, which forecasts no move.

    Returns
    -------
    DataFrame
        A row a model, without persistence, and series:

        - ``model``, ``unique_id``, ``n`` (moves that count).
        - ``hits``: share of them whose sign was forecast [fraction].
        - ``expected``: the share if forecast and truth were independent [fraction].
        - ``statistic``: standard normal if they are.
        - ``p``: probability of so large a statistic by luck, one-sided; NaN below 20 moves, or where
          all moves, or all forecasts, go one way.
        - ``p_corrected``: after Holm's correction over the table.
        - ``verdict``: ``better`` than such habits if ``p_corrected`` is below 5 %, else ``same``.
    """
    rows = rows[(rows["model"] != reference) & (rows["step"] == rows["step"].min())]
    groups = rows.groupby(["model", "unique_id"], sort=False)
    truth, forecast = (rows["y"] - rows["last"]).to_numpy(), (rows["y_hat"] - rows["last"]).to_numpy()
    own_rows: Any = groups.indices
    table = [(*key, *pesaran_timmermann(truth[own], forecast[own])) for key, own in own_rows.items()]
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
