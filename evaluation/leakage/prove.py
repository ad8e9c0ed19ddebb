"""Prove that a pipeline is causal, or name the stage that is not.

The audit treats a pipeline as a black box.  It replaces what a forecast must not know, builds the
inputs again and demands that they are the same to the last bit; what changes has looked.  And it demands the
converse: what is made of data must move when they are replaced; what never does, came from elsewhere.

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

from data.contracts import FloatArray, IntArray
from evaluation.leakage.differences import Difference, Precision, Scale, difference, scale_of
from evaluation.leakage.perturb import WAYS, replacement
from evaluation.rows import named

Verdict = Literal["causal", "causal to rounding", "LEAKS", "not audited"]
INHERITED = "changes with it"
REPLACED = "what they must not know was replaced"
STALE = "does not move when its own past is replaced: it does not come from the data it was given"


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
    must_move: bool = False
    """Whether the values are made of their own past (or of what they are fitted on), so that they cannot stay when
    it is replaced.  Not of a calendar, or of a forecast that is the same whatever was seen."""
    subject: str | None = None
    """Label of the table's row it is made for; None if all rows rest on it."""
    precision: Precision | None = None
    """What it was computed in, where the values do not show it: float32 that was then scaled in float64."""


class Change(NamedTuple):
    """Data of which a part was replaced."""

    name: str
    """What was replaced, in words."""
    replaced: NDArray[np.bool_]
    """``(rows,)``."""
    stages: Sequence[Stage | None]
    """What the pipeline makes of the changed data; the same stages in the same order, None for one not made again."""
    rows: IntArray | None = None
    """Where what was replaced was left out: for each row that stays its number before, ascending; else None."""
    altered: NDArray[np.bool_] | None = None
    """``(rows,)`` of what was replaced, the rows that are now different; None: not known, so that nothing must move."""


class Finding(NamedTuple):
    """What the audit found of one stage."""

    stage: str
    verdict: Verdict
    checked: int
    """Rows that must not have changed."""
    changed: int
    """Rows that did."""
    detail: str
    rounding: float = 0.0
    """Largest relative difference that is no more than rounding."""
    subject: str | None = None
    """Label of the table's row it is about; None: of all."""
    first: int | None = None
    """Number of the first value that looked, among those of its stage; None where none did."""

    @property
    def name(self) -> str:
        """The stage, and whose it is."""
        return self.stage if self.subject is None else f"{self.stage} of {self.subject}"


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
    taken_from : str
        The run that proved it, where another run of the same pipeline did; else empty.
    """

    findings: Sequence[Finding]
    seconds: float = 0.0
    expected: Collection[str] = field(default_factory=tuple)
    taken_from: str = ""

    @property
    def leaks(self) -> list[Finding]:
        """The stages that leak, the cause first."""
        return [finding for finding in self.findings if finding.verdict == "LEAKS"]

    @property
    def causes(self) -> list[Finding]:
        """The leaks that no leak before them explains."""
        return [finding for finding in self.leaks if not finding.detail.startswith(INHERITED)]

    @property
    def unexpected(self) -> list[Finding]:
        """Causes of leaks that nobody announced."""
        return [finding for finding in self.causes if finding.stage not in self.expected]

    @property
    def verdict(self) -> Verdict:
        """``causal`` if nothing leaks and something was checked, maybe ``causal to rounding``."""
        if self.leaks:
            return "LEAKS"
        if not any(finding.checked for finding in self.findings):
            return "not audited"
        return "causal to rounding" if any(finding.rounding for finding in self.findings) else "causal"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.verdict == "not audited":
            return "not audited"
        if self.leaks:
            return "LEAKS: " + told(self.causes)
        seen = [finding for finding in self.findings if finding.checked]
        checked = sum(finding.checked for finding in seen)
        names = ", ".join(dict.fromkeys(finding.stage for finding in seen))  # of many rows of a table each stage once
        if self.verdict == "causal":
            return (
                f"causal: {checked} rows of {names} did not change by a bit when what they must not know was replaced"
            )
        worst = max(seen, key=lambda finding: finding.rounding)
        return (
            f"causal to rounding, largest relative difference {worst.rounding:.0e} ({worst.name}): {checked} rows of "
            f"{names} changed by no more than that when {REPLACED}"
        )

    def against(self, label: str) -> str:
        """Return in words the leaks that touch a row of the table: those of all rows and its own; empty if none."""
        return told(finding for finding in self.causes if finding.subject in (None, label))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "stages": [finding._asdict() for finding in self.findings],
            "expected": sorted(self.expected),
            "seconds": round(self.seconds, 2),
        } | ({"taken_from": self.taken_from} if self.taken_from else {})

    def __str__(self) -> str:
        return self.sentence


def told(findings: Iterable[Finding]) -> str:
    """Return findings in words; what is the same of several rows of the table is said once."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        subjects.setdefault((finding.stage, finding.detail), []).append(finding.subject or "")
    return "; ".join(
        f"{stage}{f' of {named(rows)}' if rows != [''] else ''}: {detail}" for (stage, detail), rows in subjects.items()
    )


@dataclass
class _Tally:
    """What was seen of one stage over all changes."""

    scale: Scale
    """What differences of its values are measured by."""
    touched: NDArray[np.bool_]
    """``(series,)`` of which values saw their own past replaced."""
    moved: NDArray[np.bool_]
    """``(series,)`` of which values moved then."""
    checked: int = 0
    leaked: int = 0
    rounded: int = 0
    rounding: float = 0.0
    first: int | None = None
    """The first value that leaked."""
    by: str = ""
    """The change that made it leak first, else that of the largest rounding."""


def compare(before: Sequence[Stage], changes: Iterable[Change], series: NDArray[Any]) -> list[Finding]:
    """Return one finding a stage.

    A value must not change if nothing it may have known was replaced, and the values of a stage that ``must_move``
    must not all stay, in any series, where their own past was.

    Parameters
    ----------
    before : sequence of Stage
        Of the data as they are.
    changes : iterable of Change
    series : array ``(rows,)``
        The series each row of the data belongs to.
    """
    code = _codes(np.asarray(series))
    never = np.zeros(int(code.max(initial=0)) + 1, dtype=bool)
    tallies = [_Tally(scale_of(stage.values), never.copy(), never.copy()) for stage in before]
    for change in changes:
        first = _first_replaced(code, change.replaced)
        for old, new, tally in zip(before, change.stages, tallies, strict=True):
            if new is not None:
                _count(old, new, change, code, first, tally)
    return _findings(before, tallies)


def _count(old: Stage, new: Stage, change: Change, code: IntArray, first: IntArray, tally: _Tally) -> None:
    """Count what one change did to one stage."""
    free = _untouched(old, change.replaced, code, first)
    there = new.values
    if change.rows is not None and old.own_past is not None and new.own_past is not None:
        free, there = _in_place(old, new, change.rows, free)
    found = difference(old.values, there, old.precision, tally.scale)
    looked = np.flatnonzero(free & found.beyond)
    leaked = looked.size
    rounded = free & found.differs & ~found.beyond
    largest = float(found.relative[rounded].max(initial=0.0))
    tally.checked += int(free.sum())
    if (leaked and not tally.leaked) or (largest > tally.rounding and not tally.leaked):
        tally.by = change.name
    if leaked:
        tally.first = int(looked[0]) if tally.first is None else min(tally.first, int(looked[0]))
    tally.leaked += leaked
    tally.rounded += int(rounded.sum())
    tally.rounding = max(tally.rounding, largest)
    if old.must_move and change.altered is not None and change.rows is None:
        _note_moves(old, change.altered, found, code, tally)


def _note_moves(old: Stage, altered: NDArray[np.bool_], found: Difference, code: IntArray, tally: _Tally) -> None:
    """Note the series whose values saw their own past replaced, and of these the ones that moved."""
    if old.own_past is not None:
        touched = altered[old.own_past]
        tally.touched[code[old.own_past[touched]]] = True
        tally.moved[code[old.own_past[touched & found.beyond]]] = True
    elif old.fitted_on is not None and (altered & old.fitted_on).any():
        tally.touched[0] = True
        tally.moved[0] |= bool(found.beyond.any())


def _findings(before: Sequence[Stage], tallies: Sequence[_Tally]) -> list[Finding]:
    findings: list[Finding] = []
    for stage, tally in zip(before, tallies, strict=True):
        name, checked, subject = stage.name, tally.checked, stage.subject
        cause = next((f for f in findings if f.verdict == "LEAKS" and f.subject in (None, subject)), None)
        touched, stale = int(tally.touched.sum()), int((tally.touched & ~tally.moved).sum())
        if tally.leaked or stale:
            what = f"{tally.leaked} of {checked} rows change when {tally.by}"
            if not tally.leaked:
                what = STALE if stale == touched else f"{STALE} ({stale} of {touched} series)"
            detail = what if cause is None else f"{INHERITED} ({cause.name})"
            findings.append(Finding(name, "LEAKS", checked, tally.leaked, detail, tally.rounding, subject, tally.first))
        elif not checked:
            detail = "everything may know what was replaced"
            findings.append(Finding(name, "not audited", 0, 0, detail, subject=subject))
        elif tally.rounded:
            detail = f"largest relative difference {tally.rounding:.0e}, when {tally.by}"
            counts = (checked, tally.rounded)
            findings.append(Finding(name, "causal to rounding", *counts, detail, tally.rounding, subject))
        else:
            findings.append(Finding(name, "causal", checked, 0, "nothing changes", subject=subject))
    return findings


def audit(
    pipeline: Callable[[FloatArray], Any],
    series: FloatArray,
    origins: Sequence[int] | None = None,
    seed: int = 0,
    known: Collection[str] = (),
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
    known : collection of str
        Stages that need not follow from the series, such as a calendar.  All others must move when their own past is
        replaced.

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
    before = _stages(pipeline, series, known)
    for old, new in zip(before, _stages(pipeline, series, known), strict=True):
        if difference(old.values, new.values).beyond.any():
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
                name = f"the future after step {origin} is {how}"
                yield Change(name, replaced, _stages(pipeline, other, known), altered=other != series)

    findings = compare(before, changes(), np.zeros(series.size))
    if findings[0].changed and findings[0].verdict == "LEAKS":
        findings[0] = findings[0]._replace(detail=findings[0].detail + _told_by(before[0], series))
    return Audit(findings, time.perf_counter() - began)


def flatten(parts: Mapping[str, Any]) -> FloatArray:
    """Return all numbers of what was fitted, by name, in one row ``(1, n)``; a zero where there are none."""
    flat = [np.ravel(np.asarray(part, dtype=np.float64)) for part in parts.values() if part is not None]
    return np.concatenate([np.zeros(1), *flat])[None]


def joined(first: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """Join the findings of two audits: a stage is causal if it is in both; a split that leaks explains the rest."""
    both = {(finding.stage, finding.subject): finding for finding in first}
    split = both.get(("split", None))
    for finding in second:
        key = (finding.stage, finding.subject)
        if split is not None and split.verdict == "LEAKS" and finding.verdict == "LEAKS":
            finding = finding._replace(detail=f"{INHERITED} (split)")  # windows reach over to tested rows
        known = both.get(key)
        both[key] = finding if known is None else _worse(known, finding)
    return list(both.values())


def _worse(one: Finding, other: Finding) -> Finding:
    """Return the graver of two findings of a stage, with what was checked in both where it does not leak."""
    if "LEAKS" in (one.verdict, other.verdict):
        return one if one.verdict == "LEAKS" else other
    grave = one if one.rounding >= other.rounding and one.checked else other
    return grave._replace(checked=one.checked + other.checked, changed=one.changed + other.changed)


def _stages(pipeline: Callable[[FloatArray], Any], series: FloatArray, known: Collection[str]) -> list[Stage]:
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
        own_past = series.size - len(array) + np.arange(len(array))
        stages.append(Stage(name, array.copy(), own_past=own_past, must_move=name not in known))
    return stages


def _told_by(stage: Stage, series: FloatArray) -> str:
    """Return what the inputs of a stage that leaks know of the next move, where it can be measured."""
    from evaluation.leakage.directions import directions_explained

    assert stage.own_past is not None
    ends = stage.own_past
    has_next = ends + 1 < series.size
    values = stage.values[has_next]
    moves = series[ends[has_next] + 1] - series[ends[has_next]]
    numbers = np.issubdtype(values.dtype, np.number) and np.isfinite(values).all()
    if len(values) < 50 or not numbers or not moves[int(0.7 * len(moves)) :].any():
        return ""
    share = 100 * directions_explained(values, moves)
    return f"; {share:.0f} % of the directions of the next step can be told from them"


def _codes(series: NDArray[Any]) -> IntArray:
    """Return a number for the series of each row; names are compared once a run of rows, not once a series."""
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else np.zeros(0, dtype=np.int64)
    _, code = np.unique(series[starts], return_inverse=True)
    return np.repeat(code, np.diff(np.r_[starts, len(series)])).astype(np.int64)


def _first_replaced(code: IntArray, replaced: NDArray[np.bool_]) -> IntArray:
    """Return the first row of each series that was replaced, beyond all rows where there is none."""
    first = np.full(int(code.max(initial=-1)) + 1, code.size, dtype=np.int64)
    rows = np.flatnonzero(replaced)[::-1]
    first[code[rows]] = rows  # of several the one that is written last, the first row
    return first


def _untouched(stage: Stage, replaced: NDArray[np.bool_], code: IntArray, first: IntArray) -> NDArray[np.bool_]:
    """Return which values of a stage may know nothing of what was replaced."""
    free = np.ones(len(stage.values), dtype=bool)
    if stage.fitted_on is not None and (replaced & stage.fitted_on).any():
        return ~free
    return free if stage.own_past is None else stage.own_past < first[code[stage.own_past]]


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
