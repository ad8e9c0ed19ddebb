"""Does channel k mean the same thing tomorrow?  ``python -m benchmarks.stability``.

Every window of 512 closes of the S&P 500 is decomposed on its own, as an honest forecast must.
Neighbouring windows share all but one point, so what a decomposition says about the shared
points should hardly change.  It does, and this measures how much, what the alignment of modes
makes of it, and what a linear forecast from the components is worth.

Prints the tables of docs/stability.md and draws its picture.

Shapes
------
n window, M mode (raw), C component, L lookback
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from arch.data import sp500
from matplotlib import pyplot as plt
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import Ridge

from data.contracts import TEST, TRAIN, VALIDATION, Decomposition, FloatArray, IntArray, Windows
from data.decomposition.alignment import align_modes, mean_period
from data.decomposition.batch import tails, watched
from data.decomposition.ceemdan import ceemdan
from data.decomposition.emd import emd
from data.decomposition.iceemdan import iceemdan
from data.decomposition.identity import Identity
from data.decomposition.modwt import MODWT
from data.decomposition.moving_average import MovingAverage
from data.decomposition.mvmd import MVMD
from data.decomposition.ssa import SSA
from data.decomposition.stationary_wavelet_packet import StationaryWaveletPacket
from data.decomposition.stl import MSTL, STL
from data.decomposition.vmd import VMD
from data.decomposition.wavelet_packet import WaveletPacket
from data.scaling import LastValue
from data.sources.sp500 import SP500
from data.splits import ByTime
from data.windows import cut, select

HISTORY = 512  # [steps] of a window
LOOKBACK = 30  # [steps] a model sees
N_COMPONENTS = 10  # of the EMD family
FEW = 5  # of them, the slow ones merged into the last
ALPHAS = np.logspace(0, 6, 13)  # [squared scaled units] penalties tried on the validation windows
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "stability.png"

ADAPTIVE: dict[str, Callable[[FloatArray], FloatArray]] = {"emd": emd, "ceemdan": ceemdan, "iceemdan": iceemdan}
FIXED: dict[str, Decomposition] = {
    "vmd": VMD(),
    "ssa": SSA(),
    "stl": STL(),
    "mstl": MSTL(),
    "wavelet_packet": WaveletPacket(),
    "modwt": MODWT(),
    "stationary_wavelet_packet": StationaryWaveletPacket(),
    "moving_average": MovingAverage(),
    "identity": Identity(),
}
JOINT: dict[str, Decomposition] = {"mvmd, with the range": MVMD()}
"""Handed the closes together with the log of each day's range."""


class Measured(NamedTuple):
    """What is known of one decomposition."""

    name: str
    tails: FloatArray
    """``(n, C, L)``."""
    periods: FloatArray
    """``(n, C)`` mean period in the whole window [steps]; ``nan`` where the channel is empty."""
    n_modes: IntArray
    """``(n,)`` raw modes before they were given to channels."""
    seconds: float
    """CPU time of all threads [s]."""


class Given:
    """A scope whose components are known already."""

    causal = True
    history = HISTORY

    def __init__(self, components: FloatArray) -> None:
        self.components = components

    def at(self, decomposition: Decomposition, series: FloatArray, keep: int, ends: IntArray) -> FloatArray:
        """Return what is known of some ends."""
        return self.components[ends - series.size + len(self.components)]


def measure(windows: list[FloatArray], joint: list[FloatArray]) -> Iterator[Measured]:
    """Decompose all windows in every way, ``joint`` ones ``(time, 2)`` together with what stands beside them."""
    for name, decompose in ADAPTIVE.items():
        start = time.process_time()
        raw = list(watched(map(decompose, windows), len(windows)))  # n of (M + 1, time)
        seconds = time.process_time() - start
        n_modes = np.array([len(modes) - 1 for modes in raw])
        for align in ("index", "period"):
            aligned = [align_modes(modes, N_COMPONENTS, align) for modes in raw]  # n of (C, time)
            yield Measured(f"{name}, {align}", *_summarised(aligned), n_modes, seconds)
            few = [align_modes(modes, FEW, align) for modes in raw]
            yield Measured(f"{name}, {align}, {FEW} channels", *_summarised(few), n_modes, seconds)
    for name, decomposition in (FIXED | JOINT).items():
        start = time.process_time()
        found = tails(decomposition, joint if name in JOINT else windows, HISTORY)  # (n, C, time)
        seconds = time.process_time() - start
        n_modes = np.full(len(windows), decomposition.n_components)
        yield Measured(name, *_summarised(found), n_modes, seconds)


def _summarised(wholes: Sequence[FloatArray] | FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the tails ``(n, C, L)`` and mean periods ``(n, C)`` of n components ``(C, time)``."""
    periods = [[mean_period(row) if row.any() else np.nan for row in whole] for whole in wholes]
    return np.array([whole[:, -LOOKBACK:] for whole in wholes]), np.array(periods)


def revisions(components: FloatArray) -> FloatArray:
    """Return ``(n - 1,)``: how far all channels together move, as a share of the close's swing.

    The root of the summed squares of all channels' moves on the shared points, over the standard
    deviation of the close there: comparable however many channels the series is split into.
    """
    before, after = components[:-1, :, 1:], components[1:, :, :-1]  # (n - 1, C, L - 1)
    moved = np.square(after - before).mean(axis=2).sum(axis=1)
    shares: FloatArray = np.sqrt(moved / before.sum(axis=1).var(axis=1))
    return shares


def changes(components: FloatArray) -> FloatArray:
    """Return ``(n - 1, C)``: how far a channel's shared points move, as a share of their own swing.

    0 is what has been said stays said; 1 is a difference as large as the channel itself.
    """
    before, after = components[:-1, :, 1:], components[1:, :, :-1]  # (n - 1, C, L - 1)
    moved = np.sqrt(np.square(after - before).mean(axis=2))
    swing = np.sqrt((before.var(axis=2) + after.var(axis=2)) / 2)
    return np.where(swing > 0, moved / np.where(swing > 0, swing, 1.0), np.nan)


def correlations(components: FloatArray) -> FloatArray:
    """Return ``(n - 1, C)``: correlation of a channel's shared points in neighbouring windows."""
    before, after = components[:-1, :, 1:], components[1:, :, :-1]
    before = before - before.mean(axis=2, keepdims=True)
    after = after - after.mean(axis=2, keepdims=True)
    power = np.sqrt(np.square(before).sum(axis=2) * np.square(after).sum(axis=2))
    return np.where(power > 0, (before * after).sum(axis=2) / np.where(power > 0, power, 1.0), np.nan)


def octaves(periods: FloatArray) -> FloatArray:
    """Return ``(C,)``: how far the middle 80 % of a channel's mean periods reach [octaves]."""
    spread: FloatArray = np.log2(_quantile(periods, 0.9) / _quantile(periods, 0.1))
    return spread


def forecast_errors(measured: Measured) -> tuple[float, float]:
    """Return the test MAE of two ridge regressions, as a share of persistence's.

    One forecasts every component from its own lookback and adds up, as the papers do; the other
    forecasts the next close from the lookbacks of all components at once.
    """
    panel = SP500().load()
    windows = cut(panel, Identity(), Given(measured.tails), LOOKBACK, horizon=1, first=HISTORY - 1)
    (fold,) = ByTime(validation=0.1, test=0.2).folds(panel, 1)
    train, validation, test = (select(windows, fold, role) for role in (TRAIN, VALIDATION, TEST))
    scaling = LastValue().fit(train)

    def apart(alpha: float, judged: Windows) -> float:
        seen, asked = scaling.transform(train), scaling.transform(judged)
        forecast = np.stack(
            [
                Ridge(alpha).fit(seen.past[:, :, c], seen.target[:, 0, c]).predict(asked.past[:, :, c])
                for c in range(windows.past.shape[2])
            ],
            axis=1,
        )  # (n, C)
        return _relative(scaling.restore_components(forecast[:, None, :], judged), judged)

    def together(alpha: float, judged: Windows) -> float:
        seen, asked = scaling.transform(train), scaling.transform(judged)
        model = Ridge(alpha).fit(seen.past.reshape(len(seen.past), -1), seen.target[:, 0, -1])
        forecast = model.predict(asked.past.reshape(len(asked.past), -1))  # (n,)
        return _relative(scaling.restore_total(forecast[:, None], judged), judged)

    def tuned(error: Callable[[float, Windows], float]) -> float:
        return error(min(ALPHAS, key=lambda alpha: error(alpha, validation)), test)

    return tuned(apart), tuned(together)


def _relative(forecast: FloatArray, windows: Windows) -> float:
    last = windows.past[:, -1, :].sum(axis=1)[:, None]
    return float(np.abs(forecast - windows.y).mean() / np.abs(last - windows.y).mean())


def print_tables(results: list[Measured]) -> None:
    """Print what docs/stability.md shows."""
    heads = ["median revision", "revision on the worst 10 % of days", "channels off", "period spread [octaves]"]
    heads += ["empty channels", "ridge apart", "ridge together", "CPU [s]"]
    print("| decomposition | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 1) + "|")
    for one in results:
        correlation, (median, worst) = correlations(one.tails), np.quantile(revisions(one.tails), [0.5, 0.9])
        apart, together = forecast_errors(one)
        print(
            f"| {one.name} | {median:.3f} | {worst:.3f} "
            f"| {np.nanmean(np.where(np.isnan(correlation), np.nan, correlation < 0.9)):.1%} "
            f"| {np.nanmean(octaves(one.periods)):.2f} | {np.isnan(one.periods).mean():.1%} "
            f"| {apart:.4f} | {together:.4f} | {one.seconds:.1f} |"
        )
    print("\nMedian change of every channel, fast first\n")
    print("| decomposition | " + " | ".join(str(k + 1) for k in range(N_COMPONENTS)) + " |")
    print("|---" * (N_COMPONENTS + 1) + "|")
    for one in results:
        cells = ["-" if np.isnan(x) else f"{x:.2f}" for x in _quantile(changes(one.tails), 0.5)]
        print(f"| {one.name} | " + " | ".join(cells + [""] * (N_COMPONENTS - len(cells))) + " |")
    print("\nDays on which the number of raw modes changes\n")
    print("| decomposition | days | modes | median revision on those days | on the others |")
    print("|---|---|---|---|---|")
    for one in results:
        turned = np.diff(one.n_modes) != 0
        if turned.any():
            revision = revisions(one.tails)
            print(
                f"| {one.name} | {turned.sum()} of {turned.size} | {one.n_modes.min()}-{one.n_modes.max()} "
                f"| {np.median(revision[turned]):.3f} | {np.median(revision[~turned]):.3f} |"
            )


def _quantile(values: FloatArray, q: float) -> FloatArray:
    """Return a quantile of every channel ``(C,)``, nan for one that is always empty."""
    filled = ~np.isnan(values).all(axis=0)
    found = np.full(values.shape[1], np.nan)
    found[filled] = np.nanquantile(values[:, filled], q, axis=0)
    return found


def draw(results: list[Measured], path: Path) -> None:
    """Draw change and period of every channel."""
    mpl.use("Agg")
    shown = [one for one in results if one.name not in ("identity", *JOINT) and not one.name.endswith("channels")]
    figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    colours = dict(zip([*ADAPTIVE, *FIXED], plt.cm.tab20.colors, strict=False))  # type: ignore[attr-defined]
    for one in shown:
        name = one.name.split(",")[0]
        style = "--" if one.name.endswith("index") else "-"
        channel = 1 + np.arange(one.tails.shape[1])
        change = _quantile(changes(one.tails), 0.5)
        axes[0].plot(channel, change, style, marker=".", color=colours[name], label=one.name)
        low, middle, high = (_quantile(one.periods, q) for q in (0.1, 0.5, 0.9))
        axes[1].plot(channel, middle, style, marker=".", color=colours[name])
        axes[1].fill_between(channel, low, high, color=colours[name], alpha=0.06 if style == "--" else 0.12)
    axes[0].set_yscale("symlog", linthresh=0.1)
    axes[0].set(xlabel="channel, fast first", ylabel="median change of the shared points [share of own swing]")
    axes[0].set_title("What yesterday's window said and today's takes back")
    axes[1].set(xlabel="channel, fast first", ylabel="mean period [trading days]", yscale="log")
    axes[1].set_title("Median and middle 80 % of the channel's period")
    figure.legend(fontsize=8, loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--picture", type=Path, default=PICTURE, help="file to draw to")
    picture = parser.parse_args().picture
    ((_, closes),) = SP500().load().series()
    windows = list(sliding_window_view(closes, HISTORY))
    frame = sp500.load()
    beside = np.column_stack([closes, np.log(frame["High"] / frame["Low"])])  # (time, 2)
    joint = [beside[end - HISTORY : end] for end in range(HISTORY, len(beside) + 1)]
    print(f"{len(windows)} windows of {HISTORY} closes of the S&P 500; the last {LOOKBACK} points of each.\n")
    results = list(measure(windows, joint))
    print_tables(results)
    draw(results, picture)


if __name__ == "__main__":
    main()
