"""Every row has one role, and no target crosses a split."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from data.contracts import GAP, TEST, TRAIN, VALIDATION
from data.panel import DataError
from data.sources.csi import CSI
from data.splits import ByTime, WalkForward
from data.windows import select
from runtime.build import build
from runtime.command_line import CONF
from tests.conftest import choices, data_file, panel_of
from tests.test_windows import identity_windows

PANEL = panel_of(np.cumsum(np.ones(200)) + np.sin(np.arange(200)))


@pytest.mark.parametrize("code", ["csi300", "csi500"])
def test_the_split_of_paper_1_has_its_numbers_of_targets(code, configure):
    panel = CSI(code, "2024-07-01", str(data_file(f"index/{code}_close.csv"))).load()
    (fold,) = build(configure("split=paper1").split).folds(panel, 1)
    assert ((fold.role == TRAIN).sum(), (fold.role == TEST).sum()) == (3787, 947)
    assert panel.frame["ds"][fold.role == TEST].iloc[0] == pd.Timestamp("2020-08-04")


IN_TIME = [
    name for name in choices("split") if OmegaConf.load(f"{CONF}/split/{name}.yaml")._target_.startswith("data.splits.")
]


@pytest.mark.parametrize("name", IN_TIME)
@pytest.mark.parametrize("horizon", [1, 5])
def test_test_follows_validation_follows_train(name, horizon, configure):
    folds = build(configure(f"split={name}").split).folds(PANEL, horizon)
    assert folds
    for fold in folds:
        rows = [np.flatnonzero(fold.role == role) for role in (TRAIN, VALIDATION, TEST)]
        used = [part for part in rows if part.size]
        assert len(used) >= 2
        assert all(first.max() < second.min() for first, second in pairwise(used))


@given(
    validation=st.floats(0, 0.4),
    test=st.floats(0.05, 0.5),
    gap=st.integers(0, 9),
    horizon=st.integers(1, 9),
    lookback=st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_no_target_crosses_a_split(validation, test, gap, horizon, lookback):
    (fold,) = ByTime(validation, test, gap).folds(PANEL, horizon)
    windows = identity_windows(PANEL, lookback, horizon)
    seen = {}
    for role in (TRAIN, VALIDATION, TEST):
        chosen = select(windows, fold, role)
        targets = chosen.origin[:, None] + 1 + np.arange(horizon)
        assert (fold.role[targets] == role).all()
        seen[role] = set(targets.ravel())
    assert not seen[TRAIN] & seen[VALIDATION]
    assert not seen[VALIDATION] & seen[TEST]
    assert not seen[TRAIN] & seen[TEST]
    if seen[TRAIN] and seen[TEST]:
        assert max(seen[TRAIN]) + gap < min(seen[TEST])


@given(every=st.integers(1, 60), test=st.floats(0.1, 0.6), horizon=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_walk_forward_tests_every_late_date_once_and_learns_from_the_past_only(every, test, horizon):
    split = WalkForward(test, 0.1, every)
    if every < horizon:
        with pytest.raises(DataError, match=r"split\.every"):
            split.folds(PANEL, horizon)
        return
    folds = split.folds(PANEL, horizon)
    tested = np.concatenate([np.flatnonzero(fold.role == TEST) for fold in folds])
    assert tested.tolist() == list(range(200 - round(test * 200), 200))
    for fold in folds:
        known = np.flatnonzero((fold.role == TRAIN) | (fold.role == VALIDATION))
        assert known.max() < np.flatnonzero(fold.role == TEST).min()


def test_series_are_cut_at_the_same_date():
    panel = panel_of(np.arange(100.0) ** 1.1, np.arange(60.0) ** 1.2)  # the second ends earlier
    (fold,) = ByTime(0.0, 0.5, 0).folds(panel, 1)
    first_tested = panel.frame[fold.role == TEST].groupby("unique_id")["ds"].min()
    assert first_tested.nunique() == 1


def test_the_gap_is_one_horizon_unless_given():
    (fold,) = ByTime(0.2, 0.2).folds(PANEL, 7)
    assert (fold.role == GAP).sum() == 14


@pytest.mark.parametrize(
    "make",
    [
        lambda: ByTime(0.6, 0.5),
        lambda: ByTime(-0.1, 0.2),
        lambda: WalkForward(0.2, 0.1, 0),
        lambda: WalkForward(0, 0.1, 5),
    ],
)
def test_impossible_fractions_are_refused(make):
    with pytest.raises(ValueError, match=r"split\."):
        make()
