"""What every decomposition promises, whoever writes it; and what single ones promise besides."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from omegaconf import DictConfig, OmegaConf

from data.contracts import BatchDecomposition, Decomposition, FloatArray
from data.decomposition import _one_sided, batch
from data.decomposition.batch import tails
from data.decomposition.modwt import MODWT
from data.decomposition.moving_average import MovingAverage
from data.decomposition.ssa import SSA, elementary_series
from data.decomposition.stationary_wavelet_packet import StationaryWaveletPacket
from data.decomposition.stl import MSTL, STL
from data.decomposition.vmd import VMD
from data.decomposition.wavelet_packet import WaveletPacket
from data.windows import WholeSeries
from runtime.build import build
from tests.conftest import ROOT, choices

BANDS = {"modwt": 400, "stationary_wavelet_packet": 400, "wavelet_packet": 400}
LENGTH = 160


def make(name: str) -> Decomposition:
    """Build a decomposition as the configuration does, but with a small ensemble."""
    if name.endswith("pyemd") and find_spec("PyEMD") is None:
        pytest.skip("decomposition=ceemdan_pyemd needs PyEMD: pip install -e .[pyemd]")
    node = OmegaConf.load(ROOT / "conf" / "decomposition" / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    if "trials" in node:
        node.trials = 4
    built: Decomposition = build(node)
    return built


@pytest.fixture(params=choices("decomposition"), scope="module")
def decompose(request: pytest.FixtureRequest) -> Decomposition:
    return make(request.param)


def random_walk(size: int = LENGTH, seed: int = 0) -> FloatArray:
    return 3000 + 40 * np.cumsum(np.random.default_rng(seed).standard_normal(size))


SHAPES: dict[str, Callable[[int], FloatArray]] = {
    "walk": random_walk,
    "noise": lambda size: np.random.default_rng(1).standard_normal(size),
    "ramp": lambda size: np.arange(float(size)),
    "constant": lambda size: np.full(size, 3.0),
    "zeros": np.zeros,
    "steps": lambda size: np.repeat(np.random.default_rng(2).integers(0, 9, size), 3)[:size].astype(float),
    "tiny": lambda size: 1e-12 * random_walk(size),
    "huge": lambda size: 1e12 * random_walk(size),
}


@pytest.mark.parametrize("size", [LENGTH, LENGTH + 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_components_sum_to_the_series(decompose: Decomposition, shape: str, size: int) -> None:
    series = SHAPES[shape](size)
    components = decompose(series)
    assert components.shape == (decompose.n_components, size)
    assert components.dtype == np.float64
    np.testing.assert_allclose(components.sum(axis=0), series, rtol=0, atol=1e-9 * np.abs(series).max())


@pytest.mark.parametrize("factor", [1e-6, 1e-12, 1e-300, 1e5, 1e153, 1e297])
def test_components_have_the_unit_of_the_series(decompose: Decomposition, factor: float) -> None:
    series = random_walk() - 3000
    wanted = decompose(series)
    np.testing.assert_allclose(decompose(series * factor) / factor, wanted, rtol=0, atol=1e-9 * np.abs(series).max())


@pytest.mark.parametrize("power", [-40, 3, 500])
def test_a_unit_that_is_a_power_of_two_changes_no_bit(decompose: Decomposition, power: int) -> None:
    np.testing.assert_array_equal(decompose(random_walk() * 2.0**power), decompose(random_walk()) * 2.0**power)


def test_small_moves_on_a_high_level_are_found(decompose: Decomposition) -> None:
    """A walk that has five digits left: the level must not take more of them."""
    high = 1e12 + np.round(random_walk() - 3000)
    moves = high - 1e12
    components = decompose(high)
    np.testing.assert_allclose(components.sum(axis=0), high, rtol=1e-15)
    components[-1] -= 1e12
    assert components.std(axis=1).sum() < 3 * decompose(moves).std(axis=1).sum()
    assert np.abs(components - decompose(moves)).max() < 0.05 * moves.std()


def test_same_series_gives_the_same_bits(decompose: Decomposition) -> None:
    first = decompose(random_walk())
    decompose(random_walk(seed=1))  # no state is carried from call to call
    np.testing.assert_array_equal(decompose(random_walk()), first)


def test_series_is_neither_changed_nor_kept(decompose: Decomposition) -> None:
    series = random_walk()
    components = decompose(series)
    np.testing.assert_array_equal(series, random_walk())
    assert not np.shares_memory(components, series)


def test_many_windows_give_the_bits_of_one_at_a_time(decompose: Decomposition) -> None:
    windows = list(sliding_window_view(random_walk(LENGTH + 4), LENGTH))
    apart = np.stack([decompose(window) for window in windows])
    for keep in (1, 30, LENGTH):
        together = tails(decompose, windows, keep)
        assert together.shape == (5, decompose.n_components, keep)
        np.testing.assert_array_equal(together, apart[:, :, -keep:])


def test_windows_of_many_lengths_give_the_bits_of_one_at_a_time(decompose: Decomposition) -> None:
    series = random_walk(LENGTH + 6)
    windows = [series[:end] for end in (LENGTH, LENGTH + 6, LENGTH + 1, LENGTH + 1, LENGTH + 2)]
    apart = np.stack([decompose(window)[:, -30:] for window in windows])
    np.testing.assert_array_equal(tails(decompose, windows, 30), apart)


def test_no_windows_give_no_components(decompose: Decomposition) -> None:
    assert tails(decompose, [], 30).shape == (0, decompose.n_components, 30)


def test_keeping_more_than_a_window_is_refused(decompose: Decomposition) -> None:
    with pytest.raises(ValueError, match="keep=161"):
        tails(decompose, [random_walk(), random_walk()], LENGTH + 1)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.uint16])
def test_numbers_of_any_type_count_as_their_values(decompose: Decomposition, kind: Any) -> None:
    series = random_walk().astype(kind)
    np.testing.assert_array_equal(decompose(series), decompose(series.astype(np.float64)))


def test_series_may_be_read_only_reversed_or_strided(decompose: Decomposition) -> None:
    wide = np.repeat(random_walk()[::-1], 2)
    wide.flags.writeable = False
    view = wide[::-2]
    np.testing.assert_array_equal(decompose(view), decompose(random_walk()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_series_with_a_hole_is_refused(decompose: Decomposition, value: float) -> None:
    series = random_walk()
    series[17] = value
    with pytest.raises(ValueError, match=r"(?is)finite.*17|17.*finite") as caught:
        decompose(series)
    assert "drop" in str(caught.value).lower() or "fill" in str(caught.value).lower()
    with pytest.raises(ValueError, match=r"(?i)finite"):
        tails(decompose, [random_walk(), series], 30)


def test_table_is_refused(decompose: Decomposition) -> None:
    with pytest.raises(ValueError, match=r"\(80, 2\)"):
        decompose(random_walk().reshape(80, 2))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_series_shorter_than_four_points_is_refused_or_right(decompose: Decomposition, size: int) -> None:
    series = random_walk(size)
    if size and decompose.causal:
        np.testing.assert_allclose(decompose(series).sum(axis=0), series, rtol=1e-9)
        return
    with pytest.raises(ValueError, match=rf"{size} points is too short.*needs at least \d+.*scope\.history"):
        decompose(series)


def test_components_of_a_random_walk_come_fast_first(decompose: Decomposition) -> None:
    components = decompose(random_walk(512))
    present = components[np.ptp(components, axis=1) > 1e-9]
    assert mean_frequency(present[-1:]) <= mean_frequency(present[:1])
    if len(present) > 1:
        assert np.ptp(present[-1]) > np.ptp(present[0])  # the trend is the largest part of a walk


def mean_frequency(rows: FloatArray) -> FloatArray:
    """Return the centre of the spectrum of every row [cycles per step]."""
    power = np.abs(np.fft.rfft(rows - rows.mean(axis=1, keepdims=True), axis=1)) ** 2
    return (power * np.fft.rfftfreq(rows.shape[1])).sum(axis=1) / power.sum(axis=1)


@pytest.mark.parametrize("name", BANDS)
def test_bands_of_white_noise_are_in_order_of_frequency(name: str) -> None:
    noise = np.random.default_rng(3).standard_normal(4096)
    frequencies = mean_frequency(make(name)(noise))
    assert (np.diff(frequencies) < 0).all(), frequencies


def test_modes_of_vmd_find_tones_in_order_of_frequency() -> None:
    time = np.arange(512)
    periods = [4, 16, 128]
    tones = np.stack([np.cos(2 * np.pi * time / period) for period in periods])
    components = VMD(modes=3)(tones.sum(axis=0) + 100)
    middle = slice(64, -64)
    np.testing.assert_allclose(components[:2, middle], tones[:2, middle], atol=0.05)
    np.testing.assert_allclose(components[2, middle], tones[2, middle] + 100, atol=0.05)


def test_what_comes_later_changes_components_unless_they_are_causal(decompose: Decomposition) -> None:
    series = random_walk(400)
    before = decompose(series)
    if not decompose.causal:
        assert not np.array_equal(decompose(series[:-1]), before[:, :-1])
        return
    for last_known in (0, 1, 63, 200, 398):
        changed = series.copy()
        changed[last_known + 1 :] = 1e6 * np.random.default_rng(4).standard_normal(399 - last_known)
        seen = slice(0, last_known + 1)
        np.testing.assert_array_equal(decompose(changed)[:, seen], before[:, seen])
        np.testing.assert_array_equal(decompose(series[seen]), before[:, seen])


def test_what_lies_beyond_the_memory_changes_no_bit_and_what_lies_within_does(decompose: Decomposition) -> None:
    memory = 399 if decompose.memory is None else decompose.memory
    series = random_walk(400)
    beyond = np.where(np.arange(400) < 399 - memory, random_walk(400, seed=5), series)
    np.testing.assert_array_equal(decompose(beyond)[:, -1], decompose(series)[:, -1])
    for oldest in range(max(399 - memory, 0), 399):
        within = series + np.where(np.arange(400) == oldest, 50.0, 0.0)
        if not np.array_equal(decompose(within)[:, -1], decompose(series)[:, -1]):
            return
    assert memory == 0


def test_some_decompositions_are_causal_and_some_have_no_memory() -> None:
    built = [make(name) for name in choices("decomposition") if name != "ceemdan_pyemd"]
    assert {decomposition.causal for decomposition in built} == {True, False}
    assert {None, 0} < {decomposition.memory for decomposition in built}


@pytest.mark.parametrize(
    "decompose", [MODWT("haar", 5), MODWT("db2", 4), StationaryWaveletPacket(4), MovingAverage(25)]
)
def test_one_sided_filters_forget_what_lies_beyond_their_reach(decompose: Decomposition) -> None:
    series = random_walk(600)
    window = decompose(series[200:])
    np.testing.assert_array_equal(window[:, -300:], decompose(series)[:, -300:])


def test_haar_components_are_half_the_difference_of_neighbouring_means() -> None:
    series = random_walk(200)
    details = MODWT("haar", 4)(series)
    for j in range(1, 5):
        half = 2 ** (j - 1)
        for t in (50, 137, 199):
            late = series[t - half + 1 : t + 1].mean()
            early = series[t - 2 * half + 1 : t - half + 1].mean()
            assert details[j - 1, t] == pytest.approx((late - early) / 2, rel=1e-9, abs=1e-9)
    assert details[4, 199] == pytest.approx(series[-16:].mean())


@pytest.mark.parametrize(("wavelet", "size"), [("haar", 100), ("haar", 5), ("db4", 300), ("db4", 50)])
def test_levels_of_the_filter_bank_are_those_computed_one_by_one_to_the_bit(wavelet: str, size: int) -> None:
    filter_bank, smooth = MODWT(wavelet, 5), np.stack([random_walk(size), random_walk(size, seed=1)])
    found = filter_bank._bands(smooth)
    for j in range(5):
        smoother = _one_sided.smoothed(smooth, filter_bank._taps, 2**j)
        np.testing.assert_array_equal(found[:, j], smooth - smoother)
        smooth = smoother
    np.testing.assert_array_equal(found[:, 5], smooth)


def test_packet_splits_what_the_filter_bank_leaves() -> None:
    series = random_walk(200)
    octaves, packet = MODWT("haar", 3)(series), StationaryWaveletPacket(3)(series)
    np.testing.assert_allclose(packet[7], octaves[3], rtol=1e-12)
    np.testing.assert_allclose(packet[6], octaves[2], atol=1e-9)
    np.testing.assert_allclose(packet[4:6].sum(axis=0), octaves[1], atol=1e-9)
    np.testing.assert_allclose(packet[:4].sum(axis=0), octaves[0], atol=1e-9)


def test_wavelet_packet_bands_are_those_of_pywavelets() -> None:
    import pywt

    series = random_walk(201)
    tree = pywt.WaveletPacket(series, "db4", mode="symmetric", maxlevel=3)
    bands = WaveletPacket("db4", 3)(series)
    for band, node in zip(bands[::-1], tree.get_level(3, "freq"), strict=True):
        alone = pywt.WaveletPacket(None, "db4", mode="symmetric", maxlevel=3)
        alone[node.path] = node.data
        np.testing.assert_allclose(band, alone.reconstruct(update=False)[:201], rtol=0, atol=1e-9)


@pytest.mark.parametrize("ascent", [0.0, 0.1])
def test_vmd_equals_the_formulas_of_the_paper(ascent: float) -> None:
    """Against the plain iteration of Dragomiretskiy and Zosso (2014), algorithm 2."""
    series = random_walk(128)
    values = series - series.mean()
    mirrored = np.concatenate([values[:64][::-1], values, values[64:][::-1]])
    spectrum = np.fft.rfft(mirrored)[:-1]
    frequency = np.arange(128) / 256
    centre = np.arange(4) / 8
    modes = np.zeros((4, 128), dtype=complex)
    dual = np.zeros(128, dtype=complex)
    for _ in range(25):
        filters = [1 / (1 + 2000 * (frequency - c) ** 2) for c in centre]
        for k in range(4):
            modes[k] = (spectrum - (modes.sum(axis=0) - modes[k]) - dual / 2) * filters[k]
            centre[k] = (frequency * np.abs(modes[k]) ** 2).sum() / (np.abs(modes[k]) ** 2).sum()
        dual += ascent * (modes.sum(axis=0) - spectrum)
    wanted = np.fft.irfft(modes[np.argsort(-centre)], n=256, axis=1)[:, 64:192]
    wanted[-1] += series.mean()
    wanted[0] += series - wanted.sum(axis=0)
    got = VMD(modes=4, ascent=ascent, tolerance=0.0, iterations=25)(series)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-9 * np.abs(series).max())


def test_vmd_moves_and_scales_with_the_series() -> None:
    series = random_walk()
    components = VMD()(series)
    moved = VMD()(1e-3 * series + 7)
    np.testing.assert_allclose(moved[:-1], 1e-3 * components[:-1], atol=1e-6)


@pytest.mark.parametrize("width", [2, 25])
def test_trend_of_the_moving_average_is_the_mean_of_the_last_steps(width: int) -> None:
    series = random_walk(200)
    rest, trend = MovingAverage(width)(series)
    np.testing.assert_allclose(trend[width - 1 :], sliding_window_view(series, width).mean(axis=1), rtol=1e-12)
    assert trend[0] == pytest.approx(series[0])
    np.testing.assert_allclose(rest, series - trend, rtol=0, atol=1e-9)


@pytest.mark.parametrize("robust", [False, True])
def test_stl_is_that_of_statsmodels_fast_first(robust: bool) -> None:
    from statsmodels.tsa.seasonal import STL as Reference

    series = random_walk(200)
    found = Reference(series, period=12, seasonal=9, robust=robust).fit()
    wanted = [found.resid, found.seasonal, found.trend]
    np.testing.assert_allclose(STL(12, 9, robust)(series), wanted, rtol=0, atol=1e-9 * series.max())


@pytest.mark.parametrize("periods", [(7,), (5, 20)])
def test_mstl_is_that_of_statsmodels_fast_first(periods: tuple[int, ...]) -> None:
    from statsmodels.tsa.seasonal import MSTL as Reference

    series = random_walk(200)
    found = Reference(series, periods=periods).fit()
    wanted = [found.resid, *found.seasonal.reshape(200, -1).T, found.trend]
    np.testing.assert_allclose(MSTL(periods)(series), wanted, rtol=0, atol=1e-9 * series.max())


def test_mstl_parts_two_seasons_from_a_trend() -> None:
    time = np.arange(400)
    day, week, trend = np.sin(2 * np.pi * time / 8), np.cos(2 * np.pi * time / 40), 0.05 * time
    rest, first, second, slow = MSTL([8, 40])(day + week + trend)
    np.testing.assert_allclose(first, day, atol=0.05)
    np.testing.assert_allclose(second[40:-40], week[40:-40], atol=0.1)
    np.testing.assert_allclose(slow[40:-40], trend[40:-40], atol=0.1)
    assert rest.std() < 0.05


def test_elementary_series_are_those_of_the_trajectory_matrix_and_sum_to_the_series() -> None:
    """Against the definition: singular value decomposition, then means over the antidiagonals."""
    series = random_walk(60)
    trajectory = np.array(sliding_window_view(series, 60 - 15 + 1))  # (L, T - L + 1)
    left, sizes, right = np.linalg.svd(trajectory, full_matrices=False)
    found = elementary_series(series, 15, 15)
    for k in range(15):
        matrix = sizes[k] * np.outer(left[:, k], right[k])
        means = [np.flipud(matrix).diagonal(t - 14).mean() for t in range(60)]
        np.testing.assert_allclose(found[k], means, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), series, rtol=1e-9)


@pytest.mark.parametrize("align", ["period", "index"])
def test_ssa_finds_tones_in_order_of_frequency(align: str) -> None:
    time = np.arange(400)
    tones = np.stack([np.cos(2 * np.pi * time / 8), 3 * np.cos(2 * np.pi * time / 50)])  # means are zero
    components = SSA(n_components=5, window=100, rank=4, align=align)(tones.sum(axis=0) + 7)
    rows = {"period": (1, 3, 4), "index": (slice(0, 2), slice(2, 4), 4)}[align]
    for wanted, row in zip([*tones, np.full(400, 7.0)], rows, strict=True):
        np.testing.assert_allclose(np.atleast_2d(components[row]).sum(axis=0), wanted, atol=0.06)


def test_bits_of_ssa_do_not_depend_on_the_threads_of_blas() -> None:
    code = (
        "import numpy as np\n"
        "from data.decomposition.ssa import SSA\n"
        "series = np.random.default_rng(0).standard_normal(600).cumsum()\n"
        "print(SSA(window=120)(series).tobytes().hex())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **threads}, capture_output=True, text=True, check=True
        ).stdout
        for threads in ({f"{name}_NUM_THREADS": str(n) for name in ("OMP", "OPENBLAS", "MKL")} for n in (1, 2))
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (WaveletPacket, {"wavelet": "db99"}, "wavelet=db99"),
        (WaveletPacket, {"level": 0}, "level=0"),
        (MODWT, {"wavelet": "bior2.2"}, "wavelet=bior2.2"),
        (MODWT, {"wavelet": "morl"}, "wavelet=morl"),
        (MODWT, {"level": 0}, "level=0"),
        (StationaryWaveletPacket, {"level": 0}, "level=0"),
        (MovingAverage, {"width": 1}, "width=1"),
        (STL, {"period": 1, "seasonal": 4}, r"period=1[\s\S]*seasonal=4"),
        (MSTL, {"periods": [9, 1]}, r"periods=1 [\s\S]*shortest first"),
        (MSTL, {"periods": []}, "shortest first"),
        (SSA, {"n_components": 1, "window": 5, "rank": 6}, r"n_components=1[\s\S]*rank=6 must be between 1 and"),
        (SSA, {"align": "size"}, "align='size'"),
        (VMD, {"modes": 0, "bandwidth": -1.0}, r"modes=0[\s\S]*bandwidth=-1.0"),
        (VMD, {"ascent": -0.1, "tolerance": -1.0, "iterations": 0}, r"ascent[\s\S]*tolerance[\s\S]*iterations=0"),
    ],
)
def test_impossible_settings_are_named(kind: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**settings)


def test_too_short_for_the_packet_names_the_least_length() -> None:
    with pytest.raises(ValueError, match=r"55 points is too short.*level=3 needs at least 56"):
        WaveletPacket("db4", 3)(random_walk(55))
    assert WaveletPacket("db4", 3)(random_walk(56)).shape == (8, 56)


def test_words_and_complex_numbers_are_refused() -> None:
    for series in (np.array(["1", "2"]), np.ones(9, dtype=complex), np.array([1, None])):
        with pytest.raises(ValueError, match="real numbers"):
            MODWT()(series)


class _OneByOne:
    """A decomposition without ``tails`` of its own."""

    n_components = 2
    causal = False
    memory = None

    def __call__(self, series: FloatArray) -> FloatArray:
        return np.stack([series - series.mean(), np.full(series.size, series.mean())])


class _Wrong(_OneByOne):
    """A decomposition that loses part of the series."""

    def __init__(self, lost: float) -> None:
        self.lost = lost

    def __call__(self, series: FloatArray) -> FloatArray:
        return super().__call__(series) - self.lost


@pytest.mark.parametrize(("lost", "said"), [(1.0, "_Wrong.*miss the series by up to 2.*sum"), (np.nan, "not finite")])
def test_components_that_do_not_sum_to_the_series_are_refused(lost: float, said: str) -> None:
    windows = list(sliding_window_view(random_walk(100), 80))
    with pytest.raises(ValueError, match=said):
        tails(_Wrong(lost), windows, 5)
    with pytest.raises(ValueError, match=said):
        WholeSeries().at(_Wrong(lost), random_walk(100), 5, np.array([50]))


def test_numbers_at_the_end_of_their_range_are_refused(decompose: Decomposition) -> None:
    series = np.finfo(float).max * np.sin(np.arange(LENGTH) ** 1.5)
    with pytest.raises(ValueError, match=r"reach 1.8e\+308.*another unit"):
        decompose(series)
    with pytest.raises(ValueError, match="another unit"):
        tails(decompose, [series], LENGTH)


@pytest.mark.parametrize(("terminal", "worker"), [(False, False), (True, True), (True, False)])
def test_a_decomposition_without_a_faster_way_is_called_window_by_window(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, worker: bool
) -> None:
    assert not isinstance(_OneByOne(), BatchDecomposition)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr(batch, "parent_process", lambda: object() if worker else None)
    monkeypatch.setattr(batch, "_PATIENCE", 0.0)
    windows = list(sliding_window_view(random_walk(100), 80))
    found = tails(_OneByOne(), windows, 5)
    np.testing.assert_array_equal(found, np.stack([_OneByOne()(window)[:, -5:] for window in windows]))
    assert ("21/21" in capsys.readouterr().err) == (terminal and not worker)
