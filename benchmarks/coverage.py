"""Do intervals hold what they promise?  ``python -m benchmarks.coverage``.

Persistence and a ridge regression of the next move on the last 30 closes are trained on the first
70 % of days; intervals are calibrated on the next 10 % and judged on the last 20 %.  The S&P 500
ships with a dependency; CSI 300 and CSI 500 are read from ``$MODECAST_DATA/index`` where it is set,
and so are the years after each test set, in which no setting was chosen, and the cells of
``$MODECAST_DATA/hnei``, whose remaining life extra trees forecast from rolling statistics of the
sensors: each cell once in the test, the next few cells in turn for calibration.

Prints the tables of docs/intervals.md and draws its picture.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from sklearn.ensemble import ExtraTreesRegressor

from data.contracts import TEST, TRAIN, VALIDATION, Panel, Windows
from data.decomposition.identity import Identity
from data.scaling import LastValue
from data.sources.csi import CSI
from data.sources.csv import CSV
from data.sources.sp500 import SP500
from data.splits import ByTime
from data.windows import RollingWindow, cut, select
from evaluation.intervals.adaptive import Adaptive
from evaluation.intervals.bounds import Intervals
from evaluation.intervals.by_cell import ByCell
from evaluation.intervals.scores import interval_scores, years
from evaluation.intervals.split import SplitConformal
from evaluation.rows import PERSISTENCE, thirds
from models.allocation import Joint
from models.classical import Ridge
from models.model import Inputs

LOOKBACK = 30  # [days] the regression sees
HISTORY = 512  # [days] before the first forecast, as in the default experiment
LEVELS = [80, 95]  # [%]
OF_CELLS = [50, 80]  # [%] that 14 cells can support
STATISTICS = ["mean", "std", "max", "min"]  # of the last 15 cycles
SHORT = 60  # [days] a year needs to be called the worst
PAPER_END = "2024-07-01"  # last day of the papers' series
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "intervals.png"
KINDS: dict[str, Intervals] = {
    "split": SplitConformal(LEVELS),
    "adaptive": Adaptive(LEVELS, window=500, gamma=0.005, halflife=10),
}


class Judged(NamedTuple):
    """Forecasts of one data set."""

    name: str
    forecasts: pd.DataFrame
    calibration: pd.DataFrame


def indices() -> Iterator[Judged]:
    """Forecast the indices that are there."""
    folder = os.environ.get("MODECAST_DATA")
    if folder:
        for code in ("csi300", "csi500"):
            yield forecast(CSI(code, PAPER_END, str(Path(folder) / "index" / f"{code}_close.csv")).load())
    yield forecast(SP500().load())


def later(folder: Path) -> Iterator[Judged]:
    """Forecast what came after those test sets with all days before as training and calibration."""
    for code, end in (("csi300", PAPER_END), ("csi500", PAPER_END), ("sp500", "2018-12-31")):
        name = f"{code.upper()} after {end[:4]}"
        panel = CSV(str(folder / "index" / f"{code}_close.csv"), name=name, unit="index points").load()
        share = float((panel.frame["ds"] > end).mean())
        yield forecast(panel, validation=0.1, test=share)


def forecast(panel: Panel, validation: float = 0.1, test: float = 0.2) -> Judged:
    """Train on the first days and forecast the others."""
    windows = cut(panel, Identity(), RollingWindow(HISTORY), LOOKBACK, horizon=1)
    (fold,) = ByTime(validation, test).folds(panel, horizon=1)
    train = select(windows, fold, TRAIN)
    scaling = LastValue().fit(train)
    ridge = Ridge("Ridge", Joint(), alpha=1e-3, n_components=1, lookback=LOOKBACK, horizon=1)

    def inputs(chosen: Windows) -> Inputs:
        return Inputs(chosen, scaling.transform(chosen), pd.DataFrame(), scaling)

    ridge.fit(inputs(train), inputs(select(windows, fold, VALIDATION)))

    def table(chosen: Windows) -> pd.DataFrame:
        scaled = ridge.predict(inputs(chosen))  # (1, n, 1)
        guesses = {PERSISTENCE: chosen.past[:, -1, 0], "Ridge": scaling.restore_total(scaled[0], chosen)[:, 0]}
        dates = panel.frame["ds"].to_numpy()
        parts = [
            pd.DataFrame(
                {
                    "unique_id": panel.name,
                    "ds": dates[chosen.origin + 1],
                    "origin": dates[chosen.origin],
                    "step": 1,
                    "model": model,
                    "y": chosen.y[:, 0],
                    "y_hat": guess,
                }
            )
            for model, guess in guesses.items()
        ]
        return pd.concat(parts, ignore_index=True)

    return Judged(panel.name, table(select(windows, fold, TEST)), table(select(windows, fold, VALIDATION)))


def cells(folder: Path, n_calibration: int) -> Judged:
    """Forecast the remaining life of each HNEI cell by what was learnt from the others."""
    table = pd.read_csv(folder / "hnei" / "hnei_14cells_features_with_cell_id.csv")
    sensors = table.drop(columns=["cell", "Cycle_Index", "RUL"])
    sensors = sensors.clip(sensors.quantile(0.005), sensors.quantile(0.995), axis=1)
    rolling = sensors.groupby(table["cell"]).rolling(15, min_periods=1)
    parts = [getattr(rolling, name)().droplevel(0).sort_index().add_suffix(f" {name}") for name in STATISTICS]
    inputs = pd.concat([sensors, *parts], axis=1).fillna(0.0)
    names = sorted(table["cell"].unique())
    tested: list[pd.DataFrame] = []
    held_out: list[pd.DataFrame] = []
    for place, name in enumerate(names):
        others = [names[(place + k) % len(names)] for k in range(1, n_calibration + 1)]
        train = ~table["cell"].isin([name, *others])
        trees = ExtraTreesRegressor(60, min_samples_leaf=3, max_features=0.4, random_state=0)
        trees.fit(inputs[train], table.loc[train, "RUL"])
        for rows, kept in (([name], tested), (others, held_out)):
            chosen = table["cell"].isin(rows)
            cycle = table.loc[chosen, "Cycle_Index"].astype(int)
            kept.append(
                pd.DataFrame(
                    {
                        "unique_id": table.loc[chosen, "cell"],
                        "ds": cycle,
                        "origin": cycle,
                        "step": 0,
                        "fold": name,
                        "model": "Extra trees",
                        "y": table.loc[chosen, "RUL"],
                        "y_hat": trees.predict(inputs[chosen]),
                    }
                )
            )
    return Judged("HNEI", pd.concat(tested, ignore_index=True), pd.concat(held_out, ignore_index=True))


def print_cells(folder: Path) -> None:
    """Print what few or more calibration cells and stages are worth."""
    print("| calibration cells | stages | level | coverage | worst cell | early, middle, late | width | Winkler |")
    print("|--:|--:|--:|--:|--:|:--|--:|--:|")
    for n_calibration in (1, 2, 4, 6):
        judged = cells(folder, n_calibration)
        ends = judged.forecasts["ds"] + judged.forecasts["y"]
        lives = {str(cell): float(end) for cell, end in ends.groupby(judged.forecasts["unique_id"]).max().items()}
        for stages in (1, 3, 5):
            table = ByCell(OF_CELLS, stages).apply(judged.forecasts, judged.calibration)
            by_cell = pd.concat([interval_scores(part).assign(cell=cell) for cell, part in table.groupby("unique_id")])
            by_stage = interval_scores(table, thirds(table, lives))
            for row in interval_scores(table).query("n > 0").itertuples():
                worst = by_cell.loc[by_cell["level"] == row.level, "coverage"].min()
                of_stages = by_stage.loc[by_stage["level"] == row.level].set_index("part")["coverage"]
                shares = ", ".join(f"{of_stages[stage]:.0%}" for stage in ("early", "middle", "late"))
                print(
                    f"| {n_calibration} | {stages} | {row.level} % | {row.coverage:.1%} | {worst:.0%} | {shares} "
                    f"| {row.width:.0f} | {row.winkler:.0f} |"
                )


def print_overall(sets: list[Judged]) -> None:
    """Print coverage, width and scores of the whole test sets, and the worst and best years."""
    print("| data | model | intervals | level | coverage | years | width | Winkler | CRPS |")
    print("|:--|:--|:--|--:|--:|--:|--:|--:|--:|")
    for judged, (kind, intervals) in itertools.product(sets, KINDS.items()):
        table = intervals.apply(judged.forecasts, judged.calibration)
        by_year = interval_scores(table, years(table)).query("n >= @SHORT")
        for row in interval_scores(table).itertuples():
            own = by_year.loc[(by_year["model"] == row.model) & (by_year["level"] == row.level), "coverage"]
            print(
                f"| {judged.name} | {row.model} | {kind} | {row.level} % | {row.coverage:.1%} "
                f"| {own.min():.1%} - {own.max():.1%} | {row.width:.1f} | {row.winkler:.1f} | {row.crps:.2f} |"
            )


def print_years(sets: list[Judged]) -> None:
    """Print what each year of the test sets was like, for persistence."""
    print("| data | year | days | 80 %: split | adaptive | 95 %: split | adaptive | 95 % width: split | adaptive |")
    print("|:--|:--|--:|--:|--:|--:|--:|--:|--:|")
    for judged in sets:
        naive = judged.forecasts[judged.forecasts["model"] == PERSISTENCE]
        by_kind = {
            kind: interval_scores(intervals.apply(naive, judged.calibration), years(naive)).set_index(["part", "level"])
            for kind, intervals in KINDS.items()
        }
        split, adaptive = by_kind["split"], by_kind["adaptive"]
        for year in split.index.get_level_values("part").unique():
            cells = [f"{kind.loc[(year, level), 'coverage']:.1%}" for level in LEVELS for kind in (split, adaptive)]
            cells += [f"{kind.loc[(year, 95), 'width']:.1f}" for kind in (split, adaptive)]
            print(f"| {judged.name} | {year} | {split.loc[(year, 95), 'n']:.0f} | " + " | ".join(cells) + " |")


def print_settings(sets: list[Judged]) -> None:
    """Print the neighbourhood of the default settings: means over data sets and models."""
    print("| halflife | window | gamma | largest miss, 80 % | 95 % | Winkler against split, 80 % | 95 % |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    fixed = _mean_scores(sets, lambda: KINDS["split"])
    grid = itertools.product((5, 10, 20, 40, 1e9), (250, 500, 1000), (0.0, 0.005, 0.02))
    for halflife, window, gamma in grid:
        found = _mean_scores(sets, lambda h=halflife, w=window, g=gamma: Adaptive(LEVELS, w, g, h))  # type: ignore[misc]
        cells = [
            f"{(found['coverage'] - found.index.get_level_values('level') / 100).abs()[:, :, level].max():.1%}"
            for level in LEVELS
        ]
        cells += [f"{(found['winkler'] / fixed['winkler'])[:, :, level].mean():.3f}" for level in LEVELS]
        name = f"{halflife:g}" if halflife < 1e9 else "all errors alike"
        print(f"| {name} | {window} | {gamma} | " + " | ".join(cells) + " |")


def _mean_scores(sets: list[Judged], make: Callable[[], Intervals]) -> pd.DataFrame:
    parts = [
        interval_scores(make().apply(judged.forecasts, judged.calibration)).assign(data=judged.name) for judged in sets
    ]
    return pd.concat(parts).set_index(["data", "model", "level"]).sort_index()


def draw(judged: Judged, spans: dict[str, tuple[str, str]]) -> Figure:
    """Draw persistence with both kinds of 95 % intervals in calm and wild times."""
    naive = judged.forecasts[judged.forecasts["model"] == PERSISTENCE]
    tables = {kind: intervals.apply(naive, judged.calibration) for kind, intervals in KINDS.items()}
    figure = Figure(figsize=(9, 7.4), layout="constrained")
    top, *below = figure.subplots(3, 1, height_ratios=[0.8, 1, 1])
    for kind, colour in (("split", "#D55E00"), ("adaptive", "#0072B2")):
        width = tables[kind]["hi_95"] - tables[kind]["lo_95"]
        top.plot(naive["ds"], width, color=colour, lw=1.2)
        top.annotate(
            kind, (naive["ds"].iloc[-1], width.iloc[-1]), (6, 0), textcoords="offset points", color=colour, va="center"
        )
    top.set_title(f"{judged.name}, one day ahead: width of the 95 % interval [index points]", loc="left", fontsize=10)
    top.set_ylim(bottom=0)
    for axes, (title, (start, stop)) in zip(below, spans.items(), strict=True):
        rows = {kind: table[table["ds"].between(start, stop)] for kind, table in tables.items()}
        adaptive, split = rows["adaptive"], rows["split"]
        axes.fill_between(
            adaptive["ds"],
            adaptive["lo_95"],
            adaptive["hi_95"],
            color="#0072B2",
            alpha=0.22,
            lw=0,
            label="adaptive, 95 %",
        )
        axes.fill_between(
            adaptive["ds"],
            adaptive["lo_80"],
            adaptive["hi_80"],
            color="#0072B2",
            alpha=0.28,
            lw=0,
            label="adaptive, 80 %",
        )
        for side in ("lo_95", "hi_95"):
            axes.plot(
                split["ds"],
                split[side],
                color="#D55E00",
                lw=1,
                ls=(0, (4, 1.5)),
                label="split, 95 %" if side == "lo_95" else None,
            )
        axes.plot(adaptive["ds"], adaptive["y"], color="#1A1A1A", lw=0, marker="o", ms=2.6, label="truth")
        out = (adaptive["y"] < adaptive["lo_95"]) | (adaptive["y"] > adaptive["hi_95"])
        axes.plot(
            adaptive.loc[out, "ds"],
            adaptive.loc[out, "y"],
            color="#B3001B",
            lw=0,
            marker="o",
            ms=5,
            mfc="none",
            label="outside adaptive, 95 %",
        )
        held = {
            kind: ((table["lo_95"] <= table["y"]) & (table["y"] <= table["hi_95"])).mean()
            for kind, table in rows.items()
        }
        axes.set_title(
            f"{title}: adaptive holds {held['adaptive']:.0%}, split {held['split']:.0%}", loc="left", fontsize=10
        )
    below[0].legend(ncols=5, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.1))
    for axes in (top, *below):
        locator = AutoDateLocator(minticks=3, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", action="store_true", help="also try other settings of the adaptive intervals")
    arguments = parser.parse_args()
    sets = list(indices())
    print_overall(sets)
    print()
    print_years(sets)
    folder = os.environ.get("MODECAST_DATA")
    if folder:
        print("\nAfter those test sets:\n")
        print_overall(list(later(Path(folder))))
        print("\nRemaining life of held-out HNEI cells [cycles]:\n")
        print_cells(Path(folder))
    if arguments.settings:
        print()
        print_settings(sets)
    start = time.perf_counter()
    KINDS["adaptive"].apply(sets[-1].forecasts, sets[-1].calibration)
    rows = len(sets[-1].forecasts) + len(sets[-1].calibration)
    print(f"\nadaptive: {1e6 * (time.perf_counter() - start) / rows:.0f} us a row")
    calm_and_wild = {
        "calm, spring to autumn 2017": ("2017-03-01", "2017-10-31"),
        "wild, summer 2015 to spring 2016": ("2015-07-15", "2016-03-15"),
    }
    draw(sets[-1], calm_and_wild).savefig(PICTURE, dpi=150, metadata={"Software": None})
    print(f"Drawn: {PICTURE.name}")


if __name__ == "__main__":
    main()
