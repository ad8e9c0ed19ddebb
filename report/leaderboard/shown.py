"""A leaderboard as a table, a section of a page, CSV and LaTeX."""

import numpy as np
import pandas as pd
from rich.console import Console

from report.figures.drawing import Figure
from report.figures.sweep.leaderboard import coordinates, cost
from report.leaderboard.board import SECONDS, TEST, VALIDATION, Board, best, grouped, importance
from report.parts import Section
from report.results import command
from report.sections.reproduce import BY_HAND
from report.table import IN_SET, Cell, Column, Row, Table, plain_table, print_notes, print_rows
from report.text import MISSING, four, literal

MOST = 40  # rows of a table that is printed, lines of a figure
LATEX = str.maketrans({letter: f"\\{letter}" for letter in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\~{}"})


def board_table(board: Board, most: int | None = None) -> Table:
    """Return the settings that vary, errors with their spread over seeds, and what they cost."""
    rows = board.table if most is None else board.table.head(most)
    columns = [Column(name, numeric=False) for name in board.settings]
    columns += [
        Column("validation", hint=f"MAE on validation rows [{board.unit}]: what is chosen by"),
        Column("test", hint=f"MAE on test rows [{board.unit}]; ● cannot be told from the best of the sweep"),
        Column("seeds"),
        Column("seconds", hint="of the fits of a run"),
    ]
    honest = board.rows()[VALIDATION]
    body = []
    for _, row in rows.iterrows():
        cells = [Cell(_said(row[name])) for name in board.settings]
        cells.append(
            _error(row, VALIDATION, bool(len(honest)) and row[VALIDATION] == honest.min() and not row["leaks"])
        )
        mark = f" {IN_SET}" if row["in_set"] else ""
        cells.append(_error(row, TEST, False, mark))
        cells += [Cell(str(int(row["seeds"])), value=float(row["seeds"])), Cell(four(row[SECONDS]), value=row[SECONDS])]
        body.append(Row(cells, "leaks" if row["leaks"] else ""))
    more = f", the first {len(rows)} of {len(board.table)}" if len(rows) < len(board.table) else ""
    caption = f"{board.title}: {len(board.table)} settings, MAE in {board.unit}, best on validation rows first{more}"
    return Table(caption, columns, body)


def board_section(number: int, board: Board) -> Section:
    """Return the part of a page on one leaderboard."""
    table = board.table.head(MOST)
    labels = [", ".join(f"{name} {row[name]}" for name in board.settings) for _, row in table.iterrows()]
    drawings = [cost(table, labels, VALIDATION, board.unit)]
    if board.settings and np.isfinite(table[VALIDATION]).any():
        drawings.insert(0, coordinates(table, board.settings, VALIDATION, board.unit))
    shares = importance(board)
    tables = [board_table(board)]
    if shares:
        columns = [Column("setting", numeric=False), Column("share %")]
        rows = [Row([Cell(name), Cell(f"{100 * share:.0f}", value=share)]) for name, share in shares.items()]
        tables.append(
            Table("Share of the variance of validation errors each setting explains by itself", columns, rows)
        )
    return Section(
        f"leaderboard-{number}",
        "Leaderboard",
        f"{board.title}: {len(board.table)} settings, chosen by validation",
        tables=tables,
        figures=[Figure("leaderboard", drawings, "Settings, errors and cost of a sweep", "", "shown")],
        notes=[*board.notes, "Settings are chosen by validation; a choice by test errors is fitted to the test rows."],
        tables_first=True,
    )


def print_groups(console: Console, board: Board, by: str) -> None:
    """Print the best and the mean validation error of each value of a setting."""
    titles = {by: by, "best": "best", "mean": "mean", "settings": "settings"}
    caption = f"{board.title}: validation MAE in {board.unit} by {by}"
    print_rows(console, plain_table(caption, grouped(board, by), titles))


def print_best(console: Console, board: Board) -> None:
    """Print the command that repeats the run that is best on validation rows, whatever the rows are sorted by."""
    run = best(board)
    if run is None:
        print_notes(console, ["No row has a validation error to choose by and is free of the future."])
        return
    told = f"Best by validation, MAE {four(run.metrics.validation['mae'])} {board.unit}: {run.path}"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    by_hand = "\n".join(BY_HAND).replace("config.yaml", str(run.path / "config.yaml"), 1)
    console.print(command(run.settings) or by_hand, highlight=False, markup=False, soft_wrap=True)


def board_csv(boards: list[Board]) -> str:
    """Return all rows, unrounded, as CSV."""
    tables = [board.table.assign(data=board.title, unit=board.unit) for board in boards]
    return pd.concat(tables, ignore_index=True).to_csv(index=False, lineterminator="\n")


def board_latex(boards: list[Board]) -> str:
    """Return a LaTeX table of each leaderboard (booktabs)."""
    parts = []
    for board in boards:
        table = board_table(board)
        kinds = "".join("r" if column.numeric else "l" for column in table.columns)
        lines = [f"% {literal(table.caption)}", f"\\begin{{tabular}}{{{kinds}}}", "\\toprule"]
        lines.append(" & ".join(_latex(column.title) for column in table.columns) + r" \\")
        lines.append("\\midrule")
        lines += [" & ".join(_latex_cell(cell) for cell in row.cells) + r" \\" for row in table.rows]
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def _error(row: "pd.Series", name: str, best: bool, mark: str = "") -> Cell:
    value, spread = row[name], row[f"{name}_std"]
    text = four(value) if np.isfinite(value) else MISSING
    beside = f"± {four(spread)}" if np.isfinite(spread) else ""
    return Cell(text + mark, beside, float(value) if np.isfinite(value) else None, best)


def _said(value: object) -> str:
    return MISSING if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _latex(text: str) -> str:
    return literal(text).translate(LATEX)


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.whole).replace("±", r"$\pm$").replace(IN_SET, r"$\bullet$").replace(MISSING, "--")
    return f"\\textbf{{{text}}}" if cell.best else text
