"""Serve the scaled windows of one fold to the training loop."""

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from data.contracts import Batch
from data.gathered import Gathered


class Rows(Dataset[Batch]):
    """All windows as resident tensors, or gathered ones batch by batch; one look-up fetches a whole batch."""

    def __init__(self, windows: Batch) -> None:
        self.gathered = isinstance(windows.past, Gathered)
        self.windows = windows if self.gathered else _tensors(windows)

    def __len__(self) -> int:
        return len(self.windows.past)

    def __getitem__(self, rows: Tensor) -> Batch:
        if self.gathered:
            return _tensors(self.windows.take(rows.numpy()))
        return self.windows.take(rows)


class BatchOrder(Sampler[Tensor]):
    """Row numbers of one batch after another.

    The order depends on (seed, epoch) alone, so a resumed epoch is the same epoch.  Where several
    processes train together, they take turns.
    """

    def __init__(self, size: int, batch_size: int, seed: int | None) -> None:
        self.size, self.batch_size, self.seed, self.epoch = size, batch_size, seed, 0

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
        batches = list(order.split(self.batch_size))
        rank, n_processes = _share()
        batches += batches[: -len(batches) % n_processes]  # every process takes the same number of steps
        yield from batches[rank::n_processes]


class FoldData(pl.LightningDataModule):
    """Loaders over the training and validation windows.

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

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return shuffled batches."""
        return _loader(self.train, BatchOrder(len(self.train), self.batch_size, self.seed))

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return batches in time order, or no loader where nothing is held out."""
        if not len(self.validation):
            return []
        return [_loader(self.validation, BatchOrder(len(self.validation), 1024, None))]


def _tensors(windows: Batch) -> Batch:
    """Return windows in single precision."""
    return Batch(*(None if one is None else torch.as_tensor(np.asarray(one), dtype=torch.float32) for one in windows))


def _share() -> tuple[int, int]:
    """Return the number of this process and how many train together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _loader(rows: Rows, order: BatchOrder) -> DataLoader[Batch]:
    generator = torch.Generator().manual_seed(0)  # of its own: leaves the global one alone
    return DataLoader(rows, batch_size=None, sampler=order, generator=generator)
