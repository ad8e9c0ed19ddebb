"""Long work is told of a line a minute where there is no terminal, whether or not its steps are counted."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime import progress


@pytest.fixture(autouse=True)
def _short_minutes(monkeypatch) -> None:
    monkeypatch.setattr(progress, "MINUTE", 0.05)


def test_steps_are_told_of_once_a_minute(monkeypatch, capsys) -> None:
    clock = iter(range(0, 6000, 40))
    monkeypatch.setattr(progress, "MINUTE", 60.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    lines = progress.Lines("LSTM", 6)
    for epoch in range(1, 7):
        lines.at(epoch, " epochs")
    said = capsys.readouterr().err.splitlines()
    assert said == ["LSTM: 2 of 6 epochs, 2 min 40 s left", "LSTM: 4 of 6 epochs, 1 min 20 s left"]


def test_results_that_do_not_come_are_told_of_too(capsys) -> None:
    steps = iter([0, 0, 0.2])
    for _ in progress.followed((time.sleep(step) for step in steps), 3, "Fits"):
        pass
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("Fits: 2 of 3, ") and line.endswith(" left") for line in lines)
    with ThreadPoolExecutor(1) as pool:  # nothing is there yet
        list(progress.followed(pool.map(time.sleep, [0.2, 0]), 2, "Fits"))
    assert "Fits: 0 of 2, 0 s so far" in capsys.readouterr().err


def test_work_that_nobody_counts_is_told_of_until_it_ends(capsys) -> None:
    with progress.alive("WGAN-GP"):
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert set(lines) == {"WGAN-GP: 0 s so far"}
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_short_work_and_workers_are_silent(capsys, monkeypatch) -> None:
    with progress.alive("Ridge"):
        pass
    monkeypatch.setattr(progress, "watched", lambda: False)
    with progress.alive("Ridge"):
        time.sleep(0.1)
    list(progress.followed((time.sleep(0.1) for _ in range(2)), 2, "Fits"))
    assert capsys.readouterr().err == ""
