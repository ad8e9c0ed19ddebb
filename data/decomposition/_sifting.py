"""Compiled loops of empirical mode decomposition.

Rules of this file: arrays in, arrays out; no allocation; the caller has checked that every
value is finite.  A loop runs over whole signals of an ensemble, without the interpreter lock,
and touches only the rows it is given: what it computes for one signal does not depend on how
many threads share the work.

All loops live in one file because numba's cache on disk watches the file of the outermost loop
only: a change in an imported file would go unnoticed.  What a loop calls becomes part of it
(``inlined``).  As a function of its own it would be there twice, optimised alone and within its
caller, and the process that compiles would run the one where later processes, which read the
caller from the cache, run the other: last bits would differ between the first run and the second.

How a sifting is fast: nothing is allocated; the extrema are found once; both splines are solved
in one loop, each from both ends to its middle, so that four chains of divisions overlap; a piece
of an envelope is written in whole vectors, the overhang being overwritten by the next piece.

References
----------
Huang et al. (1998), Proc. R. Soc. Lond. A 454, 903-995: sifting.
Rilling, Flandrin, Goncalves (2003), IEEE-EURASIP NSIP-03: mirrored extrema.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.config import DISABLE_JIT  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from data.contracts import FloatArray

# Strict IEEE arithmetic: with ``contract`` and ``reassoc`` another CPU gets other last bits, for 15 % of the time.
_options: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
}
compiled = njit(**_options)
"""For what Python calls."""
inlined = njit(**_options, forceinline=True)
"""For what other loops call."""

HUANG, FIXED, FIXED_H, S_NUMBER = 0, 1, 2, 3
"""When a sifting stops."""

TREND, MODE, FADED = 0, 1, 2
"""What a sifting left: a signal with too few extrema, a mode, a mode with too few extrema."""

RUNNING, FADING, ENDING, ENDED, DONE = 0, 1, 2, 3, 4
"""What ``take_modes`` wrote: a mode; a mode with too few extrema; the last mode; the trend; nothing."""

MIRROR, SLOPE = 0, 1
"""Where the extrema beyond the edges come from."""

WIDTH = 8
"""Points of an envelope that are computed at once."""

MOST = 100
"""No series has as many modes."""


class Rule(NamedTuple):
    """When a sifting and a decomposition stop, and what happens at the edges."""

    stop: int = HUANG
    siftings: int = 10
    """Of the rules that count."""
    longest: int = 1000
    """No signal is sifted as often."""
    variance: float = 0.001
    """Huang's rule: energy of the mean envelope over the range of the signal [``unit``]."""
    deviation: float = 0.2
    """Huang's rule: energy of the mean envelope relative to the mode, point by point."""
    energy: float = 0.2
    """Huang's rule: energy of the mean envelope over that of the signal."""
    range: float = 0.001
    """A remainder of a smaller range ends the decomposition [``unit``]."""
    power: float = 0.005
    """A remainder of a smaller sum of magnitudes ends the decomposition [``unit``]."""
    boundary: int = MIRROR
    unit: float = 1.0
    """What thresholds are measured in [unit of the signal]; 1 as in PyEMD, whose results depend on the unit."""


class Spline(NamedTuple):
    """One cubic spline: ``y`` at the knots ``x``, and what is computed on the way to its pieces.

    A piece is ``a + t (b + t (c + t d))`` with t counted from its left knot, already halved.
    """

    x: FloatArray
    y: FloatArray
    step: FloatArray
    inverse: FloatArray
    slope: FloatArray
    right: FloatArray
    upper: FloatArray
    solved: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray


class Workspace(NamedTuple):
    """Everything that one thread writes to while it sifts."""

    signal: FloatArray
    """``(time,)`` what is sifted, and after it the mode."""
    trial: FloatArray
    """``(time,)`` one signal of the ensemble."""
    extrema: NDArray[np.uint32]
    """Positions of the extrema; maxima and minima alternate."""
    turns: NDArray[np.uint8]
    """``(time,)`` whether a point is an extremum."""
    beyond: FloatArray
    """``(4, knot)`` position and value of the extrema beyond one edge, of both kinds."""
    upper: FloatArray
    lower: FloatArray
    """``(time,)`` and a bit: half of each envelope."""
    maxima: Spline
    minima: Spline


def new_workspace(size: int) -> Workspace:
    """Return the workspace for signals of ``size`` points: 20 numbers a point."""
    knots = size // 2 + 16

    def spline() -> Spline:
        return Spline(*np.zeros((len(Spline._fields), knots)))

    return Workspace(
        signal=np.zeros(size),
        trial=np.zeros(size),
        extrema=np.zeros(size, dtype=np.uint32),
        turns=np.zeros(size, dtype=np.uint8),
        beyond=np.zeros((4, knots)),
        upper=np.zeros(size + WIDTH),
        lower=np.zeros(size + WIDTH),
        maxima=spline(),
        minima=spline(),
    )


# ---------------------------------------------------------------------------- extrema


@inlined
def find_turns(w: FloatArray, turns: Any, at: Any) -> tuple[int, bool]:
    """Write the positions of all extrema to ``at``, in order.

    Returns their number and whether two neighbours are equal, which makes them invalid.  ``turns``
    is scratch: whether a point is an extremum is found for many points at once, and only then are
    the positions written down, without branches.
    """
    last = w.size - 1
    before, here, after = w[: last - 1], w[1:last], w[2:]
    for i in range(last - 1):
        turns[i] = (after[i] > here[i]) != (here[i] > before[i])
    ties = 0
    for i in range(last - 1):
        ties += after[i] == here[i]
    count = 0
    for i in range(last - 1):
        at[count] = i + 1
        count += int(turns[i])  # not in the eight bits of a flag
    return count, ties > 0 or w[1] == w[0]


@inlined
def find_plateaus(w: FloatArray, at: Any) -> int:
    """Write the extrema of a signal with equal neighbours to ``at``: a plateau counts at its middle.

    To agree with PyEMD, a plateau that begins at the second point does not count, and one that
    begins at the first counts as if the last step of the signal came before it.
    """
    last = w.size - 1
    count = 0
    before = w[last] - w[last - 1]
    i = 0
    while i < last:
        start = i
        while i < last and w[i + 1] == w[i]:
            i += 1
        if i == last:
            break  # a plateau at the end never counts
        after = w[i + 1] - w[i]
        turns = (before > 0.0 and after < 0.0) or (before < 0.0 and after > 0.0)
        if turns and (start != i or start > 0) and not (start == 1 and i > 1):
            middle = (start + i) // 2
            if (start + i) % 2 == 1 and middle % 2 == 1:
                middle += 1  # NumPy rounds a half to the even number
            at[count] = middle
            count += 1
        before = after
        i += 1
    return count


@inlined
def find_extrema(w: FloatArray, turns: Any, at: Any) -> int:
    """Write the positions of all extrema to ``at``, in order, and return how many."""
    count, equal = find_turns(w, turns, at)
    if equal:
        count = find_plateaus(w, at)
    return count


@inlined
def count_zero_crossings(w: FloatArray) -> int:
    """Return how often the sign changes; a run of zeros counts once."""
    crossings = 0
    zeros = 0
    for i in range(w.size - 1):
        crossings += (w[i] < 0.0) != (w[i + 1] < 0.0)
        zeros += w[i] == 0.0
    if zeros == 0 and w[w.size - 1] != 0.0:
        return crossings
    crossings = 0
    for i in range(w.size):
        if w[i] == 0.0:
            crossings += i == 0 or w[i - 1] != 0.0
        elif i > 0:
            crossings += w[i - 1] * w[i] < 0.0
    return crossings


# ---------------------------------------------------------------------------- knots


@inlined
def mirror_edge(w: FloatArray, edge: int, at: Any, count: int, side: int, beyond: FloatArray) -> tuple[int, int]:
    """Mirror the extrema nearest to an edge at the outermost extremum or, failing that, at the edge.

    Two of each kind, as in Rilling et al. (2003).  ``side`` is 1 at the left edge and -1 at the right.

    Returns
    -------
    Number of knots of the outermost extremum's own kind, written to rows 0 (position) and 1
    (value) of ``beyond`` from the edge outwards; number of the other kind, in rows 2 and 3.
    """
    nearest = 0 if side == 1 else count - 1
    outer = int(at[nearest])
    inner = int(at[nearest + side])
    n_own = (count + 1) // 2
    n_other = count // 2
    reached = (w[edge] > w[inner]) if w[outer] > w[inner] else (w[edge] < w[inner])
    centre = outer
    first = 1  # of its own kind, the outermost is the centre
    if reached:
        # what is mirrored at the extremum must reach the edge, else the envelope would end before it
        deepest_own = int(at[nearest + side * 2 * min(n_own - 1, 2)])
        deepest_other = int(at[nearest + side * (2 * min(n_other, 2) - 1)])
        short = side * (2 * centre - deepest_own - edge) > 0 or side * (2 * centre - deepest_other - edge) > 0
        if short:
            centre = edge
            first = 0
    else:
        centre = edge
        first = 0
    own = 0
    for k in range(first, min(first + 2, n_own)):
        i = int(at[nearest + side * 2 * k])
        beyond[0, own] = 2 * centre - i
        beyond[1, own] = w[i]
        own += 1
    other = 0
    if not reached:  # the edge itself is an extremum
        beyond[2, 0] = edge
        beyond[3, 0] = w[edge]
        other = 1
    for k in range(min(2 - other, n_other)):
        i = int(at[nearest + side * (2 * k + 1)])
        beyond[2, other] = 2 * centre - i
        beyond[3, other] = w[i]
        other += 1
    return own, other


@inlined
def extend_edge(w: FloatArray, edge: int, at: Any, count: int, side: int, beyond: FloatArray) -> tuple[int, int]:
    """Continue the last two slopes between extrema beyond an edge; returns as ``mirror_edge`` does.

    The end point counts as an extremum where it lies beyond the one predicted (Wu and Qu 2008).
    """
    nearest = 0 if side == 1 else count - 1
    x0, x1, x2 = float(at[nearest]), float(at[nearest + side]), float(at[nearest + 2 * side])
    y0, y1, y2 = w[at[nearest]], w[at[nearest + side]], w[at[nearest + 2 * side]]
    own = 0
    other = 0
    for _ in range(2 * beyond.shape[1]):  # every step leads at least one point outwards
        x = x0 + (x1 - x2)
        y = y0 + (y1 - y2)
        if own + other == 0 and (w[edge] < y if y0 > y1 else w[edge] > y):
            x, y = float(edge), w[edge]
        row = 2 if own == other else 0  # the kinds take turns, the other comes first
        column = other if own == other else own
        beyond[row, column] = x
        beyond[row + 1, column] = y
        if own == other:
            other += 1
        else:
            own += 1
        x0, x1, x2 = x, x0, x1
        y0, y1, y2 = y, y0, y1
        if own == other and own >= 2 and side * (x1 - edge) <= 0:
            break
    return own, other


@inlined
def add_beyond(
    w: FloatArray, edge: int, at: Any, count: int, side: int, beyond: FloatArray, boundary: int
) -> tuple[int, int]:
    """Write the extrema beyond an edge to ``beyond``, as ``mirror_edge`` and ``extend_edge`` do."""
    if boundary == SLOPE:
        return extend_edge(w, edge, at, count, side, beyond)
    return mirror_edge(w, edge, at, count, side, beyond)


@inlined
def place_knots(w: FloatArray, at: Any, count: int, first: int, left: Any, n_left: int, spline: Spline) -> int:
    """Write every second extremum from ``first`` on behind the knots beyond the left edge.

    Returns the number of knots so far.
    """
    x, y = spline.x, spline.y
    for k in range(n_left):
        x[k] = left[0, n_left - 1 - k]
        y[k] = left[1, n_left - 1 - k]
    inner_x, inner_y = x[n_left:], y[n_left:]
    every = at[first:]
    n = (count - first + 1) // 2
    for k in range(n):
        i = every[2 * k]
        inner_x[k] = i
        inner_y[k] = w[i]
    return n_left + n


@inlined
def append_knots(right: Any, n_right: int, n: int, spline: Spline) -> int:
    """Write the knots beyond the right edge behind the n knots there are; returns their number."""
    for k in range(n_right):
        spline.x[n + k] = right[0, k]
        spline.y[n + k] = right[1, k]
    return n + n_right


# ---------------------------------------------------------------------------- splines
# The short loops write one array each: LLVM vectorises a loop only while it needs few checks
# at run time that arrays do not overlap, and numba cannot promise that they do not.


@inlined
def prepare(spline: Spline, n: int) -> None:
    """Write lengths and slopes of the n pieces and the right side of the equations of inner knots."""
    x, y, step, inverse, slope = spline.x, spline.y, spline.step, spline.inverse, spline.slope
    for k in range(n):
        step[k] = x[k + 1] - x[k]
    for k in range(n):
        inverse[k] = 1.0 / step[k]
    for k in range(n):
        slope[k] = (y[k + 1] - y[k]) * inverse[k]
    right = spline.right[1:]
    following = slope[1:]
    for k in range(n - 1):
        right[k] = 3.0 * (following[k] - slope[k])


@inlined
def close_ends(spline: Spline, n: int) -> None:
    """Start both eliminations: the not-a-knot condition takes the outermost unknowns out."""
    step, right, upper, solved = spline.step, spline.right, spline.upper, spline.solved
    near, far = step[0], step[1]
    p = 1.0 / (near + 2.0 * far)
    upper[1] = (far - near) * p
    solved[1] = right[1] * far / (near + far) * p
    near, far = step[n - 1], step[n - 2]
    p = 1.0 / (near + 2.0 * far)
    upper[n - 1] = (far - near) * p
    solved[n - 1] = right[n - 1] * far / (near + far) * p


@inlined
def eliminate_down(spline: Spline, first: int, stop: int) -> None:
    """Eliminate the rows ``first`` to ``stop - 1`` from above."""
    step, right, upper, solved = spline.step, spline.right, spline.upper, spline.solved
    for i in range(first, stop):
        above, below = step[i - 1], step[i]
        p = 1.0 / (2.0 * (above + below) - above * upper[i - 1])
        solved[i] = (right[i] - above * solved[i - 1]) * p
        upper[i] = below * p


@inlined
def eliminate_up(spline: Spline, first: int, stop: int) -> None:
    """Eliminate the rows ``first`` down to ``stop + 1`` from below."""
    step, right, upper, solved = spline.step, spline.right, spline.upper, spline.solved
    for i in range(first, stop, -1):
        below, above = step[i], step[i - 1]
        p = 1.0 / (2.0 * (above + below) - below * upper[i + 1])
        solved[i] = (right[i] - below * solved[i + 1]) * p
        upper[i] = above * p


@inlined
def meet(spline: Spline, m: int) -> None:
    """Solve the two equations left in the middle, rows m and m + 1."""
    upper, solved, c = spline.upper, spline.solved, spline.c
    c[m] = (solved[m] - upper[m] * solved[m + 1]) / (1.0 - upper[m] * upper[m + 1])
    c[m + 1] = solved[m + 1] - upper[m + 1] * c[m]


@inlined
def substitute(spline: Spline, n: int, m: int, done: int) -> None:
    """Substitute back from the middle m to both ends, skipping ``done`` rows, then at the ends."""
    step, inverse, upper, solved, c = spline.step, spline.inverse, spline.upper, spline.solved, spline.c
    for i in range(m - 1 - done, 0, -1):
        c[i] = solved[i] - upper[i] * c[i + 1]
    for i in range(m + 2 + done, n):
        c[i] = solved[i] - upper[i] * c[i - 1]
    c[0] = c[1] + step[0] * inverse[1] * (c[1] - c[2])
    c[n] = c[n - 1] + step[n - 1] * inverse[n - 2] * (c[n - 1] - c[n - 2])


@inlined
def solve_short(spline: Spline, n: int) -> None:
    """Solve for the curvature of n pieces, n small: not-a-knot, natural with three knots."""
    step, right, c = spline.step, spline.right, spline.c
    if n <= 2:
        c[0] = 0.0
        c[n] = 0.0
        if n == 2:
            c[1] = 0.5 * right[1] / (step[0] + step[1])
        return
    close_ends(spline, n)
    m = n // 2
    eliminate_down(spline, 2, m + 1)
    eliminate_up(spline, n - 2, m)
    meet(spline, m)
    substitute(spline, n, m, 0)


@inlined
def solve_both(top: Spline, n: int, low: Spline, m: int) -> None:
    """Solve for the curvature of both splines, n and m pieces, in one loop.

    Each is eliminated from both ends to its middle: the four chains of divisions are independent,
    so the loop is bound by what the divider can take and not by how long one division lasts.
    """
    close_ends(top, n)
    close_ends(low, m)
    top_middle, low_middle = n // 2, m // 2
    rows = min(top_middle - 1, low_middle - 1, n - 2 - top_middle, m - 2 - low_middle)
    step1, right1, upper1, solved1 = top.step, top.right, top.upper, top.solved
    step3, right3, upper3, solved3 = low.step, low.right, low.upper, low.solved
    from1, from3 = step1[2:], step3[2:]
    rhs1, rhs3 = right1[2:], right3[2:]
    up1, up3 = upper1[2:], upper3[2:]
    out1, out3 = solved1[2:], solved3[2:]
    g1, g2, g3, g4 = step1[1], step1[n - 2], step3[1], step3[m - 2]
    d1, d2, d3, d4 = solved1[1], solved1[n - 1], solved3[1], solved3[m - 1]
    p1, p2, p3, p4 = upper1[1], upper1[n - 1], upper3[1], upper3[m - 1]
    v1, v2, v3, v4 = g1, g2, g3, g4  # v p = g u, in the first row with p = u
    for t in range(rows):
        i = n - 2 - t
        j = m - 2 - t
        h1, h2, h3, h4 = from1[t], step1[i - 1], from3[t], step3[j - 1]
        p1 = 1.0 / (2.0 * (g1 + h1) - v1 * p1)
        p2 = 1.0 / (2.0 * (g2 + h2) - v2 * p2)
        p3 = 1.0 / (2.0 * (g3 + h3) - v3 * p3)
        p4 = 1.0 / (2.0 * (g4 + h4) - v4 * p4)
        v1, v2, v3, v4 = h1 * h1, h2 * h2, h3 * h3, h4 * h4
        d1 = rhs1[t] * p1 - (g1 * p1) * d1
        d2 = right1[i] * p2 - (g2 * p2) * d2
        d3 = rhs3[t] * p3 - (g3 * p3) * d3
        d4 = right3[j] * p4 - (g4 * p4) * d4
        up1[t] = h1 * p1
        out1[t] = d1
        upper1[i] = h2 * p2
        solved1[i] = d2
        up3[t] = h3 * p3
        out3[t] = d3
        upper3[j] = h4 * p4
        solved3[j] = d4
        g1, g2, g3, g4 = h1, h2, h3, h4
    eliminate_down(top, 2 + rows, top_middle + 1)
    eliminate_up(top, n - 2 - rows, top_middle)
    eliminate_down(low, 2 + rows, low_middle + 1)
    eliminate_up(low, m - 2 - rows, low_middle)
    meet(top, top_middle)
    meet(low, low_middle)
    top_c, low_c = top.c, low.c
    c1, c2 = top_c[top_middle], top_c[top_middle + 1]
    c3, c4 = low_c[low_middle], low_c[low_middle + 1]
    for t in range(rows):
        i = top_middle - 1 - t
        j = top_middle + 2 + t
        k = low_middle - 1 - t
        q = low_middle + 2 + t
        c1 = solved1[i] - upper1[i] * c1
        c2 = solved1[j] - upper1[j] * c2
        c3 = solved3[k] - upper3[k] * c3
        c4 = solved3[q] - upper3[q] * c4
        top_c[i] = c1
        top_c[j] = c2
        low_c[k] = c3
        low_c[q] = c4
    substitute(top, n, top_middle, rows)
    substitute(low, m, low_middle, rows)


@inlined
def halve_pieces(spline: Spline, n: int) -> None:
    """Write the coefficients of half of each of the n pieces."""
    step, inverse, slope, y = spline.step, spline.inverse, spline.slope, spline.y
    a, b, c, d = spline.a, spline.b, spline.c, spline.d
    for k in range(n):
        a[k] = 0.5 * y[k]
    for k in range(n):
        b[k] = 0.5 * slope[k] - step[k] * (c[k + 1] + 2.0 * c[k]) * (1.0 / 6.0)
    for k in range(n):
        d[k] = (c[k + 1] - c[k]) * inverse[k] * (1.0 / 6.0)
    for k in range(n):
        c[k] *= 0.5


# ---------------------------------------------------------------------------- subtraction


def _store_cubic_in_python(out: FloatArray, at: int, t: float, a: float, b: float, c: float, d: float) -> None:
    """Write ``a + t (b + t (c + t d))`` for WIDTH points from t on to ``out[at:]``."""
    for k in range(WIDTH):
        out[at + k] = a + (t + k) * (b + (t + k) * (c + (t + k) * d))


@intrinsic
def _store_cubic_at_once(typing: Any, out: Any, at: Any, t: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Do the same with one vector: numba leaves so short a loop to scalar instructions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.DoubleType(), WIDTH)
        nothing = ir.Constant(vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)

        def spread(number: Any) -> Any:
            first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, nothing, zeros)

        start, a_all, b_all, c_all, value = map(spread, arguments[2:])
        t_all = builder.fadd(start, ir.Constant(vector, [float(k) for k in range(WIDTH)]))
        for coefficient in (c_all, b_all, a_all):
            value = builder.fadd(coefficient, builder.fmul(t_all, value))
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        builder.store(value, builder.bitcast(place, vector.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(out, at, t, a, b, c, d), generate


store_cubic: Any = _store_cubic_in_python if DISABLE_JIT else _store_cubic_at_once


@inlined
def evaluate(spline: Spline, n: int, size: int, out: FloatArray) -> None:
    """Write the n pieces at the points 0 to ``size - 1`` to ``out``.

    What is written beyond the end of a piece is overwritten by the next one; ``out`` is WIDTH
    longer than ``size``.
    """
    x, a, b, c, d = spline.x, spline.a, spline.b, spline.c, spline.d
    left = int(x[0])
    for k in range(n):
        right = int(x[k + 1])
        stop = min(right, size) if k < n - 1 else size
        start = max(left, 0)
        t = float(start - left)
        while start < stop:
            store_cubic(out, start, t, a[k], b[k], c[k], d[k])
            start += WIDTH
            t += WIDTH
        left = right


@inlined
def subtract_mean(w: FloatArray, upper: FloatArray, lower: FloatArray) -> tuple[float, float]:
    """Subtract the sum of both halved envelopes; returns its energy and that of what is left."""
    taken = 0.0
    left = 0.0
    for i in range(w.size):
        mean = upper[i] + lower[i]
        value = w[i] - mean
        w[i] = value
        taken += mean * mean
        left += value * value
    return taken, left


# ---------------------------------------------------------------------------- sifting


@inlined
def lie_on_their_sides(maxima: FloatArray, minima: FloatArray) -> bool:
    """Return whether no maximum lies below zero and no minimum above."""
    wrong = 0
    for k in range(maxima.size):
        wrong += maxima[k] < 0.0
    for k in range(minima.size):
        wrong += minima[k] > 0.0
    return wrong == 0


@inlined
def find_range(maxima: FloatArray, minima: FloatArray, start: float, end: float) -> float:
    """Return the range of a signal with these extrema and end points."""
    greatest = max(start, end)
    for k in range(maxima.size):
        greatest = max(greatest, maxima[k])
    least = min(start, end)
    for k in range(minima.size):
        least = min(least, minima[k])
    return greatest - least


@inlined
def sum_relative(upper: FloatArray, lower: FloatArray, mode: FloatArray) -> float:
    """Return the sum of ``((upper + lower) / mode)**2``, infinite where the mode is zero."""
    total = 0.0
    for i in range(mode.size):
        if mode[i] == 0.0:
            return np.inf
        ratio = (upper[i] + lower[i]) / mode[i]
        total += ratio * ratio
    return total


@inlined
def sift(x: FloatArray, work: Workspace, rule: Rule) -> int:
    """Sift the fastest mode of ``x`` out; it is left in ``work.signal``.

    Returns ``MODE``; ``FADED`` if it has fewer than three extrema; ``TREND`` if at some step
    there were fewer than three, so that ``x`` holds no mode.
    """
    if rule.longest < 2:  # as in PyEMD, nothing is sifted then
        return TREND
    w, at, beyond = work.signal, work.extrema, work.beyond
    size = w.size
    energy = 0.0
    for i in range(size):
        w[i] = x[i]
        energy += x[i] * x[i]
    count = find_extrema(w, work.turns, at)
    streak = 0
    crossings = -1
    for sifted in range(1, rule.longest):
        if count <= 2:
            return TREND

        # the knots of both splines
        high_first = w[at[0]] > w[at[1]]
        if high_first:
            first, second = work.maxima, work.minima
        else:
            first, second = work.minima, work.maxima
        start, end = w[0], w[size - 1]
        n_first, n_second = add_beyond(w, 0, at, count, 1, beyond, rule.boundary)
        n = place_knots(w, at, count, 0, beyond[:2], n_first, first)
        m = place_knots(w, at, count, 1, beyond[2:], n_second, second)
        inner_first, inner_second = first.y[n_first:n], second.y[n_second:m]
        own, other = add_beyond(w, size - 1, at, count, -1, beyond, rule.boundary)
        if count % 2 == 1:  # the last extremum is of the first one's kind
            n = append_knots(beyond[:2], own, n, first)
            m = append_knots(beyond[2:], other, m, second)
        else:
            n = append_knots(beyond[2:], other, n, first)
            m = append_knots(beyond[:2], own, m, second)

        # their pieces, and the mean envelope taken off
        prepare(first, n - 1)
        prepare(second, m - 1)
        if n >= 6 and m >= 6:
            solve_both(first, n - 1, second, m - 1)
        else:
            solve_short(first, n - 1)
            solve_short(second, m - 1)
        halve_pieces(first, n - 1)
        halve_pieces(second, m - 1)
        evaluate(first, n - 1, size, work.upper)
        evaluate(second, m - 1, size, work.lower)
        taken, left = subtract_mean(w, work.upper, work.lower)

        # enough?
        if rule.stop == FIXED and sifted >= rule.siftings:
            return MODE
        old_count = count
        count = find_extrema(w, work.turns, at)
        if rule.stop == HUANG:
            if high_first:
                sided = lie_on_their_sides(first.y[:n], second.y[:m])
            else:
                sided = lie_on_their_sides(second.y[:m], first.y[:n])
            if sided and left >= 1e-10 * rule.unit * rule.unit:
                small = taken < rule.energy * energy
                if not small:
                    if high_first:
                        span = find_range(inner_first, inner_second, start, end)
                    else:
                        span = find_range(inner_second, inner_first, start, end)
                    small = taken < rule.variance * rule.unit * span
                if not small and taken < rule.deviation * left:  # else the sum is larger, too
                    small = sum_relative(work.upper, work.lower, w) < rule.deviation
                if small and abs(count - count_zero_crossings(w)) < 2:
                    return MODE if count > 2 else FADED
        elif rule.stop != FIXED:
            old_crossings = crossings
            crossings = count_zero_crossings(w)
            counts = abs(count - crossings) < 2
            if rule.stop == S_NUMBER:
                counts = counts and count == old_count and crossings == old_crossings
            elif sifted == 1:
                counts = False
            streak = streak + 1 if counts else 0
            if streak >= rule.siftings:
                return MODE if count > 2 else FADED
        energy = left
    return MODE if count > 2 or rule.stop == FIXED else FADED


# ---------------------------------------------------------------------------- ensembles


@compiled
def take_modes(
    rest: FloatArray, mode: FloatArray, state: Any, first: int, stop: int, work: Workspace, rule: Rule
) -> None:
    """Move the next mode of each of the signals ``first`` to ``stop - 1`` from ``rest`` to ``mode``.

    Parameters
    ----------
    rest, mode : arrays ``(trial, time)``
    state : int array ``(trial,)``
        What the last call wrote to ``mode``; ``RUNNING`` before the first.  A signal that is used
        up gets its trend, once, and then zeros.
    """
    size = rest.shape[1]
    for t in range(first, stop):
        r, m = rest[t], mode[t]
        found = TREND
        over = False
        if state[t] <= FADING:
            found = sift(r, work, rule)
            if found != TREND:
                least = np.inf
                greatest = -np.inf
                power = 0.0
                for i in range(size):
                    remainder = r[i] - work.signal[i]
                    least = min(least, remainder)
                    greatest = max(greatest, remainder)
                    power += abs(remainder)
                over = greatest - least < rule.range * rule.unit or power < rule.power * rule.unit
                if over and found == FADED:  # what has faded when all is over is trend
                    found = TREND
        if found != TREND:
            for i in range(size):
                m[i] = work.signal[i]
            for i in range(size):
                r[i] -= work.signal[i]
            state[t] = ENDING if over else (FADING if found == FADED else RUNNING)
        else:
            large = 0.0
            if state[t] <= ENDING:
                for i in range(size):
                    large = max(large, abs(r[i]))
            present = large > 1e-8 * rule.unit
            state[t] = ENDED if present else DONE
            for i in range(size):
                m[i] = r[i] if present else 0.0


@compiled
def sift_ensemble(
    base: FloatArray,
    noise: FloatArray,
    scale: FloatArray,
    local_mean: bool,
    result: FloatArray,
    first: int,
    stop: int,
    work: Workspace,
    rule: Rule,
) -> None:
    """Write the fastest mode of ``base + scale * noise`` to ``result``, or its local mean.

    The local mean is what is left when that mode is taken off.  Without a mode, both are the
    noisy signal itself.

    Parameters
    ----------
    base : array ``(time,)``
    noise, result : arrays ``(trial, time)``
        Rows ``first`` to ``stop - 1`` are worked on.
    scale : array ``(trial,)``
    """
    size = base.size
    x, w = work.trial, work.signal
    for t in range(first, stop):
        strength, added, out = scale[t], noise[t], result[t]
        for i in range(size):
            x[i] = base[i] + strength * added[i]
        found = sift(x, work, rule) == MODE
        if found and local_mean:
            for i in range(size):
                out[i] = x[i] - w[i]
        else:
            chosen = w if found else x
            for i in range(size):
                out[i] = chosen[i]


@compiled
def sum_trials(rows: FloatArray, total: FloatArray) -> None:
    """Sum ``(trial, time)`` over the trials, in their order, so that the sum has no choice of bits."""
    trials, size = rows.shape
    for start in range(0, size, 512):  # a stretch of the total stays in the cache
        part = total[start : start + 512]
        part[:] = 0.0
        for t in range(trials):
            row = rows[t, start : start + 512]
            for i in range(part.size):
                part[i] += row[i]
