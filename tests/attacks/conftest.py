"""What every attack is watched by: nothing planted may run, and nothing may be sent."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

EVIL = """
from pathlib import Path

Path({marker!r}).touch()


class X:
    def __init__(self, *given, **named):
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is searched first by Python, and full of modules that leave a mark when they are imported."""
    place = tmp_path / "run"
    for module in ("evil", "this", "data/evil", "data/scaling/evil", "outputs/run/evil", "models/evil", "tasks/evil"):
        path = place / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(EVIL.format(marker=str(tmp_path / "EXECUTED")))
    return place


@pytest.fixture(autouse=True)
def _watched(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sent: list[Any] = []

    def refuse(*given: Any, **named: Any) -> NoReturn:
        sent.append((given, named))
        raise OSError("an attack asked for the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("SECRET", "told-to-nobody")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield
    assert not (tmp_path / "EXECUTED").exists(), "what an attacker planted has run"
    assert not {name for name in set(sys.modules) - before if "evil" in name or name in ("this", "antigravity")}
    assert sent == [], "something was sent"


def assert_one_sentence(said: str) -> None:
    """A message for a person: text, of a few lines, that gives away no secret and looks like no crash."""
    assert said.strip()
    assert len(said) < 2000
    assert len(said.splitlines()) <= 6  # a fault a line
    for word in ("Traceback", "told-to-nobody", "\x1b", "\u202e", 'File "'):
        assert word not in said
