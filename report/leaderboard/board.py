"""A leaderboard of the runs of a sweep: a row a setting, a column a setting that varies, sorted by validation.

Runs are seeds of one row only where their configurations are the same without the seed.  Rows are sorted, and the best
is chosen, by the error on validation rows: to choose by the test error is to fit the test.
"""

import hashlib
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from evaluation.inference.model_confidence_set import model_confidence_set
from report.run_folder import RunFolder
from report.settings import Member, own_settings, telling

VALIDATION, TEST, SECONDS = "validation", "test", "seconds"
FACTS = (VALIDATION, "validation_std", TEST, "test_std", SECONDS, "seeds", "leaks", "in_set")
"""Columns besides the settings: errors [unit of the data], the time of all fits of a run [s], runs with other seeds."""
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
CONDITION = re.compile(r"([^<>=!]+?)\s*(<=|>=|!=|<|>|=)\s*(.*)")


class QuestionError(ValueError):
    """A filter, an order or a group that cannot be answered; the message says what there is."""


class Board(NamedTuple):
    """The leaderboard of one data set and task."""

    title: str
    unit: str
    reference: str
    settings: list[str]
    """Columns of the table that are settings, the others are ``FACTS``."""
    table: pd.DataFrame
    """A row a setting, the best on validation rows first."""
    runs: list[list[RunFolder]]
    """Of each row of the table, by its index."""
    notes: list[str]

    def rows(self) -> pd.DataFrame:
        """Return the rows that can be chosen among: they do not use the future."""
        return self.table[~self.table["leaks"].astype(bool)]


def boards(runs: Sequence[RunFolder]) -> list[Board]:
    """Return a leaderboard for each data set and task, in alphabetical order."""
    together: dict[tuple[str, str], list[RunFolder]] = {}
    for run in runs:
        together.setdefault((run.metrics.dataset, run.metrics.task), []).append(run)
    return [_board(group) for _, group in sorted(together.items(), key=lambda item: item[0])]


def identities(runs: Sequence[RunFolder]) -> list[str]:
    """Return for each run a name that changes with every setting but the seed."""
    settings = own_settings([Member(run.metrics, run.settings) for run in runs])
    contents = [
        [own, dict(run.metrics.choices), run.metrics.experiment, run.metrics.model]
        for own, run in zip(settings, runs, strict=True)
    ]
    return [hashlib.sha256(json.dumps(one, sort_keys=True, default=str).encode()).hexdigest()[:8] for one in contents]


def filtered(board: Board, conditions: Sequence[str]) -> Board:
    """Keep the rows that meet all conditions, such as ``lookback>=20`` or ``model=lstm``.

    Raises
    ------
    QuestionError
        If a condition cannot be read, or there is no such column.
    """
    kept = board.table
    for condition in conditions:
        found = CONDITION.fullmatch(condition.strip())
        if found is None:
            raise QuestionError(f"--filter {condition} cannot be read.  Write it as lookback>=20 or model=lstm.")
        name, sign, value = found.groups()
        kept = kept[_meets(kept[_column(board, name)], sign, value)]
    return board._replace(table=kept)


def ordered(board: Board, by: str) -> Board:
    """Sort the rows by a column, the lowest first; rows that use the future stand last.

    Raises
    ------
    QuestionError
        If there is no such column.
    """
    table = board.table.assign(_leaks=board.table["leaks"].astype(bool))
    table = table.sort_values(["_leaks", _column(board, by)], kind="stable", na_position="last")
    return board._replace(table=table.drop(columns="_leaks"))


def grouped(board: Board, by: str) -> pd.DataFrame:
    """Return, for each value of a setting, the best and the mean error on validation rows and how many rows have it.

    Raises
    ------
    QuestionError
        If there is no such setting.
    """
    column = _column(board, by)
    groups = board.rows().groupby(column, sort=False, dropna=False)[VALIDATION].agg(["min", "mean", "size"])
    found = groups.reset_index().rename(columns={"min": "best", "size": "settings"})
    return found.sort_values("best", kind="stable", na_position="last", ignore_index=True)


def importance(board: Board) -> dict[str, float]:
    """Return the share of the variance of validation errors that each setting explains by itself (eta squared)."""
    rows = board.rows()
    errors = rows[VALIDATION]
    total = float(np.square(errors - errors.mean()).sum())
    if len(rows) < 3 or not total > 0:
        return {}
    shares = {}
    for name in board.settings:
        means = errors.groupby(rows[name].astype(str)).transform("mean")
        shares[name] = float(np.square(means - errors.mean()).sum()) / total
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def best(board: Board) -> RunFolder | None:
    """Return the run with the lowest validation error among those of the best setting that does not use the future."""
    rows = board.rows()
    rows = rows[np.isfinite(rows[VALIDATION])]
    if rows.empty:
        return None
    runs = board.runs[int(rows[VALIDATION].idxmin())]
    return min(runs, key=lambda run: run.metrics.validation.get("mae", np.inf))


def _board(runs: Sequence[RunFolder]) -> Board:
    told, names = telling([Member(run.metrics, run.settings) for run in runs])
    groups: dict[str, list[int]] = {}
    for place, own_name in enumerate(identities(runs)):
        groups.setdefault(own_name, []).append(place)
    rows, members, labels = [], [], []
    for places in groups.values():
        own = _one_a_seed([runs[place] for place in places])
        members.append(own)
        labels.append(", ".join(f"{name} {told[places[0]].get(name)}" for name in names) or own[0].metrics.model)
        rows.append({name: told[places[0]].get(name) for name in names} | _facts(own))
    table = pd.DataFrame(rows, columns=[*names, *(name for name in FACTS if name != "in_set")])
    first = runs[0].metrics
    notes = [_same_test(runs)] if _same_test(runs) else []
    table["in_set"] = _members(members, labels, table["leaks"]) if not notes else False
    board = Board(first.title, first.unit, first.reference, names, table, members, notes)
    return ordered(board, VALIDATION)


def _one_a_seed(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Keep the last run of each seed, and one alone where chance has no part."""
    kept = list({run.metrics.seed: run for run in runs}.values())
    errors = {_error(run) for run in kept}
    return kept[:1] if len(kept) > 1 and len(errors) == 1 and len(kept[0].metrics.seeds) == 1 else kept


def _facts(runs: Sequence[RunFolder]) -> dict[str, Any]:
    held_out = np.array([run.metrics.validation.get("mae", np.nan) for run in runs], dtype=float)
    tested = np.array([_error(run) for run in runs])
    spent = [run.card.get("seconds", {}) for run in runs]
    own = [
        sum(float(value) for part, value in parts.items() if str(part).startswith(f"{run.metrics.model}, "))
        for run, parts in zip(runs, spent, strict=True)
    ]
    several = len(runs) > 1
    return {
        VALIDATION: float(held_out.mean()),
        "validation_std": float(held_out.std(ddof=1)) if several else np.nan,
        TEST: float(tested.mean()),
        "test_std": float(tested.std(ddof=1)) if several else np.nan,
        SECONDS: float(np.mean(own)),
        "seeds": sum(len(run.metrics.seeds) for run in runs),
        "leaks": any(run.metrics.model in run.metrics.leaks for run in runs),
    }


def _error(run: RunFolder) -> float:
    scores = run.metrics.scores
    return float(scores.loc[scores["model"] == run.metrics.model, "mae"].iloc[0])


def _same_test(runs: Sequence[RunFolder]) -> str:
    """Say that runs were not judged on the same rows; nothing where they were."""
    naive = [run.metrics.scores[run.metrics.scores["model"] == run.metrics.reference] for run in runs]
    numbers = {(str(row.get("n", row["mae"]).iloc[0]), f"{row['mae'].iloc[0]:.9g}") for row in naive}
    if len(numbers) < 2:
        return ""
    return "The runs were not judged on the same test rows, so their errors, and a confidence set, cannot be compared."


def _members(groups: Sequence[Sequence[RunFolder]], labels: Sequence[str], leaks: "pd.Series[bool]") -> list[bool]:
    """Say which settings cannot be told from the best on the test rows (model confidence set over the sweep)."""
    parts = []
    for label, runs in zip(labels, groups, strict=True):
        own = [run.own for run in runs]
        tables = [table for table in own if table is not None]
        if len(tables) < len(own):
            return [False] * len(labels)
        keys = ["unique_id", "ds", "origin", "step"]
        forecast = sum(table.set_index(keys)["y_hat"] for table in tables) / len(tables)
        first = tables[0].set_index(keys)
        parts.append(first.assign(y_hat=forecast, model=label).reset_index())
    if len(parts) < 2:
        return [False] * len(labels)
    rows = pd.concat(parts, ignore_index=True)
    found = model_confidence_set(rows, [label for label, leak in zip(labels, leaks, strict=True) if leak])
    return [bool(value) for value in found.set_index("model")["in_set"].reindex(list(labels))]


def _column(board: Board, name: str) -> str:
    names = [*board.settings, *FACTS]
    name = name.strip()
    if name not in names:
        raise QuestionError(f"There is no column {name}.  There are {', '.join(names)}.")
    return name


def _meets(values: "pd.Series[Any]", sign: str, given: str) -> "pd.Series[bool]":
    """Compare numbers as numbers, and anything else as text."""
    numbers = pd.to_numeric(values, errors="coerce")
    try:
        wanted = float(given)
    except ValueError:
        wanted = np.nan
    if np.isfinite(wanted) and numbers.notna().any():
        return OPERATORS[sign](numbers, wanted)
    return OPERATORS[sign](values.astype(str), given)
