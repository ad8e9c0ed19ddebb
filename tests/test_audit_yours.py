"""The audit of anybody's pipeline: what leaks is named with its first row, what does not is let off."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modecast
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "audit_yours.md"


@pytest.fixture(scope="module")
def df() -> pd.DataFrame:
    """Two random walks of other lengths, their rows mixed, and a covariate."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2021-01-04", periods=240)
    parts = [
        pd.DataFrame({"unique_id": name, "ds": days[late:], "y": 100 + rng.standard_normal(240 - late).cumsum()})
        for name, late in (("a", 0), ("b", 40))
    ]
    table = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=1)
    return table.assign(x=rng.integers(0, 50, len(table)), word=rng.choice(["p", "q"], len(table)))


def each(df: pd.DataFrame, function) -> pd.DataFrame:
    """Apply a function to the values of every series in order of time."""
    ordered = df.sort_values(["unique_id", "ds"])
    return ordered.groupby("unique_id")["y"].transform(function).to_frame("f")


CAUSAL = {
    "a lag": lambda df: each(df, lambda y: y.shift(1)),
    "a trailing mean": lambda df: each(df, lambda y: y.rolling(5).mean()),
    "a mean since the beginning": lambda df: each(df, lambda y: y.expanding().mean()),
    "the same, by keys": lambda df: df[["unique_id", "ds"]].join(each(df, lambda y: y.shift(1))),
    "the same, by an index of keys": lambda df: df.assign(f=df["y"]).set_index(["unique_id", "ds"])[["f"]],
    "an array": lambda df: df[["y", "x"]].to_numpy(),
    "words": lambda df: df[["word"]],
    "a mapping": lambda df: {"lags": each(df, lambda y: y.shift(1)), "x": df["x"]},
    "only the last rows": lambda df: each(df, lambda y: y.shift(1)).dropna(),
    "windows with a target, which end earlier": lambda df: each(df, lambda y: y.shift(1)).dropna().iloc[:-1],
}

LEAKING = {
    "a centred mean": lambda df: each(df, lambda y: y.rolling(5, center=True).mean()),
    "tomorrow": lambda df: each(df, lambda y: y.shift(-1)),
    "scaled by everything": lambda df: df.assign(f=(df["y"] - df["y"].mean()) / df["y"].std())[["f"]],
    "a rank": lambda df: each(df, lambda y: y.rank()),
    "how much is left": lambda df: each(df, lambda y: np.arange(len(y))[::-1]),
    "a share of the rows": lambda df: each(df, lambda y: np.arange(len(y)) / len(y)),
    "tomorrow of a covariate": lambda df: df.sort_values("ds").groupby("unique_id")["x"].shift(-1).to_frame("f"),
    "of another series": lambda df: df.assign(f=df["ds"].map(df.groupby("ds")["y"].mean().shift(-1)))[["f"]],
    "words from tomorrow": lambda df: df.sort_values("ds").groupby("unique_id")["word"].shift(-1).to_frame("f"),
}


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_pipeline_is_let_off(df, name):
    modecast.assert_causal(CAUSAL[name], df)


@pytest.mark.parametrize("name", LEAKING)
def test_a_pipeline_that_looks_ahead_is_accused(df, name):
    with pytest.raises(AssertionError, match=r"LEAKS: f: .*first of (a|b) at 2021-\d\d-\d\d"):
        modecast.assert_causal(LEAKING[name], df)


def test_the_first_row_that_looked_is_named(df):
    """A centred mean of five days looks two days ahead: the first day before the first cut that does is the second."""
    found = modecast.audit(LEAKING["a centred mean"], df[df["unique_id"] == "a"]).sentence
    cut = re.search(r"what comes after (\S+) is", found)
    first = re.search(r"first of a at (\S+)", found)
    assert cut is not None
    assert first is not None
    assert len(pd.bdate_range(first[1], cut[1])) == 2


@pytest.mark.parametrize("way", ["scrambled", "shifted", "constant", "removed"])
def test_each_way_to_replace_finds_a_leak_alone(df, way):
    assert modecast.audit(LEAKING["a centred mean"], df, ways=[way]).verdict == "LEAKS"


def test_a_feature_beside_its_own_target_must_not_know_it(df):
    def same_day(df):
        return df[["y"]]

    assert modecast.audit(same_day, df).verdict == "causal"
    assert modecast.audit(same_day, df, lag=1).verdict == "LEAKS"
    modecast.assert_causal(CAUSAL["a lag"], df, lag=1)


def test_what_is_fitted_on_the_training_part_may_know_all_of_it(df):
    def scaled(df):
        train = df[df["ds"] <= "2021-08-31"]
        return df.assign(f=(df["y"] - train["y"].mean()) / train["y"].std())[["f"]]

    modecast.assert_causal(scaled, df, train="2021-08-31")
    assert modecast.audit(scaled, df, train="2021-07-30").verdict == "LEAKS"


def test_a_column_known_ahead_is_not_replaced(df):
    tomorrow = LEAKING["tomorrow of a covariate"]
    both = lambda df: tomorrow(df).join(df[["y"]])  # noqa: E731
    assert modecast.audit(both, df, ways=["scrambled"]).verdict == "LEAKS"
    modecast.assert_causal(both, df, known=["x"], ways=["scrambled"])


def test_a_calendar_beside_features_is_no_leak_and_does_not_count(df):
    found = modecast.audit(lambda df: each(df, lambda y: y.shift(1)).assign(day=df["ds"].dt.day), df)
    assert found.verdict == "causal"
    assert [finding.verdict for finding in found.findings] == ["causal", "not audited"]


def test_features_from_elsewhere_that_know_tomorrow_are_accused(df):
    kept = df.sort_values(["unique_id", "ds"]).assign(f=lambda df: df.groupby("unique_id")["y"].diff().shift(-1))["f"]

    def looked_up(df):
        return each(df, lambda y: y.shift(1)).assign(known=kept.reindex(df.index))

    found = modecast.audit(looked_up, df)
    assert [finding.stage for finding in found.leaks] == ["known"]
    assert re.search(r"does not come from the data it was given; \d+ % of the directions", found.sentence)


def test_a_table_that_never_moves_was_not_made_of_the_data(df):
    found = modecast.audit(lambda df: df["ds"].dt.day, df)
    assert found.verdict == "LEAKS"
    assert "does not come from the data" in found.sentence


def forecasts(df: pd.DataFrame, ahead: int) -> pd.DataFrame:
    """Forecast the two days after some days by the last value known, or by one that is not known yet."""
    parts = []
    for name, own in df.sort_values("ds").groupby("unique_id"):
        for cutoff in own["ds"].iloc[[100, 150, 190]]:
            rest = own[own["ds"] > cutoff].head(2)
            last = own.loc[own["ds"] <= cutoff, "y"].iloc[-1] if not ahead else rest["y"].iloc[ahead - 1]
            parts.append(rest[["ds", "y"]].assign(unique_id=name, cutoff=cutoff, naive=last))
    return pd.concat(parts)


def test_forecasts_are_held_to_their_last_date_known_and_the_truth_beside_them_is_none(df):
    modecast.assert_causal(lambda df: forecasts(df, 0), df)
    found = modecast.audit(lambda df: forecasts(df, 1), df)
    assert [finding.stage for finding in found.leaks] == ["naive"]


def test_rounding_is_a_class_of_its_own(df):
    """A sum from the other end differs in its last bits, as a product of another number of rows does."""
    found = modecast.audit(lambda df: each(df, lambda y: (y + y.sum()) - y.sum()), df)
    assert found.verdict == "causal to rounding"
    modecast.assert_causal(lambda df: each(df, lambda y: (y + y.sum()) - y.sum()), df)


def test_an_estimator_is_fitted_on_the_training_part(df):
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    modecast.assert_causal(StandardScaler(), df)
    modecast.assert_causal(make_pipeline(StandardScaler(), Ridge()), df, train=0.5)
    ahead = make_pipeline(FunctionTransformer(lambda X: X[::-1].cumsum()[::-1]), Ridge())
    assert modecast.audit(ahead, df).verdict == "LEAKS"


def test_a_plain_array_is_audited_as_one_series(df):
    y = df[df["unique_id"] == "a"].sort_values("ds")["y"].to_numpy()
    assert modecast.audit(lambda y: y - y.mean(), y).verdict == "LEAKS"
    assert modecast.audit(np.cumsum, y).verdict == "causal"


@pytest.mark.parametrize(
    ("pipeline", "change", "said"),
    [
        (lambda df: df["y"], lambda df: df.drop(columns="ds"), "lacks the column ds"),
        (lambda df: df["y"], lambda df: pd.concat([df, df]), "two rows of one series at one date"),
        (lambda df: np.random.default_rng().normal(size=len(df)), None, "Fix its random numbers"),
        (lambda df: np.zeros(7), None, "nothing tells which row is which"),
        (lambda df: None, None, "nothing tells which row is which"),
        (lambda df: pd.DataFrame(index=df.index), None, "returns no column"),
        (lambda df: pd.concat([df, df])[["unique_id", "ds", "y"]], None, "two rows of one series at one date"),
        (object(), None, "is neither a function"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(df, pipeline, change, said):
    with pytest.raises(ValueError, match=said):
        modecast.audit(pipeline, change(df) if change else df)


@pytest.mark.parametrize(("train", "ways"), [("1999-01-01", None), (0.7, ["sideways"]), (0.7, [])])
def test_settings_that_cannot_work_are_refused(df, train, ways):
    with pytest.raises(ValueError, match="must be"):
        modecast.audit(CAUSAL["a lag"], df, train=train, ways=ways)


def example(name: str):
    """Return an example of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def closes() -> pd.DataFrame:
    from arch.data import sp500

    return sp500.load()["Adj Close"].iloc[-250:].rename_axis("ds").rename("y").reset_index()


def test_the_published_decompose_then_split_is_caught(closes):
    pytest.importorskip("PyEMD", reason="the decomposition of the published pipelines is PyEMD's")
    shown = example("audit_decompose_then_split")
    found = modecast.audit(shown.as_published, closes, ways=["scrambled", "removed"])
    assert [finding.stage for finding in found.leaks] == ["mode 1", "mode 2", "mode 3", "mode 4"]
    assert "first at 20" in found.sentence
    modecast.assert_causal(shown.causal, closes, ways=["shifted"])


def test_the_example_of_scikit_learn_scales_too_early_and_in_time(closes):
    shown = example("audit_sklearn")
    assert modecast.audit(shown.scaled_first, closes, train=shown.SPLIT).verdict == "LEAKS"
    modecast.assert_causal(shown.split_first, closes, train=shown.SPLIT)


def test_the_example_of_mlforecast_looks_ahead_by_its_target_transform(closes):
    pytest.importorskip("mlforecast", reason="the example is of mlforecast")
    shown = example("audit_mlforecast")
    table = closes.assign(unique_id="sp500", ds=np.arange(len(closes)))
    modecast.assert_causal(shown.lags, table)
    assert modecast.audit(shown.smoothed, table).verdict == "LEAKS"


def test_neuralforecast_is_audited_by_its_cross_validation(closes):
    neuralforecast = pytest.importorskip("neuralforecast", reason="the forecasts are those of neuralforecast")
    from neuralforecast.models import MLP

    model = MLP(h=2, input_size=8, max_steps=3, scaler_type=None, enable_progress_bar=False, logger=False)
    table = closes.assign(unique_id="sp500", ds=np.arange(len(closes)))
    found = modecast.audit(neuralforecast.NeuralForecast([model], freq=1), table, ways=["scrambled"])
    assert found.verdict in ("causal", "causal to rounding")
    assert sum(finding.checked for finding in found.findings) > 0


def test_the_page_shows_the_examples_and_what_they_print():
    page = PAGE.read_text(encoding="utf-8")
    for path in sorted(Path(EXAMPLES).glob("audit_*.py")):
        assert f"examples/{path.name}" in page
    for way in ("scrambled", "shifted", "constant", "removed"):
        assert f"`{way}`" in page
