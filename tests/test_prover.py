"""The prover names every leak planted in a black box, is silent where there is none, and tells rounding apart."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from data.decomposition.ceemdan import ceemdan
from evaluation.leakage.differences import BOUND, difference
from evaluation.leakage.directions import directions_explained
from evaluation.leakage.perturb import SHIFT, WAYS, replacement
from evaluation.leakage.prove import STALE, Audit, Change, Finding, Stage, audit, compare, flatten, joined

WALK = 100 + np.cumsum(np.random.default_rng(0).standard_normal(500))


def rows_of(series, width=20):
    return sliding_window_view(series, width)


def test_windows_of_the_past_are_causal():
    found = audit(rows_of, WALK)
    assert found.verdict == "causal"
    assert found.findings[0].checked > 1000
    assert str(found).startswith("causal: ")


def leaky_decomposition(series):
    modes = ceemdan(series, trials=10, seed=0)[:3]
    return rows_of(modes.sum(axis=0))


@pytest.mark.parametrize(
    ("pipeline", "stage"),
    [
        (leaky_decomposition, "inputs"),
        (lambda s: {"windows": rows_of(s), "scaled": rows_of((s - s.mean()) / s.std())}, "scaled"),
        (lambda s: {"smoothed": pd.Series(s).rolling(9, center=True, min_periods=1).mean().to_numpy()}, "smoothed"),
        (lambda s: {"detrended": rows_of(s - np.linspace(s[0], s[-1], s.size))}, "detrended"),
        (lambda s: {"filled": rows_of(pd.Series(s).shift(-1).ffill().to_numpy())}, "filled"),
    ],
    ids=["decomposed as a whole", "scaled by everything", "centred mean", "detrended as a whole", "shifted"],
)
def test_the_usual_leaks_are_named(pipeline, stage):
    found = audit(pipeline, WALK)
    assert found.verdict == "LEAKS"
    assert [finding.stage for finding in found.causes] == [stage]
    assert f"LEAKS: {stage}: " in found.sentence


def test_the_share_of_directions_is_told_for_a_whole_series_decomposition():
    found = audit(leaky_decomposition, WALK)
    assert "of the directions of the next step can be told from them" in found.sentence


def test_a_leak_is_blamed_on_its_cause_and_not_on_what_follows():
    def pipeline(series):
        scaled = series / series.max()
        return {"windows": rows_of(series), "scaled": rows_of(scaled), "squared": rows_of(scaled**2)}

    found = audit(pipeline, WALK)
    assert [finding.stage for finding in found.leaks] == ["scaled", "squared"]
    assert [finding.stage for finding in found.causes] == ["scaled"]


def test_a_pipeline_that_draws_numbers_is_refused_and_not_called_leaking():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="Fix its random numbers"):
        audit(lambda s: rows_of(s + rng.standard_normal(s.size)), WALK)


@pytest.mark.parametrize("series", [np.ones((3, 3)), np.array([1.0, np.nan, 2.0, 3.0, 4.0]), np.ones(2)])
def test_what_cannot_be_audited_is_refused(series):
    with pytest.raises(ValueError, match="at least 4 finite values"):
        audit(rows_of, series)


def test_more_rows_than_time_steps_are_refused():
    with pytest.raises(ValueError, match=r"one row a time step"):
        audit(lambda s: np.r_[s, s], WALK)


def test_leaking_inputs_tell_directions_and_honest_ones_of_a_walk_do_not():
    moves = np.diff(WALK)
    past = np.stack([np.roll(moves, k) for k in (1, 2)], axis=1)
    assert directions_explained(moves[:, None], moves) == 1.0
    assert 0.35 < directions_explained(past[2:], moves[2:]) < 0.65


def test_nothing_checked_is_not_called_causal():
    assert Audit([Finding("inputs", "causal", 0, 0, "nothing changes")]).verdict == "not audited"
    assert Audit([]).sentence == "not audited"


def test_an_expected_leak_is_still_a_leak_but_nothing_unexpected():
    found = Audit([Finding("decomposition", "LEAKS", 3, 3, "3 of 3")], expected=["decomposition"])
    assert found.verdict == "LEAKS"
    assert not found.unexpected


def test_values_that_may_know_what_was_replaced_are_not_checked():
    ids = np.array(["a"] * 4 + ["b"] * 4)
    stage = Stage("inputs", np.zeros(8), own_past=np.arange(8), fitted_on=np.isin(np.arange(8), [0, 1]))
    changed = Stage("inputs", np.r_[0, 0, 9, 9, 0, 0, 0, 0.0], own_past=np.arange(8), fitted_on=stage.fitted_on)
    replaced = np.arange(8) == 2
    (finding,) = compare([stage], [Change("row 2", replaced, [changed])], ids)
    assert (finding.checked, finding.changed) == (6, 0)  # rows 2 and 3 of series a may have changed
    replaced = np.arange(8) == 3
    (finding,) = compare([stage], [Change("row 3", replaced, [changed])], ids)
    assert (finding.checked, finding.changed) == (7, 1)  # row 2 came before
    (finding,) = compare([stage], [Change("row 0", np.arange(8) == 0, [changed])], ids)
    assert finding.checked == 0  # everything has learnt from it
    (finding,) = compare([stage], [Change("row 3", replaced, [None])], ids)
    assert (finding.checked, finding.verdict) == (0, "not audited")  # it was not made again


# --- rounding -------------------------------------------------------------------------------------


def blocked(series, width=20):
    """Mean of each window, summed in an order that depends on how many windows there are, as BLAS does."""
    windows = rows_of(series, width)
    return windows[:, :: (-1 if len(windows) % 2 else 1)].cumsum(axis=1)[:, -1:] / 3.0


def left_out(values_of, series=WALK, after=400, **more):
    """Compare what is made of a series with what is made of its beginning."""
    made, part = values_of(series), values_of(series[: after + 1])
    ends = [x.size - len(m) + np.arange(len(m)) for x, m in ((series, made), (series[: after + 1], part))]
    stages = [Stage("inputs", m, own_past=e, **more) for m, e in zip((made, part), ends, strict=True)]
    gone = np.arange(series.size) > after
    return compare([stages[0]], [Change("the end is left out", gone, [stages[1]], np.arange(after + 1))], 0 * gone)


def test_another_order_of_sums_is_rounding_and_told_with_its_size():
    (found,) = left_out(blocked)
    assert found.verdict == "causal to rounding"
    assert 1e-17 < found.rounding < 1e-12
    assert found.detail == f"largest relative difference {found.rounding:.0e}, when the end is left out"
    judged = Audit([found])
    assert judged.verdict == "causal to rounding"
    assert judged.sentence.startswith(
        f"causal to rounding, largest relative difference {found.rounding:.0e} (inputs): "
    )
    assert not judged.leaks


def test_products_that_round_otherwise_for_fewer_rows_are_rounding():
    """A causal feature by ``@``: the kernel depends on the shape of the operands."""
    weights = np.random.default_rng(1).standard_normal((64, 7))
    (found,) = left_out(lambda s: rows_of(s, 64) @ weights)
    assert found.verdict in ("causal", "causal to rounding")
    (found,) = left_out(lambda s: rows_of(s, 64).astype(np.float32) @ weights.astype(np.float32))
    assert found.verdict in ("causal", "causal to rounding")


@pytest.mark.parametrize("level", [0.0, 1e6])
@pytest.mark.parametrize("size", [1e-6, 1e-8])
def test_a_leak_of_a_millionth_is_a_leak(size, level):
    """Every input knows the mean of the future, diluted to a millionth of the spread of what it is added to."""

    def diluted(series):
        return rows_of(series) + size * series[::-1].cumsum()[::-1][:, None][: series.size - 19] / series.size

    found = audit(diluted, WALK + level)
    assert found.verdict == "LEAKS", found.sentence
    assert found.causes[0].rounding == 0 or found.causes[0].rounding < BOUND["float64"]


def test_in_single_precision_a_ten_thousandth_is_a_leak_and_the_last_bit_is_not():
    steps = np.arange(1.0, 501).astype(np.float32)[:, None] / 3
    old = Stage("inputs", steps, own_past=np.arange(500))

    def judged(new):
        after = np.arange(500) >= 400
        return compare([old], [Change("after", after, [old._replace(values=new)])], np.zeros(500))[0]

    assert judged(np.nextafter(steps, np.float32(1e9))).verdict == "causal to rounding"
    assert judged(steps * np.float32(1 + 1e-4)).verdict == "LEAKS"
    assert judged(steps).verdict == "causal"


@pytest.mark.parametrize(
    ("old", "new", "beyond"),
    [
        (np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0, np.nan]), [False, False, False]),
        (np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0, 3.0]), [False, False, True]),
        (np.array([1.0, 2.0, 3.0]), np.array([1.0, np.inf, 3.0]), [False, True, False]),
        (np.array([1, 2, 3]), np.array([1, 2, 4]), [False, False, True]),
        (np.array([0.0, 0.0]), np.array([0.0, 1e-300]), [False, True]),  # a constant may not move at all
        (np.array([1e9, 1e9 + 1]), np.array([1e9 + 1e-7, 1e9 + 1]), [False, False]),  # finer than the values are
        (np.array(["a", "b"]), np.array(["a", "c"]), [False, True]),
        (np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]), [True, True]),
    ],
)
def test_what_is_rounding(old, new, beyond):
    assert difference(old, new).beyond.tolist() == beyond


def test_whole_numbers_are_not_taken_for_single_precision():
    counts = np.arange(0.0, 1e6, 1000)
    assert difference(counts, counts + (np.arange(1000) == 7)).beyond.sum() == 1


def test_early_values_of_a_series_that_grows_a_millionfold_count_by_a_spread_of_their_own_kind():
    old = np.exp(np.linspace(0, np.log(1e6), 500))
    leaked = old.copy()
    leaked[:10] *= 1 + 1e-5
    assert difference(old, leaked).beyond[:10].all()


def test_of_what_was_fitted_each_number_counts_by_its_own_size():
    fitted = flatten({"mean": [1e6, 1e-6]})
    assert not difference(fitted, fitted * (1 + 1e-15)).beyond.any()
    assert difference(fitted, fitted + np.array([[0, 0, 1e-12]])).beyond.all()


# --- what must move -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pipeline",
    [lambda s: rows_of(WALK), lambda s: {"windows": rows_of(s), "looked up": WALK[19:] * 2.0}],
    ids=["a global in place of the data", "a later stage that looks it up"],
)
def test_what_never_moves_did_not_come_from_the_data(pipeline):
    found = audit(pipeline, WALK)
    assert found.verdict == "LEAKS"
    assert STALE in found.sentence


def test_a_stale_cache_is_named():
    kept = {}

    def cached(series):
        return kept.setdefault(series.size, rows_of(series).copy())

    assert STALE in audit(cached, WALK).sentence


def test_a_calendar_need_not_move_where_it_is_announced():
    def pipeline(series):
        return {"windows": rows_of(series), "weekday": np.arange(series.size) % 5}

    assert audit(pipeline, WALK, known=["weekday"]).verdict == "causal"
    assert [finding.stage for finding in audit(pipeline, WALK).causes] == ["weekday"]


def test_a_constant_series_moves_nothing_and_is_not_accused():
    assert audit(rows_of, np.full(100, 3.0)).verdict == "causal"


def stage_of_two_series(values, **more):
    return Stage("inputs", np.asarray(values, dtype=float), own_past=np.arange(8), must_move=True, **more)


IDS = np.array(["a"] * 4 + ["b"] * 4)


def test_one_series_that_never_moves_is_enough():
    """A cache that was keyed without the series: the second one is given the first one's values."""
    before = stage_of_two_series([1, 2, 3, 4, 1, 2, 3, 4])
    late = np.isin(np.arange(8), [2, 3, 6, 7])
    after = stage_of_two_series([1, 2, 9, 9, 1, 2, 3, 4])
    (found,) = compare([before], [Change("the end", late, [after], altered=late)], IDS)
    assert (found.verdict, found.detail) == ("LEAKS", f"{STALE} (1 of 2 series)")
    moved = stage_of_two_series([1, 2, 9, 9, 1, 2, 9, 4])
    (found,) = compare([before], [Change("the end", late, [moved], altered=late)], IDS)
    assert found.verdict == "causal"
    not_known = Change("the end", late, [after])
    assert compare([before], [not_known], IDS)[0].verdict == "causal"


def test_what_is_fitted_must_move_with_what_it_is_fitted_on():
    learnt = np.arange(8) < 4
    before = Stage("scaling", flatten({"mean": 3.0}), fitted_on=learnt, must_move=True)
    change = Change("what was learnt from", learnt, [before], altered=learnt)
    assert compare([before], [change], IDS)[0].detail == STALE
    moved = before._replace(values=flatten({"mean": 4.0}))
    assert compare([before], [change._replace(stages=[moved])], IDS)[0].verdict == "not audited"


def test_what_may_stay_is_left_alone():
    before = stage_of_two_series(np.ones(8))._replace(must_move=False)
    everything = np.ones(8, dtype=bool)
    assert compare([before], [Change("all", everything, [before], altered=everything)], IDS)[0].verdict == "not audited"


# --- whose fault it is ----------------------------------------------------------------------------


def moved_by_one(stage):
    return stage._replace(values=np.add(stage.values, 1))


def test_only_the_row_that_did_it_is_accused():
    end = np.arange(8)
    late = end >= 6
    inputs = Stage("inputs", np.arange(8.0), own_past=end)
    honest = Stage("forecast", np.arange(8.0), own_past=end, subject="Ridge")
    peeking = honest._replace(subject="Peek")
    changed = moved_by_one(peeking)
    stages = [inputs, honest, peeking]
    found = Audit(compare(stages, [Change("the end", late, [inputs, honest, changed])], np.zeros(8)))
    assert [finding.subject for finding in found.leaks] == ["Peek"]
    assert found.against("Ridge") == ""
    assert found.against("Peek") == "forecast of Peek: 6 of 6 rows change when the end"
    assert found.sentence == "LEAKS: forecast of Peek: 6 of 6 rows change when the end"
    assert found.to_json()["stages"][2]["subject"] == "Peek"


def test_a_leak_of_one_row_explains_none_of_another_and_one_of_all_rows_explains_every():
    end = np.arange(8)
    late = end >= 6
    stages = [
        Stage("scaling", np.arange(8.0), own_past=end, subject="A"),
        Stage("forecast", np.arange(8.0), own_past=end, subject="A"),
        Stage("forecast", np.arange(8.0), own_past=end, subject="B"),
    ]
    moved = [moved_by_one(stage) for stage in stages]
    found = Audit(compare(stages, [Change("the end", late, moved)], np.zeros(8)))
    assert [(cause.stage, cause.subject) for cause in found.causes] == [("scaling", "A"), ("forecast", "B")]
    general = [Stage("decomposition", np.arange(8.0), own_past=end), *stages]
    moved = [moved_by_one(stage) for stage in general]
    found = Audit(compare(general, [Change("the end", late, moved)], np.zeros(8)))
    assert [cause.stage for cause in found.causes] == ["decomposition"]
    assert found.against("B") == found.against("A") == "decomposition: 6 of 6 rows change when the end"


def test_findings_of_two_folds_are_joined_and_the_graver_is_kept():
    causal = Finding("forecast", "causal", 3, 0, "nothing changes", subject="A")
    rounded = Finding("forecast", "causal to rounding", 4, 2, "largest", 1e-14, "A")
    leaking = Finding("forecast", "LEAKS", 5, 5, "5 of 5", subject="B")
    both = joined([causal, leaking], [rounded, causal._replace(subject="B")])
    assert [(f.verdict, f.checked, f.subject) for f in both] == [("causal to rounding", 7, "A"), ("LEAKS", 5, "B")]
    split = Finding("split", "LEAKS", 9, 9, "9 of 9")
    assert [f.stage for f in Audit(joined([split], [leaking])).causes] == ["split"]


def test_the_audit_fits_into_json_with_every_class_of_finding():
    found = [
        Finding("inputs", "causal to rounding", np.int64(3), 1, "largest", float(np.float64(1e-14))),
        Finding("forecast", "causal", 3, 0, "nothing changes", subject="A"),
    ]
    content = json.loads(json.dumps(Audit(found).to_json(), default=int))
    assert content["verdict"] == "causal to rounding"
    assert content["stages"][0]["rounding"] == 1e-14


# --- replacements and cost ------------------------------------------------------------------------


def test_replacements_change_what_they_replace_and_nothing_else():
    values = np.random.default_rng(0).standard_normal(100)
    late = np.arange(100) >= 60
    for how in WAYS:
        other = replacement(values, late, how, np.random.default_rng(0))
        np.testing.assert_array_equal(other[:60], values[:60])
        assert (other[60:] != values[60:]).any()
    shifted = replacement(values, late, "shifted", np.random.default_rng(0))
    np.testing.assert_allclose(shifted[60:] - values[60:], SHIFT * values.std())


def test_a_thousand_series_cost_ten_times_a_hundred():
    def seconds(n_series: int) -> float:
        ids = np.repeat(np.array([f"s{k}" for k in range(n_series)], dtype=object), 100)
        late = np.tile(np.arange(100) >= 80, n_series)
        stage = Stage("inputs", np.zeros((ids.size, 4)), own_past=np.arange(ids.size), must_move=True)
        moved = stage._replace(values=np.zeros((ids.size, 4)) + late[:, None])
        began = time.process_time()
        found = compare([stage] * 3, [Change("late", late, [moved] * 3, altered=late) for _ in range(5)], ids)
        assert {finding.verdict for finding in found} == {"causal"}
        return time.process_time() - began

    few, many = min(seconds(100) for _ in range(3)), seconds(1000)
    assert many < 30 * few
