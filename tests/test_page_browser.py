"""The report page in a real browser: it draws, stays silent and offline, answers the mouse, fits phones and paper."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from report.page import write_page
from tests.run_folders import NET, cell_run, series_run
from tests.test_page import evil_run

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
]
PATIENCE = 60  # [s]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium or Chrome")


class Browser:
    """A headless Chromium, driven over a pipe by its DevTools protocol; no package is needed for it."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        inherited = [fcntl.fcntl(end, fcntl.F_DUPFD, 30) for end in (theirs_in, theirs_out)]

        def hand_over() -> None:  # the browser reads from descriptor 3 and writes to 4
            os.dup2(inherited[0], 3)
            os.dup2(inherited[1], 4)

        self.process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={folder}"],
            preexec_fn=hand_over,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *inherited):
            os.close(end)
        self.inlet, self.outlet, self.received, self.count = ours_out, ours_in, b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; events that come between are kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.inlet, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.outlet], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            part = os.read(self.outlet, 1 << 20)
            assert part, "the browser has ended"
            self.received += part
        message, self.received = self.received.split(b"\0", 1)
        return dict(json.loads(message))

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.inlet)
        os.close(self.outlet)


class Tab:
    """A page in a tab of its own, loaded so far that its figures can be drawn."""

    def __init__(self, browser: Browser, page: Path, width: int, phone: bool = False) -> None:
        self.browser, self.page = browser, page
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = str(browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait("document.documentElement?.dataset.ready === 'yes'")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command to this tab."""
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width: int, phone: bool = False) -> None:
        """Give the page so many pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone)

    def run(self, script: str) -> Any:
        """Return the value of an expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Return when an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def draw_all(self) -> None:
        """Draw every figure, as scrolling to it would."""
        end = time.monotonic() + PATIENCE
        while self.run("document.querySelectorAll('figure.plot:not([data-drawn])').length"):
            assert time.monotonic() < end, "a figure is never drawn"
            self.run("document.querySelector('figure.plot:not([data-drawn])')?.scrollIntoView({behavior: 'instant'})")
            time.sleep(0.02)

    def told(self) -> list[dict[str, Any]]:
        """Return the events of this tab."""
        return [event for event in self.browser.events if event.get("sessionId") == self.session]

    def complaints(self) -> list[str]:
        """Return what was logged as an error or a warning, or thrown."""
        found = []
        for event in self.told():
            method, told = event["method"], event["params"]
            if method == "Runtime.exceptionThrown" or (
                method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning")
            ):
                found.append(json.dumps(told))
            if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                found.append(told["entry"]["text"])
        return found

    def requests(self) -> set[str]:
        """Return every address that was asked for."""
        urls = {e["params"]["request"]["url"] for e in self.told() if e["method"] == "Network.requestWillBeSent"}
        return {url for url in urls if not url.startswith("data:")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def on_a_desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Tab:
    return Tab(browser, write_page(series_run(tmp_path_factory.mktemp("series"))), 1280)


@pytest.fixture(scope="module")
def on_a_phone(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Tab:
    return Tab(browser, write_page(cell_run(tmp_path_factory.mktemp("cells"), n_cells=3)), 390, phone=True)


def test_the_page_of_a_job_draws_with_the_script_of_its_sweep_and_says_what_lacks_without(
    browser: Browser, tmp_path: Path
) -> None:
    page = write_page(series_run(tmp_path / "model-lstm_1234abcd" / "seed-0"), tmp_path)
    tab = Tab(browser, page, 1280)
    tab.wait("document.querySelector('.canvas .main-svg')")
    (script,) = tmp_path.glob("plotly-*.js")
    assert tab.requests() == {page.as_uri(), script.as_uri()}
    assert not tab.complaints()
    script.unlink()
    tab.call("Page.navigate", url=page.as_uri() + "?again")
    tab.wait("document.querySelector('.canvas')?.textContent.includes('python -m report.page')")


@pytest.fixture
def series(on_a_desk: Tab) -> Iterator[Tab]:
    on_a_desk.call("Page.bringToFront")
    yield on_a_desk
    on_a_desk.resize(1280)


@pytest.fixture
def cells(on_a_phone: Tab) -> Iterator[Tab]:
    on_a_phone.call("Page.bringToFront")
    yield on_a_phone
    on_a_phone.resize(390, phone=True)


@pytest.fixture(params=["series", "cells"])
def tab(request: pytest.FixtureRequest) -> Tab:
    """A series on a desk and cells on a phone."""
    return request.getfixturevalue(request.param)


def test_every_figure_is_drawn_without_a_word_on_the_console_or_over_the_network(tab: Tab) -> None:
    tab.draw_all()
    assert tab.run("[...document.querySelectorAll('.canvas')].every((canvas) => canvas.querySelector('.main-svg'))")
    assert tab.complaints() == []
    assert tab.requests() == {tab.page.resolve().as_uri()}


def test_nothing_but_a_table_is_wider_than_the_screen(tab: Tab) -> None:
    tab.draw_all()
    for width in (1280, 390):
        tab.resize(width, phone=width == 390)
        tab.wait(
            "[...document.querySelectorAll('.canvas')].every((c) => c.getBoundingClientRect().right <= innerWidth"
            " && c.querySelector('.main-svg').getBoundingClientRect().right <= innerWidth)"
        )
        assert tab.run("document.documentElement.scrollWidth") <= width


def test_verdict_title_and_the_whole_table_are_on_the_first_screen(series: Tab) -> None:
    for part, edge in ((".verdict", 120), ("h1", 260), ("#results table", 900)):
        assert series.run(f"document.querySelector('{part}').getBoundingClientRect().bottom + scrollY") < edge


def test_hovering_over_the_forecast_shows_the_truth_and_every_visible_forecast(series: Tab) -> None:
    series.run("document.querySelector('#forecast-figure-1').scrollIntoView({behavior: 'instant', block: 'center'})")
    series.wait("document.querySelector('#forecast-figure-1 .nsewdrag')")
    x, y = series.run(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])("
        "document.querySelector('#forecast-figure-1 .nsewdrag').getBoundingClientRect())"
    )
    series.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    series.wait("document.querySelector('#forecast-figure-1 .hoverlayer .legendtext')")
    shown = series.run(
        "[...document.querySelectorAll('#forecast-figure-1 .hoverlayer text')].map((t) => t.textContent).join(' ')"
    )
    assert all(word in shown for word in ("truth", NET, "Persistence", "95 %"))
    table = pd.read_parquet(series.page.parent / "forecasts.parquet")
    truths = {f"{value:.6g}" for value in table.loc[table["model"] == NET, "y"]}
    assert any(truth in shown for truth in truths)


def test_buttons_zoom_to_the_last_steps_and_the_height_follows(series: Tab) -> None:
    canvas = "document.querySelector('#forecast-figure-1 .canvas')"
    series.wait(f"{canvas}._fullLayout")
    spans = []
    for steps in (60, 250, 0):
        series.run(f"document.querySelector('#forecast-figure-1 button[data-steps=\"{steps}\"]').click()")
        time.sleep(0.2)
        begin, end = series.run(f"{canvas}._fullLayout.xaxis.range")
        low, high = series.run(f"{canvas}._fullLayout.yaxis.range")
        spans.append((pd.Timestamp(end) - pd.Timestamp(begin), high - low))
    assert spans[0] < spans[1] < spans[2]
    assert spans[0][1] < spans[2][1]


def test_a_click_on_a_heading_sorts_the_table_and_persistence_stays_on_top(series: Tab) -> None:
    values = (
        "[...document.querySelectorAll('#results tbody:not(.apart) tr')]"
        ".map((row) => Number(row.children[1].dataset.value))"
    )
    button = "document.querySelectorAll('#results thead button')[1]"
    series.run(f"{button}.click()")
    assert series.run(values) == sorted(series.run(values))
    series.run(f"{button}.click()")
    assert series.run(values) == sorted(series.run(values), reverse=True)
    assert series.run("document.querySelector('#results tbody tr').textContent").strip().startswith("Persistence")
    assert series.run("document.querySelectorAll('#results thead th')[1].getAttribute('aria-sort')") == "descending"


def test_another_cell_can_be_chosen(cells: Tab) -> None:
    cells.draw_all()
    canvas = "document.querySelector('#forecast-figure-1 .canvas')"
    before = cells.run(f"{canvas}.data[0].y.length")
    cells.run(
        "(() => { const choice = document.querySelector('#forecast select'); choice.selectedIndex = 1;"
        " choice.dispatchEvent(new Event('change')); })()"
    )
    assert cells.run(f"{canvas}.data[0].y.length") != before


def test_nothing_is_cut_off_on_paper(tab: Tab) -> None:
    pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    assert pdf.startswith(b"%PDF")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    tab.call("Emulation.setEmulatedMedia", media="print")
    tab.resize(703)  # A4 less margins
    assert tab.run("document.querySelectorAll('figure.plot:not([data-drawn])').length") == 0
    wide = tab.run(
        "[...document.querySelectorAll('table, .main-svg, pre')]"
        ".map((e) => e.getBoundingClientRect().right).filter((right) => right > 704)"
    )
    assert wide == []
    tab.call("Emulation.setEmulatedMedia", media="")
    tab.run("dispatchEvent(new Event('afterprint'))")
    assert tab.complaints() == []


def test_a_malicious_label_does_not_run(browser: Browser, tmp_path: Path) -> None:
    folder = evil_run(tmp_path)
    tab = Tab(browser, write_page(folder), 1280)
    tab.draw_all()
    assert tab.run("document.title").startswith("honest")
    assert tab.run("document.querySelectorAll('main img').length") == 0
    assert tab.complaints() == []
    tab.run(
        "(() => { const script = document.createElement('script'); script.textContent = 'document.title = 1';"
        " document.body.append(script); })()"
    )
    assert tab.run("document.title").startswith("honest")  # the policy of the page forbids it
