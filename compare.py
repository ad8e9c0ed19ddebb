"""Set finished runs side by side.

``python compare.py outputs/csi300_paper/sweep-... [more folders] [--out FOLDER]``
``python compare.py bill experiment=csi300 [model=ridge ...]`` runs one model under every way to decompose
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from report import bill, comparison, life_comparison, life_figures
from report.comparison import Comparison
from report.figures import comparison_figure, save
from report.life_comparison import LifeComparison
from report.life_table import JOB, LifeMetrics, job_of
from report.life_table import read_metrics as read_life
from report.page_comparison import write_comparison_page
from report.table import Metrics, MetricsError, read_metrics
from runtime.quiet import console as wide_console

FAULT = 2  # exit code if anything given could not be used
ROOT = Path(__file__).resolve().parent
WAYS = {
    "overall": ["scope=overall", "expected_leaks=[decomposition]"],
    "split once": ["scope=split_once", "expected_leaks=[decomposition]"],
    "expanding": ["scope=expanding"],
    "rolling": ["scope=rolling"],
    "modwt": ["scope=rolling", "decomposition=modwt"],
}
"""Ways to decompose, and what train.py is told for each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what can be compared, complain of the rest and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bill"]:
        return print_bill(given[1:])
    parser = argparse.ArgumentParser(
        description="Set finished runs side by side, with the naive forecast and the published numbers.",
        epilog="compare.py bill experiment=... runs one model under every way to decompose: what leakage is worth.",
    )
    parser.add_argument("folders", nargs="+", type=Path, help="searched for runs, with all their subfolders")
    parser.add_argument("--out", type=Path, help="of compare.md, .csv, .png and .html; else the first folder")
    options = parser.parse_args(given)
    paths, faults = found(options.folders)
    series, life = collect(paths, faults)
    if series or life:
        console = Console()
        told = comparison.compare(series) if series else []
        told_life = life_comparison.compare(life) if life else []
        for one in told:
            comparison.print_comparison(console, one)
            console.print()
        for other in told_life:
            life_comparison.print_comparison(console, other)
            console.print()
        out = options.out or next(folder for folder in options.folders if folder.is_dir())
        try:
            written = write(out, told, told_life)
            console.print(f"Written to {out}: {', '.join(written)}", highlight=False, soft_wrap=True)
        except OSError as error:
            faults.append(f"Nothing can be written to {out} ({error.strerror}).  Name a folder with --out.")
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULT if faults else 0


def found(folders: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the metrics.json of every run below the folders, once and in the order of their paths, and faults."""
    faults = []
    paths: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            faults.append(f"There is no folder {folder}.")
            continue
        below = sorted(folder.rglob("metrics.json"))
        if not below:
            faults.append(f"There is no finished run (no metrics.json) in {folder}.")
        paths |= {path.resolve(): path for path in below}
    return list(paths.values()), faults


def collect(paths: Sequence[Path], faults: list[str]) -> tuple[list[Metrics], list[LifeMetrics]]:
    """Read every run by its job; what cannot be read is added to the faults."""
    series: list[Metrics] = []
    life: list[LifeMetrics] = []
    for path in paths:
        try:
            if job_of(path) == JOB:
                life.append(read_life(path))
            else:
                series.append(read_metrics(path))
        except MetricsError as error:
            faults.append(str(error))
    return series, life


def print_bill(overrides: Sequence[str]) -> int:
    """Run one model under every way to decompose and print what each leak was worth; finished runs are not repeated."""
    console = wide_console()
    name = next((word.split("=", 1)[1] for word in overrides if word.startswith("experiment=")), "sp500")
    rest = "-".join(word.replace("=", "-").replace("/", "-") for word in overrides if "experiment=" not in word)
    out = ROOT / "outputs" / name / f"bill-{rest or 'default'}"
    runs = {}
    for way, choices in WAYS.items():
        folder = out / way.replace(" ", "-")
        console.print(f"{way} ...", style="dim")
        line = [sys.executable, str(ROOT / "train.py"), *overrides, "baselines=naive", *choices]
        done = subprocess.run([*line, f"hydra.run.dir={folder}"], check=False, stdout=subprocess.DEVNULL)
        if done.returncode:
            print(f"The run under {way} did not end; what is finished is kept.", file=sys.stderr)
            return done.returncode
        runs[way] = read_metrics(folder / "metrics.json")
    rows = bill.bill(runs)
    first = next(iter(runs.values()))
    title = f"The leakage bill of {first.title}: one model, {len(runs)} ways to decompose, errors in {first.unit}"
    console.print(bill.as_table(rows, title))
    (out / "bill.md").write_text(bill.to_markdown(rows, title), encoding="utf-8")
    rows.to_csv(out / "bill.csv", index=False)
    console.print(f"Written to {out / 'bill.md'} and .csv")
    return 0


def write(out: Path, series: Sequence[Comparison], life: Sequence[LifeComparison]) -> list[str]:
    """Write tables, figure and page of what there is, and return the names of the files."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    if series:
        (out / "compare.md").write_text(comparison.to_markdown(series), encoding="utf-8")
        (out / "compare.csv").write_text(comparison.to_csv(series), encoding="utf-8")
        save(comparison_figure(series), out / "compare.png")
        written += ["compare.md", "compare.csv", "compare.png"]
    if life:
        (out / "compare_life.md").write_text(life_comparison.to_markdown(life), encoding="utf-8")
        (out / "compare_life.csv").write_text(comparison.to_csv(life), encoding="utf-8")
        save(life_figures.comparison_figure(life), out / "compare_life.png")
        written += ["compare_life.md", "compare_life.csv", "compare_life.png"]
    return [*written, write_comparison_page(out, [*series, *life]).name]


if __name__ == "__main__":
    sys.exit(main())
