"""Set finished runs side by side.

``python compare.py outputs/csi300_paper/sweep-... [more folders] [--out FOLDER]``
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from evaluation.comparison import Comparison, compare, print_comparison, to_csv, to_markdown
from evaluation.figures import comparison_figure, save
from evaluation.table import Metrics, MetricsError, read_metrics

FAULT = 2                               # exit code if anything given could not be used


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what can be compared, complain of the rest and return the exit code."""
    parser = argparse.ArgumentParser(
        description="Set finished runs side by side, with persistence and the published numbers."
    )
    parser.add_argument("folders", nargs="+", type=Path, help="searched for runs, with all their subfolders")
    parser.add_argument("--out", type=Path, help="of compare.md, .csv and .png; else the first folder")
    given = parser.parse_args(arguments)
    runs, faults = collect(given.folders)
    if runs:
        comparisons = compare(runs)
        console = Console()
        for comparison in comparisons:
            print_comparison(console, comparison)
            console.print()
        out = given.out or next(folder for folder in given.folders if folder.is_dir())
        try:
            console.print(f"Written to {write(out, comparisons)}", highlight=False, soft_wrap=True)
        except OSError as error:
            faults.append(f"Nothing can be written to {out} ({error.strerror}).  Name a folder with --out.")
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULT if faults else 0


def collect(folders: Sequence[Path]) -> tuple[list[Metrics], list[str]]:
    """Return every run below the folders, once and in the order of their paths, and what is wrong."""
    faults = []
    paths: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            faults.append(f"There is no folder {folder}.")
            continue
        found = sorted(folder.rglob("metrics.json"))
        if not found:
            faults.append(f"There is no finished run (no metrics.json) in {folder}.")
        paths |= {path.resolve(): path for path in found}
    runs = []
    for path in paths.values():
        try:
            runs.append(read_metrics(path))
        except MetricsError as error:
            faults.append(str(error))
    return runs, faults


def write(out: Path, comparisons: Sequence[Comparison]) -> str:
    """Write the tables and the figure, and return the names of the files."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.md").write_text(to_markdown(comparisons), encoding="utf-8")
    (out / "compare.csv").write_text(to_csv(comparisons), encoding="utf-8")
    save(comparison_figure(comparisons), out / "compare.png")
    return f"{out / 'compare.md'}, .csv and .png"


if __name__ == "__main__":
    sys.exit(main())
