"""Target proxies: columns that tell the target by themselves, without measuring anything.

The cycle number, the remaining life and anything made of them are no measurements.  What gives them away is that a
column *alone* tells the age, or the remaining life, of cells it was not fitted on, nearly without error: a clock runs
alike in every cell, whereas cells fade each in their own way.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from data.contracts import FloatArray, IntArray
from evaluation.leakage.prove import Finding
from evaluation.rows import named

BOUND = 0.93  # share of the age or the remaining life from which on a column is called a proxy
FOLDS = 5  # in which cells are left out
MOST_CELLS, MOST_SMOOTHED, MOST_ROWS = 40, 2000, 200  # that are looked at, rows of each cell
FEWEST_ROWS = 5  # of a cell
SMOOTHED = 10  # a running median takes this part of a cell, and sees through noise


class _Sample(NamedTuple):
    """Rows that are looked at, evenly spread over each cell."""

    rows: IntArray
    """``(n,)`` positions in the table, cell by cell."""
    cell: IntArray
    """``(n,)`` number of the cell."""
    whole: list[IntArray]
    """Positions of the rows of every cell that are smoothed, in time order."""


def target_proxies(table: pd.DataFrame, y: FloatArray, cells: np.ndarray, cycles: FloatArray) -> pd.DataFrame:
    """Measure how well each column alone tells the age and the remaining life of cells it was not fitted on.

    An isotonic regression learns either from four fifths of the cells and is judged on the rest, in turn.  Its error
    over that of the median is what is left untold.  Each column is tried as it is, smoothed by a running median over
    a tenth of its cell (which sees through noise), and both again less its first values (which sees through an
    offset); the best counts.

    The bound of 93 % lies between what is known to be either.  Above: the cycle number, the remaining life, their
    centred mean, root or multiple, 99 %; with noise of 1 % of a life 97 to 99 %, of 3 % 95 to 98 %, of 5 % 91 to 98 %
    (of cells of 100 cycles the least).  Below: the columns of the 14 HNEI cells, whose lives differ by 3 %, 77 to
    89 %; of two CALCE cells at most 73 %; capacity and resistance of simulated cells that live 400 to 800 cycles
    67 to 77 %, and 600 to 610 cycles 90 to 91 %; a setpoint that rises in 8 steps a life 88 %; a temperature, even
    one that drifts by five times its noise, at most 92 %; constants, of all or of each cell, nothing.  Where cells are
    copies of each other but for 1 %, their capacity or resistance is a clock, and called so.

    Parameters
    ----------
    table : DataFrame
        A column a covariate.
    y : array ``(n,)``
        Remaining life [cycles].
    cells : array ``(n,)``
        Name of the cell of each row.
    cycles : array ``(n,)``
        Age of the cell [cycles].

    Returns
    -------
    DataFrame
        A row a column: ``column``; ``age`` and ``rul``, the shares of either that it tells [fraction], NaN where
        there is a single cell; ``beside``, the share of the remaining life that the age alone tells; ``proxy`` (bool).
        With a single cell only an exact straight line is called a proxy.
    """
    sample = _sampled(cells, cycles)
    target = {"age": cycles[sample.rows], "rul": y[sample.rows]}
    n_cells = len(sample.whole)
    beside = 1 - _untold(target["age"], target["rul"], sample.cell) if n_cells > 1 else np.nan
    found = []
    for name in table.columns:
        column = table[name].to_numpy(dtype=np.float64)
        if n_cells < 2:
            shares = dict.fromkeys(target, np.nan)
            proxy = _is_line(column[sample.rows], target["rul"])
        else:
            shares = {what: _told(column, known, sample) for what, known in target.items()}
            proxy = max(shares.values()) > BOUND
        found.append({"column": str(name), **shares, "beside": beside, "proxy": proxy})
    return pd.DataFrame(found, columns=["column", "age", "rul", "beside", "proxy"])


def proxies_finding(found: pd.DataFrame) -> Finding:
    """Return what ``target_proxies`` found as a finding of the stage ``covariates``."""
    n = len(found)
    proxies = found[found["proxy"].astype(bool)]
    best = found[["age", "rul"]].max(axis=1)
    if len(proxies):
        names, least = named(list(proxies["column"])), best[proxies.index].min()
        detail = f"{names} (of {n}) counts the remaining life down: within the cell one is a straight line in the other"
        if np.isfinite(least):
            what = "the age" if (proxies["age"] >= proxies["rul"]).all() else "the age or the remaining life"
            detail = (
                f"{names} (of {n}) counts time or cycles: alone it tells {_percent(least)} of {what} of cells it was "
                f"not fitted on, a measurement less than {_percent(BOUND)}"
            )
        return Finding("covariates", "LEAKS", n, len(proxies), detail)
    if not n or best.isna().all():
        return Finding("covariates", "causal", n, 0, f"none of {n} covariates is a straight line in the target")
    top = int(np.nanargmax(best))
    detail = (
        f"none of {n} covariates tells the age or the remaining life of other cells by itself: at most "
        f"{_percent(best.max())} ({found['column'].iloc[top]}); the age alone tells "
        f"{_percent(found['beside'].iloc[0])} of the remaining life"
    )
    return Finding("covariates", "causal", n, 0, detail)


def _percent(share: float) -> str:
    return f"{100 * max(share, 0.0):.0f} %" if share < 0.99 else f"{100 * share:.1f} %"


def _sampled(cells: np.ndarray, cycles: FloatArray) -> _Sample:
    """Choose cells and rows of them, evenly spread, so that the cost is bounded."""
    code = pd.factorize(cells)[0]
    order = np.lexsort((cycles, code))
    parts = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    long = [part for part in parts if len(part) >= FEWEST_ROWS]
    whole = [long[k][_spread(len(long[k]), MOST_SMOOTHED)] for k in _spread(len(long), MOST_CELLS)]
    rows = [part[_spread(len(part), MOST_ROWS)] for part in whole]
    number = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    return _Sample(np.concatenate([np.zeros(0, dtype=np.int64), *rows]), number, whole)


def _spread(n: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _told(column: FloatArray, known: FloatArray, sample: _Sample) -> float:
    """Return the largest share of the target that a column tells, in the four ways it is looked at."""
    untold = 1.0
    for smooth in (False, True):
        seen = np.full(column.size, np.nan)
        first = np.full(len(sample.whole), np.nan)
        for number, own in enumerate(sample.whole):
            seen[own] = _running_median(column[own]) if smooth else column[own]
            head = seen[own][: max(1, len(own) // 20)]
            first[number] = np.median(head[np.isfinite(head)]) if np.isfinite(head).any() else np.nan
        x = seen[sample.rows]
        untold = min(untold, *(_untold(z, known, sample.cell) for z in (x, x - first[sample.cell])))
    return 1 - untold


def _running_median(values: FloatArray) -> FloatArray:
    width = max(1, len(values) // SMOOTHED) | 1
    return pd.Series(values).rolling(width, center=True, min_periods=1).median().to_numpy(dtype=np.float64)


def _untold(x: FloatArray, known: FloatArray, cell: IntArray) -> float:
    """Return the error of an isotonic regression on cells left out over that of the median of the others."""
    there = np.isfinite(x) & np.isfinite(known)
    fold = cell % min(FOLDS, int(cell.max()) + 1)
    error = plain = 0.0
    for left_out in np.unique(fold):
        learnt, judged = there & (fold != left_out), there & (fold == left_out)
        if learnt.any() and judged.any():
            error += float(np.abs(_isotonic(x[learnt], known[learnt], x[judged]) - known[judged]).sum())
            plain += float(np.abs(np.median(known[learnt]) - known[judged]).sum())
    return min(error / plain, 1.0) if plain > 0 else 1.0


def _isotonic(x: FloatArray, known: FloatArray, at: FloatArray) -> FloatArray:
    """Fit a monotone curve, rising or falling, and read it at other values."""
    from scipy.optimize import isotonic_regression
    from scipy.stats import rankdata

    values, place = np.unique(x, return_inverse=True)
    if values.size < 2:
        return np.full(at.size, np.median(known))
    counts = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=known) / counts
    rises = bool(np.cov(rankdata(x), rankdata(known))[0, 1] >= 0)
    curve = isotonic_regression(means, weights=counts, increasing=rises).x
    return np.interp(at, values, curve)


def _is_line(column: FloatArray, target: FloatArray) -> bool:
    if column.size < FEWEST_ROWS or not np.isfinite(column).all() or np.ptp(column) == 0 or np.ptp(target) == 0:
        return False
    return bool(abs(np.corrcoef(column, target)[0, 1]) > 1 - 1e-9)
