"""What a training step costs with all that surrounds it:  python -m benchmarks.training [--peer]

``stepwise``: Lightning takes every step, with its hooks before and after it, as where gradients are clipped.  ``at
once``: what train.py does otherwise; the network takes the steps of an epoch itself.  ``alone``: the network and its
optimiser in a plain loop.  ``stacked``: five networks of five seeds, each with batches of its own, in one batch of
matrices in that loop, for one of them; and whether each ends with the bits it has alone.  CPU milliseconds of one
thread, medians of rounds in which all ways take turns.  ``--peer`` measures neuralforecast's LSTM 2x128 in the same
rounds, where it is installed.  Prints the table of docs/training.md.
"""

import argparse
import copy
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from data.contracts import Batch
from data.datamodule import FoldData
from models.best_weights import BestWeights
from models.forecaster import Forecaster
from runtime.build import build
from runtime.history import History

CONF = Path(__file__).parents[1] / "conf"
LOOKBACK, BATCH, STEPS, SEEDS = 30, 32, 40, 5
NETWORKS = [
    ("mlp", "joint", 1),
    ("mlp", "joint", 5),
    ("dlinear", "joint", 5),
    ("gru", "joint", 1),
    ("lstm", "joint", 1),
    ("cnn_lstm", "joint", 5),
    ("cnn_lstm_attention", "joint", 5),
    ("cnn_lstm_attention", "separate", 5),
]
"""Model, allocation of components and their number."""


class Stepwise(pl.Callback):
    """Ask to be called at every step, so that Lightning takes them."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Do nothing."""


def made(name: str, component: str, n_components: int, seed: int = 0) -> Forecaster:
    """Build a network of conf/model that is training."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        node = compose(f"model/{name}", overrides=[f"model/component={component}", "+season=null"]).model
    torch.manual_seed(seed)
    model: Forecaster = build(node, n_components=n_components, lookback=LOOKBACK, horizon=1)
    return model.train()


def noise(n_windows: int, n_components: int) -> Batch:
    rng = np.random.default_rng(0)
    shapes = (n_windows, LOOKBACK, n_components), (n_windows, 1, n_components + 1)
    return Batch(*(rng.standard_normal(shape) for shape in shapes))


def fit(
    name: str,
    component: str,
    n_components: int,
    epochs: int,
    callbacks: Sequence[pl.Callback],
    accelerator: str = "cpu",
) -> None:
    """Train as train.py does, without its checkpoints: an epoch is ``STEPS`` steps and 32 validation windows."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = compose("trainer/default").trainer
    settings.update({"max_epochs": epochs, "enable_checkpointing": False, "accelerator": accelerator})
    data = FoldData(noise(STEPS * BATCH, n_components), noise(BATCH, n_components), BATCH, seed=0)
    trainer = build(settings, callbacks=[BestWeights(None), History(), *callbacks])
    trainer.fit(made(name, component, n_components), data)


def a_step(run: Callable[[int], None], clock: Callable[[], float] = time.process_time) -> float:
    """Return the milliseconds of a step: what three epochs take longer than one."""
    taken = []
    for epochs in (1, 4):
        began = clock()
        run(epochs)
        taken.append(clock() - began)
    return (taken[1] - taken[0]) / (3 * STEPS) * 1e3


def stacked(models: Sequence[Forecaster]) -> nn.Module:
    """Return the networks of several models as one, which computes each as it computes itself."""
    network = copy.deepcopy(models[0].network)
    states = [model.network.state_dict() for model in models]
    for name, weight in network.named_parameters():
        weight.data = torch.cat([state[name] for state in states])
    return network


class Loop:
    """A network and its optimiser without Lightning."""

    def __init__(self, model: Forecaster, network: nn.Module) -> None:
        self.network, self.optimizer = network, model.make_optimizer(network.parameters())

    def step(self, past: Tensor, target: Tensor) -> None:
        """Take a step: inputs ``(K, B, L, F)``, targets ``(K, B, H)``."""
        self.optimizer.zero_grad()
        (self.network(past) - target).square().mean(dim=(1, 2)).sum().backward()
        self.optimizer.step()


def seeds(name: str, component: str, n_components: int) -> tuple[list[float], bool]:
    """Return the milliseconds of a step alone and, a network, stacked; and whether all end with the same bits."""
    models = [made(name, component, n_components, seed) for seed in range(SEEDS)]
    allocation = models[0].component
    width = allocation.n_networks(n_components)
    apart, together = [Loop(model, model.network) for model in models], Loop(models[0], stacked(models))
    taken = [0.0, 0.0]
    for n_windows in [BATCH] * STEPS + [BATCH - 11]:  # the last batch of an epoch is smaller
        given = [(torch.randn(n_windows, LOOKBACK, n_components), torch.randn(width, n_windows, 1)) for _ in models]
        seen = [(allocation.inputs(past), target) for past, target in given]
        whole = [torch.cat(parts) for parts in zip(*seen, strict=True)]
        began = time.process_time()
        for loop, own in zip(apart, seen, strict=True):
            loop.step(*own)
        halfway = time.process_time()
        together.step(*whole)
        taken = [taken[0] + halfway - began, taken[1] + time.process_time() - halfway]
    weights = together.network.state_dict()
    same = all(
        torch.equal(weight, weights[key][number * width : (number + 1) * width])
        for number, loop in enumerate(apart)
        for key, weight in loop.network.state_dict().items()
    )
    return [1e3 * seconds / (SEEDS * (STEPS + 1)) for seconds in taken], same


def fit_peer(epochs: int, accelerator: str = "cpu") -> None:
    """Train neuralforecast's LSTM 2x128 for as many steps of as many windows, with a linear read-out."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MSE
    from neuralforecast.models import LSTM

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": accelerator}
    model = LSTM(
        h=1,
        input_size=LOOKBACK,
        encoder_n_layers=2,
        encoder_hidden_size=128,
        decoder_layers=1,
        loss=MSE(),
        max_steps=epochs * STEPS,
        batch_size=1,
        windows_batch_size=BATCH,
        scaler_type="identity",
        enable_checkpointing=False,
        **quiet,
    )
    walk = np.random.default_rng(0).standard_normal(STEPS * BATCH).cumsum()
    frame = pd.DataFrame({"unique_id": "s", "ds": pd.date_range("2000-01-01", periods=len(walk)), "y": walk})
    NeuralForecast([model], freq="D").fit(frame)


def main() -> None:
    """Measure every network and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="times each way is measured")
    parser.add_argument(
        "--networks", nargs="+", default=sorted({row[0] for row in NETWORKS}), help="which of conf/model"
    )
    parser.add_argument("--peer", action="store_true", help="measure neuralforecast, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # hints on workers
    print("| network | stepwise | at once | alone | stacked | same bits |\n|:--|--:|--:|--:|--:|:--|")
    for row in (row for row in NETWORKS if row[0] in given.networks):
        fit(*row, 1, [])  # warms up
        rounds, same = [], True
        for _ in range(given.rounds):
            ways = [a_step(partial(_fit_row, row, more)) for more in ([Stepwise()], [])]
            loops, equal = seeds(*row)
            rounds.append([*ways, *loops])
            same &= equal
        times = " | ".join(f"{ms:.2f}" for ms in np.median(rounds, axis=0))
        print(f"| {row[0]}, {row[2]} components, {row[1]} | {times} | {'yes' if same else 'no'} |", flush=True)
    if given.peer:
        fit_peer(1)
        ours, theirs = partial(_fit_row, ("lstm", "joint", 1), []), fit_peer
        pairs = np.array([[a_step(ours), a_step(theirs)] for _ in range(given.rounds)])
        (own, peer), ratio = np.median(pairs, axis=0), np.median(pairs[:, 0] / pairs[:, 1])
        print(f"\nLSTM 2x128: ours {own:.1f} ms, neuralforecast {peer:.1f} ms, ratio {ratio:.2f}")


def _fit_row(row: tuple[str, str, int], more: Sequence[pl.Callback], epochs: int) -> None:
    fit(*row, epochs, more)


if __name__ == "__main__":
    main()
