"""The report page is made from the files of a run alone, leaves out what is missing and lets nothing run."""

import base64
import gzip
import hashlib
import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.contracts import FloatArray
from evaluation.judge import judge
from evaluation.life_metrics import judge as judge_lives
from evaluation.metrics import PERSISTENCE, naive_scale
from report import page_figures
from report.comparison import compare
from report.life_comparison import compare as compare_lives
from report.life_table import LifeMetrics
from report.page import as_json, main, write_page
from report.page_comparison import write_comparison_page
from report.page_run import PageError
from report.table import Metrics, write_metrics

OWN = "ICEEMDAN-CNN-LSTM-AM"
OTHERS = ["Drift", "Ridge", "SVR", "MLP", "LSTM", "CNN-LSTM", "CNN-LSTM-AM"]
MEGABYTE = 1_000_000
EVIL = "<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">"


def series_run(
    folder: Path,
    series: FloatArray,
    n_test: int,
    models: list[str] = OTHERS,
    title: str = "A walk",
    evidence: bool = True,
) -> Path:
    """Write what a run of many models on one series leaves."""
    forecasts, scores = judged(tuple(series), n_test, tuple(models))
    folder.mkdir(parents=True, exist_ok=True)
    write_metrics(
        folder / "metrics.json",
        Metrics("sp500", "sp500", title, "index points", 0, OWN, scores, ["One thing to know."]),
    )
    forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    write(folder / "run.json", card())
    (folder / "config.yaml").write_text(f"seed: 0\nmodel:\n  label: {OWN}\n" * 20, encoding="utf-8")
    if evidence:
        _series_evidence(folder / "evidence", series, dates_of(series), n_test)
    return folder


def dates_of(series: FloatArray) -> pd.DatetimeIndex:
    return pd.bdate_range("2015-01-01", periods=series.size)


@cache
def judged(values: tuple[float, ...], n_test: int, models: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return forecasts of a series and their scores; several tests use the same."""
    series, rng = np.array(values), np.random.default_rng(0)
    dates = dates_of(series)
    truth, last = series[-n_test:], series[-n_test - 1 : -1]
    noise = np.abs(np.diff(series)).mean()
    labels = [OWN, *models, PERSISTENCE]
    parts = []
    for label in labels:
        quality = 0.0 if label == PERSISTENCE else 0.45 if label == OWN else 0.1
        forecast = last + quality * noise * rng.standard_normal(n_test)
        part = pd.DataFrame(
            {
                "unique_id": "s",
                "ds": dates[-n_test:],
                "origin": dates[-n_test - 1 : -1],
                "step": 1,
                "model": label,
                "y": truth,
                "y_hat": forecast,
            }
        )
        spread = pd.Series(np.abs(np.diff(series))).rolling(30).mean().to_numpy()[-n_test - 1 : -1]
        for level, width in (("80", 1.6), ("95", 2.6)):
            part[f"lo_{level}"] = forecast - width * spread if label == OWN else np.nan
            part[f"hi_{level}"] = forecast + width * spread if label == OWN else np.nan
        parts.append(part)
    forecasts = pd.concat(parts, ignore_index=True)
    train = pd.DataFrame({"unique_id": "s", "y": series[:-n_test]})
    found = judge(forecasts, naive_scale(train), [])
    scores = found.scores.assign(in_mcs=found.scores["mae"] < found.scores["mae"].median())
    return forecasts, scores


def life_run(folder: Path, n_cells: int = 6, cell: str = "cell") -> Path:
    """Write what a run on unseen cells leaves."""
    rng = np.random.default_rng(1)
    parts = []
    for number in range(n_cells):
        life = int(rng.integers(500, 1000))
        cycle = np.arange(15, life)
        truth = (life - cycle).astype(float)
        for label, bias in ((OWN, 40.0), ("Extra trees", 60.0), ("Clock", 25.0)):
            wave = np.convolve(rng.standard_normal(cycle.size + 60), np.ones(61) / 8, "valid")
            forecast = np.maximum(truth + bias * rng.standard_normal() * (truth / life) + bias * 0.4 * wave, 0)
            parts.append(
                pd.DataFrame(
                    {
                        "unique_id": f"{cell} {number + 1}",
                        "ds": cycle,
                        "origin": cycle,
                        "step": 0,
                        "model": label,
                        "y": truth,
                        "y_hat": forecast,
                        "lo_80": forecast - 60,
                        "hi_80": forecast + 60,
                        "lo_95": forecast - 95,
                        "hi_95": forecast + 95,
                    }
                )
            )
    forecasts = pd.concat(parts, ignore_index=True)
    error = (forecasts["y"] - forecasts["y_hat"]).abs()
    mae = error.groupby(forecasts["model"], sort=False).mean()
    scores = [
        {
            "model": label,
            "mae": value,
            "rmse": 1.3 * value,
            "mae_scaled": value / 1000,
            "accuracy_15": 0.7,
            "r2": 0.98,
            "n_cells": n_cells,
            "alpha_lambda": 0.8,
            "eol_mae": 12.0,
            "eol_bias": -3.0,
            "n": int((forecasts["model"] == label).sum()),
            "leaks": False,
            "verdict": "reference" if label == "Clock" else "worse",
            "p_corrected": None if label == "Clock" else 0.02,
        }
        for label, value in mae.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {
        "job": "life",
        "experiment": "hnei",
        "dataset": "hnei",
        "title": "HNEI cells",
        "unit": "cycles",
        "seed": 0,
        "model": OWN,
        "notes": ["The clock wins here because all cells age alike."],
        "scores": scores,
    }
    write(folder / "metrics.json", metrics)
    forecasts.to_parquet(folder / "forecasts.parquet", index=False)
    write(folder / "run.json", card())
    _life_evidence(folder / "evidence", rng)
    return folder


def card() -> dict:
    return {
        "python": "3.11.7",
        "platform": "Linux",
        "cores": 2,
        "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "commit": "2c3cf50b1d",
        "uncommitted_changes": False,
        "seed": 0,
        "data": {"name": "x", "rows": 5031, "sha256": "47a1c625e2ff0493"},
        "leaks": {OWN: False},
        "seconds": {f"{OWN}, by time": 153.4, "SVR, by time": 2.2},
        "command": "python train.py experiment=sp500 seed=0",
        "audit": {
            "verdict": "causal",
            "sentence": "none of 240 inputs, scales and forecasts at or before 30 origins changed by a bit.",
            "stages": [
                {"stage": stage, "verdict": "causal", "checked": 60, "changed": 0, "detail": ""}
                for stage in ("decomposition", "scaling", "forecast")
            ],
            "expected": [],
            "seconds": 4.2,
        },
    }


def _series_evidence(folder: Path, series: FloatArray, dates: pd.DatetimeIndex, n_test: int) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    rest, columns = series[-512:], {}
    for number, width in enumerate((3, 9, 27, 81), start=1):
        smooth = np.convolve(np.pad(rest, width, mode="edge"), np.ones(2 * width + 1) / (2 * width + 1), "valid")
        columns[f"c{number}"], rest = rest - smooth, smooth
    pd.DataFrame({"ds": dates[-512:], **columns, "c5": rest}).to_parquet(folder / "components.parquet")
    lags = np.arange(20)
    rows = [
        pd.DataFrame(
            {
                "name": name,
                "unique_id": "s",
                "ds": dates[place],
                "lag": lags,
                "weight": _softmax(-lags * 0.2 + rng.standard_normal(20) * 0.4),
            }
        )
        for name in ("component 1", "component 2")
        for place in range(-min(n_test, 300), 0)
    ]
    pd.concat(rows).to_parquet(folder / "attention.parquet")
    epochs = [
        {"epoch": k, "train/loss": 0.9 * 0.7**k + 0.1, "val/loss": 0.9 * 0.72**k + 0.12 + 0.004 * k} for k in range(25)
    ]
    write(folder / "losses.json", dict.fromkeys((OWN, "MLP", "LSTM", "CNN-LSTM"), epochs))


def _life_evidence(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(exist_ok=True)
    write(
        folder / "factors.json",
        [
            {"factor": f"voltage mean {k}", "kendall_tau": float(t), "importance": abs(float(t)) / 2}
            for k, t in enumerate(rng.uniform(-1, 1, 20))
        ],
    )
    table = [
        {
            "n_clusters": k,
            "fpc": 1 / k + 0.1,
            "silhouette": 0.5 - 0.03 * k,
            "calinski_harabasz": 900.0 - 20 * (k - 3) ** 2,
        }
        for k in range(2, 11)
    ]
    write(folder / "clusters.json", {"table": table, "chosen": 3})
    cloud = rng.standard_normal((200, 2))
    write(
        folder / "augmentation.json",
        {
            "mmd": 0.013,
            "tstr": {"mae": 31.0, "real mae": 29.0},
            "pca": {"real": cloud.tolist(), "synthetic": (cloud * 0.8 + 0.2).tolist()},
        },
    )
    write(folder / "losses.json", {"autoencoder": [{"epoch": k, "train/loss": 1 / (k + 1)} for k in range(30)]})
    rows = [
        pd.DataFrame(
            {
                "name": "adaptive",
                "unique_id": "cell 1",
                "ds": cycle,
                "lag": np.arange(15),
                "weight": _softmax(rng.standard_normal(15)),
            }
        )
        for cycle in range(15, 515)
    ]
    pd.concat(rows).to_parquet(folder / "attention.parquet")


def _softmax(values: FloatArray) -> FloatArray:
    return np.exp(values) / np.exp(values).sum()


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def closes(n: int = 700) -> FloatArray:
    """A walk with calm and wild times."""
    rng = np.random.default_rng(3)
    return 1000 + np.cumsum(rng.standard_normal(n) * (1 + 2 * (np.sin(np.arange(n) / 60) > 0)))


class Outline(HTMLParser):
    """What a page contains: section names, ids, loads and the text a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.loads: list[str] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(str(given["id"]))
        self.loads += [
            str(given[name]) for name in ("src", "href", "srcset", "poster", "data", "action") if given.get(name)
        ]
        self._inside = (
            tag if tag == "style" or (tag == "script" and "type" not in given) else "data" if tag == "script" else ""
        )
        if self._inside == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def series_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(series_run(tmp_path_factory.mktemp("series"), closes(), 300)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def life_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(life_run(tmp_path_factory.mktemp("life"))).read_text(encoding="utf-8")


def specs(page: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]


def test_a_page_of_a_series_has_all_its_parts_in_order(series_page: str) -> None:
    assert Outline(series_page).sections == [
        "results",
        "forecast",
        "audit",
        "time",
        "regimes",
        "calibration",
        "copycat",
        "residuals",
        "components",
        "attention",
        "losses",
        "reproduce",
    ]


def test_a_page_of_cells_has_all_its_parts_in_order(life_page: str) -> None:
    assert Outline(life_page).sections == [
        "results",
        "forecast",
        "cells",
        "audit",
        "time",
        "regimes",
        "calibration",
        "attention",
        "factors",
        "clusters",
        "synthetic",
        "losses",
        "reproduce",
    ]


def test_the_first_words_are_the_verdict_of_the_audit(series_page: str, tmp_path: Path) -> None:
    first = series_page[series_page.index("<main>") :][:200]
    assert 'class="verdict causal"' in first
    folder = series_run(tmp_path / "leaks", closes(), 300, models=[], evidence=False)
    leaking = card()
    leaking["audit"] = {
        "verdict": "LEAKS",
        "sentence": "LEAKS: decomposition (overall) changes 30 of 30 inputs",
        "expected": ["decomposition"],
        "stages": [{"stage": "decomposition", "verdict": "LEAKS", "checked": 30, "changed": 30, "detail": "overall"}],
        "seconds": 1.0,
    }
    write(folder / "run.json", leaking)
    page = write_page(folder).read_text(encoding="utf-8")
    assert re.search(
        r'class="verdict leaks"><strong>LEAKS</strong> <span>decomposition \(overall\) changes 30 of 30', page
    )
    assert "expects it (decomposition)" in page
    assert "Leak audit: decomposition uses the future" in page
    write(folder / "run.json", {"leaks": {OWN: True}})
    assert "The run was not audited" in write_page(folder).read_text(encoding="utf-8")
    (folder / "run.json").unlink()
    assert "<strong>not audited</strong>" in write_page(folder).read_text(encoding="utf-8")


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(), 300, evidence=False)
    for name in ("forecasts.parquet", "run.json", "config.yaml"):
        (folder / name).unlink()
    page = write_page(folder).read_text(encoding="utf-8")
    assert Outline(page).sections == ["results", "reproduce"]
    assert len(page) < 60_000  # no figures, no library


def test_a_long_run_of_many_models_stays_small(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(5000), 1006)
    page = write_page(folder)
    assert page.stat().st_size < 4 * MEGABYTE
    known = pd.read_parquet(folder / "forecasts.parquet")
    own = known[known["model"] == OWN]
    more = [
        own.assign(model=f"model {k}", y_hat=own["y_hat"] + k / 3, unique_id=name)
        for k in range(10)
        for name in "abcdef"
    ]
    pd.concat([known, *more]).to_parquet(folder / "forecasts.parquet")
    assert write_page(folder).stat().st_size < 5 * MEGABYTE


def test_nothing_is_loaded_and_only_the_two_scripts_of_the_page_may_run(series_page: str, life_page: str) -> None:
    for page in (series_page, life_page):
        outline = Outline(page)
        assert all(load.startswith(("#", "data:,")) for load in outline.loads)
        assert "@import" not in page
        assert "url(" not in page[: page.index("</style>")]
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy.split("style-src")[0]
        packed = re.search(r'id="plotly">([^<]*)</script>', page)
        assert packed is not None
        library = gzip.decompress(base64.b64decode(packed.group(1)))
        for script in (outline.scripts[0].encode(), library):
            digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
            assert f"'sha256-{digest}'" in policy.replace("&#39;", "'")


def test_text_from_settings_and_data_is_only_ever_text(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(), 300, models=[EVIL], title=EVIL)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["notes"] = metrics["experiment"] = metrics["unit"] = EVIL
    write(folder / "metrics.json", metrics | {"notes": [EVIL]})
    (folder / "config.yaml").write_text(EVIL)
    write(
        folder / "run.json",
        {"audit": {"verdict": EVIL, "sentence": EVIL}, "commit": EVIL, "packages": {EVIL: EVIL}, "command": EVIL},
    )
    write(folder / "evidence" / "losses.json", {EVIL: [{"epoch": 0, "train/loss": 1.0}]})
    page = write_page(folder).read_text(encoding="utf-8")
    assert EVIL in "".join(Outline(page).words)  # shown as it is ...
    assert len(Outline(page).scripts) == 1  # ... and run never
    assert "img" not in Outline(page).tags
    assert page.count("<script>document") == 0
    for spec in specs(page):  # plotly.js reads a little HTML
        for text in re.findall(r'"(?:name|text|label)":\s*"((?:[^"\\]|\\.)*)"', json.dumps(spec)):
            assert "<script" not in text
            assert "<img" not in text


@pytest.mark.parametrize("page", ["series_page", "life_page"])
def test_plotly_knows_every_attribute_of_every_figure(page: str, request: pytest.FixtureRequest) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    drawn = specs(request.getfixturevalue(page))
    assert len(drawn) > 10
    for spec in drawn:
        spec.pop("x", None)  # shared by the lines; the page hands it out
        graph_objects.Figure(spec)  # raises where it does not


def test_json_cannot_end_the_element_it_stands_in() -> None:
    told = {"a": f"</script>{EVIL}&amp;\u2028"}
    written = str(as_json(told))
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == told


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(), 300)
    first = write_page(folder).read_bytes()
    assert write_page(folder).read_bytes() == first
    assert not (folder / "report.html.part").exists()


def test_the_title_says_what_was_found(series_page: str) -> None:
    assert re.search(rf"<h1>A walk: {OWN} is worse than persistence \(p\u00a0[=&<]", series_page)


def test_a_forecast_that_copies_the_last_value_is_called_late_and_one_that_knows_is_not(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(), 300, models=[], evidence=False)
    assert "the forecast follows the truth 1 step late" in write_page(folder).read_text(encoding="utf-8")
    table = pd.read_parquet(folder / "forecasts.parquet")
    own = table["model"] == OWN
    for shift, words in ((0, "moves with the truth, not behind it"), (-1, "1 step BEFORE the truth")):
        knows = np.roll(table.loc[own, "y"].to_numpy(), shift)
        table.assign(y_hat=table["y_hat"].mask(own, pd.Series(knows, index=table.index[own]))).to_parquet(
            folder / "forecasts.parquet"
        )
        assert words in write_page(folder).read_text(encoding="utf-8")


def test_long_lines_keep_their_extremes_and_numbers_their_digits() -> None:
    line = np.zeros(100_000)
    line[77_777], line[3] = 5.0, -2.0
    kept = page_figures.extremes(line)
    assert kept.size < 3000
    assert {0, 3, 77_777, 99_999} <= set(kept.tolist())
    assert page_figures.numbers([1234.56789, np.nan, np.inf, 2.0]) == [1234.57, None, None, 2]
    assert page_figures.every(10).tolist() == list(range(10))


def test_a_folder_without_a_run_and_a_broken_file_are_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "there is no metrics.json" in capsys.readouterr().err
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(PageError, match=r"metrics\.json cannot be read"):
        write_page(tmp_path)
    write(tmp_path / "metrics.json", {"model": "a"})
    with pytest.raises(PageError, match="lacks scores"):
        write_page(tmp_path)


def test_the_command_prints_where_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = series_run(tmp_path / "run", closes(), 300, models=[], evidence=False)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"Written to {folder / 'report.html'}\n"


def test_a_model_that_diverged_a_short_run_and_several_series_have_a_page(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "broken", closes(), 300, models=[])
    table = pd.read_parquet(folder / "forecasts.parquet")
    table.assign(y_hat=table["y_hat"].mask(table["model"] == OWN)).to_parquet(folder / "forecasts.parquet")
    write_page(folder)
    write_page(series_run(tmp_path / "short", closes(), 12, models=[], evidence=False))
    several = pd.concat([table, table.assign(unique_id="<b>")])
    several.to_parquet(folder / "forecasts.parquet")
    page = write_page(folder).read_text(encoding="utf-8")
    assert '<option value="1">&lt;b&gt;</option>' in page


def test_a_comparison_has_a_section_an_experiment_and_names_the_rows_that_leak(tmp_path: Path) -> None:
    forecasts = pd.read_parquet(
        series_run(tmp_path / "run", closes(), 300, models=["LSTM"], evidence=False) / "forecasts.parquet"
    )
    runs = []
    for experiment, leaking in (("csi300", []), ("csi300_paper", [OWN])):
        found = judge(forecasts, {"s": 1.0}, leaking).scores
        runs.append(Metrics(experiment, "csi300", "CSI <300>", "points", 0, OWN, found, ["A note."]))
    path = write_comparison_page(tmp_path, compare(runs))
    page = path.read_text(encoding="utf-8")
    assert path.name == "report.html"
    assert Outline(page).sections == ["comparison-1", "comparison-2"]
    assert f"{OWN} (csi300_paper) uses the future" in page[page.index("<main>") :][:300]
    assert page.count('<tr class="leaks">') == 1
    assert "CSI &lt;300&gt;" in page
    assert len(specs(page)) == 2


def test_a_comparison_of_lives_stands_in_the_same_page_against_the_clock(tmp_path: Path) -> None:
    forecasts = pd.read_parquet(life_run(tmp_path / "run") / "forecasts.parquet")
    lives = (forecasts["y"] + forecasts["ds"]).groupby(forecasts["unique_id"]).first().to_dict()
    table = forecasts.replace({"model": {OWN: "BiLSTM-Hybrid"}})
    found = judge_lives(table, lives, 1000.0, {"Extra trees": "it knows the cycle"})
    run = LifeMetrics(
        "hnei", "hnei", "HNEI cells", 1000.0, lives, 0, [0], "BiLSTM-Hybrid", found.scores, found.cells, found.stages
    )
    scored = judge(pd.read_parquet(series_run(tmp_path / "series", closes(), 60) / "forecasts.parquet"), {"s": 1.0}, [])
    series = compare([Metrics("csi300", "csi300", "CSI 300", "points", 0, OWN, scored.scores, [])])
    page = write_comparison_page(tmp_path, [*series, *compare_lives([run])]).read_text(encoding="utf-8")
    assert Outline(page).sections == ["comparison-1", "comparison-2"]
    lived = page[page.index('id="comparison-2"') :]
    assert "against the clock" in lived
    assert "MAE/1000" in lived
    assert '<td class="number" data-value="0.0211">0.0211</td>' in lived  # as published
    assert page.count('<tr class="leaks">') == 1
    assert "Extra trees (hnei) uses the future" in page[page.index("<main>") :][:300]
    dots = specs(page)[1]
    assert "fraction of 1000 cycles" in dots["layout"]["xaxis"]["title"]["text"]
    published = next(trace for trace in dots["data"] if trace["name"] == "published")
    assert dict(zip(published["y"], published["x"], strict=True))["BiLSTM-Hybrid"] == 0.0211


def test_records_of_a_cycler_are_placed_by_the_cycles_that_are_over(tmp_path: Path) -> None:
    folder = life_run(tmp_path / "run", n_cells=2)
    in_cycles = write_page(folder).read_text(encoding="utf-8")
    table = pd.read_parquet(folder / "forecasts.parquet")
    lives = (table["y"] + table["ds"]).groupby(table["unique_id"]).first().to_dict()
    metrics = json.loads((folder / "metrics.json").read_text()) | {"lives": lives}
    write(folder / "metrics.json", metrics)
    table.assign(ds=1000 * table["ds"], origin=1000 * table["origin"]).to_parquet(folder / "forecasts.parquet")
    in_records = write_page(folder).read_text(encoding="utf-8")
    for part in ("time", "regimes", "calibration"):
        begin = f'<section id="{part}">'
        one, other = (page[page.index(begin) :].split("</section>")[0] for page in (in_cycles, in_records))
        assert one == other
    (cone,) = (spec for spec in specs(in_records) if "forecast remaining life / life" in str(spec["layout"]))
    assert cone in specs(in_cycles)
    assert {s["layout"]["xaxis"]["title"]["text"] for s in specs(in_records)} >= {"record"}


def test_what_a_page_says_first_of_a_table(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "run", closes(), 300, models=["Drift"], evidence=False)
    metrics = json.loads((folder / "metrics.json").read_text())
    for verdicts, p, words in (
        (("better", "better"), 0.01, "all 2 honest models are significantly better than persistence"),
        (("better", "worse"), 0.01, "1 of 2 honest models is significantly better than persistence"),
        (("same", "worse"), 0.5, "none of 2 honest models is significantly better than persistence"),
        (("same", "same"), None, "nothing was tested"),
    ):
        told = dict(zip((OWN, "Drift"), verdicts, strict=True))
        for score in metrics["scores"]:
            score |= {"verdict": told.get(score["model"], "reference"), "p_corrected": p}
            score["mae"] = 1.0 + len(score["model"])
        write(folder / "metrics.json", metrics | {"notes": [f"note {k}" for k in range(7)]})
        page = write_page(folder).read_text(encoding="utf-8")
        assert f"Drift has the lowest MAE, 6.00 index points; {words}" in page
        assert page.index("note 3") < page.index("3 more notes") < page.index("note 4")
