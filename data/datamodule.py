"""Serve the scaled windows of one fold to the training loop."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from data.contracts import Batch
from data.gathered import Gathered

AT_ONCE = 256
"""Steps of which Lightning knows nothing: its hooks cost no more than one of them, and a run asked to end does soon."""


class Rows(Dataset[Batch]):
    """All windows as tensors resident on a device; one look-up fetches a whole batch there.

    Gathered windows, which are too many to be held, are made batch by batch and brought to the device.
    """

    def __init__(self, windows: Batch) -> None:
        self.gathered = isinstance(windows.past, Gathered)
        self.windows = windows if self.gathered else _tensors(windows)
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> "Rows":
        """Move to a device, once for all epochs."""
        self.device = device
        if not self.gathered:
            self.windows = _on(device, self.windows)
        return self

    @property
    def chosen_on(self) -> torch.device:
        """Where the numbers of rows must lie by which a batch is fetched."""
        return torch.device("cpu") if self.gathered else self.device

    def __len__(self) -> int:
        return len(self.windows.past)

    def __getitem__(self, rows: Tensor) -> Batch:
        if self.gathered:
            return _on(self.device, _tensors(self.windows.take(rows.numpy())))
        return self.windows.take(rows)


class Steps:
    """Some batches of an epoch, each fetched when its step is taken."""

    def __init__(self, rows: Rows, order: Sequence[Tensor]) -> None:
        self.rows, self.order = rows, order

    def __iter__(self) -> Iterator[Batch]:
        return map(self.rows.__getitem__, self.order)


class ManySteps(Dataset[Steps]):
    """Many batches in one item."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __getitem__(self, order: Sequence[Tensor]) -> Steps:
        return Steps(self.rows, order)


class BatchOrder(Sampler[Tensor]):
    """Row numbers of one batch after another.

    The order depends on (seed, epoch) alone, so a resumed epoch is the same epoch; it is drawn on the CPU, where
    it is the same for every device, and brought to the device at once.  Where several processes train together,
    they take turns.
    """

    def __init__(self, size: int, batch_size: int, seed: int | None, device: str | torch.device = "cpu") -> None:
        self.size, self.batch_size, self.seed, self.epoch, self.device = size, batch_size, seed, 0, device

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        n_batches = -(-self.size // self.batch_size)
        return -(-n_batches // _share()[1])

    def __iter__(self) -> Iterator[Tensor]:
        # A generator on purpose: a resumed training asks for the iterator before it sets the epoch.
        if self.seed is None:
            order = torch.arange(self.size)
        else:
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
            order = torch.randperm(self.size, generator=generator)
        batches = list(order.to(self.device, non_blocking=True).split(self.batch_size))
        rank, n_processes = _share()
        batches += batches[: -len(batches) % n_processes]  # every process takes the same number of steps
        yield from batches[rank::n_processes]


class ManyAtOnce(Sampler[list[Tensor]]):
    """Batches in their order, up to ``AT_ONCE`` of them together."""

    def __init__(self, order: BatchOrder) -> None:
        self.order = order

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self.order.set_epoch(epoch)

    def __len__(self) -> int:
        return -(-len(self.order) // AT_ONCE)

    def __iter__(self) -> Iterator[list[Tensor]]:
        batches = list(self.order)
        for start in range(0, len(batches), AT_ONCE):
            yield batches[start : start + AT_ONCE]


class FoldData(pl.LightningDataModule):
    """Loaders over the training and validation windows, which lie where the network is trained.

    A module that takes its steps itself (``automatic_optimization`` is False) is given many batches at once.

    Parameters
    ----------
    train, validation : Batch
        Scaled windows; ``validation`` may be empty.
    batch_size : int
        Windows a step of the optimiser.
    seed : int
        Of the shuffling.
    """

    def __init__(self, train: Batch, validation: Batch, batch_size: int, seed: int) -> None:
        super().__init__()
        self.train, self.validation = Rows(train), Rows(validation)
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> DataLoader[Any]:
        """Return shuffled batches."""
        rows = self._placed(self.train)
        order = BatchOrder(len(rows), self.batch_size, self.seed, rows.chosen_on)
        if self.trainer is None or self.trainer.lightning_module.automatic_optimization:
            return _loader(rows, order)
        return _loader(ManySteps(rows), ManyAtOnce(order))

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return batches in time order, or no loader where nothing is held out."""
        if not len(self.validation):
            return []
        rows = self._placed(self.validation)
        return [_loader(rows, BatchOrder(len(rows), 1024, None, rows.chosen_on))]

    def _placed(self, rows: Rows) -> Rows:
        return rows if self.trainer is None else rows.to(self.trainer.strategy.root_device)


def _tensors(windows: Batch) -> Batch:
    """Return windows in single precision."""
    return Batch(*(None if one is None else torch.as_tensor(np.asarray(one), dtype=torch.float32) for one in windows))


def _on(device: torch.device, windows: Batch) -> Batch:
    return Batch(*(None if one is None else one.to(device, non_blocking=True) for one in windows))


def _share() -> tuple[int, int]:
    """Return the number of this process and how many train together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _loader(rows: Dataset[Any], order: Sampler[Any]) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)  # of its own: leaves the global one alone
    return DataLoader(rows, batch_size=None, sampler=order, generator=generator)
