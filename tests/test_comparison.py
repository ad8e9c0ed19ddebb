"""Many runs in one table, with the reference and what was published; never two settings in one row."""

import io
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

import compare as verb
from evaluation.judge import REFERENCE_WINS, judge
from evaluation.rows import CLOCK, PERSISTENCE
from report.bill import as_table, bill
from report.comparison import (
    OF_SEEDS,
    PUBLISHED_LEAKS,
    Comparison,
    compare,
    print_comparison,
    published,
    to_csv,
    to_markdown,
)
from report.comparison_page import write_comparison_page
from report.run_folder import Metrics, RunFolder
from tests.run_folders import EVIL, leave, old_forecast, old_rul
from tests.tables import cell_facts, one_step, series_facts, several, trainings

SERIES = 100 + np.cumsum(np.random.default_rng(0).standard_normal(161))
CEEMDAN, HYBRID = "CEEMDAN-CNN-LSTM-AM", "BiLSTM-Hybrid"


@cache
def a_run(
    model: str = CEEMDAN, error: float = 0.1, seed: int = 0, leaks: bool = False, dataset: str = "csi300"
) -> Metrics:
    """A run whose model forecasts the truth with an error, and a baseline no seed changes."""
    noise = np.random.default_rng(seed).standard_normal(160)
    table = one_step(SERIES, {model: SERIES[1:] + error * noise, "Drift": SERIES[:-1] + 0.001})
    leaking = {model: "it knows"} if leaks else {}
    found = judge(table, series_facts(), leaking)
    return Metrics(
        "forecast",
        series_facts().question,
        "csi300_paper",
        dataset,
        "CSI 300",
        "points",
        seed,
        model,
        PERSISTENCE,
        leaks=leaking,
        **found._asdict(),
    )


@cache
def on_cells(
    error: float = 2.0,
    seed: int = 0,
    seeds: int = 1,
    leaks: bool = False,
    augmentation: str = "identity",
    trees: float = 3.0,
    model: str = HYBRID,
    dataset: str = "hnei",
) -> Metrics:
    """A run whose model errs by so much, moved by its seed, and a baseline no seed moves."""
    lives, table = several(10, model=error + 0.01 * seed)
    table = table.replace({"model": {"net": model}})
    baseline = table[table["model"] == CLOCK].assign(model="Extra trees", y_hat=lambda rows: rows["y"] + trees)
    table = pd.concat([table, baseline], ignore_index=True)
    leaking = {model: "rows of one cell are on both sides."} if leaks else {}
    by_seed = trainings(table[table["model"] != "Extra trees"], seeds, CLOCK) if seeds > 1 else None
    found = judge(table, cell_facts(lives), leaking, by_seed)
    return Metrics(
        "rul", cell_facts(lives).question, "ablation", dataset, "HNEI", "cycles", seed, model, CLOCK,
        seeds=list(range(seeds)), leaks=leaking,
        lives={cell: float(life) for cell, life in lives.items()},
        choices={"augmentation": augmentation, "model": model.lower()}, **found._asdict(),
    )  # fmt: skip


def only(*runs: RunFolder | Metrics) -> Comparison:
    (comparison,) = compare(runs)
    return comparison


def rows_of(*runs: RunFolder | Metrics) -> pd.DataFrame:
    return only(*runs).rows.set_index("model")


def mae(run: Metrics, model: str = CEEMDAN) -> float:
    return float(run.scores.set_index("model").loc[model, "mae"])


def kept(folder: Path, run: Metrics, settings: dict[str, Any] | None = None) -> RunFolder:
    """Leave a run with the settings it was made with."""
    leave(folder, run, artifacts=False)
    if settings is None:
        (folder / "config.yaml").unlink()
    else:
        (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return RunFolder(folder)


def settings(seed: int = 0, hidden: int = 32, split: str = "data.splits.ByTime", **more: Any) -> dict[str, Any]:
    """What config.yaml keeps."""
    network = {"_target_": "models.lstm.LSTM", "hidden": hidden}
    model = {"label": CEEMDAN, "network": network, "component": {"_target_": "models.components.Joint"}}
    return {
        "split": {"_target_": split, "test": 0.2},
        "decomposition": {"_target_": "data.decomposition.emd.Emd", "seed": seed},
        "model": model,
        "baselines": {"drift": {"label": "Drift"}},
        "seed": seed,
        "folder": f"outputs/{seed}",
        "names": {"experiment": "csi300_paper", "decomposition": "emd", "model": "lstm"},
    } | more


def test_the_published_numbers_are_those_of_the_papers() -> None:
    first = published("csi300").set_index("model")
    assert list(first.index) == [CEEMDAN, "CNN-LSTM-AM", "CNN-LSTM", "LSTM", "MLP", "SVR"]
    assert list(first.loc[CEEMDAN, ["mae", "rmse", "mape", "r2"]]) == [78.320, 91.081, 1.831, 0.979]
    assert list(published("csi500").set_index("model").loc[CEEMDAN, ["mae", "rmse", "mape", "r2"]]) == [
        90.423,
        118.203,
        1.519,
        0.959,
    ]
    scaled = ["mae_scaled", "rmse_scaled", "r2", "mse_scaled"]
    hnei, calce = (published(name).set_index("model") for name in ("hnei", "calce"))
    assert list(hnei.loc[HYBRID, scaled]) == [0.0211, 0.032, 0.99, 0.0111]
    assert list(hnei.loc["BiLSTM", scaled]) == [0.0221, 0.033, 0.98, 0.0012]
    assert list(calce.loc[HYBRID, scaled]) == [0.008, 0.0179, 0.98, 0.0003]
    assert hnei.loc["Transformer", "mae"] == 0.7937  # in cycles, as others were quoted
    assert "mae" not in calce
    assert calce.loc["RNN", "rmse_without_unit"] == 0.0911
    assert published("sp500").empty


def test_ours_stand_beside_the_published_with_the_reference_first() -> None:
    rows = rows_of(a_run(leaks=True), a_run("LSTM", error=2.0), a_run("EMD-LSTM", error=3.0))
    assert dict(rows["verdict"]) == {
        PERSISTENCE: "to beat",
        CEEMDAN: "uses the future",
        "CNN-LSTM-AM": "not run",
        "CNN-LSTM": "not run",
        "LSTM": "worse",
        "MLP": "not run",
        "SVR": "not run",
        "Drift": "no better",
        "EMD-LSTM": "worse",
    }
    assert list(rows.index)[:2] == [PERSISTENCE, CEEMDAN]
    assert rows.loc["LSTM", "mae_published"] == 158.973
    assert rows.loc["LSTM", "mae"] == mae(a_run("LSTM", error=2.0), "LSTM")


def test_cells_stand_beside_the_published_in_the_same_unit() -> None:
    rows = rows_of(on_cells())
    assert list(rows.index) == [
        CLOCK, "BiLSTM", HYBRID, "GPR+CNN-LSTM", "Tr-AttentionLSTM", "Transformer", "DNN", "Extra trees",
    ]  # fmt: skip
    ours = rows.loc[HYBRID]
    assert (ours["mae_scaled_published"], ours["mse_scaled_published"]) == (0.0211, 0.0111)
    assert np.isnan(ours["mae_published"])
    assert rows.loc["DNN", "mae_published"] == 0.997
    assert np.isnan(rows.loc["DNN", "mae_scaled_published"])
    assert ours["mse_scaled"] == pytest.approx(ours["rmse_scaled"] ** 2)
    assert dict(rows["verdict"])[HYBRID] == "better"


def test_what_is_strange_about_the_published_numbers_is_said() -> None:
    notes = only(on_cells()).notes
    assert PUBLISHED_LEAKS["paper2"] in notes
    assert any("0.0111, is not the square of its RMSE, 0.0010" in note for note in notes)
    assert not any("MSE of BiLSTM," in note for note in notes)
    assert any("BiLSTM-Hybrid is 0.0211 in its own tables and 0.0080 where" in note for note in notes)
    assert any("beside 0.5173 to 0.9970 cycles of others; in cycles its own is 1.4" in note for note in notes)
    calce = only(on_cells(dataset="calce")).notes
    assert any("RMSEs the paper quotes without a unit" in note and "MsDCNN-Informer 0.0037" in note for note in calce)
    leaking = only(a_run(leaks=True)).notes
    assert PUBLISHED_LEAKS["paper1"] in leaking
    assert any("6 of 6 published MAEs are above persistence's" in note for note in leaking)


@pytest.mark.parametrize("run", [a_run(dataset="sp500"), on_cells(dataset="other")], ids=["forecast", "rul"])
def test_a_data_set_nothing_was_published_of_has_our_rows_only(run: Metrics) -> None:
    comparison = only(run)
    assert set(comparison.rows["model"]) == set(run.scores["model"])
    assert not comparison.source
    assert not any("published" in note for note in comparison.notes)
    assert "(paper)" not in to_markdown([comparison])


def test_seeds_are_averaged_and_what_no_seed_changes_counts_once(tmp_path: Path) -> None:
    runs = [a_run(seed=seed) for seed in (0, 1, 2)]
    folders = [kept(tmp_path / str(run.seed), run, settings(run.seed)) for run in runs]
    for given in (runs, folders):
        rows = rows_of(*given)
        assert rows.loc[CEEMDAN, "seeds"] == 3
        assert rows.loc[CEEMDAN, "mae"] == pytest.approx(np.mean([mae(run) for run in runs]))
        assert rows.loc[CEEMDAN, "mae_std"] == pytest.approx(np.std([mae(run) for run in runs], ddof=1))
        assert (rows.loc["Drift", "seeds"], rows.loc[PERSISTENCE, "seeds"]) == (1, 1)
        assert rows.loc[CEEMDAN, "verdict"] == "better"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden": 64}, "hidden 64"),
        ({"split": "data.splits.WalkForward"}, "split WalkForward"),
        ({"lookback": 60}, "lookback 60"),
        ({"names": {"experiment": "csi300_paper", "decomposition": "vmd", "model": "lstm"}}, "decomposition vmd"),
    ],
)
def test_two_settings_of_one_model_are_never_seeds_of_one_row(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    one = kept(tmp_path / "a", a_run(), settings())
    other = kept(tmp_path / "b", a_run(error=0.2, seed=1), settings(1, **change))
    rows = rows_of(one, other)
    names = [name for name in rows.index if name.startswith(f"{CEEMDAN}, ")]
    assert len(names) == 2
    assert set(rows.loc[names, "seeds"]) == {1}
    assert any(words in name for name in names)
    assert CEEMDAN not in rows.index
    assert list(rows.loc[names, "mae_published"]) == [78.320, 78.320]
    assert rows_of(one, kept(tmp_path / "c", a_run(seed=1), settings(1))).loc[CEEMDAN, "seeds"] == 2


def test_many_differences_are_counted_and_settings_stay_apart(tmp_path: Path) -> None:
    def many(value: int) -> dict[str, Any]:
        return settings(**{f"key{k}": value for k in range(9)})

    runs = [kept(tmp_path / str(k), a_run(error=0.1 * (k + 1), seed=k), many(k) | {"seed": k}) for k in range(3)]
    names = [name for name in rows_of(*runs).index if name.startswith(CEEMDAN)]
    assert len(names) == 3
    assert all("and more (" in name for name in names)


def test_a_setting_that_moves_nothing_makes_no_row(tmp_path: Path) -> None:
    runs = [
        kept(tmp_path / f"{seed}{hidden}", a_run(seed=seed, error=0.1 * hidden), settings(seed, hidden))
        for seed in (0, 1)
        for hidden in (1, 2)
    ]
    rows = rows_of(*runs)
    assert list(rows.index).count("Drift") == 1
    assert {f"{CEEMDAN}, hidden 1", f"{CEEMDAN}, hidden 2"} <= set(rows.index)
    assert set(rows.loc[[f"{CEEMDAN}, hidden 1", f"{CEEMDAN}, hidden 2"], "seeds"]) == {2}


def test_an_ablation_without_configurations_has_a_row_a_choice() -> None:
    rows = rows_of(
        on_cells(),
        on_cells(seed=1),
        on_cells(error=2.5, augmentation="wgan_gp"),
        on_cells(error=2.5, seed=1, augmentation="wgan_gp"),
    )
    names = [name for name in rows.index if name.startswith(HYBRID)]
    assert names == [f"{HYBRID}, augmentation identity", f"{HYBRID}, augmentation wgan_gp"]
    assert list(rows.loc[names, "seeds"]) == [2, 2]
    assert list(rows.loc[names, "mae_scaled_published"]) == [0.0211, 0.0211]
    assert list(rows.index).count("Extra trees") == 1
    assert "Extra trees, augmentation jitter" in rows_of(on_cells(), on_cells(augmentation="jitter", trees=3.5)).index
    assert {HYBRID, "BiLSTM"} <= set(rows_of(on_cells(), on_cells(model="BiLSTM", error=3.0)).index)


def test_seeds_within_a_run_are_averaged_and_it_is_said_what_the_verdict_is_of() -> None:
    run = on_cells(seeds=3)
    own = run.groups["seed"][run.groups["seed"]["model"] == HYBRID]["mae"]
    comparison = only(run)
    ours = comparison.rows.set_index("model").loc[HYBRID]
    assert ours["seeds"] == 3
    assert ours["mae"] == pytest.approx(own.mean())
    assert ours["mae_std"] == pytest.approx(own.std(ddof=1))
    assert OF_SEEDS in comparison.notes
    assert OF_SEEDS not in only(on_cells()).notes


def test_the_same_run_twice_counts_once_and_two_that_differ_are_remarked_upon() -> None:
    same = only(a_run(), a_run())
    assert same.rows.set_index("model").loc[CEEMDAN, "seeds"] == 1
    assert not any("other settings" in note for note in same.notes)
    comparison = only(a_run(error=0.1), a_run(error=0.2))
    shown = comparison.rows.set_index("model").loc[CEEMDAN]
    assert (shown["seeds"], shown["mae"]) == (1, mae(a_run(error=0.2)))
    assert any(f"{CEEMDAN} has 2 runs with seed 0" in note for note in comparison.notes)


def test_runs_on_other_rows_or_scales_are_remarked_upon() -> None:
    run = on_cells()
    notes = only(run, replace(run, scores=run.scores.assign(n=10), lives={"a": 901.0})).notes
    assert any("not judged on the same test rows (10 to 645" in note for note in notes)
    assert any("scale errors by 68 to 900 cycles" in note for note in notes)


def test_verdicts_are_corrected_over_the_whole_table() -> None:
    run = a_run("LSTM")
    own = run.scores["model"] == "LSTM"
    scores = run.scores.assign(p_reference=np.where(own, 0.02, np.nan))
    runs = [
        replace(run, seed=seed, scores=scores.assign(mae=scores["mae"] + np.where(own, 0.01 * seed, 0)))
        for seed in range(10)
    ]
    assert rows_of(runs[0]).loc["LSTM", "verdict"] == "better"
    assert rows_of(*runs).loc["LSTM", "verdict"] == "no better"
    cells = on_cells()
    barely = replace(
        cells, scores=cells.scores.assign(p_reference=np.where(cells.scores["model"] == HYBRID, 0.03, np.nan))
    )
    assert rows_of(barely).loc[HYBRID, "verdict"] == "better"
    unsure = barely.scores.assign(difference_high=0.1)
    assert rows_of(replace(barely, scores=unsure)).loc[HYBRID, "verdict"] == "no better"  # both tests must agree


def test_the_reading_counts_what_is_proven() -> None:
    proven = "rows that do not use the future is significantly better than persistence."
    assert f"1 of 3 {proven}" in only(a_run(), a_run("LSTM", error=2.0)).notes
    assert f"None of 1 {proven}" in only(a_run(leaks=True)).notes
    loses, wins = on_cells(), on_cells(error=9.0, trees=9.0, model="MLP")
    assert any(note.startswith(REFERENCE_WINS) for note in only(wins).notes)
    assert not any(note.startswith(REFERENCE_WINS) for note in only(loses, wins).notes)


def test_experiments_data_sets_and_tasks_have_tables_of_their_own() -> None:
    runs = [on_cells(dataset="calce"), on_cells(), replace(on_cells(), experiment="hnei_paper"), a_run()]
    found = compare(runs)
    assert [(c.dataset, c.experiment) for c in found] == [
        ("calce", "ablation"), ("csi300", "csi300_paper"), ("hnei", "ablation"), ("hnei", "hnei_paper"),
    ]  # fmt: skip
    markdown = to_markdown(found)
    assert markdown.count("## ") == 4
    assert "MAE/68 (paper)" in markdown
    assert to_csv(found).startswith(
        "dataset,experiment,model,seeds,leaks,verdict,runs,better,mae,mae_std,mae_published"
    )


@pytest.mark.parametrize("width", [80, 170])
@pytest.mark.parametrize("run", [a_run(leaks=True), on_cells(seeds=3, leaks=True)], ids=["forecast", "rul"])
def test_a_comparison_fits_the_console_and_what_leaks_is_red(run: Metrics, width: int) -> None:
    console = Console(width=width, record=True, force_terminal=True, file=io.StringIO())
    print_comparison(console, only(run))
    styled = console.export_text(styles=True, clear=False)
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert "\x1b[31m" in next(line for line in styled.splitlines() if run.model in line)
    assert ("A wider console shows" in text) == (width == 80)
    assert ("(78.32)" if run.task == "forecast" else "(0.0211)") in text
    assert run.scores["n_seeds"].max() == 1 or "±" in text


def test_a_page_has_a_section_an_experiment_and_names_the_rows_that_leak(tmp_path: Path) -> None:
    path = write_comparison_page(tmp_path, compare([a_run(), on_cells(leaks=True)]))
    page = path.read_text(encoding="utf-8")
    assert path.name == "compare.html"
    assert page.count('<section id="comparison-') == 2
    assert f"{HYBRID} (ablation) uses the future" in page[page.index("<main>") :][:300]
    assert page.count('<tr class="leaks">') == 1
    cells = (
        page[page.index('id="comparison-2"') - 5 :]
        if "against the clock" in page[page.index('id="comparison-2"') :]
        else page
    )
    assert "against the clock" in cells
    assert '<td class="number" data-value="0.0211">0.0211</td>' in page  # in a column of its own
    assert page.count("application/json") == 2


def test_runs_of_version_1_are_compared_with_those_of_today(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("forecast", "rul")]
    for folder, write_old in zip(folders, (old_forecast, old_rul), strict=True):
        folder.mkdir()
        write_old(folder / "metrics.json")
    today = replace(a_run(dataset="synthetic"), experiment="smoke")
    forecast, rul = compare([RunFolder(folders[0]), today, RunFolder(folders[1])])
    assert (forecast.question.kind, rul.question.kind) == ("series", "remaining")
    rows = forecast.rows.set_index("model")
    assert np.isnan(rows.loc["ICEEMDAN-CNN-LSTM-AM", "crps"])
    assert np.isfinite(rows.loc[CEEMDAN, "mae"])
    assert any("not judged on the same test rows" in note for note in forecast.notes)


def test_text_from_files_is_text_in_a_comparison(tmp_path: Path) -> None:
    run = a_run()
    evil = replace(
        run, title=EVIL, experiment=EVIL, notes=[EVIL], scores=run.scores.replace({"model": {"Drift": EVIL}})
    )
    console = Console(width=170, record=True, file=io.StringIO())
    print_comparison(console, only(evil))
    assert "[/b][red]" in console.export_text()
    assert "<script>" not in to_markdown([only(evil)])
    page = write_comparison_page(tmp_path, [only(evil)]).read_text(encoding="utf-8")
    assert "<script>document" not in page


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    kept(tmp_path / "sweep" / "0", a_run(leaks=True))
    kept(tmp_path / "sweep" / "1", a_run("LSTM", error=2.0))
    return tmp_path / "sweep"


def test_the_table_is_printed_and_written(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.main([str(sweep), "--png"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    markdown = (sweep / "compare.md").read_text(encoding="utf-8")
    for text in (PERSISTENCE, "(78.32)", "(158.973)", "uses the future", "USES THE FUTURE", "table 2"):
        assert text in shown
        assert text in markdown
    table = pd.read_csv(sweep / "compare.csv")
    assert table.loc[table["model"] == "LSTM", "mae_published"].item() == 158.973
    assert (sweep / "compare-1.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in sweep.glob("compare*")) == [
        "compare-1.png",
        "compare.csv",
        "compare.html",
        "compare.md",
    ]


def test_out_names_another_folder(sweep: Path, tmp_path: Path) -> None:
    assert verb.main([str(sweep), str(sweep), "--out", str(tmp_path / "new" / "folder")]) == 0
    assert (tmp_path / "new" / "folder" / "compare.md").exists()
    assert not (tmp_path / "new" / "folder" / "compare-1.png").exists()
    assert not (sweep / "compare.md").exists()


def test_what_cannot_be_used_is_named_and_the_rest_is_shown(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, empty = sweep / "2", tmp_path / "empty"
    broken.mkdir()
    empty.mkdir()
    (broken / "metrics.json").write_text("{", encoding="utf-8")
    assert verb.main([str(tmp_path / "nowhere"), str(sweep), str(empty)]) == 2
    shown = capsys.readouterr()
    assert "LSTM" in shown.out
    assert (sweep / "compare.md").exists()  # the first folder there is
    complaints = shown.err.splitlines()
    assert complaints[0] == f"There is no folder {tmp_path / 'nowhere'}."
    assert complaints[1] == f"There is no finished run (no metrics.json) in {empty}."
    assert complaints[2].startswith(f"{broken / 'metrics.json'} is damaged")
    assert len(complaints) == 3
    assert verb.main([str(sweep), "--out", str(sweep / "0" / "metrics.json")]) == 2
    assert "Nothing can be written to" in capsys.readouterr().err
    assert verb.main([str(broken)]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert not (broken / "compare.md").exists()


@pytest.mark.parametrize("words", [["--help"], ["nowhere"], []])
def test_help_and_a_wrong_folder_are_answered_at_once(words: Sequence[str]) -> None:
    script = Path(__file__).parents[1] / "compare.py"
    begin = time.process_time()
    line = [sys.executable, "-X", "importtime", str(script), *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if words == ["--help"] else 2)
    assert not any(f"| {name}\n" in done.stderr.replace(" ", "| ") for name in ("pandas", "torch", "matplotlib"))
    assert time.process_time() - begin < 1


def test_the_bill_says_what_each_leak_was_worth() -> None:
    honest = a_run(error=1.0)
    leaking = replace(a_run(error=0.5, leaks=True), audit={"verdict": "LEAKS"})
    rows = bill({"overall": leaking, "rolling": replace(honest, audit={"verdict": "causal"})}).set_index("way")
    assert list(rows.index) == [PERSISTENCE, "overall", "rolling"]
    assert rows.loc["overall", "worth"] == pytest.approx(1 - mae(leaking) / mae(honest))
    assert np.isnan(rows.loc["rolling", "worth"])
    table = as_table(rows.reset_index(), honest, "The bill")
    assert [column.title for column in table.columns][2:5] == ["MAE", "of persistence", "R²"]
    assert [row.kind for row in table.rows] == ["", "leaks", ""]
