"""Trials of settings: the best error so far, and the error against each setting."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from report.figures.drawing import BLUE, GREY, VERMILION, Axis, Dots, Drawing, Line, Mark, Panel, of_errors

HEIGHT = 280  # [px]


def history(trials: pd.DataFrame, unit: str) -> Drawing:
    """Draw the validation error of every completed trial and the best one so far.

    Parameters
    ----------
    trials : DataFrame
        ``number``, ``mae`` (NaN where a trial was not completed), ``last`` (the error a pruned one had reached), and
        ``setting``, the words of each.
    """
    done, pruned = trials[trials["mae"].notna()], trials[trials["mae"].isna() & trials["last"].notna()]
    marks: list[Mark] = []
    if len(pruned):
        marks.append(
            Dots("pruned, last error", pruned["number"], pruned["last"], GREY, "cross", 7, notes=_notes(pruned, "last"))
        )
    marks.append(Dots("completed", done["number"], done["mae"], BLUE, notes=_notes(done, "mae")))
    marks.append(Line("best so far", done["number"], done["mae"].cummin(), VERMILION, 1.6))
    y = of_errors(f"MAE on validation [{unit}]", done["mae"], pruned["last"])
    return Drawing("history", [Panel(marks, Axis("trial"), y)], height=HEIGHT, together=False)


def slices(
    trials: pd.DataFrame, values: Mapping[str, Sequence[Any]], log: Mapping[str, bool], unit: str
) -> list[Drawing]:
    """Draw the error of completed trials against each setting.

    Parameters
    ----------
    values : mapping
        What each completed trial had, by setting, in the order of the rows of ``trials`` that were completed.
    log : mapping
        Whether a setting was drawn by its logarithm.
    """
    done = trials[trials["mae"].notna()]
    drawings = []
    for key, own in values.items():
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in own)
        labels = None if numbers else sorted({str(value) for value in own})
        at = np.asarray(own, dtype=float) if labels is None else np.array([labels.index(str(value)) for value in own])
        x = Axis(key, log=log.get(key, False)) if labels is None else Axis(key, labels=labels)
        dots = Dots("completed", at, done["mae"], BLUE, notes=_notes(done, "mae"), legend=False)
        y = of_errors(f"MAE on validation [{unit}]", done["mae"])
        drawings.append(Drawing(key, [Panel([dots], x, y)], height=HEIGHT, together=False))
    return drawings


def _notes(trials: pd.DataFrame, column: str) -> list[str]:
    rows = zip(trials["number"], trials[column], trials["setting"], strict=True)
    return [f"trial {number}: {error:.5g}; {setting}" for number, error, setting in rows]
