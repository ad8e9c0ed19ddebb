"""A second reader recomputes every printed number of a run from its forecasts, with code of its own."""

import re

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy.stats import t
from statsmodels.regression.linear_model import OLS

from runtime.build import build
from tests.commands import run
from tests.conftest import ROOT

WORDS = ["experiment=smoke", "model=ridge", "decomposition=modwt", "baselines=naive", "horizon=3"]
WORDS += ["source.n_steps=700", "scope.history=128"]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The printed table by model and column, the forecasts, and the series."""
    folder = tmp_path_factory.mktemp("reader") / "run"
    done = run("train.py", *WORDS, f"hydra.run.dir={folder}", cache=folder.parent / "cache")
    assert done.returncode == 0, done.stderr
    blocks = (folder / "table.md").read_text(encoding="utf-8").split("\n\n")
    lines = next(block for block in blocks if block.startswith("| model")).strip().splitlines()  # of all steps
    heads, *rows = [[cell.strip().replace("*", "") for cell in line.strip("|").split("|")] for line in lines]
    printed = {row[0]: dict(zip(heads, row, strict=True)) for row in rows if not row[0].startswith(":")}
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    source = OmegaConf.load(ROOT / "conf" / "source" / "synthetic.yaml")
    source.n_steps = 700
    series = build(source).load().frame.set_index("ds")["y"]
    return printed, forecasts, series, int(re.search(r"(\d+) train", done.stdout)[1])


def as_printed(value, text):
    """Round a number as it is printed."""
    decimals = len(text.partition(".")[2])
    return f"{value:.{decimals}f}"


def against(ours, other, horizon):
    """Return the p-value of Diebold and Mariano: HAC by Newey and West, corrected by Harvey and others."""
    one, two = (np.abs(table["y"] - table["y_hat"]) for table in (ours, other))
    d = (one.groupby(ours["origin"].to_numpy()).mean() - two.groupby(other["origin"].to_numpy()).mean()).to_numpy()
    n, lags = d.size, max(horizon - 1, int(np.ceil(d.size ** (1 / 3))))
    fit = OLS(d, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    correction = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    return 2 * t.sf(abs(float(fit.tvalues[0]) * correction), n - 1)


def test_every_printed_score_is_that_of_the_forecasts(told):
    printed, forecasts, series, n_train = told
    assert set(printed) == set(forecasts["model"])
    naive = np.abs(np.diff(series.iloc[:n_train])).mean()
    reference = forecasts[forecasts["model"] == "Persistence"]
    simple = np.abs(reference["y"] - reference["y_hat"]).mean()
    for model, row in printed.items():
        own = forecasts[forecasts["model"] == model]
        y, y_hat = own["y"].to_numpy(), own["y_hat"].to_numpy()
        error = y - y_hat
        found = {
            "MAE": np.abs(error).mean(),
            "RMSE": np.sqrt((error**2).mean()),
            "MAPE %": 100 * np.abs(error / y).mean(),
            "R²": 1 - (error**2).sum() / ((y - y.mean()) ** 2).sum(),
            "MASE": np.abs(error).mean() / naive,
            "skill": 1 - np.abs(error).mean() / simple,
        }
        assert {name: as_printed(value, row[name]) for name, value in found.items()} == {
            name: row[name] for name in found
        }, model
        last = series.reindex(own["origin"]).to_numpy()
        moved = (y != last) & (y_hat != last)
        if moved.any():
            right = 100 * (np.sign(y - last) == np.sign(y_hat - last))[moved].mean()
            assert as_printed(right, row["up/down %"].split(" ")[0]) == row["up/down %"].split(" ")[0], model


def test_every_printed_p_value_is_that_of_the_forecasts(told):
    printed, forecasts, *_ = told
    tables = {model: own.sort_values(["origin", "step"]) for model, own in forecasts.groupby("model")}
    rivals = [model for model in printed if model != "Persistence"]
    p = {model: against(tables[model], tables["Persistence"], 3) for model in rivals}
    order, worst = sorted(rivals, key=p.__getitem__), 0.0
    for rank, model in enumerate(order):  # Holm: the smallest counts for all, the next for one less
        worst = max(worst, min(1.0, p[model] * (len(order) - rank)))
        verdict = printed[model]["against persistence"]
        said = re.search(r"p (=|<) ([\d.]+)", verdict)
        assert said, verdict
        if said[1] == "<":
            assert worst < float(said[2])
        else:
            assert as_printed(worst, said[2]) == said[2], model
        assert verdict.startswith(("better", "worse")) == (worst < 0.05)
