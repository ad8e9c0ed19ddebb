"""A covariate counts from the moment it was known, every model sees it, and the audit names one that comes too late."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data.covariates
import tasks.forecast  # noqa: F401  before anything is planted: what it imports stays honest
from data.contracts import SERIES, Batch, Outside, Windows
from data.covariates import Covariate, as_of, column_of, with_covariates
from data.decomposition.identity import Identity
from data.known import calendar_columns
from data.moments import NEVER, DecidedAt
from data.panel import DataError
from data.scaling import LastValue, WithCovariates, extra_of
from data.sources.arch_data import ArchData
from data.sources.csv import CSV
from data.windows import RollingWindow, cut, latest
from models.allocation import Joint, Separate
from models.classical import Ridge
from models.model import Inputs
from pipeline.audit import audit
from pipeline.fitted import unfitted
from pipeline.fitting import learn, parts_of, rows_of
from pipeline.predict import predict, source_of
from pipeline.settings import check_task
from runtime.build import ConfigError, build, class_of
from runtime.record import load_run
from tests.commands import run
from tests.conftest import choices, data_file, panel_of

DAY = 86_400_000_000_000  # [ns]
SHANGHAI = {"day": "next", "at": "09:25", "zone": "Asia/Shanghai"}


def moment(text: str) -> int:
    """Return a time with an offset [ns since 1970 in UTC]."""
    return pd.Timestamp(text).as_unit("ns").value


def table(tmp_path, name="beside.csv", **columns):
    path = tmp_path / name
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


# --- the join ---------------------------------------------------------------------------------------------------


def slow_as_of(available, dates, decided):
    """Look at every value for every decision."""
    found = []
    for when in decided:
        best = -1
        for place in range(len(available)):
            if available[place] < when and (best < 0 or dates[place] >= dates[best]):
                best = place
        found.append(best)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12),
    st.lists(st.integers(-1, 14), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_the_join_is_that_of_a_slow_loop(values, decided):
    ordered = sorted(values, key=lambda value: value[0])
    available, dates = (np.array([value[k] for value in ordered], dtype=np.int64) for k in (0, 1))
    when = np.array(decided, dtype=np.int64)
    assert as_of(available, dates, when).tolist() == slow_as_of(available, dates, when)


def test_a_value_counts_only_after_it_is_available_and_never_at_that_moment():
    assert as_of(np.array([10, 20]), np.array([1, 2]), np.array([10, 11, 20, 21])).tolist() == [-1, 0, 0, 1]


def test_a_revision_counts_from_its_own_moment_and_does_not_hide_a_later_date():
    available, dates = np.array([10, 20, 30]), np.array([1, 2, 1])  # the first date is revised after the second
    assert as_of(available, dates, np.array([15, 25, 35])).tolist() == [0, 1, 1]
    assert as_of(available[:2], np.array([1, 1]), np.array([15, 25])).tolist() == [0, 1]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_moves_between_two_decisions_add_up_over_those_left_out(seed):
    rng = np.random.default_rng(seed)
    days = np.arange(40, dtype=np.int64)
    close = np.exp(rng.standard_normal(40).cumsum())
    outside = Outside("x", "points", days, days * DAY, close, moves=True)
    sessions = np.flatnonzero(rng.random(39) < 0.6)[1:] + 1  # of another exchange, with holidays of its own
    decided = sessions * DAY - 1
    before = np.r_[NEVER, decided[:-1]]
    found = column_of(outside, decided, before)
    daily = np.diff(np.log(close), prepend=np.nan)
    by_hand = [sum(daily[day] for day in range(one, other)) for one, other in pairwise(sessions)]
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], by_hand, atol=1e-12)


# --- when a value is known, and when a forecast is made ---------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "known"),
    [
        ({}, "2024-01-03 05:00Z"),  # the end of its own day in New York
        ({"at": "16:30"}, "2024-01-02 21:30Z"),
        ({"at": "16:30", "lag": 2}, "2024-01-04 21:30Z"),
        ({"at": "stamp"}, "2024-01-02 05:00Z"),
    ],
)
def test_a_value_becomes_available_when_its_settings_say(tmp_path, how, known):
    path = table(tmp_path, date=["2024-01-02", "2024-07-02"], x=[1.0, 2.0])
    found, _ = Covariate(path=path, column="x", zone="America/New_York", **how).read("x")
    assert found.available[0] == moment(known)
    assert found.available[1] - found.available[0] == 182 * DAY - DAY // 24  # summer time begins an hour earlier


def test_a_column_of_the_file_tells_when_each_value_became_available(tmp_path):
    path = table(
        tmp_path,
        date=["2024-01-02", "2024-01-02", "2024-01-03"],
        x=[1.0, 1.5, 2.0],
        out=["2024-01-03 08:00", "2024-02-01 08:00", "2024-01-04 08:00"],
    )
    found, _ = Covariate(path=path, column="x", time="date", available="out", zone="America/New_York").read("x")
    assert found.available.tolist() == [
        moment("2024-01-03 13:00Z"),
        moment("2024-01-04 13:00Z"),
        moment("2024-02-01 13:00Z"),
    ]
    assert found.numbers.tolist() == [1.0, 2.0, 1.5]


def dated(*dates):
    return replace(
        panel_of(np.arange(len(dates), dtype=float) ** 2),
        frame=pd.DataFrame({"unique_id": "s0", "ds": pd.to_datetime(list(dates)), "y": np.arange(len(dates)) ** 2.0}),
    )


def test_the_night_is_known_before_the_next_session_and_not_at_the_close_before_it(tmp_path):
    path = table(tmp_path, date=["2024-02-07", "2024-02-08", "2024-02-09", "2024-02-16"], x=[1.0, 2.0, 4.0, 8.0])
    sp500 = {"x": Covariate(path=path, column="x", zone="America/New_York", at="16:30")}
    sessions = dated("2024-02-07", "2024-02-08", "2024-02-19", "2024-02-20")  # closed for the Spring Festival
    overnight = with_covariates(sessions, sp500, DecidedAt(**SHANGHAI)).frame
    assert overnight["x"].tolist() == [1.0, 8.0, 8.0, 8.0]
    at_close = with_covariates(sessions, sp500, DecidedAt(at="15:00", zone="Asia/Shanghai")).frame
    assert at_close["x"].tolist() == [1.0, 8.0, 8.0]  # of the 8th; before the 7th nothing is known
    moves = {"x": Covariate(path=path, column="x", zone="America/New_York", at="16:30", moves=True)}
    found = with_covariates(sessions, moves, DecidedAt(**SHANGHAI)).frame["x"]
    np.testing.assert_allclose(found, [np.log(8), 0, 0])  # three nights and a week in one move


def test_by_default_a_close_waits_for_the_end_of_its_own_day(tmp_path):
    path = table(tmp_path, date=["2024-01-02", "2024-01-03"], x=[1.0, 2.0])
    strict = {"x": Covariate(path=path, column="x", zone="America/New_York")}
    found = with_covariates(dated("2024-01-02", "2024-01-03", "2024-01-04"), strict, DecidedAt(**SHANGHAI)).frame
    assert found["ds"].dt.day.tolist() == [3, 4]
    assert found["x"].tolist() == [1.0, 2.0]


def test_the_calendar_of_an_exchange_knows_when_it_closes_early():
    pytest.importorskip("exchange_calendars")
    panel = replace(dated("2023-11-22", "2023-11-24"), calendar="XNYS")
    decided, before = DecidedAt().moments(panel)
    assert decided.tolist() == [moment("2023-11-22 21:00Z"), moment("2023-11-24 18:00Z")]  # the day after Thanksgiving
    assert before.tolist() == [NEVER, decided[0]]
    opened, _ = DecidedAt(day="next", at="open").moments(panel)
    assert opened.tolist() == [moment("2023-11-24 14:30Z"), moment("2023-11-27 14:30Z")]


# --- what cannot be used is said in a sentence ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"zone": "UTC"}, "needs either a source or the path of a file"),
        ({"path": "a.csv", "zone": "UTC"}, "needs the name of its column"),
        ({"path": "a.csv", "column": "x"}, "needs its zone"),
        ({"path": "a.csv", "column": "x", "zone": "UTC", "at": "close"}, "needs the calendar of an exchange"),
        ({"path": "a.csv", "column": "x", "zone": "UTC", "lag": -1}, "no value is known before it is there"),
        ({"path": "a.csv", "column": "x", "zone": "Shanghai"}, "no time zone such as"),
        ({"path": "a.csv", "column": "x", "zone": "UTC", "at": "4 pm"}, "no time of day such as"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Covariate(**given)


@pytest.mark.parametrize(
    ("x", "how", "said"),
    [
        ([np.nan, np.nan, np.nan], {}, "has no value at all"),
        ([1.0, -1.0, 2.0], {"moves": True}, "not above 0"),
        ([1.0, 2.0, 3.0], {"lag": 400}, "No value of the covariate x is known before"),
        ([1.0, 2.0, 3.0], {"column": "z"}, "lacks the column 'z'"),
    ],
)
def test_a_covariate_that_cannot_be_used_is_refused(tmp_path, x, how, said):
    path = table(tmp_path, date=["2024-01-01", "2024-01-02", "2024-01-03"], x=x)
    covariate = Covariate(**({"path": path, "column": "x", "zone": "UTC"} | how))
    with pytest.raises(DataError, match=said):
        with_covariates(dated("2024-01-02", "2024-01-04"), {"x": covariate}, DecidedAt(at="15:00", zone="UTC"))


def test_a_covariate_that_ends_long_before_the_series_is_refused_and_gaps_are_noted(tmp_path):
    path = table(tmp_path, date=["2024-01-01", "2024-01-02", "2024-01-20"], x=[1.0, np.nan, 3.0])
    covariate = {"x": Covariate(path=path, column="x", zone="UTC")}
    noon = DecidedAt(at="12:00", zone="UTC")
    notes = " ".join(
        with_covariates(dated("2023-12-30", "2024-01-05", "2024-01-19", "2024-01-22"), covariate, noon).notes
    )
    assert "1 rows of the covariate x have no value" in notes
    assert "In 1 rows of test (first 2024-01-19) the newest value of the covariate x is more than 10 days old" in notes
    assert "1 rows of test before all covariates are known are left out" in notes
    with pytest.raises(DataError, match=r"The covariate x ends on 2024-01-20, but test goes on to 2024-03-01"):
        with_covariates(dated("2024-01-05", "2024-03-01"), covariate, noon)


def test_steps_without_dates_and_dates_without_a_zone_are_refused(tmp_path):
    path = table(tmp_path, date=["2024-01-01"], x=[1.0])
    covariate = {"x": Covariate(path=path, column="x", zone="UTC")}
    steps = replace(dated("2024-01-02", "2024-01-03"), frame=dated("2024-01-02", "2024-01-03").frame.assign(ds=[1, 2]))
    with pytest.raises(DataError, match="counts steps"):
        with_covariates(steps, covariate, DecidedAt())
    with pytest.raises(DataError, match="Nothing says when the forecasts of test are made"):
        with_covariates(dated("2024-01-02", "2024-01-03"), covariate, DecidedAt())


# --- the same file, and the calendar ----------------------------------------------------------------------------


def test_columns_of_the_same_file_stand_beside_its_values(tmp_path):
    path = table(
        tmp_path,
        date=pd.bdate_range("2024-01-01", periods=6),
        close=[1.0, 2.0, 4.0, 3.0, 5.0, 4.5],
        volume=[np.nan, 7.0, np.nan, 9.0, 8.0, 6.0],
        size=[3.0] * 6,
    )
    panel = CSV(path, value="close", covariates=["volume"], static=["size"]).load()
    assert panel.frame["volume"].tolist() == [7.0, 7.0, 9.0, 8.0, 6.0]
    assert (list(panel.covariates), panel.static) == (["volume", "size"], ("size",))
    assert "1 rows before volume, size are known are left out." in panel.notes
    assert "1 missing values of volume, size take the last one known." in panel.notes
    for options, said in [
        ({"covariates": ["volum"]}, "lacks the covariates column 'volum'.*Did you mean 'volume'"),
        ({"static": ["volume"]}, "is not the same in every row"),
    ]:
        with pytest.raises(DataError, match=said):
            CSV(path, value="close", **options).load()


def test_the_calendar_tells_of_a_date_what_is_known_ahead():
    dates = pd.Series(pd.to_datetime(["2024-03-28 00:00", "2024-03-29 00:00", "2024-04-01 18:00"]))
    found = calendar_columns(["weekday", "month_end", "hour", "month"], dates, None)
    assert found["Thursday"].tolist() == [1, 0, 0]
    assert found["Monday"].tolist() == [0, 0, 1]
    assert found["month end"].tolist() == [0, 1, 0]  # a Friday, two days before the end of March
    np.testing.assert_allclose(found["hour sine"], [0, 0, -1])
    np.testing.assert_allclose(found["month sine"], [np.sin(np.pi / 3), np.sin(np.pi / 3), 1])
    with pytest.raises(DataError, match="needs the calendar of an exchange"):
        calendar_columns(["holidays"], dates, None)


def test_holidays_are_those_of_the_exchange():
    pytest.importorskip("exchange_calendars")
    dates = pd.Series(pd.to_datetime(["2024-02-08", "2024-02-19", "2024-02-20"]))
    found = calendar_columns(["holidays"], dates, "XSHG")
    assert found["closed days before"].tolist() == [0, 10, 0]
    assert found["closed days after"].tolist() == [10, 0, 0]


def test_windows_show_what_is_known_up_to_the_last_target(walk):
    plain = panel_of(walk)
    steps = np.arange(300.0)
    panel = replace(plain, frame=plain.frame.assign(a=steps, b=-steps), covariates={"a": "-"}, known={"b": "-"})
    windows = cut(panel, Identity(), RollingWindow(64), 10, 2)
    np.testing.assert_array_equal(windows.known[:, :, 0], -(windows.origin[:, None] + np.arange(-9.0, 3)))
    extra = extra_of(windows)
    np.testing.assert_array_equal(extra[:, -1, 0], windows.origin)  # a covariate: of the origin, and no later
    np.testing.assert_array_equal(extra[:, -2:, 1], -(windows.origin[:, None] + np.array([1.0, 2])))  # of both targets
    ends = latest(panel, Identity(), RollingWindow(64), 10, [np.array([[-300.0], [-301.0]])])
    np.testing.assert_array_equal(extra_of(ends)[0, -2:, 1], [-300, -301])
    with pytest.raises(ValueError, match="lookback=10 is shorter than horizon=12"):
        extra_of(cut(panel, Identity(), RollingWindow(64), 10, 12))


def test_covariates_are_scaled_by_training_windows_alone_and_remembered(walk):
    plain = panel_of(walk)
    panel = replace(plain, frame=plain.frame.assign(a=np.arange(300.0), flat=1.0), covariates={"a": "-", "flat": "-"})
    windows = cut(panel, Identity(), RollingWindow(64), 10, 1)
    train, later = windows.take(slice(0, 100)), windows.take(slice(100, None))
    scaling = WithCovariates(LastValue()).fit(train)
    seen = scaling.transform(train).extra
    np.testing.assert_allclose([seen[..., 0].mean(), seen[..., 0].std()], [0, 1], atol=1e-12)
    assert not seen[..., 1].any()  # a column that never moved has taught nothing
    again = WithCovariates(LastValue()).load_state(scaling.state())
    np.testing.assert_array_equal(again.transform(later).extra, scaling.transform(later).extra)
    assert scaling.transform(later).extra.max() <= 10
    assert WithCovariates(LastValue()).fit(train._replace(covariates=None)).state().keys() == {"past", "change"}


# --- models -----------------------------------------------------------------------------------------------------

TOLD = [
    "experiment=smoke",
    "decomposition=moving_average",
    "scope.history=32",
    "lookback=6",
    "source.n_steps=260",
    "parallel.n_jobs=1",
]


def told_windows(cfg):
    """Return a task, and windows whose next move is the covariate of the origin, but for a little noise."""
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    y = panel.frame["y"].to_numpy()
    told = np.r_[np.diff(y), 0.0] + 0.05 * np.diff(y).std() * np.random.default_rng(0).standard_normal(y.size)
    panel = replace(panel, frame=panel.frame.assign(told=told), covariates={"told": "points"})
    fold = build(cfg.split).folds(panel, cfg.horizon)[-1]
    row = task.candidates()[0]
    prepared = task.prepare(panel, fold, row, cached=False)
    return task, panel, fold, row, prepared, parts_of(task, panel, fold, prepared)


@pytest.mark.parametrize("name", choices("model"))
def test_every_model_of_scaled_windows_sees_covariates_at_every_network(configure, name):
    cfg = configure(*TOLD, f"model={name}")
    needs = class_of(cfg.model._target_).needs
    if SERIES not in needs.kinds or not needs.scaled:
        pytest.skip("reads no scaled windows of series")
    rng = np.random.default_rng(0)
    fitted = unfitted(cfg, cfg.model, 2, n_extra=3)
    model = fitted.model
    batch = Batch(rng.standard_normal((70, 6, 2)), rng.standard_normal((70, 1, 3)), rng.standard_normal((70, 6, 3)))
    if model.needs.gradients:
        for weight in model.parameters():  # at random: heads may begin at zero
            weight.data.normal_(0, 0.5)
    else:
        target = batch.target + 2 * batch.extra[:, -1:, :1]
        batch = batch._replace(target=target)
        nothing = Inputs(Windows(*[np.empty((0, 1, 1))] * 4), batch.take(slice(0)), pd.DataFrame())
        model.fit(nothing._replace(batch=batch), nothing)
    inputs = Inputs(Windows(*[np.empty((0, 1, 1))] * 4), batch, pd.DataFrame())
    before = model.predict(inputs)
    other = batch.extra.copy()
    other[:, -1] += 1.0
    after = model.predict(inputs._replace(batch=batch._replace(extra=other)))
    assert (np.abs(after - before).max(axis=(1, 2)) > 1e-4).all()  # (K,)
    np.testing.assert_array_equal(model.predict(inputs._replace(batch=batch.take(slice(0, 9)))), before[:, :9])


@pytest.mark.parametrize("model", ["ridge", "svr", "extra_trees", "mlp"])
def test_what_a_covariate_tells_is_learnt(configure, tmp_path, model):
    cfg = configure(*TOLD, f"model={model}", "model/component=joint", "trainer.max_epochs=15")
    task, panel, fold, row, prepared, parts = told_windows(cfg)
    fitted = learn(task, panel, fold, row, prepared, parts, tmp_path / "x.ckpt").fitted
    tested = parts.test
    error = np.abs(fitted.forecast(tested, rows_of(panel, tested)) - tested.y).mean()
    assert error < 0.7 * np.abs(tested.y[:, 0] - tested.past[:, -1].sum(axis=1)).mean()


@pytest.mark.parametrize("component", [Joint(), Separate()])
def test_ridge_penalises_covariates_apart(component):
    rng = np.random.default_rng(1)
    batch = Batch(rng.standard_normal((80, 4, 2)), rng.standard_normal((80, 1, 3)), rng.standard_normal((80, 4, 2)))
    model = Ridge("Ridge", component, 3.0, 2, 4, 1, covariate_alpha=50.0, covariate_steps=2)
    nothing = Inputs(Windows(*[np.empty((0, 1, 1))] * 4), batch.take(slice(0)), pd.DataFrame())
    model.fit(nothing._replace(batch=batch), nothing)
    lags = component.inputs(batch.past).reshape(component.n_networks(2), 80, -1)[-1]
    rows = np.concatenate([lags, batch.extra[:, -2:].reshape(80, -1)], axis=1)
    rows, y = rows - rows.mean(axis=0), component.targets(batch.target)[-1]
    penalty = np.diag(np.repeat([3.0, 50.0], [lags.shape[1], 4]))
    by_hand = np.linalg.solve(rows.T @ rows + penalty, rows.T @ (y - y.mean(axis=0)))
    np.testing.assert_allclose(model.state()["weight"][-1], by_hand, atol=1e-10)
    assert model.state()["alpha"].tolist() == [3.0, 50.0]


def test_ridge_chooses_the_penalty_of_covariates_on_validation(configure, tmp_path):
    penalties = "model.covariate_alpha=[1.0,1.0e+7]"
    chosen = []
    for informative in (True, False):
        task, panel, fold, row, _, _ = told_windows(configure(*TOLD, "model=ridge", penalties))
        if not informative:
            noise = np.random.default_rng(5).standard_normal(len(panel.frame))
            panel = replace(panel, frame=panel.frame.assign(told=noise))
        prepared = task.prepare(panel, fold, row, cached=False)
        parts = parts_of(task, panel, fold, prepared)
        learnt = learn(task, panel, fold, row, prepared, parts, tmp_path / "x.ckpt")
        chosen.append(learnt.fitted.model.state()["alpha"][1])
    assert chosen == [1.0, 1e7]


@pytest.mark.parametrize("name", ["identity", "jitter", "mixup"])
def test_synthetic_windows_have_covariates_of_real_ones(configure, name):
    rng = np.random.default_rng(0)
    mark = np.arange(50.0)[:, None, None]  # of each window, in its inputs and its covariates
    batch = Batch(np.tile(mark, (1, 4, 2)), rng.standard_normal((50, 1, 3)), np.tile(mark, (1, 4, 3)))
    before = batch.extra.copy()
    drawn = build(configure(f"augmentation={name}").augmentation).samples(batch, 0, 0)
    assert drawn.extra.shape[1:] == (4, 3)
    np.testing.assert_allclose(drawn.extra[:, :, :2], drawn.past, atol=1.0)  # of the same window, but for the noise
    np.testing.assert_array_equal(batch.extra, before)


def test_windows_drawn_without_covariates_are_refused_before_training(configure):
    cfg = configure("experiment=smoke", "known=[weekday]", "augmentation=gaussian")
    with pytest.raises(ConfigError, match=r"augmentation=gaussian makes windows without covariates.*weekday"):
        check_task(build(cfg.task)(cfg))
    with pytest.raises(ConfigError, match=r"known has weekdays, which is none of weekday.*Did you mean 'weekday'"):
        check_task(build(cfg.task)(configure("experiment=smoke", "known=[weekdays]")))


# --- the audit --------------------------------------------------------------------------------------------------

AUDITED = [*TOLD, "decomposition=identity", "model=ridge", "baselines=naive", "equal_memory=none", "blend=none"]


@pytest.fixture
def with_file(configure, tmp_path):
    """Return the settings of a run with a covariate that is published one day after the day it is of."""
    dates = pd.bdate_range("1999-12-01", periods=400)
    x = 100 + np.random.default_rng(3).standard_normal(400).cumsum()
    out = dates + pd.Timedelta(days=1, hours=18)
    path = table(tmp_path, date=dates, rate=x, out=out)
    covariate = [
        "+covariate@covariates.rate=file",
        f"covariates.rate.path={path}",
        "covariates.rate.column=rate",
        "covariates.rate.time=date",
        "covariates.rate.available=out",
        "covariates.rate.zone=UTC",
        "covariates.rate.stale_after=10000",
        "decided_at.at=18:00",
        "decided_at.zone=UTC",
    ]
    return lambda *more: configure(*AUDITED, *covariate, *more)


def audited(cfg, change=None):
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    panel = panel if change is None else change(panel)
    return audit(task, panel, build(cfg.split).folds(panel, cfg.horizon), {})


@pytest.mark.parametrize("moves", ["false", "true"])
def test_an_honest_covariate_is_causal(with_file, moves):
    found = audited(with_file(f"covariates.rate.moves={moves}", "known=[weekday]"))
    assert found.verdict == "causal", found.sentence
    stages = {finding.stage: finding for finding in found.findings}
    assert stages["covariates"].checked > 100
    assert stages["known"].checked > 100


def joined_on_its_date(monkeypatch):
    """Join a value to the day it is of, though it is published the day after."""
    honest = data.covariates.as_of
    monkeypatch.setattr(
        data.covariates, "as_of", lambda known, dates, when: honest(np.sort(dates), np.sort(dates), when)
    )


def joined_where_it_is_published_at_the_very_moment(monkeypatch):
    """Take a value that becomes available when the forecast is made for one that was there before."""
    honest = data.covariates.as_of
    monkeypatch.setattr(data.covariates, "as_of", lambda known, dates, when: honest(known, dates, when + 1))


def joined_by_the_latest_revision(monkeypatch):
    """Take of each date the value that was revised last, whenever that was."""
    honest = data.covariates.as_of

    def latest(known, dates, when):
        place = honest(known, dates, when)
        last = {day: number for number, day in enumerate(dates)}
        return np.array([last[dates[one]] if one >= 0 else one for one in place])

    monkeypatch.setattr(data.covariates, "as_of", latest)


@pytest.mark.parametrize(
    "plant", [joined_on_its_date, joined_where_it_is_published_at_the_very_moment, joined_by_the_latest_revision]
)
def test_a_late_covariate_is_named(with_file, monkeypatch, plant):
    plant(monkeypatch)
    found = audited(with_file())
    assert found.verdict == "LEAKS"
    assert [(cause.stage, cause.subject) for cause in found.causes] == [("covariates", "Ridge")]
    assert found.causes[0].detail.startswith("rate: ")
    assert found.against("Persistence") == ""  # which sees none


def test_a_covariate_that_looks_ahead_in_the_windows_is_named(configure, monkeypatch):
    def change(panel):
        return replace(panel, frame=panel.frame.assign(a=panel.frame["y"] ** 2), covariates={"a": "-"})

    assert audited(configure(*AUDITED), change).verdict == "causal"
    honest = data.windows._beside
    monkeypatch.setattr(
        data.windows,
        "_beside",
        lambda panel, names, start, origins, *more: honest(
            panel, names, start, np.minimum(origins + 1, len(panel.frame) - 1 - start), *more
        ),
    )
    found = audited(configure(*AUDITED), change)
    assert {(one.stage, one.detail[:3]) for one in found.causes} == {("covariates", "a: ")}


def test_a_covariate_that_does_not_come_from_its_data_is_named(with_file, monkeypatch):
    monkeypatch.setattr(data.covariates, "column_of", lambda outside, decided, before: decided / 1e18)
    found = audited(with_file())
    assert {cause.stage for cause in found.causes} == {"covariates"}
    assert "does not move when its own past is replaced" in found.sentence


# --- commands ---------------------------------------------------------------------------------------------------


def test_a_run_with_covariates_forecasts_files_it_has_not_seen(tmp_path):
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2022-01-03", periods=420)
    volume, close = rng.standard_normal(420), 100 + rng.standard_normal(420).cumsum()
    prices = table(tmp_path, "prices.csv", date=dates[:400], close=close[:400], volume=volume[:400])
    rate = table(tmp_path, "rate.csv", date=dates[:400], x=volume[:400] + 5)
    folder = tmp_path / "run"
    words = [
        "experiment=csv", f"source.path={prices}", "source.value=close", "source.covariates=[volume]",
        "+covariate@covariates.rate=file", f"covariates.rate.path={rate}", "covariates.rate.column=x",
        "covariates.rate.zone=UTC", "decided_at.at=23:00", "decided_at.zone=UTC", "known=[weekday]",
        "decomposition=identity", "model=ridge", "baselines=naive", "lookback=5", "equal_memory=none",
        f"hydra.run.dir={folder}",
    ]  # fmt: skip
    done = run("train.py", *words, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    cfg, card = load_run(folder)
    assert list(card["data"]["covariates"]) == ["volume", "rate"]
    assert "Monday" in card["data"]["known"]
    assert card["audit"]["verdict"] == "causal"
    longer = table(tmp_path, "longer.csv", date=dates, close=close, volume=volume)
    given = {"path": longer}
    told = predict(cfg, card, folder, source_of(cfg, build_node(given)))
    assert len(told.table) == 1
    assert any("rate: the newest value that counts is of 2023-07-14, available 2" in note for note in told.notes), told
    assert any("more than 10 days old" in note for note in told.notes)
    other = predict(cfg, card, folder, source_of(cfg, build_node({"path": table(
        tmp_path, "other.csv", date=dates, close=close, volume=volume + 3)})))  # fmt: skip
    assert other.table["Ridge"].iloc[0] != told.table["Ridge"].iloc[0]
    bare = table(tmp_path, "bare.csv", date=dates, close=close)
    with pytest.raises(DataError, match="lacks the covariates column 'volume'"):
        predict(cfg, card, folder, source_of(cfg, build_node({"path": bare})))
    with pytest.raises(DataError, match="lacks 'volume', which the model was trained with"):
        predict(cfg, card, folder, source_of(cfg, build_node({"path": bare, "covariates": None})))
    weights = json.loads((folder / "run.json").read_text())
    assert weights["data"]["covariates"]["rate"] == "units"


def build_node(given):
    from omegaconf import OmegaConf

    return OmegaConf.create(given)


# --- data that ship, and data the user has ----------------------------------------------------------------------


def test_markets_that_ship_need_no_file(configure):
    sizes = {name: len(ArchData(name).load().frame) for name in ("vix", "wti", "nasdaq", "sp500")}
    assert sizes == {"vix": 1259, "wti": 8321, "nasdaq": 5031, "sp500": 5031}
    with pytest.raises(ValueError, match="is none of vix, wti"):
        ArchData("dax")
    cfg = configure("experiment=sp500", "covariates=us_markets", "decided_at=next_open", "decided_at.at=09:00",
                    "decided_at.zone=America/New_York")  # fmt: skip
    panel = build(cfg.task)(cfg).load(build(cfg.source))
    assert list(panel.covariates) == ["vix", "nasdaq", "wti"]
    vix = ArchData("vix").load().frame.set_index("ds")["y"]
    days = panel.frame.set_index("ds")["vix"]
    both = days.index.intersection(vix.index)
    np.testing.assert_array_equal(days[both], vix[both])  # the night after a close its own day's VIX is known
    assert days.index[0] == pd.Timestamp("2014-01-03") or days.index[0] == pd.Timestamp("2014-01-06")


def overnight_ratio(configure, tmp_path, *overrides):
    """Return MAE over that of persistence on the test part, and the share of directions."""
    cfg = configure("experiment=csi300_overnight", *overrides)
    task = build(cfg.task)(cfg)
    panel = task.load(build(cfg.source))
    fold, row = build(cfg.split).folds(panel, cfg.horizon)[-1], task.candidates()[0]
    prepared = task.prepare(panel, fold, row, cached=False)
    parts = parts_of(task, panel, fold, prepared)
    fitted = learn(task, panel, fold, row, prepared, parts, tmp_path / "x.ckpt").fitted
    forecast, last = fitted.forecast(parts.test, rows_of(panel, parts.test)), parts.test.past[:, -1].sum(axis=1)
    moves = parts.test.y[:, 0] - last
    right = np.sign(forecast[:, 0] - last) == np.sign(moves)
    return np.abs(forecast - parts.test.y).mean() / np.abs(moves).mean(), right.mean()


def test_the_night_in_new_york_tells_of_the_day_in_shanghai_and_a_day_late_it_tells_nothing(configure, tmp_path):
    data_file("index/csi300_close.csv")
    data_file("index/sp500_close.csv")
    ratio, right = overnight_ratio(configure, tmp_path)
    assert ratio < 0.985
    assert right > 0.53
    stale = ["decided_at=close", "decided_at.at=15:00", "decided_at.zone=Asia/Shanghai"]
    late, _ = overnight_ratio(configure, tmp_path, *stale)  # the same move, once the session has answered it
    assert 0.995 < late < 1.01
