"""Measure the decompositions beside PyEMD, emd, vmdpy and PyWavelets, and what their choices cost.

    pip install -e ".[bench]"                           # the peers
    python -m benchmarks.decomposition                  # every table and plot of docs/decomposition.md
    python -m benchmarks.decomposition one windows      # or some of: one windows others growth edges noise plot

Engines are timed side by side, in turns, in CPU time on one thread; a table holds the best of the
turns.  Series: the closes of CSI 300 where MODECAST_DATA points to them, else of the S&P 500.
"""

import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from hydra.utils import instantiate
from matplotlib import pyplot as plt
from numpy.lib.stride_tricks import sliding_window_view
from omegaconf import OmegaConf

from data.contracts import FloatArray
from data.decomposition import batch
from data.decomposition._ensemble import thread_count
from data.decomposition._noise import SHELF, white_noise
from data.decomposition.ceemdan import Ceemdan, ceemdan
from data.decomposition.iceemdan import iceemdan
from data.decomposition.modwt import MODWT
from data.decomposition.vmd import VMD

mpl.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


def closes() -> tuple[str, FloatArray]:
    """Return a name and 4734 daily closes."""
    folder = os.environ.get("MODECAST_DATA")
    if folder:
        file = Path(folder) / "index" / "csi300_close.csv"
        return "CSI 300", np.loadtxt(file, delimiter=",", skiprows=1, usecols=1)[:4734]
    return "S&P 500", sp500()[:4734]


def sp500() -> FloatArray:
    from arch.data import sp500 as source

    return source.load()["Adj Close"].to_numpy(dtype=np.float64)


def machine() -> str:
    """Return the name of the processor, how many there are, and how many threads an ensemble uses."""
    names = [line.split(":")[1] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    name = names[0].strip() if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, {thread_count(None)} threads where it says 'all'"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def cpu(task: Callable[[], object]) -> float:
    start = time.thread_time()
    task()
    return time.thread_time() - start


def wall(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def table(head: str, rows: list[list[object]]) -> None:
    cells = head.split("|")
    print("\n|" + "|".join(cells) + "|\n|" + "---|" * len(cells))
    for row in rows:
        texts = [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row]
        print("| " + " | ".join(texts) + " |", flush=True)


def pyemd(epsilon: float, trials: int = 100) -> Callable[[FloatArray], FloatArray]:
    from PyEMD import CEEMDAN

    def decompose(series: FloatArray) -> FloatArray:
        engine = CEEMDAN(trials=trials, epsilon=epsilon, parallel=False)
        engine.generate_noise = lambda scale, size: scale * white_noise(trials, series.size, 0)
        return engine(series)

    return decompose


def cold(series: FloatArray, epsilon: float = 0.005, trials: int = 100, threads: int | None = None) -> FloatArray:
    SHELF.clear()
    return ceemdan(series, trials=trials, epsilon=epsilon, threads=threads)


def one() -> None:
    """One CEEMDAN of 100 trials."""
    name, series = closes()
    ceemdan(series[:100])
    rows: list[list[object]] = []
    for size in (947, 4734):
        for epsilon in (0.005, 0.2):
            x = series[:size]
            best: dict[str, float] = {}
            for _ in range(3 if size < 2000 else 2):
                for engine, task in _engines(x, epsilon):
                    best[engine] = min(best.get(engine, np.inf), cpu(task))
            threads = {"cold": np.inf, "warm": np.inf}
            for _ in range(5):
                threads["cold"] = min(threads["cold"], wall(partial(cold, x, epsilon)))
                threads["warm"] = min(threads["warm"], wall(partial(ceemdan, x, epsilon=epsilon)))
            p = best["PyEMD"]
            rows.append(
                [
                    size,
                    epsilon,
                    p,
                    best["emd"],
                    best["cold"],
                    best["warm"],
                    p / best["cold"],
                    p / best["warm"],
                    best["emd"] / best["cold"],
                    p / threads["cold"],
                    p / threads["warm"],
                    best["ICEEMDAN warm"],
                ]
            )
    print(f"\nOne CEEMDAN, 100 trials, {name}; CPU seconds on one thread, ratios; 'all' is wall time on every core")
    ratios = "PyEMD/cold|PyEMD/warm|emd/cold|PyEMD/cold, all|PyEMD/warm, all"
    table(f"points|epsilon|PyEMD|emd|cold|warm|{ratios}|ICEEMDAN warm", rows)


def _engines(x: FloatArray, epsilon: float) -> list[tuple[str, Callable[[], object]]]:
    import emd

    def emd_package() -> object:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'where' used without 'out'", UserWarning)
            return emd.sift.complete_ensemble_sift(x, nensembles=100, ensemble_noise=epsilon, nprocesses=1)

    return [
        ("PyEMD", lambda: pyemd(epsilon)(x)),
        ("emd", emd_package),
        *[("cold", lambda: cold(x, epsilon=epsilon, threads=1))] * 3,
        *[("warm", lambda: ceemdan(x, epsilon=epsilon, threads=1))] * 3,
        *[("ICEEMDAN warm", lambda: iceemdan(x, epsilon=epsilon, threads=1))] * 3,
    ]


def windows() -> None:
    """All rolling and expanding windows."""
    name, series = closes()
    rolling = list(sliding_window_view(series, 512))
    some = rolling[-947:]
    expanding = [series[:end] for end in range(series.size - 946, series.size + 1)]
    sample = [cpu(partial(pyemd(0.005), some[k])) for k in (0, 473, 946)]
    pyemd_rolling = float(np.mean(sample)) * 947
    rows: list[list[object]] = []
    for label, threads, chosen in (
        ("947 rolling, one thread", 1, some),
        ("947 rolling, every core", None, some),
        (f"all {len(rolling)} rolling, every core", None, rolling),
        ("947 expanding, every core", None, expanding),
    ):
        start = time.process_time()
        elapsed = wall(partial(Ceemdan(threads=threads).tails, chosen, 30))
        spent = time.process_time() - start
        reference = pyemd_rolling if chosen is some else ""
        rows.append([label, reference, spent, pyemd_rolling / spent if chosen is some else "", elapsed])
    print(f"\nWindows of {name}, CEEMDAN, 100 trials, rolling ones of 512 points; PyEMD extrapolated from 3")
    table("windows|PyEMD CPU [s]|ours CPU [s]|ratio|ours wall [s]", rows)


def others() -> None:
    """The decompositions that are not of the EMD family beside the packages people use for them."""
    import pywt
    import vmdpy

    name, series = closes()
    rows: list[list[object]] = []
    for size in (512, 4736):
        x = np.resize(series, size)

        def swt(wavelet: str, x: FloatArray = x) -> object:
            return pywt.swt(x, wavelet, level=6)

        for label, peer, ours in (
            ("VMD, 8 modes, 499 iterations", lambda x=x: vmdpy.VMD(x, 2000, 0, 8, 0, 1, 0.0), _vmd()),
            ("MODWT haar, 6 octaves; swt", partial(swt, "haar"), MODWT("haar", 6)),
            ("MODWT db4, 6 octaves; swt", partial(swt, "db4"), MODWT("db4", 6)),
        ):
            slow = "VMD" in label
            times = {"peer": np.inf, "ours": np.inf}
            for _ in range(2 if slow else 300):
                times["peer"] = min(times["peer"], wall(peer))
                times["ours"] = min(times["ours"], wall(partial(ours, x)))
            rows.append([label, size, 1e3 * times["peer"], 1e3 * times["ours"], times["peer"] / times["ours"]])
    print(f"\nBeside vmdpy and PyWavelets, {name}; milliseconds, one call in turn with the other, best of the turns")
    table("decomposition|points|peer [ms]|ours [ms]|peer/ours", rows)
    some = list(sliding_window_view(series, 512))[-40:]
    cost: list[list[object]] = []
    for choice in sorted(path.stem for path in (ROOT / "conf" / "decomposition").glob("*.yaml")):
        if choice == "ceemdan_pyemd":
            continue
        decomposition = instantiate(OmegaConf.load(ROOT / "conf" / "decomposition" / f"{choice}.yaml"))
        decomposition(some[0])
        spent = []
        for _ in range(3):
            start = time.process_time()
            batch.tails(decomposition, some, 30)
            spent.append(time.process_time() - start)
        cost.append([choice, 1e3 * min(spent) / len(some)])
    print("\nA window of 512 points with the settings of conf/decomposition, CPU milliseconds of all threads, warm")
    table("decomposition|a window [ms]", cost)


def _vmd() -> VMD:
    return VMD(modes=8, bandwidth=2000.0, tolerance=0.0, iterations=499)


def growth() -> None:
    """Cost against length and number of trials."""
    random = np.random.default_rng(0)
    walk = 1000 + random.standard_normal(65536).cumsum()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    lengths = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
    seconds = [min(cpu(partial(cold, walk[:n], trials=20, threads=1)) for _ in range(3)) for n in lengths]
    exponent = float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])
    left.loglog(lengths, seconds, "o-")
    left.set(xlabel="length [steps]", ylabel="CPU [s], 20 trials", title=f"cost ~ length^{exponent:.2f}")
    trials = [5, 10, 20, 50, 100, 200, 400]
    cost = [min(cpu(partial(cold, walk[:2048], trials=t, threads=1)) for _ in range(3)) for t in trials]
    slope = float(np.polyfit(np.log(trials), np.log(cost), 1)[0])
    right.loglog(trials, cost, "o-")
    right.set(xlabel="trials", ylabel="CPU [s], 2048 steps", title=f"cost ~ trials^{slope:.2f}")
    figure.tight_layout()
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / "decomposition-cost.png", dpi=110)
    print("\nCost of a random walk, CPU seconds on one thread, cold")
    table("length|seconds, 20 trials", [[n, s] for n, s in zip(lengths, seconds, strict=True)])
    table("trials|seconds, 2048 steps", [[t, s] for t, s in zip(trials, cost, strict=True)])
    print(f"\nexponents: length {exponent:.2f}, trials {slope:.2f}")


def edges() -> None:
    """What a boundary loses at the last 30 points, against the components known 200 points later."""
    name, series = closes()
    ends = range(512, series.size - 200, 15)
    spread = np.array([series[end - 512 : end].std() for end in ends])[:, None, None]
    rows: list[list[object]] = []
    for kind in ("emd", "ceemdan", "iceemdan"):
        late = {}
        for boundary in ("mirror", "slope", "ar"):
            settings = OmegaConf.load(ROOT / "conf" / "decomposition" / f"{kind}.yaml")
            decomposition = instantiate(OmegaConf.merge(settings, {"boundary": boundary, "n_components": 10}))
            early = batch.tails(decomposition, [series[end - 512 : end] for end in ends], 30)
            late[boundary] = batch.tails(decomposition, [series[end - 512 : end + 200] for end in ends], 230)[:, :, :30]
            error = (early - late[boundary]) / spread  # (n, C, 30)
            neutral = (early - late["mirror"]) / spread
            rows.append(
                [
                    kind,
                    boundary,
                    float(np.sqrt((error**2).sum(axis=1).mean())),
                    float(np.sqrt((neutral**2).sum(axis=1).mean())),
                    float(np.sqrt((error[:, :, -1] ** 2).sum(axis=1).mean())),
                    *np.sqrt((error**2).mean(axis=(0, 2)))[[0, 1, 2, 3, 4, 5, -1]].tolist(),
                ]
            )
    print(f"\nBoundaries on {len(ends)} windows of 512 closes of {name}; RMS error [std of the window]")
    head = "decomposition|boundary|last 30 points|the same against mirror|last point"
    table(head + "|channel 0|1|2|3|4|5|remainder", rows)


def noise() -> None:
    """How much of the noise stays in the result, and how much of two tones is mixed up."""
    steps = np.arange(2000)
    slow = np.sin(2 * np.pi * steps / 180)
    fast = np.where((steps > 700) & (steps < 1300), np.sin(2 * np.pi * steps / 25), 0.0)  # comes and goes
    name, series = closes()
    rows: list[list[object]] = []
    for function in (ceemdan, iceemdan):
        for epsilon in (0.005, 0.05, 0.2):
            lost = _separation(function(fast + slow, epsilon=epsilon), fast)
            pair = [function(series, epsilon=epsilon, seed=seed) for seed in (0, 1)]
            rows_kept = min(len(pair[0]), len(pair[1])) - 1
            differ = np.sqrt(sum(np.var(pair[0][k] - pair[1][k]) for k in range(rows_kept))) / series.std()
            seconds = min(cpu(partial(function, series, epsilon=epsilon, threads=1)) for _ in range(3))
            modes = f"{len(pair[0]) - 1}, {len(pair[1]) - 1}"
            rows.append([function.__name__, epsilon, lost, modes, float(differ), seconds])
    print(f"\nCEEMDAN and ICEEMDAN: a tone that comes and goes on a slow one; two seeds on {name}")
    table("function|epsilon|tone lost [its size]|modes, two seeds|seeds differ by [std]|warm CPU [s]", rows)


def _separation(modes: FloatArray, fast: FloatArray) -> float:
    """Return the RMS error of the fast tone as the best sum of first modes, relative to its size."""
    sums = np.cumsum(modes, axis=0)
    return float(min(np.sqrt(np.mean((total - fast) ** 2)) for total in sums) / np.sqrt(np.mean(fast**2)))


def plot() -> None:
    """Draw the components of the S&P 500."""
    from arch.data import sp500 as source

    frame = source.load()
    series = frame["Adj Close"].to_numpy(dtype=np.float64)
    modes = ceemdan(series)
    figure, axes = plt.subplots(len(modes) + 1, 1, figsize=(8, 1.05 * (len(modes) + 1)), sharex=True)
    labels = ["close", *(f"mode {k + 1}" for k in range(len(modes) - 1)), "remainder"]
    for axis, row, label in zip(axes, [series, *modes], labels, strict=True):
        axis.plot(frame.index, row, linewidth=0.6)
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.tick_params(labelsize=7)
    figure.suptitle("S&P 500, CEEMDAN, 100 trials", fontsize=10)
    figure.tight_layout()
    IMAGES.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGES / "decomposition-sp500.png", dpi=110)


PARTS = {
    "one": one,
    "windows": windows,
    "others": others,
    "growth": growth,
    "edges": edges,
    "noise": noise,
    "plot": plot,
}

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(PARTS)
    if unknown:
        sys.exit(f"There is no part {', '.join(sorted(unknown))}.  Choose of: {' '.join(PARTS)}.")
    print(machine())
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
