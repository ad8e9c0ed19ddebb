"""The result table of a run, as it is kept and shown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from evaluation.judge import judge
from evaluation.rows import PERSISTENCE
from report.table import (
    Metrics,
    MetricsError,
    print_table,
    read_metrics,
    to_csv,
    to_markdown,
    write_metrics,
)
from tests.tables import one_step


@pytest.fixture
def metrics() -> Metrics:
    rng = np.random.default_rng(0)
    series = 100 + np.cumsum(rng.standard_normal(200))
    guesses = {"CEEMDAN-CNN-LSTM-AM": series[1:] + 0.01, "honest": series[:-1] + 0.5, "broken": np.full(199, np.nan)}
    forecasts = one_step(series, guesses)
    judgement = judge(forecasts, {"s": 1.0}, ["CEEMDAN-CNN-LSTM-AM"])
    return Metrics(
        "walk_paper",
        "walk",
        "A walk",
        "points",
        7,
        "CEEMDAN-CNN-LSTM-AM",
        judgement.scores,
        judgement.notes,
        {"val/loss": np.nan},
        scores_by_step(forecasts, {"s": 1.0}),
    )


def printed(metrics: Metrics, width: int) -> str:
    console = Console(width=width, record=True, force_terminal=True, color_system="standard", quiet=False)
    with console.capture() as capture:
        print_table(console, metrics)
    return capture.get()


def test_metrics_survive_the_file_with_numbers_that_do_not_exist(metrics: Metrics, tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", metrics)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    back = read_metrics(tmp_path / "metrics.json")
    assert "NaN" not in text
    assert '"mae": null' in text
    pd.testing.assert_frame_equal(back.scores, metrics.scores, check_dtype=False)
    assert metrics.steps is not None
    assert back.steps is not None
    pd.testing.assert_frame_equal(back.steps, metrics.steps, check_dtype=False)
    assert np.isnan(back.validation["val/loss"])
    assert (back.title, back.unit, back.seed, back.notes) == (metrics.title, metrics.unit, metrics.seed, metrics.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not the result of a run"),
        ("{}", "lacks experiment, dataset"),
        ('{"scores": [{"model": "m"}], %s}', "lacks the scores verdict"),
        ('{"scores": [], %s}', "holds no scores"),
        ('{"scores": 3, %s}', "holds no scores"),
    ],
)
def test_a_file_that_is_no_result_is_refused_with_the_reason(content: str, message: str, tmp_path: Path) -> None:
    rest = '"experiment":"e","dataset":"d","title":"t","unit":"u","seed":0,"model":"m","notes":[]'
    rest += ',"validation":{}'
    path = tmp_path / "metrics.json"
    path.write_text(content.replace("%s", rest), encoding="utf-8")
    with pytest.raises(MetricsError, match=message) as caught:
        read_metrics(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match=r"metrics\.json cannot be read"):
        read_metrics(tmp_path / "metrics.json")


@pytest.mark.parametrize("width", [80, 140])
def test_the_printed_table_shows_persistence_verdicts_and_the_leak(metrics: Metrics, width: int) -> None:
    text = printed(metrics, width)
    assert "\x1b[36mPersistence" in text  # set apart in colour
    assert "\x1b[31mCEEMDAN-CNN-LSTM-AM" in text  # and so is what uses the future
    assert "to beat" in text
    assert "worse" in text
    assert "not tested" in text
    assert "USES THE FUTURE" in text
    assert "not scored" in text
    assert "…" not in text  # nothing is cut off


def test_the_best_is_bold_among_those_that_do_not_use_the_future(metrics: Metrics) -> None:
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in to_markdown(metrics).splitlines()}
    assert "**" in lines[PERSISTENCE]
    assert "**" not in lines["CEEMDAN-CNN-LSTM-AM"]
    assert "uses the future" in lines["CEEMDAN-CNN-LSTM-AM"]
    assert next(name for name in lines if name in set(metrics.scores["model"])) == PERSISTENCE


def test_csv_is_unrounded_and_says_what_leaks(metrics: Metrics, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(to_csv(metrics), encoding="utf-8")
    table = pd.read_csv(path)
    np.testing.assert_array_equal(table["mae"], metrics.scores["mae"])
    assert list(table["leaks"]) == list(metrics.scores["leaks"])
    assert set(table["seed"]) == {7}
