"""A table in Python is read the same when a run is made of it and when a finished run forecasts from it."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from data.panel import DataError
from data.sources.csv import CSV
from pipeline.artifacts import keep_table
from pipeline.library.frames import FrameSource, tidy
from pipeline.library.notebook import NAMES
from tests.conftest import ROOT

DAYS = pd.date_range("2021-01-01", periods=30)
Y = np.round(50 + np.random.default_rng(0).standard_normal(30).cumsum(), 3)
MONTHS = pd.period_range("2000-01", periods=30, freq="M")
PLAIN = pd.DataFrame({"ds": DAYS, "y": Y})
TWO = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 15), "ds": np.tile(DAYS[:15], 2), "y": Y})
FORMS = {
    "ds and y": (PLAIN, DAYS),
    "a Series": (pd.Series(Y, index=DAYS), DAYS),
    "dates in the index": (PLAIN.set_index("ds").rename_axis(None), DAYS),
    "an index with a name": (pd.DataFrame({"Close": Y}, index=pd.Index(DAYS, name="Date")), DAYS),
    "one ticker as yfinance has it": (
        pd.DataFrame({("Close", "SPY"): Y, ("High", "SPY"): Y + 1}, index=pd.Index(DAYS, name="Date")),
        DAYS,
    ),
    "periods": (pd.DataFrame({"y": Y}, index=MONTHS), MONTHS.to_timestamp()),
    "a column of periods": (pd.DataFrame({"ds": MONTHS, "y": Y}), MONTHS.to_timestamp()),
    "years in the index": (pd.DataFrame({"y": Y}, index=range(1990, 2020)), range(1990, 2020)),
    "rows chosen from a longer table": (pd.DataFrame({"ds": DAYS, "y": Y}, index=range(5, 35)), DAYS),
    "texts": (PLAIN.astype(str), DAYS),
    "decimals": (PLAIN.assign(y=[Decimal(str(value)) for value in Y]), DAYS),
    "another time zone": (PLAIN.assign(ds=DAYS.tz_localize("Europe/Berlin")), DAYS.tz_localize("Europe/Berlin")),
    "series in the index": (TWO.set_index(["unique_id", "ds"]), TWO["ds"]),
    "categories": (TWO.astype({"unique_id": "category"}), TWO["ds"]),
    "numbers for names": (pd.DataFrame({0: DAYS, 1: Y}), DAYS),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_read_the_same_from_memory_and_from_the_file_of_its_run(form: str, tmp_path: Path) -> None:
    table, dates = FORMS[form]
    kept = tidy(table)
    keep_table(tmp_path / "data.parquet", kept)
    named = {option: column for option, column in NAMES.items() if column in kept}
    run = CSV(str(tmp_path / "data.parquet"), **named).load().frame
    node = OmegaConf.load(ROOT / "conf" / "source" / "csv.yaml")
    node.update(named)
    asked = FrameSource(table, node, "units").load().frame
    np.testing.assert_array_equal(run["y"], Y)
    assert list(run["ds"]) == list(dates)
    pd.testing.assert_frame_equal(run.drop(columns="unique_id"), asked.drop(columns="unique_id"), check_dtype=False)
    if "unique_id" in kept:
        assert run["unique_id"].tolist() == asked["unique_id"].tolist() == TWO["unique_id"].tolist()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Y, "not ndarray"),
        ({"ds": DAYS, "y": Y}, "not dict"),
        (pd.DataFrame(np.c_[Y, Y], columns=["y", "y"]), "more than one column 'y'"),
        (PLAIN.set_index("ds", drop=False), "'ds' as a column and in its index"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(table: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        tidy(table)
