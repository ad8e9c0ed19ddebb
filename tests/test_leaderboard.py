"""The leaderboard: a row a setting, seeds of one setting together, chosen by validation."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import compare as verb
from report.figures.sweep.leaderboard import coordinates
from report.leaderboard.board import Board, QuestionError, best, boards, filtered, grouped, importance, ordered
from report.leaderboard.shown import board_csv, board_latex, board_section, board_table
from report.run_folder import RunFolder
from tests.run_folders import series_metrics, series_table
from tests.test_comparison import a_run, kept, settings

SETTINGS = ((16, 2.0, 0.1), (32, 1.0, 0.3), (64, 3.0, 0.2))
"""Units of the network, validation error, and what moves the test error."""


def sweep_in(folder: Path, seeds: Sequence[int] = (0, 1, 2), **more: Any) -> list[RunFolder]:
    """Three settings with three seeds each; the second is best on validation, the first on test."""
    runs = []
    for hidden, held_out, error in SETTINGS:
        for seed in seeds:
            run = replace(a_run(error=error, seed=seed), validation={"mae": held_out + 0.01 * seed})
            card = settings(seed=seed, hidden=hidden, source={"seed": 0, "n": 800}, **more)
            runs.append(kept(folder / f"{hidden}-{seed}", run, card))
    return runs


def board_of(runs: Sequence[RunFolder]) -> Board:
    (board,) = boards(runs)
    return board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return board_of(sweep_in(tmp_path))


def test_a_row_is_a_setting_and_its_seeds_stand_together(board):
    assert board.settings == ["hidden"]
    assert list(board.table["hidden"]) == [32, 16, 64]  # by validation, not by test
    assert list(board.table["seeds"]) == [3, 3, 3]
    assert board.table["validation"].tolist() == pytest.approx([1.01, 2.01, 3.01])
    assert board.table["validation_std"].tolist() == pytest.approx([0.01] * 3)


def test_two_settings_are_never_averaged_as_seeds_of_one(tmp_path):
    runs = [run for run in sweep_in(tmp_path, seeds=(0, 1)) if run.path.name in ("16-0", "32-1")]
    table = board_of(runs).table
    assert list(table["seeds"]) == [1, 1]
    assert sorted(table["hidden"]) == [16, 32]


def test_a_fixed_seed_that_is_by_chance_that_of_the_run_is_no_setting(tmp_path):
    """source.seed is 0 in all runs, also in those whose seed is 0; the seed of the decomposition follows the run's."""
    assert len(board_of(sweep_in(tmp_path)).table) == 3
    varied = [kept(tmp_path / f"v{s}", a_run(seed=0), settings(seed=0, source={"seed": s})) for s in (0, 1)]
    assert len(board_of(varied).table) == 2


def test_the_best_is_chosen_by_validation_whatever_the_order(board):
    chosen = best(ordered(board, "test"))
    assert chosen is not None
    assert chosen.path.name == "32-0"
    assert ordered(board, "test").table["hidden"].iloc[0] == 16


def test_what_leaks_is_never_the_best(tmp_path):
    runs = sweep_in(tmp_path, seeds=(0,))
    leaking = replace(a_run(error=0.05, leaks=True), validation={"mae": 0.1})
    table = board_of([*runs, kept(tmp_path / "leak", leaking, settings(hidden=8))])
    chosen = best(table)
    assert chosen is not None
    assert chosen.path.name == "32-0"
    assert bool(table.table["leaks"].iloc[-1])


def test_rows_are_filtered_sorted_and_grouped(board):
    assert list(filtered(board, ["hidden>=32"]).table["hidden"]) == [32, 64]
    assert list(filtered(board, ["hidden>=32", "validation<2"]).table["hidden"]) == [32]
    assert list(filtered(board, ["hidden!=16"]).table["hidden"]) == [32, 64]
    assert grouped(board, "hidden")["best"].tolist() == pytest.approx([1.01, 2.01, 3.01])
    for words in (["hiden=3"], ["hidden"]):
        with pytest.raises(QuestionError, match=r"There is no column hiden|cannot be read"):
            filtered(board, words)


def test_importance_is_the_share_of_variance_a_setting_explains(tmp_path):
    runs = []
    for hidden in (1, 2):
        for lookback in (10, 20):
            run = replace(a_run(error=0.1 * hidden), validation={"mae": hidden + 0.1 * (lookback == 20)})
            runs.append(kept(tmp_path / f"{hidden}-{lookback}", run, settings(hidden=hidden, lookback=lookback)))
    shares = importance(board_of(runs))
    assert list(shares) == ["hidden", "lookback"]
    assert shares["hidden"] == pytest.approx(1 / 1.01)
    assert shares["lookback"] == pytest.approx(0.01 / 1.01)


def test_the_confidence_set_is_that_of_the_whole_sweep(tmp_path):
    runs = []
    for hidden, worse in ((8, 0.0), (16, 30.0)):
        table = series_table(others=())
        own = table["model"] == "ICEEMDAN-CNN-LSTM-AM"
        table.loc[own, "y_hat"] += worse
        run = replace(series_metrics(others=()), validation={"mae": 1.0})
        folder = kept(tmp_path / str(hidden), run, settings(hidden=hidden))
        table.to_parquet(folder.path / "forecasts.parquet", index=False)
        runs.append(RunFolder(folder.path))
    table = board_of(runs).table.set_index("hidden")
    assert bool(table.loc[8, "in_set"])
    assert not table.loc[16, "in_set"]


def test_a_leaderboard_is_told_as_table_csv_latex_and_page(board):
    told = board_table(board)
    assert [column.title for column in told.columns] == ["hidden", "validation", "test", "seeds", "seconds"]
    assert told.rows[0].cells[1].best
    assert "hidden,validation" in board_csv([board])
    latex = board_latex([board])
    assert r"\toprule" in latex
    assert r"32 & \textbf{1.010 $\pm$ 0.01000}" in latex
    section = board_section(1, board)
    assert [drawing.name for drawing in section.figures[0].drawings] == ["settings", "cost"]
    assert len(section.figures[0].drawings[0].panels[0].marks) == 3


def test_the_command_prints_the_board_and_warns_of_a_choice_by_test(tmp_path, capsys):
    sweep_in(tmp_path, seeds=(0,))
    words = [
        str(tmp_path),
        "--sort",
        "test",
        "--best",
        "--latex",
        str(tmp_path / "b.tex"),
        "--csv",
        str(tmp_path / "b.csv"),
    ]
    assert verb.main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 settings" in said
    assert "to choose by them fits the test rows" in said
    assert f"Best by validation, MAE 1.000 points: {tmp_path / '32-0'}" in said
    assert (tmp_path / "b.tex").read_text().startswith("% CSI 300")
    assert (tmp_path / "b.csv").read_text().startswith("hidden,")
    assert "Leaderboard" in (tmp_path / "compare.html").read_text()
    assert verb.main([str(tmp_path), "--sort", "nothing"]) == 2
    assert "There is no column nothing" in capsys.readouterr().err


def test_every_axis_of_the_parallel_coordinates_says_what_it_goes_through():
    table = pd.DataFrame(
        {"model": ["ridge", "lstm", "ridge"], "lookback": [10, 60, 30], "x": list("abc"), "validation": [1.5, 2.0, 1.0]}
    )
    table = pd.concat([table, table.assign(x=list("def"))])
    (panel,) = coordinates(table, ["model", "lookback", "x"], "validation", "points").panels
    assert panel.x.labels == ["model: lstm, ridge", "lookback: 10 to 60", "x: a to f", "MAE: 1 to 2 points"]
    assert list(panel.marks[0].y) == [1.0, 0.0, 0.0, 0.5]
