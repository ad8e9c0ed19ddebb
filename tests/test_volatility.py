"""Models of volatility are those of the literature, and a volatility is forecast, scored and restored end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from data.contracts import Windows
from data.sources.arch_ohlc import ArchOHLC
from data.targets.log_range import LogRange
from evaluation.inference.diebold_mariano import against, pairwise
from evaluation.scores import SCORES, aggregate
from models.ewma import EWMA
from models.garch import GARCH
from models.har import HAR, LHAR, means_of
from models.model import Inputs
from runtime.build import build
from tests.commands import run
from tests.test_targets import prices

LOOKBACK = 30


def windows_of(y: np.ndarray, returns: np.ndarray, lookback: int = LOOKBACK, horizon: int = 1) -> Windows:
    """Cut every window of a series and of the returns beside it."""
    past = sliding_window_view(y, lookback)[:-horizon]
    future = sliding_window_view(y[lookback:], horizon)
    beside = sliding_window_view(returns, lookback)[:-horizon]
    return Windows(
        past[:, :, None], future[:, :, None], future, np.arange(len(past)) + lookback - 1, beside[:, :, None]
    )


def inputs(windows: Windows) -> Inputs:
    return Inputs(windows, None, pd.DataFrame({"unique_id": ["a"] * len(windows.y), "ds": windows.origin}))


@pytest.fixture(scope="module")
def index() -> tuple[np.ndarray, np.ndarray]:
    """Log volatility and returns of the S&P 500, 1500 days."""
    frame = LogRange().transform(ArchOHLC("sp500").load()).frame.iloc[:1500]
    return frame["y"].to_numpy(), frame["return"].to_numpy()


SPANS = {"lags": [1, 2, 10, 30], "returns": [1, 3]}


@pytest.mark.parametrize(("kind", "given"), [(HAR, {}), (LHAR, {}), (LHAR, SPANS)])
def test_har_is_least_squares_on_means(index, kind, given) -> None:
    import statsmodels.api as sm

    y, r = index
    frame = pd.DataFrame({"y": y, "r": r, "neg": np.minimum(r, 0)})
    lags = given.get("lags", [1, 5, 22])
    columns = [frame["y"].rolling(k).mean() for k in lags]
    if kind is LHAR:
        columns += [frame["neg"].rolling(k).mean() for k in given.get("returns", lags)]
        columns += [frame["r"].rolling(k).mean() for k in given.get("returns", [5, 22])]
    design = sm.add_constant(pd.concat(columns, axis=1).to_numpy()[LOOKBACK - 1 : -1])
    theirs = sm.OLS(y[LOOKBACK:], design).fit().predict(design)
    settings = {"lags": lags, "n_components": 1, "lookback": LOOKBACK, "horizon": 1} | given
    model, windows = kind("m", **settings), windows_of(y, r)
    model.fit(inputs(windows), inputs(windows.take(slice(0))))
    np.testing.assert_allclose(model.predict(inputs(windows))[:, 0], theirs, atol=1e-6)


def test_lags_beyond_what_a_window_shows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.lags=\[1, 5, 66\] .* from 1 up to 30, what a window shows"):
        HAR("HAR", [1, 5, 66], 1, 30, 1)
    HAR("HAR", [1, 5, 22], 1, 8, 1)
    with pytest.raises(ValueError, match=r"model\.returns=\[44\] must be numbers of steps from 1 up to 30"):
        LHAR("LHAR", [1, 5, 22], 1, 30, 1, returns=[44])
    with pytest.raises(ValueError, match="Windows of 8 steps do not show a mean over 22"):
        means_of(np.zeros((3, 8)), [1, 22])


def test_a_model_looks_as_far_back_as_its_longest_span_and_its_network_no_further_than_it_is_told(configure) -> None:
    cfg = configure("experiment=sp500_volatility")
    rows = {row.label: row for row in build(cfg.task)(cfg).candidates()}
    assert {label: rows[label].lookback for label in ("LHAR", "LHAR-long", "LHAR-long + GRU", "LSTM")} == {
        "LHAR": None, "LHAR-long": 176, "LHAR-long + GRU": 176, "LSTM": None
    }  # fmt: skip
    assert rows["LHAR-long + GRU"].model.sees == cfg.lookback


def test_ewma_weighs_as_its_decay_says_and_takes_the_one_that_errs_least_on_validation(index) -> None:
    y, r = index
    windows = windows_of(y, r)
    model = EWMA("EWMA", [0.5, 0.85, 0.99], 1, LOOKBACK, 1)
    model.fit(inputs(windows.take(slice(200))), inputs(windows.take(slice(200, None))))
    expected = {}
    for decay in (0.5, 0.85, 0.99):
        weights = decay ** np.arange(LOOKBACK)[::-1]
        expected[decay] = windows.past[:, :, 0] @ (weights / weights.sum())
    errors = {decay: np.abs(found - windows.y[:, 0])[200:].mean() for decay, found in expected.items()}
    best = min(errors, key=lambda decay: errors[decay])
    assert model.state()["decay"].item() == best
    np.testing.assert_allclose(model.predict(inputs(windows))[:, 0], expected[best], atol=1e-6)
    with pytest.raises(ValueError, match=r"model\.decay=1\.0"):
        EWMA("EWMA", 1.0, 1, LOOKBACK, 1)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_filter_of_garch_is_that_of_arch(index, asymmetric) -> None:
    from arch import arch_model

    y, r = index
    windows = windows_of(y, r, lookback=150)
    train = windows.take(slice(800))
    model = GARCH("G", asymmetric, 5, 1, 150, 1)
    model.fit(inputs(train._replace(y=y[train.origin, None])), inputs(windows.take(slice(0))))
    seen = r[: train.origin[-1] + 1]
    theirs = arch_model(r, vol="GARCH", p=1, o=int(asymmetric), q=1, dist="t", rescale=False)
    found = theirs.fit(last_obs=seen.size, disp="off", show_warning=False)
    ahead = found.forecast(horizon=5, start=0, reindex=True, align="origin").variance.to_numpy()
    np.testing.assert_allclose(model.variances(windows.covariates[:, :, 0]), ahead[windows.origin], rtol=1e-4)


def test_garch_leaves_itself_out_where_there_are_several_series() -> None:
    rows = pd.DataFrame({"unique_id": ["a", "b"], "ds": [1, 1], "y": [0.0, 0.0]})
    model = GARCH("G", False, 1, 1, LOOKBACK, 1)
    assert not model.applies(rows, rows)
    assert model.applies(rows[:1], rows[:1])


def test_qlike_by_hand_and_only_of_volatilities() -> None:
    rows = pd.DataFrame({"model": "m", "y": [0.0, 0.0], "y_hat": 0.0})
    (score,) = [score for score in SCORES if score.name == "qlike"]
    assert np.isnan(aggregate(rows, [score], ["model"])["qlike"].item())
    rows = rows.assign(variance=[1.0, 4.0], variance_hat=[1.0, 2.0])
    assert aggregate(rows, [score], ["model"])["qlike"].item() == pytest.approx((0 + 2 - np.log(2) - 1) / 2)


def test_every_model_is_tested_against_the_best_simple_baseline() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal(300)
    made = {"good": 0.1, "alike": 0.1, "bad": 2.0}
    days = np.arange(300)
    parts = [
        pd.DataFrame({"unique_id": "a", "ds": days, "origin": days, "step": 1, "model": label, "y": y})
        .assign(y_hat=y + size * rng.standard_normal(300))
        for label, size in made.items()
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    found = against(pairwise(rows), "alike").set_index("model")
    assert set(found.index) == {"good", "bad"}
    errors = (rows["y"] - rows["y_hat"]).abs().groupby(rows["model"]).mean()
    assert found["difference_simple"]["bad"] == pytest.approx(errors["bad"] - errors["alike"])
    assert found["difference_simple"]["good"] == pytest.approx(errors["good"] - errors["alike"])
    assert found["p_simple"]["bad"] < 0.001 < found["p_simple"]["good"]


def test_the_facts_of_the_page_on_volatility_hold() -> None:
    panel = ArchOHLC("nasdaq").load()
    assert len(panel.frame) == 5031
    assert list(panel.covariates) == ["open", "high", "low"]
    with pytest.raises(ValueError, match=r"source\.index=dax"):
        ArchOHLC("dax")


# --- a run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Forecast the volatility of a file with HAR, which is no network and keeps its weights all the same."""
    folder = tmp_path_factory.mktemp("volatility")
    frame = prices(400).frame.rename(columns={"ds": "Date", "y": "close"}).drop(columns="unique_id")
    frame.to_csv(folder / "prices.csv", index=False)
    words = ["source=ohlc", f"source.path={folder}/prices.csv", "target=log_range", "decomposition=identity"]
    words += ["model=lhar", "baselines=volatility", "scope.history=64", "experiment=csv", "source.time=Date"]
    done = run("train.py", *words, f"hydra.run.dir={folder}/run", cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    return folder, folder / "run"


def test_a_run_names_the_best_simple_baseline_and_leaves_out_what_means_nothing(finished) -> None:
    _, folder = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["simple"] in {"EWMA", "HAR", "GARCH", "GJR", "Ridge"} or metrics["simple"] == ""
    scores = pd.DataFrame(metrics["scores"])
    assert {"direction", "mape", "p_direction"} & set(scores) == set()
    assert scores["qlike"].notna().all()
    table = pd.read_parquet(folder / "forecasts.parquet")
    np.testing.assert_allclose(table["y_restored"], np.exp(table["y"]))
    assert (table["y_hat_restored"] > np.exp(table["y_hat"])).mean() > 0.9
    if metrics["simple"]:
        assert f"against {metrics['simple']}" in (folder / "table.md").read_text()


def test_predict_gives_volatility_in_percent_a_day(finished, tmp_path) -> None:
    base, folder = finished
    done = run("predict.py", f"run={folder}", f"source.path={base}/prices.csv", f"out={tmp_path}/ahead.csv")
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tmp_path / "ahead.csv").to_dict("records")
    errors = pd.read_parquet(folder / "artifacts" / "errors.parquet")
    own = errors.loc[errors["model"] == "LHAR", "error"]
    assert row["LHAR in % a day"] == pytest.approx(np.exp(row["LHAR"] + own).mean())
    assert row["lo_80 in % a day"] < row["LHAR in % a day"] < row["hi_80 in % a day"]
    assert "LHAR in % a day" in " ".join(done.stdout.split()) or "% a day" in done.stdout


def test_regressions_learn_from_validation_rows_before_they_forecast_the_test(configure, tmp_path) -> None:
    """Validation is forecast by what training rows have taught, the test by what both have; nothing leaks."""
    import statsmodels.api as sm

    from pipeline.audit import audit
    from pipeline.work import outcomes, work_units
    from runtime.build import build

    words = ["experiment=smoke", "source.n_steps=300", "lookback=22", "decomposition=identity", "scope.history=64"]
    cfg = configure(*words, "model=har", "baselines=naive", "refit=validation", "parallel.n_jobs=1")
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    folds = build(cfg.split).folds(panel, task.reach)
    found = dict(outcomes(task, panel, folds, tmp_path, work_units(task, panel, folds)))
    y = panel.frame["y"]
    design = sm.add_constant(pd.concat([y.rolling(k).mean() for k in (1, 5, 22)], axis=1).to_numpy())
    role = folds[0].role
    learnt = {"calibration": role == 0, "forecasts": (role == 0) | (role == 1)}
    first = len(y) - len(task.prepare(panel, folds[0], task.candidates()[0]).windows.y)
    for name, rows in learnt.items():
        targets = np.flatnonzero(rows)
        targets = targets[targets >= first]
        theirs = sm.OLS(y.to_numpy()[targets], design[targets - 1]).fit()
        (own,) = [getattr(outcome, name) for outcome in found.values() if outcome.model == "HAR"]
        at = panel.frame["ds"].searchsorted(own["ds"])
        np.testing.assert_allclose(own["y_hat"], theirs.predict(design[at - 1]), rtol=1e-6)
    verdict = audit(task, panel, folds, {outcome.name: outcome.learnt_from for outcome in found.values()})
    assert verdict.verdict == "causal", verdict.sentence
