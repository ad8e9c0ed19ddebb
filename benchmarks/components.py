"""Compare ten networks trained as one with ten Lightning fits:  python -m benchmarks.components

Ten components, 3787 windows of 30 steps, batches of 32 (the training of paper 1 on CSI 300).
``as one`` is what train.py does; ``apart`` is a plain torch.nn network in a Trainer with its default
settings, once per component.  Both run in turn, so a busy machine slows both.
"""

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from data.contracts import Batch
from data.datamodule import FoldData
from runtime.build import build

CONF = Path(__file__).parents[1] / "conf"
COMPONENTS, LOOKBACK, BATCH = 10, 30, 32


class Plain(pl.LightningModule):
    """CNN-LSTM-AM of one component, as one writes it with torch.nn."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 32, 3)
        self.pool = nn.MaxPool1d(2)
        self.lstm = nn.LSTM(32, 64, num_layers=2, batch_first=True)
        self.query, self.key = nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False)
        self.score = nn.Parameter(torch.empty(64).uniform_(-1 / 8, 1 / 8))
        self.head = nn.Linear(14 * 64, 1)

    def forward(self, past: Tensor) -> Tensor:
        """Map ``(B, L)`` to ``(B, 1)``."""
        shapes = self.pool(self.conv(past[:, None]).relu())  # (B, C, T)
        states, _ = self.lstm(shapes.mT)  # (B, T, D)
        scores = self.score * torch.tanh(self.query(states[:, -1:]) + self.key(states))
        weights = scores.flatten(1).softmax(1)  # (B, T D)
        return self.head(weights * states.flatten(1) * weights.shape[1])

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the loss."""
        loss = (self(batch[0]) - batch[1]).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def train_as_one(past: np.ndarray, target: np.ndarray) -> float:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = compose("model/cnn_lstm_attention").model
        settings = compose("trainer/default").trainer
    total = target.sum(axis=1, keepdims=True)
    train = Batch(past, np.concatenate([target, total], axis=1)[:, None])
    none = Batch(train.past[:0], train.target[:0])
    model = build(node, n_components=COMPONENTS, lookback=LOOKBACK, horizon=1)
    settings.max_epochs = 2  # the first one warms up
    settings.enable_checkpointing = False
    clock = Clock()
    build(settings, callbacks=[clock]).fit(model, FoldData(train, none, BATCH, seed=0))
    return clock.seconds


def train_apart(past: np.ndarray, target: np.ndarray) -> float:
    seconds = 0.0
    for k in range(COMPONENTS):
        rows = TensorDataset(
            torch.tensor(past[..., k], dtype=torch.float32), torch.tensor(target[:, [k]], dtype=torch.float32)
        )
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = pl.Trainer(max_epochs=2, default_root_dir=folder, accelerator="cpu", callbacks=[clock])
            trainer.fit(Plain(), DataLoader(rows, batch_size=BATCH, shuffle=True))
        seconds += clock.seconds
    return seconds


class Clock(pl.Callback):
    """Time the last epoch."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start."""
        self.seconds = -time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        self.seconds += time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="times each way is measured")
    parser.add_argument("--windows", type=int, default=3787, help="training windows")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # hints on workers, which would slow both ways
    rng = np.random.default_rng(0)
    past = rng.standard_normal((given.windows, LOOKBACK, COMPONENTS))
    target = rng.standard_normal((given.windows, COMPONENTS))
    ways = (train_apart, train_as_one)
    seconds = np.array([[train(past, target) for train in ways] for _ in range(given.rounds)])
    apart, as_one = np.median(seconds, axis=0)
    ratio = np.median(seconds[:, 0] / seconds[:, 1])
    print(f"\n{COMPONENTS} x CNN-LSTM-AM 32/64, {given.windows} windows, batches of {BATCH}, {given.threads} threads\n")
    print("| training | s an epoch | faster |\n|---|---|---|")
    print(f"| ten Lightning fits, default settings | {apart:.2f} | 1.0x |")
    print(f"| as one | {as_one:.2f} | {ratio:.1f}x |")


if __name__ == "__main__":
    main()
