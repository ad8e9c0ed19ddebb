"""The report page is made from the files of a run alone, leaves out what is missing and lets nothing run."""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.rows import PERSISTENCE
from report.figures.png import write_pngs
from report.page import as_json, main, write_page
from report.run_folder import KEPT_NO_FACTS
from tests.run_folders import (
    AUDIT,
    CARD,
    EVIL,
    HYBRID,
    NET,
    cell_metrics,
    cell_run,
    cell_table,
    change,
    epochs,
    leave,
    quality,
    series_metrics,
    series_run,
    series_table,
    write,
)

MEGABYTE = 1_000_000


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
        names = ("src", "href", "srcset", "poster", "data", "action")
        self.loads += [str(given[name]) for name in names if given.get(name)]
        script = "script" if "type" not in given else "data"
        self._inside = script if tag == "script" else tag if tag == "style" else ""
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
    folder = series_run(tmp_path_factory.mktemp("series"))
    metrics = replace(series_metrics(), notes=[f"note {k}" for k in range(7)])
    return write_page(leave(folder, metrics)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cell_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(cell_run(tmp_path_factory.mktemp("cells"))).read_text(encoding="utf-8")


def specs(page: str) -> list[dict]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]


def read(folder: Path) -> str:
    return write_page(folder).read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}">') :].split("</section>")[0]


def test_a_page_of_a_series_has_all_its_parts_in_order(series_page: str) -> None:
    assert Outline(series_page).sections == [
        *["results", "forecast", "audit", "significance", "time", "regimes", "calibration"],
        *["copycat", "residuals", "components", "attention", "losses", "reproduce"],
    ]


def test_a_page_of_cells_has_all_its_parts_in_order(cell_page: str) -> None:
    assert Outline(cell_page).sections == [
        *["results", "forecast", "cells", "audit", "time", "regimes", "calibration"],
        *["attention", "factors", "bands", "clusters", "synthetic", "losses", "reproduce"],
    ]


def test_the_run_names_its_sections_and_their_order(tmp_path: Path) -> None:
    folder = leave(tmp_path, replace(series_metrics(), sections=["reproduce", "results"]), artifacts=False)
    assert Outline(read(folder)).sections == ["reproduce", "results"]
    assert set(KEPT_NO_FACTS) == {"forecast", "rul"}
    for _, names in KEPT_NO_FACTS.values():
        for name in names:
            assert (Path("report/sections") / f"{name.partition('.')[0]}.py").is_file()


def test_the_first_words_are_the_verdict_of_the_audit(series_page: str, tmp_path: Path) -> None:
    assert 'class="verdict causal"' in series_page[series_page.index("<main>") :][:200]
    folder = leave(tmp_path, series_metrics(), artifacts=False)
    found = {"stage": "decomposition", "verdict": "LEAKS", "checked": 30, "changed": 30, "detail": "overall"}
    audit = AUDIT | {"verdict": "LEAKS", "sentence": "LEAKS: decomposition (overall) changes 30 of 30 inputs"}
    write(folder / "run.json", CARD | {"audit": audit | {"stages": [found], "expected": ["decomposition"]}})
    page = read(folder)
    assert re.search(r'"verdict leaks"><strong>LEAKS</strong> <span>decomposition \(overall\) changes 30 of 30', page)
    assert "expects it (decomposition)" in page
    assert "Leak audit: decomposition uses the future" in page
    write(
        folder / "run.json",
        CARD | {"audit": AUDIT | {"verdict": "causal to rounding", "sentence": "causal to rounding: x"}},
    )
    assert '"verdict causal"><strong>causal to rounding</strong> <span>x.</span>' in read(folder)
    write(folder / "run.json", CARD)
    change(folder, audit=None, leaks={NET: "by its settings"})
    assert "The run was not audited" in read(folder)
    change(folder, leaks={})
    assert "<strong>not audited</strong>" in read(folder)


def test_cells_that_were_learnt_from_are_not_called_unseen(cell_page: str, tmp_path: Path) -> None:
    assert "6 unseen cells: c0" in section(cell_page, "cells")
    folder = leave(tmp_path, cell_metrics(), cell_table(), artifacts=False)
    told = {
        "stage": "split",
        "verdict": "LEAKS",
        "checked": 9,
        "changed": 3,
        "detail": "3 rows are of cells that were learnt from (c01), so",
    }
    write(folder / "run.json", CARD | {"audit": AUDIT | {"verdict": "LEAKS", "stages": [told]}})
    assert "6 cells, of which c01 was learnt from, too: c0" in section(read(folder), "cells")
    change(folder, audit=None)
    write(folder / "run.json", CARD)
    assert "<h2>6 cells: c0" in section(read(folder), "cells")


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    folder = leave(tmp_path, replace(series_metrics(), pairwise=None, audit=None), artifacts=False)
    for name in ("run.json", "config.yaml"):
        (folder / name).unlink()
    page = read(folder)
    assert Outline(page).sections == ["results", "reproduce"]
    assert len(page) < 60_000  # no figures, no library


def test_a_long_run_of_many_models_stays_small(tmp_path: Path) -> None:
    folder = leave(tmp_path, series_metrics(), series_table())
    known = series_table()
    own = known[known["model"] == NET]
    longer = [own.assign(ds=own["ds"] + pd.Timedelta(days=365 * k)) for k in range(1, 5)]
    own = pd.concat([own, *longer])
    more = [
        own.assign(model=f"model {k}", y_hat=own["y_hat"] + k / 3, unique_id=name)
        for k in range(10)
        for name in "abcdef"
    ]
    pd.concat([known, *longer, *more]).to_parquet(folder / "forecasts.parquet")
    assert write_page(folder).stat().st_size < 4 * MEGABYTE


def test_nothing_is_loaded_and_only_the_two_scripts_of_the_page_may_run(series_page: str, cell_page: str) -> None:
    for page in (series_page, cell_page):
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


def test_the_pages_of_a_sweep_share_one_script_that_says_nothing_but_what_the_page_allows(tmp_path: Path) -> None:
    sweep, policies = tmp_path / "sweep", set()
    for seed in (0, 1):
        page = write_page(series_run(sweep / "model-lstm_1234abcd" / f"seed-{seed}"), sweep)
        assert page.stat().st_size < MEGABYTE
        outline = Outline(page.read_text(encoding="utf-8"))
        (script,) = sweep.glob("plotly-*.js")
        assert [load for load in outline.loads if not load.startswith(("#", "data:"))] == [f"../../{script.name}"]
        policies |= set(re.findall(r"'sha256-([^']*)'", page.read_text(encoding="utf-8")))
    handed = re.fullmatch(r'globalThis.packedPlotly = "([^"]*)";\n', script.read_text())
    assert handed is not None
    library = gzip.decompress(base64.b64decode(handed[1]))
    assert base64.b64encode(hashlib.sha256(library).digest()).decode() in policies
    assert len(policies) == 2  # the page's own script is the other one
    assert write_page(page.parent).stat().st_size > MEGABYTE  # made again, it stands alone


def evil_run(folder: Path) -> Path:
    """A run whose every text is hostile, but for the title."""
    renamed = {"model": {"Drift": EVIL}, "other": {"Drift": EVIL}}
    metrics = series_metrics()
    hostile = replace(
        metrics,
        experiment=EVIL,
        unit=EVIL,
        title=f"honest {EVIL}",
        notes=[EVIL],
        scores=metrics.scores.replace(renamed),
        pairwise=None if metrics.pairwise is None else metrics.pairwise.replace(renamed),
    )
    leave(folder, hostile, series_table().replace({"model": {"Drift": EVIL}, "unique_id": {"s": EVIL}}))
    (folder / "config.yaml").write_text(f"a: 1\n{EVIL}\n", encoding="utf-8")
    audit = {"verdict": EVIL, "sentence": EVIL, "stages": [{"stage": EVIL, "verdict": EVIL, "detail": EVIL}]}
    write(folder / "run.json", {"audit": audit, "commit": EVIL, "packages": {EVIL: EVIL}, "command": EVIL})
    write(folder / "artifacts" / "losses.json", {EVIL: epochs(2)})
    return folder


def test_text_from_settings_and_data_is_only_ever_text(tmp_path: Path) -> None:
    page = read(evil_run(tmp_path))
    outline = Outline(page)
    shown = EVIL.replace("\u202e", "\ufffd").replace("\x1b", "\ufffd")
    assert shown in "".join(outline.words)  # shown as it is ...
    assert len(outline.scripts) == 1  # ... and run never
    assert "img" not in outline.tags
    assert page.count("<script>document") == 0
    assert not set(page) & {"\u202e", "\x1b"}
    assert "a: 1\n" in page  # a configuration keeps its lines
    for spec in specs(page):  # plotly.js reads a little HTML
        for text in re.findall(r'"(?:name|text|label)":\s*"((?:[^"\\]|\\.)*)"', json.dumps(spec)):
            assert "<script" not in text
            assert "<img" not in text


def test_json_cannot_end_the_element_it_stands_in() -> None:
    told = {"a": f"</script>{EVIL}&amp;\u2028"}
    written = str(as_json(told))
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == told


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    folder = series_run(tmp_path)
    first = write_page(folder).read_bytes()
    assert write_page(folder).read_bytes() == first
    assert not list(folder.glob("*.part"))


def test_the_title_and_the_table_say_what_was_found(series_page: str) -> None:
    assert re.search(rf"<h1>A walk: {NET} is (worse|no better) than persistence \(p\u00a0[=&<]", series_page)
    results = section(series_page, "results")
    assert re.search(r'<tbody class="apart">\s*<tr>\s*<th scope="row"[^>]*>Persistence', results)
    assert '<tr class="own">' in results
    assert results.index("note 3") < results.index("more notes") < results.index("note 4")


def test_a_forecast_that_copies_the_last_value_is_called_late_and_one_that_knows_is_not(tmp_path: Path) -> None:
    metrics = replace(series_metrics(), sections=["copycat"])
    table = series_table()
    own = table["model"] == NET
    truth = table.loc[own, "y"].to_numpy()
    for forecast, words in (
        (table.loc[own, "y_hat"].to_numpy(), "the forecast follows the truth 1 step late"),
        (truth, "moves with the truth, not behind it"),
        (np.roll(truth, -1), "1 step BEFORE the truth"),
        (np.random.default_rng(0).standard_normal(truth.size), "follow those of the truth at no lag"),
    ):
        said = table.assign(y_hat=table["y_hat"].mask(own, pd.Series(forecast, index=table.index[own])))
        assert words in read(leave(tmp_path, metrics, said, artifacts=False))


def test_a_folder_without_a_run_and_a_broken_file_are_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "there is no metrics.json" in capsys.readouterr().err
    (tmp_path / "metrics.json").write_text("{")
    assert main([str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_the_command_prints_where_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = leave(tmp_path, replace(series_metrics(), sections=["results"]), artifacts=False)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"Written to {folder / 'report.html'}\n"


def test_a_model_that_diverged_a_short_run_a_reference_alone_and_several_series_have_a_page(tmp_path: Path) -> None:
    folder = series_run(tmp_path / "broken")
    table = series_table()
    table.assign(y_hat=table["y_hat"].mask(table["model"] == NET)).to_parquet(folder / "forecasts.parquet")
    write_page(folder)
    table.groupby("model").tail(12).to_parquet(folder / "forecasts.parquet")
    write_page(folder)
    several = pd.concat([table, table.assign(unique_id="<b>")])
    several.to_parquet(folder / "forecasts.parquet")
    assert '<option value="1">&lt;b&gt;</option>' in read(folder)
    alone = replace(series_metrics(), model=PERSISTENCE)
    write_page(leave(tmp_path / "alone", alone, table[table["model"] == PERSISTENCE]))
    several.assign(step=2).to_parquet(folder / "forecasts.parquet")
    assert "2 steps ahead" in read(folder)


def test_time_that_is_counted_in_steps_has_a_page(tmp_path: Path) -> None:
    table = series_table().assign(ds=np.tile(np.arange(259), 4), origin=np.tile(np.arange(259), 4) - 1)
    page = read(leave(tmp_path, series_metrics(), table, artifacts=False))
    assert "fifth of the test set" in page
    assert "step, in blocks of 30" in page


def test_records_of_a_cycler_are_placed_by_the_cycles_that_are_over(tmp_path: Path) -> None:
    metrics = replace(cell_metrics(), sections=["forecast", "cells", "cells.over_life", "calibration"])
    table = cell_table()
    in_cycles = read(leave(tmp_path, metrics, table, artifacts=False))
    in_records = read(leave(tmp_path, metrics, table.assign(ds=1000 * table["ds"]), artifacts=False))
    for part in ("time", "calibration"):
        assert section(in_cycles, part) == section(in_records, part)
    (cone,) = (spec for spec in specs(in_records) if "forecast remaining life / life" in str(spec["layout"]))
    assert cone in specs(in_cycles)
    assert {s["layout"]["xaxis"]["title"]["text"] for s in specs(in_records)} >= {"record"}


def test_what_a_page_says_first_of_a_table(tmp_path: Path) -> None:
    kept = series_metrics(("Drift",))
    folder = leave(tmp_path, replace(kept, sections=["results"]), artifacts=False)
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    for verdicts, p, words in (
        (("better", "better"), 0.01, "all 2 honest models are significantly better than persistence"),
        (("better", "worse"), 0.01, "1 of 2 honest models is significantly better than persistence"),
        (("same", "worse"), 0.5, "none of 2 honest models is significantly better than persistence"),
        (("same", "same"), None, "nothing was tested"),
    ):
        told = dict(zip((NET, "Drift"), verdicts, strict=True))
        for row in scores:
            row |= {"verdict": told.get(row["model"], "reference"), "p_corrected": p, "mae": 1.0 + len(row["model"])}
        change(folder, scores=scores)
        assert f"Drift has the lowest MAE, 6.00 index points; {words}" in read(folder)


def test_artifacts_of_cells_are_told_in_words(cell_page: str) -> None:
    assert "follows the remaining life most closely (Kendall&#39;s tau" in section(cell_page, "factors")
    assert "3 clusters were chosen among 2 to 7" in section(cell_page, "clusters")
    assert "(MMD) 0.013" in section(cell_page, "synthetic")
    assert "the slowest has" in section(cell_page, "bands")
    assert "The weights of step 250 are kept" in section(cell_page, "synthetic")
    assert "2 networks trained for 8 to 30 epochs" in section(cell_page, "losses")
    assert section(cell_page, "clusters").count('class="number best"') == 3


def test_samples_of_several_conditions_stand_side_by_side(tmp_path: Path) -> None:
    folder = leave(tmp_path, replace(cell_metrics(), sections=["features.synthetic"]))
    write(folder / "artifacts" / "augmentation.json", quality(conditions=3))
    page = read(folder)
    assert page.count('<figure class="plot small"') == 3
    assert "samples lie beyond the frames" in page


def test_files_of_figures_are_drawn_when_asked_for(tmp_path: Path) -> None:
    leaking = replace(cell_metrics(leaking=(HYBRID,)), sections=["forecast", "training.losses"])
    paths = write_pngs(leave(tmp_path, leaking, cell_table()))
    assert [path.name for path in paths] == ["forecast.png", "forecast_all.png", "losses.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
