"""Audit a target: what it makes of a row may not change when what comes after the row is replaced."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data.contracts import IntArray, Panel, Target
from data.panel import DataError
from evaluation.leakage.prove import Finding

LIFTED = 1.5  # what replaced prices are multiplied by: means over everything move, too


def audited(target: Target, panel: Panel, cuts: IntArray, seed: int) -> list[Finding]:
    """Make the target again from a source whose rows after some dates were replaced, and compare the rows before.

    Parameters
    ----------
    target : Target
    panel : Panel
        What it made of ``panel.given``.
    cuts : array
        Rows of the panel after which the future is replaced, or left out.
    seed : int
        Of what takes its place.

    Returns
    -------
    list of Finding
        One; none where the target is the series itself.
    """
    given = panel.given
    if given is None:
        return []
    rng = np.random.default_rng(seed)
    whole = target.transform(given)
    columns = ["y", *whole.covariates]
    dates, made = whole.frame["ds"].to_numpy(), whole.frame[columns].to_numpy(dtype=np.float64)
    checked = changed = 0
    for date in panel.frame["ds"].to_numpy()[cuts]:
        later = given.frame["ds"].to_numpy() > date
        left_out = replace(given, frame=given.frame[~later].reset_index(drop=True))
        for other in (_replaced(given, later, rng), left_out):
            try:
                again = target.transform(other).frame
            except DataError:
                continue  # too little is left of a series that begins later
            own, seen = dates <= date, again["ds"].to_numpy() <= date
            before, after = made[own], again.loc[seen, columns].to_numpy(dtype=np.float64)
            checked += len(before)
            if len(before) != len(after):
                changed += abs(len(before) - len(after))
                continue
            alike = (before == after) | (np.isnan(before) & np.isnan(after))
            changed += int((~alike.all(axis=1)).sum())
    if changed:
        told = f"{changed} of {checked} targets and covariates change when what comes after them is replaced"
        return [Finding("target", "LEAKS", checked, changed, told)]
    return [Finding("target", "causal", checked, 0, "targets depend on their own past alone")]


def _replaced(given: Panel, later: NDArray[np.bool_], rng: np.random.Generator) -> Panel:
    """Return the source with the marked rows of each series in another order and lifted; a row stays together."""
    columns = ["y", *given.covariates]
    values = given.frame[columns].to_numpy(dtype=np.float64, copy=True)
    for start, series in given.series():
        own = start + np.flatnonzero(later[start : start + series.size])
        values[own] = LIFTED * values[rng.permutation(own)]
    return replace(given, frame=given.frame.assign(**dict(zip(columns, values.T, strict=True))))
