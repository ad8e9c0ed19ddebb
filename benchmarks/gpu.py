"""What a training step costs on a graphics card:  python -m benchmarks.gpu [--peer]

``step``: wall milliseconds of a step as train.py takes it, what three epochs take longer than one.  ``windows/s``
follows from it.  ``kernels``: how many the card is asked to run in a step of the network and its optimiser alone, and
``busy`` the share of that step in which it runs them: the rest is the time of asking, which a wider network or more
networks side by side would fill.  ``--peer`` measures neuralforecast's LSTM 2x128 on the same card, where it is
installed.  Prints the table of docs/training.md, with the name of the card.
"""

import argparse
import logging
import sys
import time
import warnings
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.training import BATCH, LOOKBACK, NETWORKS, Loop, a_step, fit, fit_peer, made

LOOKED_AT = 20  # steps


def settled_clock() -> float:
    """Return the wall time once the card has done what it was asked to [s]."""
    torch.cuda.synchronize()
    return time.perf_counter()


def kernels(name: str, component: str, n_components: int) -> tuple[float, float]:
    """Return how many kernels a step of a plain loop runs, and the share of its time in which any runs."""
    device = torch.device("cuda")
    model = made(name, component, n_components).to(device)
    loop = Loop(model, model.network)
    past = model.component.inputs(torch.randn(BATCH, LOOKBACK, n_components, device=device))
    target = torch.randn(len(past), BATCH, 1, device=device)
    for _ in range(LOOKED_AT):  # warms up
        loop.step(past, target)
    began = settled_clock()
    for _ in range(LOOKED_AT):
        loop.step(past, target)
    seconds = settled_clock() - began
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(LOOKED_AT):
            loop.step(past, target)
        torch.cuda.synchronize()
    ran = [event for event in seen.events() if event.device_type.name == "CUDA"]
    busy = sum(event.self_device_time_total for event in ran) / 1e6  # [s]
    return len(ran) / LOOKED_AT, busy / seconds


def main() -> None:
    """Measure every network and print the table; exit with 2 where there is no card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="store_true", help="measure neuralforecast, too")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            "torch finds no CUDA card here, so nothing was measured; on a machine with one, and a build of torch for "
            "it, run: python -m benchmarks.gpu --peer",
            file=sys.stderr,
        )
        sys.exit(2)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # hints on workers
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batches of {BATCH}\n")
    print("| network | step [ms] | windows/s | kernels | busy |\n|:--|--:|--:|--:|--:|")
    for row in NETWORKS:
        run = partial(_fit_row, row)
        run(1)
        step = a_step(run, settled_clock)
        count, busy = kernels(*row)
        rate = 1e3 * BATCH / step
        print(f"| {row[0]}, {row[2]} components, {row[1]} | {step:.2f} | {rate:.0f} | {count:.0f} | {busy:.0%} |")
    if given.peer:
        fit_peer(1, "gpu")
        peer = a_step(partial(fit_peer, accelerator="gpu"), settled_clock)
        print(f"\nneuralforecast, LSTM 2x128: {peer:.2f} ms a step, {1e3 * BATCH / peer:.0f} windows/s")


def _fit_row(row: tuple[str, str, int], epochs: int) -> None:
    fit(*row, epochs, [], accelerator="gpu")


if __name__ == "__main__":
    main()
