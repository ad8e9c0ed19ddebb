"""Sources yield validated panels, or say what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf

from data.contracts import Panel, Source
from data.panel import DataError
from data.sources.co2 import CO2, filled
from data.sources.csi import CSI
from data.sources.csv import CSV
from data.sources.ett import COLUMNS, ETT
from data.sources.sp500 import SP500
from data.sources.synthetic import Synthetic
from runtime.build import build
from tests.conftest import ROOT, choices, data_file


def loaded(source: Source) -> Panel | str:
    """Return the panel of a source, or what it says where it has none."""
    try:
        return source.load()
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("name", choices("source"))
def test_a_source_loads_the_same_panel_twice_or_says_what_is_not_there_and_what_to_set(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODECAST_DATA", str(tmp_path))  # an empty folder
    node = OmegaConf.load(ROOT / "conf" / "source" / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    for key in OmegaConf.missing_keys(node):
        OmegaConf.update(node, key, str(tmp_path / "nothing.csv"))
    source = build(node)
    panel = loaded(source)
    if isinstance(panel, str):
        assert str(tmp_path) in panel
        assert re.search(r"source\.\w+", panel)
        return
    assert len(panel.frame) > 100
    assert panel.name
    assert panel.unit
    pd.testing.assert_frame_equal(panel.frame, source.load().frame)


@pytest.mark.parametrize("experiment", ["sp500", "co2", "smoke", "smoke_battery"])
def test_what_the_readme_starts_with_needs_no_file(
    experiment: str, configure: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODECAST_DATA", str(tmp_path))
    assert len(build(configure(f"experiment={experiment}").source).load().frame)


def test_sp500_is_the_series_the_readme_speaks_of() -> None:
    frame = SP500().load().frame
    assert len(frame) == 5031
    assert (frame["ds"].iloc[0], frame["ds"].iloc[-1]) == (
        pd.Timestamp("1999-01-04"),
        pd.Timestamp("2018-12-31"),
    )


@pytest.mark.parametrize("code", ["csi300", "csi500"])
def test_csi_ends_on_the_last_day_of_the_paper(code: str) -> None:
    frame = CSI(code, "2024-07-01", str(data_file(f"index/{code}_close.csv"))).load().frame
    assert len(frame) == 4734
    assert (frame["ds"].iloc[0], frame["ds"].iloc[-1]) == (
        pd.Timestamp("2005-01-04"),
        pd.Timestamp("2024-07-01"),
    )


def test_csi_says_what_to_fetch_where_the_file_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODECAST_DATA", raising=False)
    with pytest.raises(DataError, match=r"MODECAST_DATA is not set.*www\.csindex\.com\.cn, index 000905.*date,close"):
        CSI("csi500", "2024-07-01").load()
    monkeypatch.setenv("MODECAST_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"no file .*csi300_close\.csv"):
        CSI("csi300", "2024-07-01").load()


def test_csv_reads_several_series_with_names_and_dates_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    path.write_text(
        "Tag;Laden;Umsatz\n".replace(";", ",") + "01.02.2024,b,1\n02.02.2024,b,2\n01.02.2024,a,3\n02.02.2024,a,5\n"
    )
    frame = CSV(str(path), time="Tag", value="Umsatz", series="Laden", date_format="%d.%m.%Y").load().frame
    assert frame["unique_id"].tolist() == ["a", "a", "b", "b"]
    assert frame["y"].tolist() == [3, 5, 1, 2]
    assert frame["ds"].iloc[0] == pd.Timestamp("2024-02-01")


def test_csv_reads_integer_steps(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    path.write_text("date,close\n1,5\n2,6\n3,8\n")
    assert CSV(str(path)).load().frame["ds"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no file"),
        ("", "is empty"),
        ("date,close\nyesterday,1\ntoday,2\n", "'yesterday', 'today', which is no date that is known.  Set source"),
        ("date,close\n", "no rows"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_message(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "prices.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError) as error:
        CSV(str(path)).load()
    assert said in str(error.value)


def test_synthetic_components_sum_to_the_series() -> None:
    source = Synthetic(300, 2, [5, 20], 4.0, [1.0, 3.0], 0.98, seed=3)
    for k, (_, series) in enumerate(source.load().series()):
        np.testing.assert_allclose(source.components(k).sum(axis=0), series)


def test_a_gap_of_co2_is_filled_from_what_came_before_it_alone() -> None:
    frame = CO2().load().frame
    assert len(frame) == 2284
    assert frame["y"].iloc[[0, -1]].tolist() == [316.1, 371.5]
    series = np.r_[1.0, 2, 4, 3, np.nan, np.nan, 7, np.nan]
    np.testing.assert_array_equal(filled(series, 3), [1, 2, 4, 3, 4, 6, 7, 8])
    np.testing.assert_array_equal(filled(series[:5], 30), [1, 2, 4, 3, 3])
    changed = np.r_[series[:6], 100.0, 5.0]
    np.testing.assert_array_equal(filled(changed, 3)[:6], filled(series, 3)[:6])


def ett_file(folder: Path, hours: int = 14500) -> Path:
    """A file as the benchmark's, of waves on levels of their own."""
    time = np.arange(float(hours))
    waves = {name: 10 * k + (k + 1) * np.sin(time / 4 + k) for k, name in enumerate(COLUMNS)}
    dates = pd.date_range("2016-07-01", periods=hours, freq="h")
    pd.DataFrame({"date": dates, **waves}).to_csv(folder / "ETTh1.csv", index=False)
    return folder / "ETTh1.csv"


def test_ett_is_scaled_by_its_first_twelve_months_alone(tmp_path: Path) -> None:
    path = ett_file(tmp_path)
    raw = pd.read_csv(path)[list(COLUMNS)].to_numpy()[:14400]
    panel = ETT("ETTh1", None, True, str(path)).load()
    found = panel.frame.pivot_table(index="ds", columns="unique_id", values="y")[list(COLUMNS)].to_numpy()
    np.testing.assert_allclose(found, (raw - raw[:8640].mean(axis=0)) / raw[:8640].std(axis=0), atol=1e-9)
    assert "first 12 months" in " ".join(panel.notes)
    plain = ETT("ETTh1", ["OT"], False, str(path)).load().frame
    np.testing.assert_allclose(plain["y"], raw[:, -1])


def test_ett_that_is_missing_short_or_misnamed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"source\.columns=\['oil'\] must name some of HUFL"):
        ETT("ETTh1", ["oil"], True)
    with pytest.raises(DataError, match="has 9000 hours; the benchmark needs 14400"):
        ETT("ETTh1", None, True, str(ett_file(tmp_path, 9000))).load()
    monkeypatch.delenv("MODECAST_DATA", raising=False)
    with pytest.raises(DataError, match=r"MODECAST_DATA is not set.*zhouhaoyi/ETDataset"):
        ETT("ETTh1", None, True).load()
