"""Prove that a pipeline is causal, or name the stage that is not.

The audit treats a pipeline as a black box.  It replaces what a forecast must not know, builds the
inputs again and demands that they are the same to the last bit.  No promise, no reading of code:
what changes has looked.

Any function that maps a series to inputs can be audited, whatever library it is made with::

    from evaluation.leakage.prove import audit

    print(audit(pipeline, series))      # causal: ... or LEAKS: inputs: 5742 of 6312 rows change when ...
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from data.contracts import FloatArray, IntArray

Verdict = Literal["causal", "LEAKS", "not audited"]
How = Literal["scrambled", "shifted", "constant"]
WAYS: tuple[How, ...] = ("scrambled", "shifted", "constant")
SHIFT = 3.0  # standard deviations a shifted future is moved by


class Stage(NamedTuple):
    """What one stage of a pipeline made, and what it may have known when it made it.

    Shapes
    ------
    n value, row of the data
    """

    name: str
    values: NDArray[Any]
    """``(n, ...)``; one row a window, or a single row for what was fitted."""
    own_past: IntArray | None = None
    """``(n,)`` row of the data up to which value i may look within its own series; None: not at all."""
    fitted_on: NDArray[np.bool_] | None = None
    """``(rows,)`` rows any value may have learnt from; None: none."""


class Change(NamedTuple):
    """Data of which a part was replaced."""

    name: str
    """What was replaced, in words."""
    replaced: NDArray[np.bool_]
    """``(rows,)``."""
    stages: Sequence[Stage]
    """What the pipeline makes of the changed data; the same stages in the same order."""
    rows: IntArray | None = None
    """Where what was replaced was left out: for each row that stays its number before, ascending; else None."""


class Finding(NamedTuple):
    """What the audit found of one stage."""

    stage: str
    verdict: Verdict
    checked: int
    """Rows that must not have changed."""
    changed: int
    """Rows that did."""
    detail: str


@dataclass(frozen=True)
class Audit:
    """The judgement of a whole pipeline.

    Parameters
    ----------
    findings : sequence of Finding
        In the order of the pipeline: the first leak is the cause of those behind it.
    seconds : float
        What the audit took.
    expected : collection of str
        Stages that are known to leak, as in a published protocol that is reproduced.
    """

    findings: Sequence[Finding]
    seconds: float = 0.0
    expected: Collection[str] = field(default_factory=tuple)

    @property
    def leaks(self) -> list[Finding]:
        """The stages that leak, the cause first."""
        return [finding for finding in self.findings if finding.verdict == "LEAKS"]

    @property
    def verdict(self) -> Verdict:
        """``causal`` if nothing leaks and something was checked."""
        if self.leaks:
            return "LEAKS"
        return "causal" if any(finding.checked for finding in self.findings) else "not audited"

    @property
    def unexpected(self) -> list[Finding]:
        """Causes of leaks that nobody announced."""
        return [finding for finding in self.causes if finding.stage not in self.expected]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.verdict == "not audited":
            return "not audited"
        if not self.leaks:
            seen = [finding for finding in self.findings if finding.checked]
            checked = sum(finding.checked for finding in seen)
            return (
                f"causal: {checked} rows of {', '.join(finding.stage for finding in seen)} did not change by a bit "
                f"when what they must not know was replaced"
            )
        return "LEAKS: " + "; ".join(f"{finding.stage}: {finding.detail}" for finding in self.causes)

    @property
    def causes(self) -> list[Finding]:
        """The leaks that no leak before them explains."""
        return [finding for finding in self.leaks if not finding.detail.startswith(INHERITED)]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "stages": [finding._asdict() for finding in self.findings],
            "expected": sorted(self.expected),
            "seconds": round(self.seconds, 2),
        }

    def table(self) -> Table:
        """Return a row a stage, for a terminal."""
        table = Table("stage", "verdict", "checked", "changed", "what was found")
        for finding in self.findings:
            style = "red" if finding.verdict == "LEAKS" else ""
            table.add_row(*(str(value) for value in finding), style=style)
        return table

    def __str__(self) -> str:
        return self.sentence


INHERITED = "changes with it"


def compare(
    before: Sequence[Stage], changes: Iterable[Change], series: NDArray[Any], explain: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return one finding a stage.

    A value must not change if nothing it may have known was replaced.

    Parameters
    ----------
    before : sequence of Stage
        Of the data as they are.
    changes : iterable of Change
    series : array ``(rows,)``
        The series each row of the data belongs to.
    explain : mapping
        For a stage that leaks, words to add to what is found.
    """
    checked = dict.fromkeys((stage.name for stage in before), 0)
    changed = dict.fromkeys(checked, 0)
    by = dict.fromkeys(checked, "")
    for change in changes:
        for old, new in zip(before, change.stages, strict=True):
            free = _untouched(old, change.replaced, series)
            there = new.values
            if change.rows is not None and old.own_past is not None and new.own_past is not None:
                free, there = _in_place(old, new, change.rows, free)
            count = _differing(old.values, there, free)
            checked[old.name] += int(free.sum())
            changed[old.name] += count
            if count and not by[old.name]:
                by[old.name] = change.name
    findings = []
    cause = ""
    for name in checked:
        if not changed[name]:
            findings.append(
                Finding(name, "causal", checked[name], 0, "nothing changes")
                if checked[name]
                else Finding(name, "not audited", 0, 0, "everything may know what was replaced")
            )
            continue
        detail = (
            f"{INHERITED} ({cause})"
            if cause
            else f"{changed[name]} of {checked[name]} rows change when {by[name]}{(explain or {}).get(name, '')}"
        )
        cause = cause or name
        findings.append(Finding(name, "LEAKS", checked[name], changed[name], detail))
    return findings


def audit(
    pipeline: Callable[[FloatArray], Any],
    series: FloatArray,
    origins: Sequence[int] | None = None,
    seed: int = 0,
) -> Audit:
    """Audit any function that maps a series to inputs.

    Parameters
    ----------
    pipeline : callable
        Maps ``(time,)`` to inputs ``(n, ...)``, or to a mapping from names of stages to such arrays,
        in the order they are made.  Row i of n belongs to time step ``time - n + i``: the last row
        ends with the last value.  Where the rows end earlier, as those of windows with a target do,
        the audit is a step too lenient, never too strict.
    series : array ``(time,)``
        The values themselves, with nothing done to them.
    origins : sequence of int
        Steps after which the future is replaced; by default five, spread over the second half.
    seed : int
        Of the replacements.

    Returns
    -------
    Audit
        ``print`` it, or look at ``findings``.

    Raises
    ------
    ValueError
        If the pipeline does not give the same inputs twice, or an array with more rows than time steps.
    """
    began = time.perf_counter()
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 1 or series.size < 4 or not np.isfinite(series).all():
        raise ValueError("audit needs a series of at least 4 finite values, (time,).")
    if origins is None:
        origins = np.linspace(series.size // 2, series.size - 2, 5).astype(int).tolist()
    before = _stages(pipeline, series)
    again = _stages(pipeline, series)
    for old, new in zip(before, again, strict=True):
        if _differing(old.values, new.values, np.ones(len(old.values), dtype=bool)):
            raise ValueError(
                f"The pipeline gives other {old.name} for the same series when it is called again, so nothing can be "
                f"said of what changes them.  Fix its random numbers (seeds), then audit it."
            )
    rng = np.random.default_rng(seed)

    def changes() -> Iterable[Change]:
        for origin in origins:
            replaced = np.arange(series.size) > origin
            for how in WAYS:
                other = replacement(series, replaced, how, rng)
                yield Change(f"the future after step {origin} is {how}", replaced, _stages(pipeline, other))

    first = before[0]
    findings = compare(before, changes(), np.zeros(series.size), {first.name: _told_by(first, series)})
    return Audit(findings, time.perf_counter() - began)


def replacement(values: FloatArray, replaced: NDArray[np.bool_], how: How, rng: np.random.Generator) -> FloatArray:
    """Return the values with some of them replaced by others of the same kind.

    ``scrambled`` puts them in another order, ``shifted`` moves them by three standard deviations,
    ``constant`` repeats the last value that stays.
    """
    other = values.copy()
    if how == "scrambled":
        other[replaced] = rng.permutation(values[replaced])
    elif how == "shifted":
        other[replaced] += SHIFT * (values.std() or 1.0)
    else:
        kept = np.flatnonzero(~replaced)
        other[replaced] = values[kept[-1]] if kept.size else values[0]
    return other


def directions_explained(inputs: FloatArray, moves: FloatArray) -> float:
    """Return the share of moves whose direction a ridge regression on the inputs calls right.

    Fitted on the first 70 % of the rows and judged on the rest: near one half where the inputs
    know nothing of the move.

    Parameters
    ----------
    inputs : array ``(n, ...)``
    moves : array ``(n,)``
        From the last value known to the next.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = inputs.reshape(len(inputs), -1)
    known = int(0.7 * len(rows))
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 2, 9))).fit(rows[:known], moves[:known])
    moved = moves[known:] != 0
    return float((np.sign(model.predict(rows[known:])) == np.sign(moves[known:]))[moved].mean())


def in_one_row(parts: Mapping[str, Any]) -> FloatArray:
    """Return all numbers of what was fitted, by name, in one row ``(1, n)``; a zero where there are none."""
    flat = [np.ravel(np.asarray(part, dtype=np.float64)) for part in parts.values()]
    return np.concatenate([np.zeros(1), *flat])[None]


def joined(first: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """Join the findings of two audits: a stage is causal if it is in both; a split that leaks explains the rest."""
    both = {finding.stage: finding for finding in first}
    split = both.get("split")
    for finding in second:
        if split is not None and split.verdict == "LEAKS" and finding.verdict == "LEAKS":
            finding = finding._replace(detail=f"{INHERITED} (split)")  # windows reach over to tested rows
        known = both.get(finding.stage)
        if known is None or known.verdict != "LEAKS":
            checked = finding.checked + (known.checked if known else 0)
            both[finding.stage] = finding if finding.verdict == "LEAKS" else finding._replace(checked=checked)
    return list(both.values())


def _stages(pipeline: Callable[[FloatArray], Any], series: FloatArray) -> list[Stage]:
    made = pipeline(series.copy())
    named: Mapping[str, Any] = made if isinstance(made, Mapping) else {"inputs": made}
    stages = []
    for name, values in named.items():
        array = np.asarray(values)
        if not 0 < len(array) <= series.size:
            raise ValueError(
                f"The pipeline returns {len(array)} rows of {name} for {series.size} time steps.  Return an array "
                f"(n, ...) with one row a time step, n at most the length of the series."
            )
        stages.append(Stage(name, array, own_past=series.size - len(array) + np.arange(len(array))))
    return stages


def _told_by(stage: Stage, series: FloatArray) -> str:
    """Return what the inputs of a stage that leaks know of the next move, where it can be measured."""
    assert stage.own_past is not None
    ends = stage.own_past
    has_next = ends + 1 < series.size
    values = stage.values[has_next]
    if len(values) < 50 or not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        return ""
    moves = series[ends[has_next] + 1] - series[ends[has_next]]
    share = 100 * directions_explained(values, moves)
    return f"; {share:.0f} % of the directions of the next step can be told from them"


def _untouched(stage: Stage, replaced: NDArray[np.bool_], series: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values of a stage may know nothing of what was replaced."""
    free = np.ones(len(stage.values), dtype=bool)
    if stage.fitted_on is not None and (replaced & stage.fitted_on).any():
        return ~free
    if stage.own_past is not None:
        for name in np.unique(series[replaced]):
            first = np.flatnonzero(replaced & (series == name))[0]
            free &= ~((series[stage.own_past] == name) & (stage.own_past >= first))
    return free


def _in_place(
    old: Stage, new: Stage, rows: IntArray, free: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Put the values of data with rows left out where they were before; what is not there is not checked."""
    assert old.own_past is not None
    assert new.own_past is not None
    _, before, now = np.intersect1d(old.own_past, rows[new.own_past], return_indices=True)
    there = old.values.copy()
    if new.values.shape[1:] != old.values.shape[1:]:
        return free, new.values
    there[before] = new.values[now]
    stays = np.zeros_like(free)
    stays[before] = True
    return free & stays, there


def _differing(old: NDArray[Any], new: NDArray[Any], free: NDArray[np.bool_]) -> int:
    """Count the values that must be the same and are not; NaN is the same as NaN."""
    if old.shape != new.shape:
        return int(free.sum())
    same = old == new
    if np.issubdtype(old.dtype, np.inexact):
        same |= np.isnan(old) & np.isnan(new)
    return int((free & ~same.reshape(len(old), -1).all(axis=1)).sum())
