"""Features look back only, learn from training rows only, and say what they learned in arrays."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import pywt
import torch
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from safetensors.numpy import load, save
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from data.features._rows import cell_starts
from data.features.chain import Chain
from data.features.clusters import Clusters, _best
from data.features.codes import Codes, last_cells
from data.features.drift import Displacement
from data.features.early_life import EarlyLife
from data.features.robust import Robust
from data.features.rolling import RollingStatistics
from data.features.selection import Selection
from data.features.standardize import Standardize
from data.features.wavelet_packet import TrailingWaveletPacket
from data.panel import DataError
from models.meta_autoencoder import MetaAutoencoder
from runtime.build import build, check
from runtime.command_line import CONF
from tests.conftest import choices, data_file

FACTORS = ["Discharge Time (s)", "Charging time (s)", "Min. Voltage Charg. (V)"]
SMALL = {"hidden": [16, 8], "epochs": 2, "rows": 128, "batch_size": 64}


def cells(lives=(130, 110, 120, 90), seed=0):
    """Factors and remaining life of cells that age, with noise and a few gross outliers."""
    draw = np.random.default_rng(seed)
    parts = []
    for number, life in enumerate(lives):
        left = np.arange(life)[::-1] / life
        factors = np.stack([2000 + 900 * left**0.5, 6000 + 2000 * left, 3.6 - 0.2 * left**2], axis=1)
        factors *= 1 + 0.01 * draw.standard_normal(3) + 0.003 * draw.standard_normal((life, 3))
        factors[draw.integers(life // 2, life, 2), 0] *= 50
        index = pd.MultiIndex.from_arrays([[f"c{number}"] * life, np.arange(1, life + 1)], names=["unique_id", "ds"])
        parts.append(pd.DataFrame(factors, index, FACTORS).assign(y=np.arange(life)[::-1].astype(float)))
    table = pd.concat(parts)
    return table.drop(columns="y"), table["y"]


def of(table, *names):
    return table[table.index.get_level_values("unique_id").isin(names)]


def committed(name):
    """Compose a chain, or a single step behind standardised factors, with small networks and few candidates."""
    kind, choice = name.split("/")
    step = ["features=factors", f"+feature@features.steps.it={choice}"]
    chosen = [f"features={choice}"] if kind == "features" else step
    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose("train", overrides=chosen)
    part = OmegaConf.masked_copy(cfg, ["seed", "features"])
    features = OmegaConf.create(OmegaConf.to_container(part, resolve=True)).features
    for step in filter(None, features.steps.values()):
        if "autoencoder" in step:
            step.autoencoder.update(SMALL)
        if "candidates" in step:
            step.candidates = [2, 3]
    return features


EVERY = [f"{kind}/{name}" for kind in ("features", "feature") for name in choices(kind)]


@pytest.fixture(scope="module", params=EVERY)
def made(request):
    """Something that builds the feature anew, and one that was fitted to the first three of four cells."""
    node = committed(request.param)
    feature, X = fitted(build(node))
    return partial(build, node), feature, X


def fitted(feature):
    X, y = cells()
    train = ["c0", "c1", "c2"]
    return feature.fit(of(X, *train), of(y, *train)), X


def test_rows_stay_and_columns_are_named_as_announced(made):
    _, feature, X = made
    out = feature.transform(X)
    assert out.index.equals(X.index)
    assert list(out.columns) == list(feature.get_feature_names_out())
    assert out.columns.is_unique
    assert (out.dtypes == np.float64).all()
    assert np.isfinite(out.to_numpy()).all()


def test_what_comes_later_or_happens_in_other_cells_changes_nothing(made):
    _, feature, X = made
    before = feature.transform(X)
    draw = np.random.default_rng(1)
    ids, cycles = (X.index.get_level_values(level) for level in ("unique_id", "ds"))
    for cell, row in (("c3", 40), ("c1", 77), ("c0", 0)):
        known = np.asarray((ids == cell) & (cycles <= row + 1))
        other = X.where(np.tile(known[:, None], 3), X * draw.uniform(0.2, 5.0, X.shape))
        after = feature.transform(other)
        np.testing.assert_array_equal(after[known], before[known])
        assert not after[~known].equals(before[~known])


def test_what_is_fitted_is_fitted_to_the_training_rows_alone(made):
    anew, feature, X = made
    again, _ = fitted(anew())
    assert {name: array.tobytes() for name, array in again.state().items()} == {
        name: array.tobytes() for name, array in feature.state().items()
    }
    feature.transform(of(X, "c3") * 3)
    np.testing.assert_array_equal(again.transform(X), feature.transform(X))


def test_a_cell_alone_gives_what_it_gives_among_others(made):
    _, feature, X = made
    np.testing.assert_allclose(feature.transform(of(X, "c3")), of(feature.transform(X), "c3"), rtol=1e-5, atol=1e-5)


def test_what_was_learned_comes_back_from_a_safetensors_file(made):
    anew, feature, X = made
    again = anew().load_state(load(save(feature.state())))
    np.testing.assert_array_equal(again.transform(X), feature.transform(X))
    assert list(again.get_feature_names_out()) == list(feature.get_feature_names_out())


def test_a_missing_column_is_named_and_a_further_one_is_no_matter(made):
    _, feature, X = made
    with pytest.raises(DataError, match=r"lacks the column 'Charging time \(s\)'"):
        feature.transform(X.drop(columns="Charging time (s)"))
    wider = X.assign(more=1.0)[["more", *reversed(FACTORS)]]
    np.testing.assert_array_equal(feature.transform(wider), feature.transform(X))


def test_what_was_not_fitted_says_so(made):
    anew, _, X = made
    with pytest.raises(NotFittedError):
        anew().transform(X)


@pytest.mark.parametrize("name", choices("features"))
def test_a_chain_has_no_faults_as_committed(name, configure):
    check(configure(f"features={name}"), {"*": {"n_components", "lookback", "horizon"}})


def test_a_step_is_swapped_or_left_out_by_one_override(configure):
    steps = configure("features=paper2", "feature@features.steps.codes=autoencoder_plain").features.steps
    assert steps.codes.autoencoder.optimizer["_target_"] == "torch.optim.Adam"
    assert "eta" not in steps.codes.autoencoder.optimizer
    cfg = configure("features=paper2", "features.steps.codes=null", "features.steps.clusters.candidates=[2]")
    feature, X = fitted(build(cfg.features))
    assert list(feature.transform(X).columns[-3:]) == ["cluster 0", "cluster 1", "cluster 2"]
    assert not any(name.startswith("code") for name in feature.transform(X).columns)


def test_a_chain_learns_step_by_step_from_what_it_was_given():
    X, y = cells()
    means = RollingStatistics([5], ["mean"], keep=False)
    chain = Chain({"robust": Robust(), "nothing": None, "means": means, "standardize": Standardize()})
    out = chain.fit(X, y).transform(X)
    by_hand = X
    for step in (Robust(), means, Standardize()):
        by_hand = step.fit(by_hand, y).transform(by_hand)
    pd.testing.assert_frame_equal(out, by_hand)
    assert chain.n_conditions == 0


def test_a_chain_tells_what_its_steps_found():
    chain, _ = fitted(build(committed("features/paper2")))
    told = chain.evidence()
    assert [row["factor"] for row in told["factors"]] == FACTORS
    assert [row["n_clusters"] for row in told["clusters"]["table"]] == [2, 3]
    assert told["clusters"]["chosen"] == chain.n_conditions == 3
    assert {"epoch", "train/loss", "val/loss"} <= set(told["autoencoder"]["autoencoder"][0])
    bands = told["bands"]
    X, _ = cells()
    first = X.index.get_level_values("unique_id")[0]
    assert (bands["cell"], bands["column"]) == (first, f"{FACTORS[0]} mean15")
    assert bands["ds"] == X.loc[first].index.tolist()
    smooth = X.loc[first, FACTORS[0]].rolling(15, min_periods=1).mean()
    np.testing.assert_allclose(np.sum(bands["bands"], axis=0), smooth, rtol=1e-9)
    assert build(committed("features/paper2")).load_state(chain.state()).evidence() == {}


def test_steps_are_cloned_by_scikit_learn():
    step = clone(Displacement([7], smoothing=3))
    assert step.get_params() == {"windows": [7], "smoothing": 3, "columns": None, "keep": True}


@given(st.integers(0, 10**6), st.integers(1, 25))
@settings(max_examples=15, deadline=None)
def test_rolling_statistics_are_those_of_pandas(seed, width):
    X, y = _random_table(seed)
    out = RollingStatistics([width]).fit(X, y).transform(X)
    rolling = X.groupby(level="unique_id", sort=False, group_keys=False).rolling(width, min_periods=1)
    for name in ("mean", "std", "max", "min"):
        expected = getattr(rolling, name)().fillna(0.0).to_numpy()
        np.testing.assert_allclose(out[[f"{column} {name}{width}" for column in X]], expected, atol=1e-9)


def _random_table(seed):
    draw = np.random.default_rng(seed)
    lives = draw.integers(1, 40, 3)
    index = pd.MultiIndex.from_arrays(
        [np.repeat(["a", "b", "c"], lives), np.concatenate([np.arange(n) for n in lives])], names=["unique_id", "ds"]
    )
    return pd.DataFrame(draw.standard_normal((lives.sum(), 2)), index, ["u", "v"]), pd.Series(0.0, index)


def test_a_gross_outlier_leaves_no_trace_behind_its_window():
    X, y = _random_table(0)
    wild = X.copy()
    wild.iloc[0] = 1e12
    plain, after = (RollingStatistics([4]).fit(table, y).transform(table) for table in (X, wild))
    first = int((X.index.get_level_values(0) == "a").sum())
    assert first > 4
    np.testing.assert_array_equal(after.iloc[4:], plain.iloc[4:])


def test_bands_are_those_of_the_tree_of_the_trailing_window():
    X, y = cells()
    out = TrailingWaveletPacket(window=64, keep=True).fit(X, y).transform(X)
    values = of(X, "c1")[FACTORS[0]].to_numpy()[10:74].copy()
    tree = pywt.WaveletPacket(values, "db4", mode="symmetric", maxlevel=3)
    for number, node in enumerate(reversed(tree.get_level(3, order="freq")), start=1):
        alone = pywt.WaveletPacket(None, "db4", mode="symmetric", maxlevel=3)
        alone[node.path] = node.data
        last = alone.reconstruct(update=False)[:64][-1]
        assert out.loc[("c1", 74), f"{FACTORS[0]} band {number}"] == pytest.approx(last, abs=1e-8 * values.max())


def test_bands_sum_to_the_value():
    X, y = cells()
    out = TrailingWaveletPacket(columns="time").fit(X, y).transform(X)
    sums = out.filter(like="Charging time (s) band").sum(axis=1)
    np.testing.assert_allclose(sums, X["Charging time (s)"], rtol=1e-10)
    assert FACTORS[0] in out.columns
    assert "Charging time (s)" not in out.columns


def test_a_window_too_short_for_its_filters_is_refused():
    with pytest.raises(ValueError, match=r"wavelet_packet\.window=20"):
        TrailingWaveletPacket(window=20)


def test_early_life_is_the_median_so_far_and_then_stays():
    X, y = cells()
    out = EarlyLife(cycles=10).fit(X, y).transform(X)
    cell, changes = of(X, "c2")[FACTORS[1]], of(out, "c2")[f"{FACTORS[1]} since early life"]
    assert changes.iloc[0] == 0
    assert changes.iloc[4] == pytest.approx(cell.iloc[4] - cell.iloc[:5].median())
    for row in (9, 10, 100):
        assert changes.iloc[row] == pytest.approx(cell.iloc[row] - cell.iloc[:10].median())


def test_drift_compares_with_the_past_of_the_cell():
    X, y = cells()
    out = Displacement([20], smoothing=5, columns="Charging").fit(X, y).transform(X)
    cell, drift = of(X, "c1")["Charging time (s)"], of(out, "c1")["Charging time (s) drift20"]
    assert drift.iloc[0] == 0
    assert drift.iloc[60] == pytest.approx(cell.iloc[56:61].mean() - cell.iloc[36:41].mean())
    assert drift.iloc[3] == pytest.approx(cell.iloc[:4].mean() - cell.iloc[0])
    assert list(out.columns) == [*FACTORS, "Charging time (s) drift20"]


def test_drift_begins_where_the_column_first_moves():
    index = pd.MultiIndex.from_product([["a"], range(12)], names=["unique_id", "ds"])
    X = pd.DataFrame({"x": [50.0] * 4 + [10.0, 9, 8, 7, 6, 5, 4, 3]}, index)
    out = Displacement([6], smoothing=1, keep=False).fit(X, X["x"]).transform(X)["x drift6"]
    np.testing.assert_allclose(out, [0, 0, 0, 0, 0, -1, -2, -3, -4, -5, -6, -6])


def test_outliers_become_the_median_of_what_was_known():
    X, y = cells()
    out = Robust(window=9).fit(X, y).transform(X)
    wild = (X[FACTORS[0]] > 10_000).to_numpy()
    assert wild.sum() >= 4
    assert out[FACTORS[0]].max() < 4000
    for row in np.flatnonzero(wild):
        assert out[FACTORS[0]].iloc[row] == X[FACTORS[0]].iloc[row - 8 : row + 1].median()
    calm = ~wild
    assert (out[calm] == X[calm]).to_numpy().mean() > 0.98


def test_void_rows_take_the_last_regular_ones_or_the_beginning_of_the_training_cells():
    X, y = cells()
    X = X.copy()
    at = [X.index.get_loc((cell, cycle)) for cell, cycle in (("c0", 1), ("c0", 2), ("c3", 1), ("c3", 60))]
    X.iloc[at, 0] = 7400.0
    step = Robust(deviations=50, limits={FACTORS[0]: [500, 3500]})
    out = step.fit(of(X, "c0", "c1"), of(y, "c0", "c1")).transform(X)
    begins = np.median([X.loc[("c0", 3)], X.loc[("c1", 1)]], axis=0)
    np.testing.assert_allclose(out.iloc[at[:3]], np.tile(begins, (3, 1)))
    np.testing.assert_array_equal(out.iloc[at[3]], out.iloc[at[3] - 1])


def test_limits_are_checked():
    X, y = cells()
    with pytest.raises(ValueError, match=r"window=1 .*limits\['a'\]=\[2, 1\]"):
        Robust(window=1, limits={"a": [2, 1]})
    with pytest.raises(DataError, match="limits names 'Voltage'"):
        Robust(limits={"Voltage": [0, 1]}).fit(X, y)
    with pytest.raises(DataError, match="No training row lies within"):
        Robust(limits={FACTORS[0]: [0, 1]}).fit(X, y)


def test_the_factors_that_tell_the_life_are_selected():
    X, y = cells()
    draw = np.random.default_rng(0)
    wide = X.assign(noise=draw.standard_normal(len(X)), still=1.0, again=X[FACTORS[2]])
    step = Selection(keep=2).fit(wide, y)
    assert set(step.transform(wide).columns) <= {*FACTORS, "again"}
    table = pd.DataFrame(step.factors).set_index("factor")
    assert table.loc["still", "kendall_tau"] == 0
    assert table.loc["still", "importance"] == 0
    assert abs(table.loc["noise", "kendall_tau"]) < 0.1
    assert table.loc[FACTORS[1], "kendall_tau"] > 0.8
    assert table.loc[FACTORS[2], "kendall_tau"] < -0.8


def test_a_factor_that_rises_in_one_cell_and_falls_in_another_counts_little():
    X, y = cells(lives=(100, 100))
    flipped = y.where(y.index.get_level_values(0) == "c0", -y).to_numpy()
    step = Selection(keep=3).fit(X.assign(flipped=flipped), y)
    assert "flipped" not in step.transform(X.assign(flipped=flipped)).columns


def test_standardised_columns_have_mean_zero_and_deviation_one_in_training():
    X, y = cells()
    X = X.assign(still=7.0)
    train = of(X, "c0", "c1")
    step = Standardize(clip=3.0).fit(train, y)
    out = Standardize(clip=1e9).fit(train, y).transform(train)
    np.testing.assert_allclose(out[FACTORS].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(out[FACTORS].std(ddof=0), 1)
    assert (step.transform(X * 100)["still"] == 0).all()
    assert step.transform(X * 100)[FACTORS[0]].max() == 3.0


def test_the_last_training_cells_say_when_the_autoencoder_stops():
    assert last_cells(["a", "a", "b", "c", "c"], 0.2).tolist() == [False, False, False, True, True]
    assert last_cells(["a", "a", "b", "c", "c"], 0.5).tolist() == [False, False, True, True, True]
    assert last_cells(["a", "b"], 0.99).tolist() == [False, True]
    assert last_cells(["a"] * 5, 0.2).tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("keep", [False, True])
def test_codes_stand_alone_or_beside_the_columns(keep):
    X, y = cells()
    optimizer = partial(torch.optim.Adam, lr=1e-3)
    step = Codes(MetaAutoencoder(optimizer, code=2, **SMALL), keep=keep).fit(X, y)
    assert list(step.transform(X).columns) == [*(FACTORS if keep else []), "code 1", "code 2"]


@pytest.fixture
def stages():
    """Codes of three stages of ageing, the oldest first in space."""
    draw = np.random.default_rng(0)
    stage = np.tile(np.repeat([2, 0, 1], 40), 2)  # 2: young
    index = pd.MultiIndex.from_product([["a", "b"], range(120)], names=["unique_id", "ds"])
    X = pd.DataFrame(draw.normal(4.0 * stage[:, None], 0.4, (240, 2)), index, ["code 1", "code 2"])
    return X.assign(other=draw.standard_normal(240)), pd.Series(100.0 * stage, index), stage


def test_clusters_are_found_and_ordered_from_young_to_old(stages):
    X, y, stage = stages
    step = Clusters(candidates=[2, 3, 4]).fit(X, y)
    out = step.transform(X)
    assert list(out.columns) == ["code 1", "code 2", "other", "cluster 0", "cluster 1", "cluster 2"]
    np.testing.assert_array_equal(out.filter(like="cluster").to_numpy().argmax(axis=1), 2 - stage)
    assert set(np.unique(out.filter(like="cluster"))) == {0.0, 1.0}
    assert step.n_conditions == 3


def test_the_criteria_find_the_number_of_clusters(stages):
    X, y, _ = stages
    step = Clusters(n_clusters=None, candidates=[2, 3, 4, 5]).fit(X, y)
    assert step.n_conditions == 3
    assert step.evidence()["clusters"]["chosen"] == 3


def test_degrees_of_membership_sum_to_one_and_are_no_conditions(stages):
    X, y, stage = stages
    step = Clusters(memberships=True, candidates=[3]).fit(X, y)
    degrees = step.transform(X).filter(like="cluster").to_numpy()
    np.testing.assert_allclose(degrees.sum(axis=1), 1)
    assert ((degrees > 0) & (degrees < 1)).all()
    np.testing.assert_array_equal(degrees.argmax(axis=1), 2 - stage)
    assert step.n_conditions == 0


def test_the_number_of_clusters_with_the_lowest_sum_of_ranks_wins_and_the_smaller_at_a_tie():
    def table(*rows):
        return [dict(zip(["n_clusters", "fpc", "silhouette", "calinski_harabasz"], row, strict=True)) for row in rows]

    assert _best(table((2, 0.9, 0.5, 10.0), (3, 0.8, 0.6, 20.0), (4, 0.7, 0.4, 5.0))) == 3
    assert _best(table((2, 0.9, 0.5, 10.0), (3, 0.9, 0.5, 10.0))) == 2
    assert _best(table((2, 0.5, np.nan, np.nan), (3, 0.4, 0.1, 1.0))) == 3


def test_clusters_leave_the_random_numbers_of_others_alone(stages):
    X, y, _ = stages
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    Clusters(candidates=[3]).fit(X, y).transform(X)
    assert np.random.random() == expected  # noqa: NPY002


def test_too_few_different_rows_for_the_clusters_are_refused():
    X, y = cells(lives=(5,))
    with pytest.raises(DataError, match="5 different training rows are too few for 10 clusters"):
        Clusters().fit(X, y)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (partial(RollingStatistics, windows=[0], statistics=["mode"]), "0 is no window.*mode is not one of"),
        (partial(EarlyLife, cycles=0), "early_life.cycles=0"),
        (partial(Displacement, windows=[]), "drift.windows=\\[\\]"),
        (partial(Selection, keep=0), "selection.keep=0"),
        (partial(Standardize, clip=0.0), "standardize.clip=0.0"),
        (partial(Codes, None, validation=1.0), "codes.validation=1.0"),
        (partial(Clusters, n_clusters=1, fuzzifier=1.0), "n_clusters=1 .*fuzzifier=1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(made, said):
    with pytest.raises(ValueError, match=said):
        made()


def test_rows_out_of_order_are_refused():
    X, y = cells()
    with pytest.raises(DataError, match="c0 do not stand together"):
        cell_starts(pd.concat([X, of(X, "c0")]))
    with pytest.raises(DataError, match="comes after its row"):
        cell_starts(X.iloc[::-1])
    with pytest.raises(DataError, match="No column holds the pattern 'Ampere'"):
        RollingStatistics(columns="Ampere").fit(X, y).transform(X)


def test_the_factors_of_hnei_correlate_with_life_as_published(configure):
    path = data_file("hnei/hnei_14cells_features_with_cell_id.csv")
    panel = build(configure("source=hnei", f"source.path={path}", "source.cells=[a,b,c]").source).load()
    table = panel.frame.set_index(["unique_id", "ds"])
    step = Selection(keep=5).fit(table.drop(columns="y"), table["y"])
    tau = pd.DataFrame(step.factors).set_index("factor")["kendall_tau"]
    assert tau["Discharge Time (s)"] > 0.95
    assert tau["Min. Voltage Charg. (V)"] < -0.6
