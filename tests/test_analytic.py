"""Amplitude and frequency of components: right within a window, better than a plain transform at its end."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import hilbert

from data.contracts import FloatArray
from data.decomposition.analytic import Analytic, amplitude_and_frequency, burg
from data.decomposition.vmd import VMD
from pipeline.settings import check_task
from runtime.build import ConfigError, build
from tasks.forecast import Forecast
from tests.conftest import panel_of

SPAN = 128


def swinging(size: int = 1024) -> FloatArray:
    """A tone of about 12 steps whose amplitude and frequency wander."""
    noise = np.cumsum(np.random.default_rng(0).standard_normal((2, size)), axis=1) / np.sqrt(size)
    return (2 + noise[0]) * np.cos(2 * np.pi * np.arange(size) / 12 + 3 * noise[1])


def test_a_tone_has_its_amplitude_and_frequency_up_to_the_end_of_a_window() -> None:
    tones = np.stack([3 * np.cos(2 * np.pi * np.arange(SPAN) / period + 1) for period in (3.1, 8, 20)])
    amplitude, frequency = amplitude_and_frequency(tones, 8, 30)
    np.testing.assert_allclose(amplitude, 3, rtol=0.03)
    np.testing.assert_allclose(frequency, np.broadcast_to([[1 / 3.1], [1 / 8], [1 / 20]], (3, 30)), rtol=0.03)


def test_within_a_window_it_is_scipys_and_at_its_end_nearer_to_the_later_one_than_scipys() -> None:
    series = swinging()
    later = hilbert(series)
    ends = np.arange(300, 900, 7)
    windows = sliding_window_view(series, SPAN)[ends - SPAN + 1]
    amplitude, frequency = amplitude_and_frequency(windows, 8, SPAN)
    middle = ends - SPAN // 2
    np.testing.assert_allclose(amplitude[:, SPAN - 1 - SPAN // 2], np.abs(later[middle]), rtol=0.05)
    turn = np.angle(later[1:] * later[:-1].conj()) / (2 * np.pi)
    np.testing.assert_allclose(frequency[:, SPAN - 1 - SPAN // 2], turn[middle - 1], rtol=0.05)
    plain = hilbert(windows - windows.mean(axis=1, keepdims=True), axis=1)
    ours, theirs = amplitude[:, -1] - np.abs(later[ends]), np.abs(plain[:, -1]) - np.abs(later[ends])
    assert ours.std() < theirs.std() / 3
    theirs_turn = np.angle(plain[:, -1] * plain[:, -2].conj()) / (2 * np.pi)
    assert np.abs(frequency[:, -1] - turn[ends - 1]).mean() < np.abs(theirs_turn - turn[ends - 1]).mean() / 3


def test_burg_finds_the_weights_of_an_autoregression() -> None:
    steps = np.random.default_rng(1).standard_normal(4000)
    for k in range(2, steps.size):
        steps[k] += 1.5 * steps[k - 1] - 0.8 * steps[k - 2]
    np.testing.assert_allclose(burg(steps[None], 2)[0], [1.5, -0.8], atol=0.03)


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**900, 1e-300])
def test_amplitudes_have_the_unit_of_the_series_and_frequencies_none(factor: float) -> None:
    past = VMD(modes=3, iterations=20)(swinging(200)).T[None]  # (1, 200, 3)
    one, other = (Analytic(SPAN, 8)(scale * past, 30) for scale in (1.0, factor))
    exact = np.frexp(factor)[0] == 0.5
    np.testing.assert_allclose(other[:, :, :2] / factor, one[:, :, :2], rtol=0 if exact else 1e-9)
    np.testing.assert_allclose(other[:, :, 2:], one[:, :, 2:], rtol=0 if exact else 1e-9)


def test_a_window_has_the_same_bits_alone_and_among_others() -> None:
    past = np.random.default_rng(2).standard_normal((37, SPAN, 4))
    channels = Analytic(SPAN, 8)
    together = channels(past, 30)
    assert together.shape == (37, 30, 6)
    np.testing.assert_array_equal(together, np.concatenate([channels(one[None], 30) for one in past]))
    np.testing.assert_array_equal(together[5::7], channels(past[5::7], 30))
    moved = past.copy()
    moved[:, :, 3] *= 2  # the last component has no channels
    np.testing.assert_array_equal(channels(moved, 30), together)


def test_what_does_not_swing_has_neither_amplitude_nor_frequency() -> None:
    past = np.zeros((1, 40, 3))
    past[0, :, 1] = 0.1
    assert not Analytic(SPAN, 8)(past, 40).any()


def test_the_last_window_of_a_file_has_the_channels_it_has_in_a_run(configure, tmp_path, monkeypatch, walk) -> None:
    monkeypatch.setenv("MODECAST_CACHE", str(tmp_path))
    cfg = configure("experiment=smoke", "scope.history=64", "lookback=12", "decomposition=emd", "channels=hilbert")
    task: Forecast = build(cfg.task)(cfg)
    row, twin = task.candidates()[0], next(row for row in task.candidates() if row.label == "Persistence")
    prepared = task.prepare(panel_of(walk), None, row).windows  # type: ignore[arg-type]
    asked = task.asked(panel_of(walk[:200]), row, None)
    assert prepared.channels is not None
    assert prepared.channels.shape[1:] == (12, 2 * 4)
    (at,) = np.flatnonzero(prepared.origin == 199)
    np.testing.assert_array_equal(asked.channels[0], prepared.channels[at])
    some = task.prepare(panel_of(walk), None, row, np.array([199]), cached=False).windows  # type: ignore[arg-type]
    np.testing.assert_array_equal(some.channels, prepared.channels[[at]])
    assert task.prepare(panel_of(walk), None, twin).windows.channels is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["decomposition=identity"], "decomposition=identity has a single"),
        (["augmentation=gaussian"], "makes windows without covariates, and this run has channels"),
    ],
)
def test_channels_that_cannot_be_are_refused_before_training(configure, overrides, told) -> None:
    cfg = configure("experiment=smoke", "channels=hilbert", *overrides)
    with pytest.raises(ConfigError, match=told):
        check_task(build(cfg.task)(cfg))


def test_impossible_settings_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)span=4.*order=0"):
        Analytic(span=4, order=0)
