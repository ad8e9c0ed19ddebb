"""Compare the two ways through an LSTM of K networks:  python -m benchmarks.recurrence

``together`` takes a step of all networks as one batched product, with a backward pass written by hand; ``one by
one`` gives each network to ``torch.lstm``.  A training step of two layers (forward, backward, fused Adam), both
ways in turn, so a busy machine slows both; CPU milliseconds, medians.  ``models.layers.LSTM`` chooses by what this
prints (``MANY``, ``SMALL``).
"""

import argparse
import time

import numpy as np
import torch

from models.layers import LSTM


def step(lstm: LSTM, optimizer: torch.optim.Optimizer, inputs: torch.Tensor) -> None:
    optimizer.zero_grad()
    lstm(inputs)[:, :, -1].square().mean().backward()
    optimizer.step()


def measured(n_networks: int, hidden: int, given: argparse.Namespace) -> np.ndarray:
    """Return the milliseconds of a step ``(round, way)``, together and one by one."""
    ways = []
    for batched in (True, False):
        torch.manual_seed(0)
        lstm = LSTM(n_networks, given.features, hidden, n_layers=2)
        lstm.batched = batched
        ways.append((lstm, torch.optim.Adam(lstm.parameters(), fused=True)))
    inputs = torch.randn(n_networks, given.batch, given.steps, given.features)
    torch.testing.assert_close(ways[0][0](inputs), ways[1][0](inputs), atol=1e-5, rtol=0)
    milliseconds = []
    for _ in range(given.rounds + 1):
        for lstm, optimizer in ways:
            began = time.process_time()
            for _ in range(3):
                step(lstm, optimizer, inputs)
            milliseconds.append((time.process_time() - began) / 3e-3)
    return np.reshape(milliseconds, (-1, 2))[1:]  # the first round warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="windows of a step")
    parser.add_argument("--steps", type=int, default=30, help="length of a window")
    parser.add_argument("--features", type=int, default=1, help="width of a window")
    parser.add_argument("--networks", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--hidden", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{'hidden':>6} {'networks':>8} {'together [ms]':>14} {'one by one [ms]':>16} {'ratio':>6}")
    for hidden in given.hidden:
        for n_networks in given.networks:
            found = measured(n_networks, hidden, given)
            together, apart = np.median(found, axis=0)
            ratio = np.median(found[:, 0] / found[:, 1])
            print(f"{hidden:>6} {n_networks:>8} {together:>14.1f} {apart:>16.1f} {ratio:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
