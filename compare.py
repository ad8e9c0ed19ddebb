"""Set finished runs side by side.

``python compare.py outputs/csi300_paper/sweep-... [more folders] [--out FOLDER] [--png]``
``python compare.py outputs/csi300_paper/sweep-... --filter "lookback>=20" --sort seconds --group model --best``
``python compare.py bill experiment=csi300 [model=ridge ...]`` runs one model under every way to decompose
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what the tables are made with takes seconds to import
    from rich.console import Console

    from report.comparison import Comparison
    from report.leaderboard.board import Board
    from report.run_folder import RunFolder

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
    parser = _parser()
    options = parser.parse_args(given)
    paths, faults = found(options.folders)
    if paths:
        from report.comparison import compare, print_comparison
        from runtime.quiet import PlainConsole

        runs = readable(paths, faults)
        console, comparisons = PlainConsole(), compare(runs)
        for comparison in comparisons:
            print_comparison(console, comparison)
            console.print()
        boards = print_boards(console, runs, options, faults)
        out = options.out or next(folder for folder in options.folders if folder.is_dir())
        try:
            written = write(out, comparisons, boards, options.png) if comparisons else []
            console.print(f"Written to {out}: {', '.join(written)}", highlight=False, soft_wrap=True, markup=False)
        except OSError as error:
            faults.append(f"Nothing can be written to {out} ({error.strerror}).  Name a folder with --out.")
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULT if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Set finished runs side by side, with the naive forecast and the published numbers, and below them "
        "a leaderboard: a row a setting, a column a setting that varies, chosen by validation.",
        epilog="compare.py bill experiment=... runs one model under every way to decompose: what leakage is worth.",
    )
    parser.add_argument("folders", nargs="+", type=Path, help="searched for runs, with all their subfolders")
    parser.add_argument("--out", type=Path, help="of compare.md, .csv and .html; else the first folder")
    parser.add_argument("--png", action="store_true", help="draw compare-1.png and so on, one a table")
    board = parser.add_argument_group("leaderboard")
    board.add_argument("--filter", action="append", default=[], metavar="lookback>=20", help="rows to keep; repeatable")
    board.add_argument("--sort", default="validation", metavar="COLUMN", help="validation (default), seconds, lookback")
    board.add_argument("--group", metavar="SETTING", help="best and mean validation error of each value of a setting")
    board.add_argument("--best", action="store_true", help="print the command that repeats the best by validation")
    board.add_argument("--csv", type=Path, metavar="FILE", help="write the leaderboard as CSV, unrounded")
    board.add_argument("--latex", type=Path, metavar="FILE", help="write the leaderboard as LaTeX (booktabs)")
    return parser


def print_boards(
    console: "Console", runs: "Sequence[RunFolder]", options: argparse.Namespace, faults: list[str]
) -> "list[Board]":
    """Print the leaderboards of the runs, as far as they have several settings, and answer what is asked of them."""
    from report.leaderboard.board import TEST, VALIDATION, QuestionError, boards, filtered, ordered
    from report.leaderboard.shown import MOST, board_csv, board_latex, board_table, print_best, print_groups
    from report.table import print_notes, print_rows
    from runtime.files import write_text

    asked = bool(options.filter or options.group or options.best or options.csv or options.latex)
    shown = []
    for board in boards(runs):
        if len(board.table) < 2 and not asked:
            continue
        try:
            board = ordered(filtered(board, options.filter), options.sort)
            print_rows(console, board_table(board, MOST))
            print_notes(console, board.notes)
            if options.group:
                print_groups(console, board, options.group)
        except QuestionError as error:
            faults.append(str(error))
            continue
        if options.sort.partition("_")[0] == TEST:
            print_notes(
                console, [f"Sorted by test errors: to choose by them fits the test rows; use --sort {VALIDATION}."]
            )
        if options.best:
            print_best(console, board)
        shown.append(board)
    for path, content in ((options.csv, board_csv), (options.latex, board_latex)):
        if path is not None and shown:
            write_text(path, content(shown))
    return shown


def found(folders: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the folder of every run below the folders, once and in the order of their paths, and faults."""
    faults = []
    paths: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            faults.append(f"There is no folder {folder}.")
            continue
        below = sorted(path.parent for path in folder.rglob("metrics.json"))
        if not below:
            faults.append(f"There is no finished run (no metrics.json) in {folder}.")
        paths |= {path.resolve(): path for path in below}
    return list(paths.values()), faults


def readable(paths: Sequence[Path], faults: list[str]) -> "list[RunFolder]":
    """Return the runs that can be read; what cannot is added to the faults."""
    from report.run_folder import RunFolder
    from runtime.faults import FolderError

    runs = []
    for path in paths:
        run = RunFolder(path)
        try:
            run.metrics, run.settings  # noqa: B018 - read now, so that a broken file is named
            runs.append(run)
        except FolderError as error:
            faults.append(str(error))
    return runs


def write(out: Path, comparisons: "Sequence[Comparison]", boards: "Sequence[Board]", png: bool) -> list[str]:
    """Write tables, page and, if asked for, pictures, each whole or not at all, and return the names of the files."""
    from report.comparison import to_csv, to_markdown
    from report.comparison_page import comparison_figure, write_comparison_page
    from runtime.files import write_text

    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "compare.md", to_markdown(comparisons))
    write_text(out / "compare.csv", to_csv(comparisons))
    written = ["compare.md", "compare.csv", write_comparison_page(out, comparisons, boards).name]
    if png:
        from report.figures.png import save, sheet

        for number, comparison in enumerate(comparisons, start=1):
            figure, name = comparison_figure(comparison), f"compare-{number}.png"
            title = f"{comparison.title} ({comparison.experiment})"
            save(sheet(figure, title, figure.caption if comparison.rows["leaks"].any() else ""), out / name)
            written.append(name)
    return written


def print_bill(overrides: Sequence[str]) -> int:
    """Run one model under every way to decompose and print what each leak was worth; finished runs are not repeated."""
    from report.bill import as_table, bill, to_markdown
    from report.run_folder import RunFolder
    from report.table import print_rows
    from runtime.files import write_text
    from runtime.quiet import console as wide_console

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
        runs[way] = RunFolder(folder).metrics
    rows, first = bill(runs), next(iter(runs.values()))
    title = f"The leakage bill of {first.title}: one model, {len(runs)} ways to decompose, errors in {first.unit}"
    table = as_table(rows, first, title)
    print_rows(console, table)
    write_text(out / "bill.md", to_markdown(table))
    write_text(out / "bill.csv", rows.to_csv(index=False, lineterminator="\n"))
    console.print(f"Written to {out / 'bill.md'} and .csv", highlight=False, soft_wrap=True, markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
