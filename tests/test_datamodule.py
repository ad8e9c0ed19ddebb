"""Batches hold every window once, in an order that a resumed run finds again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from data import datamodule
from data.calendar import pace, upcoming
from data.contracts import Batch
from data.datamodule import BatchOrder, FoldData
from data.gathered import Gathered
from tests.conftest import panel_of


def rows_of(order: BatchOrder, epoch: int) -> list[int]:
    order.set_epoch(epoch)
    return torch.cat(list(order)).tolist()


def test_every_row_comes_once_an_epoch():
    order = BatchOrder(103, 10, seed=1)
    assert sorted(rows_of(order, 4)) == list(range(103))
    assert len(list(order)) == len(order) == 11


def test_the_order_depends_on_seed_and_epoch_alone():
    torch.manual_seed(0)
    first = rows_of(BatchOrder(103, 10, seed=1), 4)
    torch.manual_seed(99)
    assert rows_of(BatchOrder(103, 10, seed=1), 4) == first
    assert rows_of(BatchOrder(103, 10, seed=1), 5) != first
    assert rows_of(BatchOrder(103, 10, seed=2), 4) != first


def test_validation_comes_in_time_order():
    assert rows_of(BatchOrder(50, 8, seed=None), 3) == list(range(50))


@pytest.mark.parametrize("n_processes", [2, 3])
def test_processes_share_every_row_and_take_as_many_steps_each(n_processes, monkeypatch):
    shares = []
    for rank in range(n_processes):
        monkeypatch.setattr(datamodule, "_share", lambda rank=rank: (rank, n_processes))
        order = BatchOrder(103, 10, seed=1)
        batches = list(order)
        assert len(batches) == len(order)
        shares.append(batches)
    assert len({len(batches) for batches in shares}) == 1
    assert set(torch.cat([rows for batches in shares for rows in batches]).tolist()) == set(range(103))


def test_batches_are_the_windows_of_their_rows():
    windows = Batch(np.arange(24.0).reshape(4, 3, 2), np.arange(12.0).reshape(4, 1, 3))
    data = FoldData(windows, Batch(windows.past[:0], windows.target[:0]), batch_size=3, seed=0)
    batches = list(data.train_dataloader())
    assert [len(batch.past) for batch in batches] == [3, 1]
    for batch in batches:
        for past, target in zip(batch.past, batch.target, strict=True):
            row = int(past[0, 0]) // 6
            np.testing.assert_array_equal(past, windows.past[row])
            np.testing.assert_array_equal(target, windows.target[row])
    assert data.val_dataloader() == []


@pytest.mark.parametrize("gathered", [False, True])
def test_windows_and_their_order_lie_where_the_network_is_trained(gathered):
    """Windows too many to be held are chosen on the CPU and brought to the device batch by batch."""
    device = torch.device("meta")
    past = np.arange(24.0).reshape(4, 3, 2)
    made = Gathered(past.__getitem__, np.arange(4), (3, 2)) if gathered else past
    data = FoldData(Batch(made, np.zeros((4, 1, 3))), Batch(made, np.zeros((4, 1, 3))), batch_size=3, seed=0)
    module = SimpleNamespace(automatic_optimization=False)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=device), lightning_module=module)
    (epoch,) = data.train_dataloader()
    assert {rows.device for rows in epoch.order} == {torch.device("cpu") if gathered else device}
    (held_out,) = data.val_dataloader()
    for batch in (*epoch, *held_out):
        assert {batch.past.device, batch.target.device} == {device}
    module.automatic_optimization = True
    assert [batch.past.device for batch in data.train_dataloader()] == [device, device]


@pytest.mark.parametrize(
    ("dates", "following"),
    [
        (pd.bdate_range("2024-01-01", "2024-01-05"), ["2024-01-08", "2024-01-09"]),
        (pd.date_range("2024-01-01", "2024-01-07"), ["2024-01-08", "2024-01-09"]),
        (pd.date_range("2024-01-01", periods=5, freq="h"), ["2024-01-01 05:00", "2024-01-01 06:00"]),
        (pd.date_range("2023-09-01", periods=5, freq="MS"), ["2024-02-01", "2024-03-01"]),
    ],
)
def test_dates_go_on_as_they_did(dates, following):
    assert upcoming(pd.Series(dates), 2).tolist() == [pd.Timestamp(day) for day in following]


def test_steps_go_on_as_they_did():
    assert upcoming(pd.Series([2, 4, 6]), 2).tolist() == [8, 10]


def test_pace_is_the_usual_spacing_and_change():
    panel = panel_of(np.array([1.0, 3.0, 2.0, 2.0, 5.0, 6.0, 4.0, 4.5]))
    spacing, change = pace(panel)
    assert spacing == 1
    assert change == pytest.approx(np.mean([2, 1, 0, 3, 1, 2, 0.5]))
