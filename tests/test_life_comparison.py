"""Many runs on remaining life in one table, with the clock and what paper 2 published."""

import io
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from evaluation.life_metrics import CLOCK, CLOCK_WINS, judge, seed_scores
from report.comparison import to_csv
from report.life_comparison import (
    OF_SEEDS,
    PUBLISHED,
    PUBLISHED_LEAK,
    LifeComparison,
    compare,
    print_comparison,
    to_markdown,
)
from report.life_table import LifeMetrics
from tests.test_life_metrics import outcomes, several

MODEL = "BiLSTM-Hybrid"


@cache
def a_run(
    error: float = 2.0,
    seed: int = 0,
    seeds: int = 1,
    leaks: bool = False,
    augmentation: str = "identity",
    trees: float = 3.0,
    model: str = MODEL,
    dataset: str = "hnei",
) -> LifeMetrics:
    """A run whose model errs by so much, moved by its seed, and a baseline no seed moves."""
    lives, table = several(10, model=error + 0.01 * seed)
    table = table.replace({"model": {"net": model}})
    baseline = table[table["model"] == CLOCK].assign(model="Extra trees", y_hat=lambda rows: rows["y"] + trees)
    table = pd.concat([table, baseline], ignore_index=True)
    leaking = {model: "rows of one cell are on both sides."} if leaks else {}
    judgement = judge(table, lives, 1133, leaking)
    by_seed = seed_scores(outcomes(lives, table[table["model"] != "Extra trees"], seeds), lives, 1133)
    return LifeMetrics(
        "ablation",
        dataset,
        "HNEI",
        1133.0,
        {cell: float(life) for cell, life in lives.items()},
        seed,
        list(range(seeds)),
        model,
        judgement.scores,
        judgement.cells,
        judgement.stages,
        judgement.notes,
        leaking,
        {"augmentation": augmentation, "model": model.lower()},
        {"mae": 1.0},
        by_seed,
    )


def only(*runs: LifeMetrics) -> LifeComparison:
    (comparison,) = compare(runs)
    return comparison


def rows_of(*runs: LifeMetrics) -> pd.DataFrame:
    return only(*runs).rows.set_index("model")


def test_the_published_numbers_are_those_of_the_paper_with_their_units() -> None:
    table = pd.read_csv(PUBLISHED).set_index(["dataset", "model"])
    assert list(table.reset_index().columns) == ["dataset", "model", "mae", "rmse", "r2", "mse", "unit"]
    assert list(table.loc[("hnei", MODEL)]) == [0.0211, 0.032, 0.99, 0.0111, "[0, 1]"]
    assert list(table.loc[("hnei", "BiLSTM")]) == [0.0221, 0.033, 0.98, 0.0012, "[0, 1]"]
    assert list(table.loc[("calce", MODEL)]) == [0.008, 0.0179, 0.98, 0.0003, "[0, 1]"]
    assert list(table.loc[("calce", "BiLSTM")]) == [0.0189, 0.024, 0.97, 0.0006, "[0, 1]"]
    assert table.loc[("hnei", "Transformer"), "unit"] == "cycles"
    assert set(table.loc["calce"].query("unit == 'not stated'")["mae"].isna()) == {True}


def test_ours_stand_beside_the_published_in_the_same_unit_with_the_clock_first() -> None:
    rows = rows_of(a_run())
    assert list(rows.index) == [
        CLOCK,
        "BiLSTM",
        MODEL,
        "GPR+CNN-LSTM",
        "Tr-AttentionLSTM",
        "Transformer",
        "DNN",
        "Extra trees",
    ]
    ours = rows.loc[MODEL]
    assert ours["mae_scaled_published"] == 0.0211
    assert ours["mse_scaled_published"] == 0.0111
    assert np.isnan(ours["mae_published"])
    assert rows.loc["DNN", "mae_published"] == 0.997
    assert np.isnan(rows.loc["DNN", "mae_scaled_published"])
    assert ours["mse_scaled"] == pytest.approx(ours["rmse_scaled"] ** 2)
    assert dict(rows["verdict"])["BiLSTM"] == "not run"
    assert dict(rows["verdict"])[CLOCK] == "to beat"
    assert dict(rows["verdict"])[MODEL] == "better"


def test_what_is_strange_about_the_published_numbers_is_said() -> None:
    notes = only(a_run()).notes
    assert PUBLISHED_LEAK in notes
    assert any("0.0111, is not the square of its RMSE, 0.0010" in note for note in notes)
    assert not any("MSE of BiLSTM," in note for note in notes)
    assert any("beside 0.5173 to 0.9970 cycles of others; in cycles its own is 23.9" in note for note in notes)
    calce = only(a_run(dataset="calce")).notes
    assert any("RMSEs the paper quotes without a unit" in note and "MsDCNN-Informer 0.0037" in note for note in calce)


def test_a_data_set_nothing_was_published_of_has_our_rows_only() -> None:
    comparison = only(a_run(dataset="synthetic"))
    assert list(comparison.rows["model"]) == [CLOCK, MODEL, "Extra trees"]
    assert not comparison.published
    assert not any("published" in note for note in comparison.notes)
    assert "(paper)" not in to_markdown([comparison])


def test_runs_are_seeds_of_one_row_and_what_no_seed_moves_counts_once() -> None:
    runs = [a_run(seed=seed) for seed in range(3)]
    rows = rows_of(*runs)
    errors = [run.scores.set_index("model").loc[MODEL, "mae"] for run in runs]
    assert (rows.loc[MODEL, "seeds"], rows.loc["Extra trees", "seeds"], rows.loc[CLOCK, "seeds"]) == (3, 1, 1)
    assert rows.loc[MODEL, "mae"] == pytest.approx(np.mean(errors))
    assert rows.loc[MODEL, "mae_std"] == pytest.approx(np.std(errors, ddof=1))
    assert rows.loc[MODEL, "verdict"] == "better"


def test_seeds_within_a_run_are_averaged_and_it_is_said_what_the_verdict_is_of() -> None:
    run = a_run(seeds=3)
    comparison = only(run)
    ours = comparison.rows.set_index("model").loc[MODEL]
    assert ours["seeds"] == 3
    assert ours["mae"] == pytest.approx(run.seed_scores["mae"].mean())
    assert ours["mae_std"] == pytest.approx(run.seed_scores["mae"].std(ddof=1))
    assert OF_SEEDS in comparison.notes
    assert OF_SEEDS not in only(a_run()).notes


def test_an_ablation_has_a_row_a_choice_and_one_of_what_the_choice_leaves_alone() -> None:
    rows = rows_of(
        a_run(),
        a_run(seed=1),
        a_run(error=2.5, augmentation="wgan_gp"),
        a_run(error=2.5, seed=1, augmentation="wgan_gp"),
    )
    names = [name for name in rows.index if name.startswith(MODEL)]
    assert names == [f"{MODEL}, augmentation identity", f"{MODEL}, augmentation wgan_gp"]
    assert list(rows.loc[names, "seeds"]) == [2, 2]
    assert list(rows.loc[names, "mae_scaled_published"]) == [0.0211, 0.0211]
    assert list(rows.index).count("Extra trees") == 1
    moved = rows_of(a_run(), a_run(augmentation="jitter", trees=3.5))
    assert "Extra trees, augmentation jitter" in moved.index


def test_runs_that_differ_by_their_model_need_no_variant() -> None:
    rows = rows_of(a_run(), a_run(model="BiLSTM", error=3.0))
    assert {MODEL, "BiLSTM"} <= set(rows.index)
    assert rows.loc["BiLSTM", "mae_scaled_published"] == 0.0221


def test_runs_of_one_seed_that_differ_are_remarked_upon() -> None:
    comparison = only(a_run(), a_run(error=2.5))
    assert comparison.rows.set_index("model").loc[MODEL, "seeds"] == 1
    assert any(note.startswith(f"{MODEL} has 2 runs with seed 0 and MAE") for note in comparison.notes)
    assert not any("2 runs" in note for note in only(a_run(), a_run()).notes)


def test_runs_on_other_rows_or_scales_are_remarked_upon() -> None:
    run = a_run()
    notes = only(run, replace(run, scores=run.scores.assign(n=10), scale=900.0)).notes
    assert any("not judged on the same test rows (10 to 645" in note for note in notes)
    assert any("scale errors by 900 to 1133 cycles" in note for note in notes)


def test_verdicts_are_corrected_over_the_whole_table() -> None:
    run = a_run()
    barely = run.scores.assign(p_clock=np.where(run.scores["model"] == MODEL, 0.03, np.nan), p_corrected=0.03)
    alone = replace(run, scores=barely)
    assert rows_of(alone).loc[MODEL, "verdict"] == "better"
    other = replace(alone, model="BiLSTM", scores=barely.replace({"model": {MODEL: "BiLSTM"}}))
    rows = rows_of(alone, other)
    assert (rows.loc[MODEL, "verdict"], rows.loc["BiLSTM", "verdict"]) == ("no better", "no better")


def test_why_the_clock_wins_is_said_of_the_table_and_not_of_one_run() -> None:
    loses, wins = a_run(), a_run(error=9.0, trees=9.0, model="MLP")
    assert any(note.startswith(CLOCK_WINS) for note in wins.notes)
    assert any(note.startswith(CLOCK_WINS) for note in only(wins).notes)
    assert not any(note.startswith(CLOCK_WINS) for note in only(loses, wins).notes)


def test_a_leaking_row_is_red_in_the_console_and_not_among_the_honest() -> None:
    comparison = only(a_run(leaks=True))
    assert comparison.rows.set_index("model").loc[MODEL, "verdict"] == "uses the future"
    assert "1 of 1 rows that do not use the future is significantly better than the clock." in comparison.notes
    console = Console(width=150, record=True, force_terminal=True, file=io.StringIO())
    print_comparison(console, comparison)
    ours = next(line for line in console.export_text(styles=True).splitlines() if MODEL in line)
    assert "\x1b[31m" in ours


def test_experiments_and_data_sets_have_tables_of_their_own() -> None:
    runs = [a_run(dataset="calce"), a_run(), replace(a_run(), experiment="hnei_paper")]
    assert [(c.dataset, c.experiment) for c in compare(runs)] == [
        ("calce", "ablation"),
        ("hnei", "ablation"),
        ("hnei", "hnei_paper"),
    ]
    markdown = to_markdown(compare(runs))
    assert markdown.count("## ") == 3
    assert "MAE/1133 (paper)" in markdown
    table = to_csv(compare(runs)).splitlines()
    assert table[0].startswith("dataset,experiment,model,seeds,leaks,verdict,runs,better,mae,mae_std,mae_published")


@pytest.mark.parametrize("width", [80, 150])
def test_a_comparison_fits_the_console(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    print_comparison(console, only(a_run(seeds=3)))
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= width
    assert ("A wider console shows" in text) == (width == 80)
    assert "…" not in text
