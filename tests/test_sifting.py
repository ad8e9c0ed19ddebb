"""The compiled loops agree with plain readings of their definitions."""

import numpy as np
import pytest
from numba.core.config import DISABLE_JIT
from numba.core.dispatcher import Dispatcher
from scipy.interpolate import CubicSpline

from data.decomposition import _sifting as sifting


@pytest.mark.skipif(bool(DISABLE_JIT), reason="nothing is compiled")
def test_a_loop_that_others_call_becomes_part_of_them():
    """Else the process that compiles runs other code than those that read it from the cache: other last bits."""
    loops = {name: loop for name, loop in vars(sifting).items() if isinstance(loop, Dispatcher)}
    called = {name for loop in loops.values() for name in loop.py_func.__code__.co_names if name in loops}
    assert {"sift", "find_extrema", "solve_both", "evaluate"} <= called
    assert all(loops[name].targetoptions.get("forceinline") for name in called)


def extrema_by_definition(signal):
    """Runs of equal values higher, or lower, than both neighbours; the middle rounded to even."""
    runs = np.split(np.arange(signal.size), np.flatnonzero(np.diff(signal)) + 1)
    found = []
    for run in runs[1:-1]:
        before, here, after = signal[run[0] - 1], signal[run[0]], signal[run[-1] + 1]
        if (here > before and here > after) or (here < before and here < after):
            found.append(int(np.round((run[0] + run[-1]) / 2)))
    return found


def found_extrema(signal):
    work = sifting.new_workspace(signal.size)
    return work.extrema[: sifting.find_extrema(signal, work.turns, work.extrema)].tolist()


def filled_spline(x, y):
    """Half of the not-a-knot spline through the points, as the loops compute it."""
    spline = sifting.new_workspace(4 * x.size).maxima
    spline.x[: x.size], spline.y[: x.size] = x, y
    sifting.prepare(spline, x.size - 1)
    return spline


@pytest.mark.parametrize("seed", range(30))
def test_extrema_are_those_of_the_definition(seed):
    signal = np.random.default_rng(seed).standard_normal(71)
    assert found_extrema(signal) == extrema_by_definition(signal)


@pytest.mark.parametrize("seed", range(30))
def test_a_plateau_counts_once_at_its_middle(seed):
    signal = np.random.default_rng(seed).integers(0, 4, size=60).astype(float)
    signal[:3], signal[-2:] = [1, 2, 9], [9, 8]  # the ends are PyEMD's own matter, tested elsewhere
    assert found_extrema(signal) == extrema_by_definition(signal)


@pytest.mark.parametrize("signal", [[1.0, 1, 1, 1], [1.0, 2, 3, 4], [1.0, 2, 2, 3, 3], [4.0, 3, 3, 3]])
def test_a_monotone_signal_has_no_extremum(signal):
    assert found_extrema(np.array(signal)) == []


@pytest.mark.parametrize(
    ("signal", "crossings"),
    [([1.0, -1, 1, -1], 3), ([1.0, 0, -1], 1), ([1.0, 0, 0, 1], 1), ([0.0, 1, 2, 0], 2), ([1.0, 2, 3, 4], 0)],
)
def test_a_run_of_zeros_is_one_crossing(signal, crossings):
    assert sifting.count_zero_crossings(np.array(signal)) == crossings


@pytest.mark.parametrize("knots", [4, 5, 6, 7, 8, 9, 40, 41])
def test_one_spline_is_scipys(knots):
    random = np.random.default_rng(knots)
    x = np.cumsum(random.integers(1, 9, knots)).astype(float)
    spline = filled_spline(x, random.standard_normal(knots))
    sifting.solve_short(spline, knots - 1)
    sifting.halve_pieces(spline, knots - 1)
    expected = CubicSpline(x, spline.y[:knots]).c / 2
    for row, coefficients in zip((spline.d, spline.c, spline.b, spline.a), expected, strict=True):
        np.testing.assert_allclose(row[: knots - 1], coefficients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("knots", [(6, 6), (6, 60), (61, 7), (33, 34), (100, 99)])
def test_two_splines_solved_at_once_are_scipys(knots):
    random = np.random.default_rng(sum(knots))
    splines = []
    for n in knots:
        splines.append(filled_spline(np.cumsum(random.integers(1, 9, n)).astype(float), random.standard_normal(n)))
    sifting.solve_both(splines[0], knots[0] - 1, splines[1], knots[1] - 1)
    for n, spline in zip(knots, splines, strict=True):
        expected = CubicSpline(spline.x[:n], spline.y[:n]).c[1]
        np.testing.assert_allclose(spline.c[: n - 1], expected, rtol=1e-9, atol=1e-12)


def test_three_knots_give_the_natural_spline():
    x, y = np.array([0.0, 2, 7]), np.array([1.0, -1, 3])
    spline = filled_spline(x, y)
    sifting.solve_short(spline, 2)
    np.testing.assert_allclose(spline.c[:2], CubicSpline(x, y, bc_type="natural").c[1], atol=1e-12)


@pytest.mark.parametrize("size", [5, 8, 9, 30, 41])
def test_pieces_are_written_to_every_point_and_not_beyond(size):
    x = np.array([-3.0, 2, 4, 5, 25, 45])
    spline = filled_spline(x, np.array([1.0, -2, 3, 0, 5, 1]))
    sifting.solve_short(spline, 5)
    sifting.halve_pieces(spline, 5)
    out = np.full(size + 2 * sifting.WIDTH, np.nan)
    sifting.evaluate(spline, 5, size, out)
    np.testing.assert_allclose(out[:size], CubicSpline(x, spline.y[:6])(np.arange(size)) / 2, atol=1e-9)
    assert np.isnan(out[size + sifting.WIDTH :]).all()


def test_the_vector_store_is_the_plain_one():
    plain, vector = np.zeros(30), np.zeros(30)
    sifting._store_cubic_in_python(plain, 3, 2.0, 1.0, 0.5, -0.25, 0.125)

    @sifting.njit
    def store(out):
        sifting.store_cubic(out, 3, 2.0, 1.0, 0.5, -0.25, 0.125)

    store(vector)
    np.testing.assert_allclose(vector, plain, rtol=1e-14)


@pytest.mark.parametrize("boundary", [sifting.MIRROR, sifting.SLOPE])
@pytest.mark.parametrize("seed", range(20))
def test_knots_enclose_the_signal_in_rising_order(boundary, seed):
    signal = np.random.default_rng(seed).standard_normal(12).cumsum()
    at = np.array(extrema_by_definition(signal), dtype=np.uint32)
    if at.size < 3:
        pytest.skip("this walk has fewer than three extrema")
    for edge, side in ((0, 1), (signal.size - 1, -1)):
        beyond = np.zeros((4, 40))
        own, other = sifting.add_beyond(signal, edge, at, at.size, side, beyond, boundary)
        nearest = at[::side][:2].astype(float)
        for row, count, inner in ((0, own, nearest[0]), (2, other, nearest[1])):
            positions = side * np.r_[inner, beyond[row, :count]]
            assert (np.diff(positions) < 0).all()
            assert positions[-1] <= side * edge


def test_a_sum_over_trials_is_in_their_order():
    rows = np.random.default_rng(0).standard_normal((7, 1100)) * 10.0 ** np.arange(7)[:, None]
    total, expected = np.empty(1100), np.zeros(1100)
    sifting.sum_trials(rows, total)
    for row in rows:
        expected += row
    np.testing.assert_array_equal(total, expected)
