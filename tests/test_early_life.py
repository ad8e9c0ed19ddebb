"""The life of cells is told from their first cycles: features, windows, audit, run and prediction."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf
from scipy.stats import linregress

from data.cells.curves import CAPACITY, CURVE
from data.contracts import TEST, TRAIN, VALIDATION, Panel, Windows
from data.features.curve_difference import CurveDifference
from data.features.early_cycles import EarlyCycles
from data.panel import DataError
from data.scaling import Standard
from data.sources.synthetic_curves import SyntheticCurves
from models.allocation import Joint
from models.early_life import LogLinear, MeanLife
from models.model import Inputs
from pipeline.audit import audit
from runtime.build import ConfigError, build
from tasks.cells import as_table
from tasks.early_life import EarlyLife
from tests.commands import run

SMALL = [
    "experiment=early_life",
    "parallel.n_jobs=1",
    "source.n_cells=16",
    "source.points=6",
    "source.first=60",
    "task.cycles=40",
    "split.folds=2",
    "split.validation=4",
    "baselines.extra_trees.n_trees=5",
    "~baselines.bilstm",
    "~baselines.hist_boosting",
]
Configure = Callable[..., DictConfig]


def cells(n: int = 6, first: int | None = 120, **settings: float) -> Panel:
    return SyntheticCurves(n_cells=n, first=first, points=8, **settings).load()


def task_of(configure: Configure, *words: str) -> EarlyLife:
    cfg = configure("experiment=early_life", *words)
    OmegaConf.resolve(cfg)
    task = build(cfg.task)(cfg)
    assert isinstance(task, EarlyLife)
    return task


# Simulated curves


def test_a_simulated_cell_ends_at_the_capacity_its_rule_says_and_falls_faster_past_its_knee() -> None:
    frame = SyntheticCurves(n_cells=3, first=None, points=4, noise=0.0).load().frame
    for _, own in frame.groupby("unique_id"):
        capacity = own[CAPACITY].to_numpy()
        assert own["y"].iloc[-1] == 0
        assert capacity[-1] == pytest.approx(0.8 * 1.1, abs=1e-3)
        assert capacity[len(own) // 2] > 0.9 * capacity[0]
        third = len(own) // 3
        assert capacity[-third] - capacity[-1] > 3 * (capacity[0] - capacity[third])


def test_a_short_life_shows_in_the_curve_before_it_shows_in_the_capacity() -> None:
    panel = SyntheticCurves(n_cells=40, points=20).load()
    table = as_table(panel)
    at = panel.frame["ds"].to_numpy() == 100
    life = np.log((panel.frame["ds"] + panel.frame["y"]).to_numpy()[at])
    changes = CurveDifference(10, CURVE).fit(table, panel.frame["y"]).transform(table)
    told, fade = (values.to_numpy()[at] for values in (changes["log variance dQ"], table[CAPACITY]))
    assert np.corrcoef(told, life)[0, 1] < -0.9
    assert abs(np.corrcoef(fade, life)[0, 1]) < 0.7


# Features


def test_changes_of_a_curve_are_those_of_the_paper_worked_out_by_hand() -> None:
    panel = cells(2)
    table = as_table(panel)
    out = CurveDifference(10, CURVE).fit(table, panel.frame["y"]).transform(table)
    curves = table.filter(regex=CURVE)
    cell = "cell 002"
    change = curves.loc[(cell, 100)].to_numpy() - curves.loc[(cell, 10)].to_numpy()
    expected = [np.log10(change.var()), np.log10(abs(change.min())), np.log10(abs(change.mean()))]
    np.testing.assert_allclose(out.loc[(cell, 100)].iloc[:3], expected)
    assert (out.loc[(cell, 7)].iloc[:3] == [-16.0, -8.0, -8.0]).all()  # not old enough to have changed
    assert not out.columns.str.contains(CURVE).any()


def test_a_reference_cycle_that_was_not_recorded_is_the_next_one() -> None:
    panel = cells(1)
    table = as_table(panel)
    thinned = table[~table.index.get_level_values("ds").isin([9, 10, 11])]
    out = CurveDifference(10, CURVE).fit(thinned, panel.frame["y"]).transform(thinned)
    curves = table.filter(regex=CURVE)
    change = curves.loc[("cell 001", 50)].to_numpy() - curves.loc[("cell 001", 12)].to_numpy()
    assert out.loc[("cell 001", 50)].iloc[0] == pytest.approx(np.log10(change.var()))


def test_summaries_of_the_first_cycles_are_those_of_the_paper_worked_out_by_hand() -> None:
    table = as_table(cells(2)).filter(regex="^(?!Q)")
    feature = EarlyCycles(CAPACITY, "charge time (min)", "temperature (C)", "resistance (Ohm)")
    out = feature.fit(table, table[CAPACITY]).transform(table).loc[("cell 002", 100)]
    own = table.loc["cell 002"].loc[2:100]
    line = linregress(np.arange(1, 100), own[CAPACITY])
    expected = {
        "capacity slope": line.slope,
        "capacity intercept": line.intercept,
        "capacity at cycle 2": own[CAPACITY].iloc[0],
        "mean charge time": own["charge time (min)"].loc[2:6].mean(),
        "temperature sum": own["temperature (C)"].sum(),
        "least resistance": own["resistance (Ohm)"].min(),
        "resistance change": own["resistance (Ohm)"].iloc[-1] - own["resistance (Ohm)"].iloc[0],
    }
    assert list(out.index) == list(expected)
    np.testing.assert_allclose(out, list(expected.values()), rtol=1e-6)


def test_summaries_that_are_not_there_are_named_with_what_to_set() -> None:
    table = as_table(cells(2))
    with pytest.raises(DataError, match=r"no column 'warmth'.*features\.steps\.cycles\.temperature=null"):
        EarlyCycles(CAPACITY, temperature="warmth").fit(table, table[CAPACITY])


# The task


def test_a_window_is_spread_over_the_first_cycles_and_asks_for_the_whole_life(configure: Configure) -> None:
    panel = cells(8)
    task = task_of(configure, "task.cycles=50", "lookback=5", "split.folds=2", "split.validation=2")
    (fold, *_) = build(task.cfg.split).folds(panel, 1)
    windows = task.prepare(panel, fold, task.candidates()[0]).windows
    assert windows.past.shape[:2] == (8, 5)
    assert panel.frame["ds"].to_numpy()[windows.origin].tolist() == [50] * 8
    assert windows.y[:, 0].tolist() == list(panel.lives().values())
    roles = [len(task.select(windows, fold, role).origin) for role in (TRAIN, VALIDATION, TEST)]
    assert roles == [2, 2, 4]
    table = as_table(panel).groupby("unique_id").head(50)
    features = build(task.cfg.features).fit(table, table[CAPACITY]).transform(table)
    spread = features.loc["cell 001"].loc[[10, 20, 30, 40, 50]]
    np.testing.assert_allclose(windows.past[0], spread.filter(regex="^(?!log mean)"))


def test_a_model_sees_the_features_it_names(configure: Configure) -> None:
    panel, task = cells(8), task_of(configure, "split.folds=2", "split.validation=2")
    (fold, *_) = build(task.cfg.split).folds(panel, 1)
    widths = {row.label: task.prepare(panel, fold, row).windows.past.shape[2] for row in task.candidates()}
    assert (widths["Variance"], widths["Elastic net"], widths["Extra trees"]) == (1, 9, 10)


def test_cells_that_end_or_whose_record_ends_within_the_first_cycles_are_left_out(configure: Configure) -> None:
    task = task_of(configure, "task.cycles=100")
    panel = cells(3)
    frame = panel.frame
    short = frame[(frame["unique_id"] != "cell 002") | (frame["ds"] < 60)].reset_index(drop=True)
    ended = short.assign(y=short["y"].where(short["unique_id"] != "cell 003", 95.0 - short["ds"]))
    (fold, *_) = [build(task.cfg.split).folds(cells(30), 1)[0]._replace(role=np.zeros(len(ended), dtype=np.int8))]
    windows = task.prepare(replace(panel, frame=ended), fold, task.candidates()[0]).windows
    assert ended["unique_id"].to_numpy()[windows.origin].tolist() == ["cell 001"]
    with pytest.raises(DataError, match="has no cell with at least 10 records of its first 100 cycles"):
        task.prepare(replace(panel, frame=ended[ended["ds"] < 60].reset_index(drop=True)), fold, task.candidates()[0])


def test_settings_that_cannot_work_are_refused(configure: Configure) -> None:
    for words, said in {
        ("task.cycles=5",): "task.cycles=5 must be at least 10",
        ("horizon=3",): "set horizon=1",
        ("task.cycles=20", "lookback=19"): "lookback=19 must be 1 to 90% of task.cycles=20",
    }.items():
        with pytest.raises(ConfigError, match=said):
            task_of(configure, *words)


# The models


def test_the_mean_life_and_a_line_of_logarithms_are_those_of_scikit_learn_and_come_back() -> None:
    rng = np.random.default_rng(0)
    past = rng.standard_normal((40, 3, 2))
    life = np.exp(6 + 0.5 * past[:, -1, :1])  # (n, 1)
    windows = Windows(past, life[:, :, None], life, np.arange(40))
    scaling = Standard().fit(windows)
    rows = pd.DataFrame({"unique_id": "a", "ds": range(40)})
    inputs = Inputs(windows, scaling.transform(windows), rows, scaling)
    sizes = {"n_components": 2, "lookback": 3, "horizon": 1}
    mean = MeanLife("Mean life", **sizes)
    mean.fit(inputs, inputs)
    np.testing.assert_allclose(mean.predict(inputs), np.full((40, 1), life.mean()))
    for elastic, near in ((False, 1e-5), (True, 0.05)):
        model = LogLinear("line", Joint(), elastic, None, **sizes)
        model.fit(inputs, inputs)
        restored = model.component.restore(model.predict(inputs), windows, scaling)
        np.testing.assert_allclose(restored, life, rtol=near)
        again = LogLinear("line", Joint(), elastic, None, **sizes)
        again.load_state(model.state())
        np.testing.assert_array_equal(again.predict(inputs), model.predict(inputs))


# The audit


def found_in(configure: Configure, *words: str) -> dict[str, str]:
    """Return the verdict on each stage of a run of the variance and the mean alone."""
    small = [word for word in SMALL if "baselines" not in word]
    cfg = configure(*small, "source.n_cells=9", "split.validation=2", "model=variance", "intervals=none", *words)
    OmegaConf.resolve(cfg)
    cfg.baselines = None
    task = build(cfg.task)(cfg)
    panel = build(cfg.source).load()
    verdict = audit(task, panel, build(cfg.split).folds(panel, 1), {})
    return {finding.stage: finding.verdict for finding in verdict.findings}


def test_the_audit_finds_nothing_in_an_honest_task(configure: Configure) -> None:
    assert set(found_in(configure).values()) == {"causal"}


def test_the_audit_finds_rows_that_lie_beyond_the_first_cycles(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = EarlyLife._early

    def peeking(self: EarlyLife, panel: Panel) -> object:
        self.cycles += 10
        try:
            return early(self, panel)
        finally:
            self.cycles -= 10

    task, panel = task_of(configure, "task.cycles=50"), cells(8)
    assert task.checks(panel, [])[1].verdict == "causal"
    monkeypatch.setattr(EarlyLife, "_early", peeking)
    assert task.checks(panel, [])[1].verdict == "LEAKS"


def test_the_audit_finds_features_of_what_comes_after_the_first_cycles(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peeking(panel: Panel) -> pd.DataFrame:
        table = as_table(panel)
        return table.groupby("unique_id").shift(-10).fillna(table)

    monkeypatch.setattr("tasks.early_life.as_table", peeking)
    found = found_in(configure)
    assert (found["inputs"], found["first cycles"]) == ("LEAKS", "causal")


def test_the_audit_finds_a_column_that_is_the_life_by_another_name(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = SyntheticCurves.load

    def told(self: SyntheticCurves) -> Panel:
        panel = load(self)
        frame = panel.frame.assign(**{"resistance (Ohm)": 3.0 - 1e-3 * (panel.frame["y"] + panel.frame["ds"])})
        return replace(panel, frame=frame)

    task = task_of(configure, "task.cycles=50")
    assert task.checks(SyntheticCurves(n_cells=8, points=4).load(), [])[2].verdict == "causal"
    monkeypatch.setattr(SyntheticCurves, "load", told)
    assert task.checks(SyntheticCurves(n_cells=8, points=4).load(), [])[2].verdict == "LEAKS"


# The command


def test_a_run_tells_lives_and_its_model_tells_them_of_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run("train.py", *SMALL, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    table = (folder / "table.md").read_text(encoding="utf-8")
    assert "life of 16 test cells, errors in cycles" in table
    assert "| MAPE % | ±15 % |" in table
    assert "**causal: " in table
    kept = pd.read_parquet(folder / "forecasts.parquet")
    by_model = kept.groupby("model").size().to_dict()
    assert by_model == dict.fromkeys(("Elastic net", "Mean life", "Variance", "Extra trees"), 16)
    assert kept["lo_50"].notna().all()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Forecast against true life, a dot a cell" in page

    known = SyntheticCurves(n_cells=16, first=60, points=6).read().frame
    own = known[known["unique_id"].isin(["cell 001", "cell 002"])]
    long = own.melt(["unique_id", "ds", *(name for name in own if not str(name).startswith(("Q", "u", "d")))])
    long = long.assign(voltage=long["variable"].str.extract(r"Q\((.*) V\)", expand=False))
    long = long.rename(columns={"unique_id": "cell", "ds": "cycle", "value": "capacity"}).drop(
        columns=["variable", "y"]
    )
    long.drop(columns=CAPACITY).to_csv(tmp_path / "new.csv", index=False)
    file, out = tmp_path / "new.csv", tmp_path / "forecast.csv"
    words = [f"run={folder}", f"source.path={file}", "source.points=6", f"out={out}"]
    done = run("predict.py", *words)
    assert done.returncode == 0, done.stderr
    assert "Life [cycles] by Elastic net, from the first 40 cycles" in done.stdout
    told = pd.read_csv(tmp_path / "forecast.csv")
    assert list(told.columns[:3]) == ["cell", "cycle", "life"]
    assert told["cycle"].tolist() == [40, 40]
    ours = kept[kept["model"] == "Elastic net"].set_index("unique_id")["y_hat"]
    assert (told["life"] / ours[told["cell"]].to_numpy()).between(0.5, 2).all()
