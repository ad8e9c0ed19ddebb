"""EMD, EEMD, CEEMDAN and ICEEMDAN: equal to PyEMD's, the same bits however they are computed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from data.contracts import BatchDecomposition
from data.decomposition import _noise, compat
from data.decomposition._noise import SHELF, NoiseModes, white_noise
from data.decomposition.alignment import FASTEST, RATIO, align_modes, mean_period
from data.decomposition.ceemdan import Ceemdan, ceemdan
from data.decomposition.ceemdan_pyemd import CeemdanPyEMD
from data.decomposition.eemd import Eemd, eemd
from data.decomposition.emd import Emd, emd
from data.decomposition.iceemdan import Iceemdan, iceemdan

ENSEMBLES = [Eemd, Ceemdan, Iceemdan]
FAMILY = [Emd, *ENSEMBLES]
FUNCTIONS = [emd, eemd, ceemdan, iceemdan]
TRIALS = 8


def built(kind, **settings):
    return kind(**({} if kind is Emd else {"trials": TRIALS}), **settings)


def called(function, series, **settings):
    return function(series, **({} if function is emd else {"trials": TRIALS}), **settings)


def signals():
    """Signals that differ in what goes wrong with them."""
    random = np.random.default_rng(1)
    time = np.arange(400)
    yield "walk", 100 + random.standard_normal(400).cumsum()
    yield "short walk", random.standard_normal(30).cumsum()
    yield "noise", random.standard_normal(257)
    yield "tones", np.sin(time / 3) + np.sin(time / 40) + time / 100
    yield "plateaus", np.round(3 * random.standard_normal(300).cumsum() / 4)
    yield "plateau at the start", np.r_[5.0, 5, 5, random.standard_normal(120).cumsum()]
    yield "plateau at the second point", np.r_[1.0, 5, 5, random.standard_normal(120).cumsum()]
    yield "plateau at the end", np.r_[random.standard_normal(120).cumsum(), 3, 3, 3]
    yield "zeros", np.maximum(0, random.standard_normal(200))


CASES = dict(signals())
BIG = {"walk", "noise", "plateaus", "tones"}


def agrees(ours, theirs, series):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(series).max())


COUNTED = [{"FIXE": 1}, {"FIXE": 7}, {"FIXE_H": 1}, {"FIXE_H": 4}, {"MAX_ITERATION": 6}]
COUNTED += [{"FIXE": 9, "MAX_ITERATION": 5}]
POINTWISE = {"std_thr": 60.0, "svar_thr": 0.0, "energy_ratio_thr": 0.0, "MAX_ITERATION": 60}
RULES = [{}, *COUNTED, {"std_thr": 0.6, "svar_thr": 1.0, "energy_ratio_thr": 0.01}, POINTWISE]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_emd_is_pyemds(name, rule):
    pyemd = pytest.importorskip("PyEMD")
    agrees(compat.EMD(**rule)(CASES[name]), pyemd.EMD(**rule)(CASES[name]), CASES[name])


@pytest.mark.parametrize("seed", range(40))
def test_emd_of_few_points_is_pyemds(seed):
    pyemd = pytest.importorskip("PyEMD")
    series = np.random.default_rng(seed).integers(0, 9, 6 + seed % 9).astype(float)
    try:
        theirs = pyemd.EMD()(series)
    except (ValueError, np.linalg.LinAlgError):
        pytest.skip("PyEMD itself fails on this one")
    agrees(compat.EMD()(series), theirs, series)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("name", CASES)
def test_emd_is_pyemds_for_the_series_measured_in_its_deviation(name, unit):
    pyemd = pytest.importorskip("PyEMD")
    series = unit * CASES[name]
    deviation = series.std()
    theirs = deviation * pyemd.EMD()(series / deviation)
    ours = emd(series)
    agrees(ours if np.abs(ours[-1]).max() > 1e-8 * deviation else ours[:-1], theirs, series)


@pytest.mark.parametrize("unit", np.linspace(1, 2, 9))
def test_a_mode_close_to_a_threshold_is_found_in_every_unit_or_in_none(unit):
    time = np.arange(400)
    series = np.where(time % 2, 1.0, -1.0) + 0.00035 * np.sin(time / 10)  # a range of .7 thousandths is left
    assert len(emd(unit * series)) == len(emd(series))


@pytest.mark.parametrize("unit", [1e-2, 1.0, 1e6])
@pytest.mark.parametrize("name", ["walk", "short walk", "noise", "plateaus", "zeros"])
def test_emd_of_ordinary_numbers_is_pyemds_as_they_are(name, unit):
    pyemd = pytest.importorskip("PyEMD")
    agrees(emd(unit * CASES[name]), pyemd.EMD()(unit * CASES[name]), unit * CASES[name])


@pytest.mark.parametrize("rule", [{}, {"FIXE": 3}, {"FIXE_H": 2}], ids=str)
@pytest.mark.parametrize("epsilon", [0.005, 0.2])
@pytest.mark.parametrize("name", sorted(BIG))
def test_ceemdan_is_pyemds_with_the_same_seed(name, epsilon, rule):
    pyemd = pytest.importorskip("PyEMD")
    theirs = pyemd.CEEMDAN(trials=4, epsilon=epsilon, parallel=False, seed=5, ext_EMD=pyemd.EMD(**rule))
    ours = compat.CEEMDAN(trials=4, epsilon=epsilon, seed=5, ext_EMD=compat.EMD(**rule))
    agrees(ours(CASES[name]), theirs(CASES[name]), CASES[name])


@pytest.mark.parametrize(
    "settings",
    [
        {"noise_kind": "uniform"},
        {"beta_progress": False, "noise_scale": 2.0},
        {"range_thr": 0.5},
        {"total_power_thr": 80.0},
    ],
    ids=str,
)
def test_pyemds_settings_mean_the_same(settings):
    pyemd = pytest.importorskip("PyEMD")
    theirs = pyemd.CEEMDAN(trials=4, parallel=False, seed=5, **settings)
    agrees(compat.CEEMDAN(trials=4, seed=5, **settings)(CASES["walk"]), theirs(CASES["walk"]), CASES["walk"])


@pytest.mark.parametrize("max_imf", [1, 2, 3])
def test_a_bound_on_the_number_of_modes_means_the_same(max_imf):
    pyemd = pytest.importorskip("PyEMD")
    series = CASES["walk"]
    agrees(compat.EMD()(series, max_imf=max_imf), pyemd.EMD()(series, max_imf=max_imf), series)
    theirs = pyemd.CEEMDAN(trials=4, parallel=False, seed=5)(series, max_imf=max_imf)
    agrees(compat.CEEMDAN(trials=4, seed=5)(series, max_imf=max_imf), theirs, series)


@pytest.mark.parametrize("max_imf", [-1, 1, 2])
def test_eemd_is_pyemds_with_the_same_seed(max_imf):
    pyemd = pytest.importorskip("PyEMD")
    theirs, ours = pyemd.EEMD(trials=6, parallel=False), compat.EEMD(trials=6)
    theirs.noise_seed(3)
    ours.noise_seed(3)
    agrees(ours(CASES["walk"], max_imf=max_imf), theirs(CASES["walk"], max_imf=max_imf), CASES["walk"])
    np.testing.assert_allclose(ours.residue, theirs.residue, atol=1e-9)


def test_the_reference_engine_gives_the_same_components():
    pytest.importorskip("PyEMD")
    series = CASES["walk"]
    agrees(Ceemdan(trials=3)(series), CeemdanPyEMD(trials=3)(series), series)


def test_ceemdan_of_a_real_index_is_pyemds():
    pyemd = pytest.importorskip("PyEMD")
    folder = os.environ.get("MODECAST_DATA")
    if not folder:
        pytest.skip("set MODECAST_DATA to the folder with index/csi300_close.csv")
    closes = np.loadtxt(Path(folder) / "index/csi300_close.csv", delimiter=",", skiprows=1, usecols=1)[:947]
    theirs = pyemd.CEEMDAN(trials=5, parallel=False, seed=0)(closes)
    agrees(compat.CEEMDAN(trials=5, seed=0)(closes), theirs, closes)


def test_iceemdan_follows_its_paper():
    """Written anew from the equations, with PyEMD's sifting."""
    pyemd = pytest.importorskip("PyEMD")
    series, epsilon = CASES["walk"], 0.2
    noise = np.random.default_rng(0).standard_normal((4, series.size))
    modes_of_noise = [pyemd.EMD()(w) for w in noise]

    def local_mean(x):
        return pyemd.EMD()(x, max_imf=1)[-1]

    unit = series.std()
    left, rows = series / unit, []
    for k in range(20):
        if k and pyemd.EMD()(left, max_imf=1).shape[0] == 1:
            break
        scale = epsilon * np.std(left)
        added = [modes[k] if k < len(modes) else 0 * left for modes in modes_of_noise]
        if k == 0:
            added = [first / first.std() for first in added]
        smoother = np.mean([local_mean(left + scale * e) for e in added], axis=0)
        rows.append(left - smoother)
        left = smoother
    agrees(iceemdan(series, trials=4, epsilon=epsilon, noise=noise), unit * np.array([*rows, left]), series)


@pytest.mark.parametrize("stop", ["huang", "fixed", "fixed_h", "s_number"])
@pytest.mark.parametrize("boundary", ["mirror", "slope", "ar"])
@pytest.mark.parametrize("kind", FAMILY)
def test_components_sum_to_the_series(kind, boundary, stop, walk):
    decompose = built(kind, boundary=boundary, stop=stop, siftings=4)
    components = decompose(walk)
    assert components.shape == (decompose.n_components, walk.size)
    np.testing.assert_allclose(components.sum(axis=0), walk, rtol=1e-9)


@pytest.mark.parametrize("align", ["period", "index"])
@pytest.mark.parametrize("boundary", ["mirror", "slope", "ar"])
@pytest.mark.parametrize("kind", FAMILY)
def test_windows_at_once_are_windows_one_by_one_to_the_bit(kind, boundary, align, walk):
    decompose = built(kind, boundary=boundary, align=align, threads=2)
    assert isinstance(decompose, BatchDecomposition)
    rolling = list(sliding_window_view(walk, 128)[::20])
    expanding = [walk[:end] for end in (90, 250, 91, 90)]
    for windows in (rolling, expanding):
        alone = np.array([decompose(window)[:, -20:] for window in windows])
        np.testing.assert_array_equal(decompose.tails(windows, 20), alone)


@pytest.mark.parametrize("kind", FAMILY)
def test_the_number_of_threads_changes_no_bit(kind, walk):
    results = []
    for threads in (1, 2, 5):
        SHELF.clear()
        decompose = built(kind, threads=threads)
        results.append((decompose(walk), decompose.tails(list(sliding_window_view(walk, 100)[::50]), 10)))
    for whole, tails in results[1:]:
        np.testing.assert_array_equal(whole, results[0][0])
        np.testing.assert_array_equal(tails, results[0][1])


@pytest.mark.parametrize("function", [ceemdan, iceemdan])
def test_noise_modes_kept_for_a_length_change_no_bit(function, walk, monkeypatch):
    SHELF.clear()
    cold, warm = called(function, walk), called(function, walk)
    monkeypatch.setattr(_noise, "KEPT", 0)  # too little memory to keep any
    np.testing.assert_array_equal(warm, cold)
    np.testing.assert_array_equal(called(function, walk), cold)


def test_kept_noise_modes_stay_within_their_bound(monkeypatch):
    monkeypatch.setattr(_noise, "KEPT", 8 * TRIALS * 140 * 9 * 3)
    SHELF.clear()
    for size in range(100, 140):
        ceemdan(np.random.default_rng(size).standard_normal(size), trials=TRIALS)
    assert 1 <= len(SHELF._kept) <= 4


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_the_seed_matters(kind, walk):
    assert not np.array_equal(built(kind, seed=0)(walk), built(kind, seed=1)(walk))


def test_every_trial_has_noise_of_its_own_and_longer_noise_begins_with_shorter():
    short, long = white_noise(3, 50, 7), white_noise(3, 80, 7)
    np.testing.assert_array_equal(long[:, :50], short)
    assert abs(np.corrcoef(long)[0, 1]) < 0.5
    assert not np.array_equal(white_noise(3, 50, 8), short)


def test_modes_of_noise_sum_to_it_and_then_there_are_no_more():
    noise = white_noise(TRIALS, 200, 0)
    with _noise.Team(200, 1, _noise.Rule()) as team:
        modes = NoiseModes(noise, keep=True)
        stages = [modes.stage(k, team) for k in range(30)]
    np.testing.assert_allclose(np.sum(stages, axis=0), noise, atol=1e-12)
    assert not stages[-1].any()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_raw_modes_are_fast_first_and_the_remainder_last(function, walk):
    modes = called(function, walk)
    periods = [mean_period(mode) for mode in modes[:-1]]
    assert len(periods) >= 3
    assert periods == sorted(periods)
    assert abs(modes[-1].mean() - walk.mean()) < walk.std()
    np.testing.assert_allclose(modes.sum(axis=0), walk, rtol=1e-9)


def test_trials_that_never_end_are_cut_off_and_still_sum(walk, monkeypatch):
    monkeypatch.setattr("data.decomposition.eemd.MOST", 2)
    modes = eemd(walk, trials=TRIALS)
    assert len(modes) == 3
    np.testing.assert_allclose(modes.sum(axis=0), walk, rtol=1e-12)
    assert mean_period(modes[-1]) > mean_period(modes[1])  # what was not decomposed is trend


def test_the_remainder_of_eemd_carries_no_noise(walk):
    assert mean_period(eemd(walk, trials=TRIALS, noise_width=0.2)[-1]) > 50


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("series", "complaint"),
    [
        ([1.0, np.nan, 2, 3, 4], "index 1"),
        ([1.0, 2, 3, np.inf, 4], "index 3"),
        ([1.0, 2, 3], "at least 4"),
        (np.ones((2, 9)), "one series"),
        (["a", "b", "c", "d"], "real numbers"),
    ],
    ids=["nan", "infinity", "short", "two-dimensional", "text"],
)
def test_a_bad_series_is_refused_with_what_and_where(function, series, complaint):
    with pytest.raises(ValueError, match=complaint):
        function(series)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("level", [0.0, 0.1, 3.0])
def test_a_constant_is_its_own_remainder(function, level):
    np.testing.assert_array_equal(called(function, np.full(50, level)), np.full((1, 50), level))


@pytest.mark.parametrize("kind", FAMILY)
def test_a_halted_stock_among_the_windows_is_its_own_remainder(kind, walk):
    windows = [walk[:60], np.full(60, 3.0), walk[60:120]]
    found = built(kind).tails(windows, 5)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[1, -1], 3.0)
    assert not found[1, :-1].any()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_real_array_is_read_rightly(function):
    series = np.random.default_rng(0).integers(0, 100, 80)
    expected = called(function, series.astype(float))
    spread = np.zeros((80, 2))
    spread[:, 1] = series
    frozen = series.astype(float)
    frozen.flags.writeable = False
    for same in (series, series.astype(np.float32), spread[:, 1], frozen, series[::-1][::-1], series.tolist()):
        np.testing.assert_array_equal(called(function, same), expected)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("series", [[1.0, 2, 3, 4], [1.0, 3, 2, 4], [1e-9, 0, 1e-9, 0, 1e-9], [5.0, 5, 5, 6]], ids=str)
def test_the_shortest_series_work(function, series):
    np.testing.assert_allclose(called(function, series).sum(axis=0), series, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"n_components": 1}, "n_components"),
        ({"trials": 0}, "trials"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"align": "size"}, "period, index"),
        ({"stop": "never"}, "huang, fixed"),
        ({"boundary": "zero"}, "mirror, slope, ar"),
        ({"siftings": 0}, "siftings"),
        ({"threads": 0}, "threads"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_named(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Ceemdan(**settings)


def test_all_faults_of_the_settings_are_told_at_once():
    with pytest.raises(ValueError, match=r"trials.*\n.*align"):
        Iceemdan(trials=0, align="size")


@pytest.mark.parametrize("kind", [compat.EMD, compat.EEMD, compat.CEEMDAN])
def test_a_misspelt_keyword_is_an_error(kind):
    with pytest.raises(TypeError, match="trails"):
        kind(trails=3)


NOT_COMPUTED = [
    {"spline_kind": "akima"},
    {"nbsym": 3},
    {"extrema_detection": "parabol"},
    {"DTYPE": np.float32},
    {"scale_factor": 2.0},
]


@pytest.mark.parametrize("settings", NOT_COMPUTED, ids=str)
def test_what_this_engine_does_not_compute_is_an_error_once_it_is_asked_for(settings, walk):
    later = compat.EMD()
    for name, value in settings.items():
        setattr(later, name, value)
    engines = [compat.EMD(**settings), later]
    engines += [kind(trials=2, **settings) for kind in (compat.EEMD, compat.CEEMDAN)]
    engines += [kind(trials=2, ext_EMD=later) for kind in (compat.EEMD, compat.CEEMDAN)]
    for engine in engines:
        with pytest.raises(ValueError, match=rf"{next(iter(settings))}=.*only"):
            engine(walk)


def test_everything_that_is_not_computed_is_told_at_once(walk):
    with pytest.raises(ValueError, match=r"spline_kind='akima'.*\nnbsym=3"):
        compat.EMD(spline_kind="akima", nbsym=3)(walk)


SET_LATER = [*RULES, {"MAX_ITERATION": 1}, {"range_thr": 30.0}, {"total_power_thr": 3000.0}]


@pytest.mark.parametrize("settings", SET_LATER, ids=str)
def test_settings_of_emd_set_on_the_object_are_obeyed_as_in_pyemd(settings):
    pyemd = pytest.importorskip("PyEMD")
    series = CASES["walk"]
    ours, theirs = compat.EMD(), pyemd.EMD()
    for name, value in settings.items():
        setattr(ours, name, value)
        setattr(theirs, name, value)
    agrees(ours(series), theirs(series), series)
    for mine, their in zip(ours.get_imfs_and_residue(), theirs.get_imfs_and_residue(), strict=True):
        agrees(mine, their, series)


def test_a_series_in_single_precision_is_decomposed_in_double():
    single = CASES["walk"].astype(np.float32)
    np.testing.assert_array_equal(compat.EMD()(single), compat.EMD()(single.astype(np.float64)))


def with_seed(engine):
    engine.noise_seed(3)
    return engine


@pytest.mark.parametrize(
    "settings",
    [
        {"trials": 3},
        {"noise_width": 0.3},
        {"noise_kind": "uniform"},
        {"separate_trends": True},
        {"EMD.FIXE": 2},
        {"EMD.FIXE_H": 2, "separate_trends": True},
        {"EMD.MAX_ITERATION": 1},
        {"random": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("max_imf", [-1, 2])
def test_settings_of_eemd_set_on_the_object_are_obeyed_as_in_pyemd(settings, max_imf):
    pyemd = pytest.importorskip("PyEMD")
    series = CASES["walk"][:150]
    ours, theirs = with_seed(compat.EEMD(trials=5)), with_seed(pyemd.EEMD(trials=5, parallel=False))
    for engine in (ours, theirs):
        for name, value in settings.items():
            owner = engine.EMD if name.startswith("EMD.") else engine
            setattr(owner, name.removeprefix("EMD."), np.random.RandomState(value) if name == "random" else value)
    agrees(ours(series, max_imf=max_imf), theirs(series, max_imf=max_imf), series)
    assert ours.ensemble_count() == theirs.ensemble_count()
    assert list(ours.all_imfs) == list(theirs.all_imfs)
    agrees(ours.ensemble_mean(), theirs.ensemble_mean(), series)
    agrees(ours.ensemble_std(), theirs.ensemble_std(), series)
    for mine, their in zip(ours.all_imfs.values(), theirs.all_imfs.values(), strict=True):
        agrees(mine, their, series)


@pytest.mark.parametrize(
    "settings",
    [
        {"trials": 3},
        {"epsilon": 0.2},
        {"noise_scale": 3.0, "beta_progress": False},
        {"noise_kind": "uniform"},
        {"range_thr": 8.0},
        {"total_power_thr": 1e5},
        {"EMD.FIXE": 2},
        {"EMD.FIXE_H": 2},
        {"EMD.MAX_ITERATION": 3},
        {"EMD.std_thr": 0.6, "EMD.energy_ratio_thr": 0.01},
    ],
    ids=str,
)
def test_settings_of_ceemdan_set_on_the_object_are_obeyed_as_in_pyemd(settings):
    pyemd = pytest.importorskip("PyEMD")
    series = CASES["walk"][:150]
    ours, theirs = compat.CEEMDAN(trials=4, seed=5), pyemd.CEEMDAN(trials=4, seed=5, parallel=False)
    for engine in (ours, theirs):
        for name, value in settings.items():
            setattr(engine.EMD if name.startswith("EMD.") else engine, name.removeprefix("EMD."), value)
    agrees(ours(series), theirs(series), series)
    plain = compat.CEEMDAN(trials=4, seed=5)(series)
    assert plain.shape != ours.C_IMF.shape or not np.allclose(plain, ours.C_IMF)


def test_keywords_of_emd_reach_it_through_the_ensembles(walk):
    for kind in (compat.EEMD, compat.CEEMDAN):
        through = kind(trials=2, FIXE_H=3, MAX_ITERATION=50, svar_thr=0.1)
        assert (through.EMD.FIXE_H, through.EMD.MAX_ITERATION, through.EMD.svar_thr) == (3, 50, 0.1)
        with pytest.raises(TypeError, match=r"FIXE_H.*ext_EMD"):
            kind(ext_EMD=compat.EMD(), FIXE_H=3)


def test_an_emd_of_another_package_is_refused():
    pyemd = pytest.importorskip("PyEMD")
    with pytest.raises(TypeError, match=r"PyEMD\.EMD\.EMD"):
        compat.CEEMDAN(ext_EMD=pyemd.EMD())


def test_the_number_of_modes_given_to_eemd_bounds_every_call(walk):
    few = with_seed(compat.EEMD(trials=3, max_imf=2))(walk)
    np.testing.assert_array_equal(few, with_seed(compat.EEMD(trials=3))(walk, max_imf=2))
    assert len(few) == 3


@pytest.mark.parametrize("kind", [compat.EMD, compat.EEMD, compat.CEEMDAN])
@pytest.mark.parametrize(("name", "meant"), [("FIX", "FIXE"), ("trails", "trials"), ("epsilom", "epsilon"), ("x", "")])
def test_an_attribute_pyemd_does_not_have_is_refused_with_the_one_that_was_meant(kind, name, meant):
    with pytest.raises(AttributeError, match=f"has no setting '{name}'") as caught:
        setattr(kind(), name, 1)
    if meant in kind._names:
        assert f"Did you mean {meant!r}?" in str(caught.value)


def test_noise_of_ones_own_is_used(walk):
    engine = compat.CEEMDAN(trials=3)
    noise = np.random.default_rng(0).standard_normal((3, walk.size))
    engine.generate_noise = lambda scale, size: scale * noise
    np.testing.assert_array_equal(engine(walk), ceemdan(walk, trials=3, noise=noise))


@pytest.mark.parametrize("kind", [compat.EEMD, compat.CEEMDAN])
def test_an_unknown_kind_of_noise_is_refused_and_progress_is_told(kind, walk, capsys):
    engine = kind(trials=2)
    first = with_seed(engine)(walk)
    assert not capsys.readouterr().err
    np.testing.assert_array_equal(with_seed(engine)(walk, progress=True), first)
    assert f"{kind.__name__}: mode 2" in capsys.readouterr().err
    engine.noise_kind = "brown"
    with pytest.raises(ValueError, match="normal, uniform"):
        engine(walk)


@pytest.mark.parametrize("kind", [compat.EEMD, compat.CEEMDAN])
def test_threads_are_what_parallel_and_processes_say_when_called(kind):
    engine = kind(trials=2, processes=3)
    assert engine._threads() == 3
    engine.processes = 2
    assert engine._threads() == 2
    engine.parallel = False
    assert engine._threads() == 1


@pytest.mark.parametrize("name", CASES)
def test_extrema_and_zero_crossings_are_pyemds(name):
    pyemd = pytest.importorskip("PyEMD")
    series = CASES[name] - np.round(CASES[name].mean())
    time = 5 + 2.0 * np.arange(series.size)
    for ours, theirs in zip(
        compat.EMD().find_extrema(time, series), pyemd.EMD().find_extrema(time, series), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_the_trend_is_what_is_left_or_the_last_mode():
    pyemd = pytest.importorskip("PyEMD")
    time = np.arange(300)
    for series in (
        CASES["walk"],
        np.sin(time / 7.0),
        np.where(time % 2, 1.0, -1.0) + np.where(time % 4 < 2, 1.0, -1.0),
    ):
        ours, theirs = compat.EMD(), pyemd.EMD()
        ours(series)
        theirs(series)
        for mine, their in zip(ours.get_imfs_and_trend(), theirs.get_imfs_and_trend(), strict=True):
            agrees(mine, their, series)


@pytest.mark.parametrize("kind", [compat.EMD, compat.EEMD, compat.CEEMDAN])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_constant_has_one_row(kind, level):
    engine = kind() if kind is compat.EMD else kind(trials=3)
    rows = engine(np.full(40, level))
    np.testing.assert_array_equal(rows.sum(axis=0), level)


def test_the_results_of_a_call_are_kept_as_pyemd_keeps_them(walk):
    engine = compat.CEEMDAN(trials=TRIALS, seed=1)
    with pytest.raises(ValueError, match="Nothing has been decomposed"):
        engine.get_imfs_and_residue()
    first, second = engine(walk), engine.ceemdan(walk)
    assert not np.array_equal(first, second)  # the noise goes on
    engine.noise_seed(1)
    np.testing.assert_array_equal(engine(walk), first)
    np.testing.assert_allclose(engine.residue, 0, atol=1e-9)


def test_modes_go_to_the_channel_of_their_period():
    time = np.arange(2000)
    waves = [np.sin(2 * np.pi * time / (FASTEST * RATIO**k)) for k in (0, 2, 5)]
    level = np.full(2000, 7.0)
    aligned = align_modes(np.array([*waves, level]), 8, "period")
    for channel, expected in zip(range(8), [waves[0], 0, waves[1], 0, 0, waves[2], 0, level], strict=True):
        np.testing.assert_array_equal(aligned[channel], expected)


@pytest.mark.parametrize("align", ["period", "index"])
def test_modes_beyond_the_channels_stay_with_the_remainder(align):
    time = np.arange(3000)
    rows = np.array([np.sin(2 * np.pi * time / (FASTEST * RATIO**k)) for k in range(6)] + [time * 1.0])
    aligned = align_modes(rows, 4, align)
    np.testing.assert_array_equal(aligned[:3], rows[:3])
    np.testing.assert_allclose(aligned[3], rows[3:].sum(axis=0), rtol=1e-12)


def test_missing_modes_are_zero_rows_before_the_remainder():
    rows = np.array([np.tile([1.0, -1.0], 50), np.arange(100.0)])
    for align in ("period", "index"):
        aligned = align_modes(rows, 5, align)
        np.testing.assert_array_equal(aligned[1:4], 0)
        np.testing.assert_array_equal(aligned[[0, 4]], rows)


def test_other_modules_do_not_import_the_compiler():
    code = "import sys, data.contracts, data.windows, data.decomposition.batch; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_first_compilation_says_so_once(tmp_path):
    """A kernel nobody has compiled before is announced on stderr, one that is compiled is not."""
    code = (
        "from numba import njit\n"
        "from data.decomposition._ensemble import announced_compilation\n"
        "for _ in range(2):\n"
        "    with announced_compilation():\n"
        "        njit(lambda x: x + 1)(1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("Compiling the decomposition") == 1


def test_the_loops_run_without_the_compiler():
    """Bounds errors, which compiled code passes over, show here."""
    code = (
        "import numpy as np\n"
        "from data.decomposition.ceemdan import ceemdan\n"
        "series = np.random.default_rng(0).standard_normal(40).cumsum()\n"
        "print(*(value.hex() for value in ceemdan(series, trials=2).ravel().tolist()))\n"
    )
    plain = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    values = np.array([float.fromhex(word) for word in plain.stdout.split()])
    series = np.random.default_rng(0).standard_normal(40).cumsum()
    np.testing.assert_allclose(values, ceemdan(series, trials=2).ravel(), atol=1e-9)
