"""A series decomposed together with its covariates: right, by the past alone, and the same wherever it is done."""

from dataclasses import replace

import numpy as np
import pytest

import data.windows
from data.contracts import FloatArray, Panel
from data.decomposition.batch import tails
from data.decomposition.mvmd import MVMD
from data.decomposition.vmd import VMD
from data.windows import RollingWindow, cut, cut_at, latest
from pipeline.audit import audit
from runtime.build import build
from tests.conftest import panel_of

TONES = {period: np.cos(2 * np.pi * np.arange(400) / period) for period in (5, 20, 80)}


def channels(size: int = 200) -> FloatArray:
    """A random walk and, in other units, a walk beside it and one that stands still."""
    walks = np.random.default_rng(0).standard_normal((2, size)).cumsum(axis=1)
    return np.column_stack([100 + walks[0], 1e6 + 1e3 * (walks[0] + walks[1]), np.full(size, 3.0)])


def beside(values: FloatArray) -> Panel:
    """A panel of a series and one covariate."""
    plain = panel_of(values)
    other = np.random.default_rng(1).standard_normal(values.size).cumsum()
    return replace(plain, frame=plain.frame.assign(other=other), covariates={"other": "-"})


@pytest.mark.parametrize("ascent", [0.0, 0.1])
def test_it_equals_the_formulas_of_the_paper(ascent: float) -> None:
    """Against the plain iteration of ur Rehman and Aftab (2019), algorithm 1."""
    values = channels(128)[:, :2].T
    values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    mirrored = np.concatenate([values[:, :64][:, ::-1], values, values[:, 64:][:, ::-1]], axis=1)
    spectra = np.fft.rfft(mirrored, axis=1)[:, :-1]  # (M, F)
    frequency, centre = np.arange(128) / 256, np.arange(4) / 8
    modes, dual = np.zeros((4, 2, 128), dtype=complex), np.zeros((2, 128), dtype=complex)
    for _ in range(25):
        gains = [1 / (1 + 2000 * (frequency - one) ** 2) for one in centre]
        for k in range(4):
            modes[k] = (spectra - (modes.sum(axis=0) - modes[k]) - dual / 2) * gains[k]
            power = (np.abs(modes[k]) ** 2).sum(axis=0)
            centre[k] = (frequency * power).sum() / power.sum()
        dual += ascent * (modes.sum(axis=0) - spectra)
    wanted = np.fft.irfft(modes[np.argsort(-centre)].swapaxes(0, 1), n=256, axis=2)[:, :, 64:192]
    found = MVMD(modes=4, ascent=ascent, tolerance=0.0, iterations=25).all_modes(channels(128)[:, :2])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


def test_modes_of_all_channels_are_aligned_where_those_of_each_alone_are_not() -> None:
    """One tone that both channels have, and one that each has alone."""
    noise = 0.05 * np.random.default_rng(2).standard_normal((2, 400))
    one, other = TONES[5] + TONES[80] + noise[0], TONES[5] + TONES[20] + noise[1]
    found = MVMD(modes=3).all_modes(np.column_stack([one, other]))
    middle = slice(50, -50)
    for mode, period in enumerate((5, 20, 80)):
        for channel, given in enumerate(((5, 80), (5, 20))):
            wanted = TONES[period] * (period in given)
            assert np.abs(found[channel, mode] - wanted)[middle].mean() < 0.1
    alone = VMD(modes=3)(other)
    assert (
        np.abs(alone[2] - alone[2].mean())[middle].mean() > 0.3
    )  # a slow band that the other channel shares is not found


def test_a_series_alone_has_the_bits_of_vmd() -> None:
    series = channels()[:, 0]
    np.testing.assert_array_equal(MVMD().together(series[:, None]), VMD()(series))
    np.testing.assert_array_equal(MVMD().together(channels()[:, [0, 2]]), VMD()(series))  # one that stands still


def test_modes_sum_to_the_series_and_the_unit_of_no_channel_matters() -> None:
    found = MVMD().together(channels())
    np.testing.assert_allclose(found.sum(axis=0), channels()[:, 0], rtol=1e-12)
    assert np.abs(found - VMD()(channels()[:, 0])).max() > 0.1  # the covariate has its say
    np.testing.assert_array_equal(MVMD().together(channels() * [2.0**-30, 2.0**800, 1.0]), found * 2.0**-30)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_covariate_with_a_hole_is_refused(value: float) -> None:
    given = channels()
    given[17, 1] = value
    with pytest.raises(ValueError, match=r"finite.*index 17"):
        tails(MVMD(), [given], 30)


def test_windows_see_the_past_of_covariates_and_are_the_same_wherever_they_are_cut() -> None:
    panel, scope, decomposition = beside(channels(90)[:, 0]), RollingWindow(64), MVMD(modes=3, iterations=20)
    windows = cut(panel, decomposition, scope, 12, 2)
    (at,) = np.flatnonzero(windows.origin == 75)
    np.testing.assert_array_equal(cut_at(panel, decomposition, scope, 12, 2, np.array([75])).past[0], windows.past[at])
    known = replace(panel, frame=panel.frame.iloc[:76])
    np.testing.assert_array_equal(latest(known, decomposition, scope, 12).past[0], windows.past[at])
    by_hand = decomposition.together(panel.frame[["y", "other"]].to_numpy()[12:76])
    np.testing.assert_array_equal(windows.past[at].T, by_hand[:, -12:])
    later = panel.frame["other"].where(np.arange(90) <= 75, 1e6)
    changed = cut(replace(panel, frame=panel.frame.assign(other=later)), decomposition, scope, 12, 2)
    np.testing.assert_array_equal(changed.past[: at + 1], windows.past[: at + 1])
    assert not np.array_equal(changed.past[at + 1], windows.past[at + 1])


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_audit_finds_a_covariate_that_is_decomposed_before_it_is_known(configure, monkeypatch, ahead) -> None:
    cfg = configure(
        *("experiment=smoke", "decomposition=mvmd", "decomposition.modes=3", "decomposition.iterations=20"),
        *("scope.history=64", "lookback=8", "source.n_steps=220", "model=ridge", "baselines=naive"),
        *("equal_memory=none", "parallel.n_jobs=1"),
    )
    handed = data.windows._handed

    def shifted(panel, decomposition, start, series):
        given = handed(panel, decomposition, start, series)
        if given.ndim == 2:
            given[:, 1] = given[np.minimum(np.arange(len(given)) + ahead, len(given) - 1), 1]
        return given

    monkeypatch.setattr(data.windows, "_handed", shifted)
    panel = beside(build(cfg.source).load().frame["y"].to_numpy())
    task = build(cfg.task)(cfg)
    found = audit(task, panel, build(cfg.split).folds(panel, cfg.horizon), {})
    if ahead:
        assert "decomposition" in {cause.stage for cause in found.causes}, found.sentence
    else:
        assert found.verdict == "causal", found.sentence
