"""Which process is at work, and whether it still is."""

import os
import socket
from collections.abc import Sequence

Mark = list[str | int]
"""Machine, number of the process and when it began: numbers are used again."""


def this_process() -> Mark:
    """Return what tells this process from all others."""
    return [socket.gethostname(), os.getpid(), _began(os.getpid())]


def ended(mark: Sequence[str | int]) -> bool:
    """Say whether a process of this machine is no more; of another machine that cannot be seen from here."""
    host, number, began = mark
    return bool(host == socket.gethostname() and _began(int(number)) != began)


def _began(process: int) -> str:
    """Return when a process began, as the system tells it; empty where it is no more."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "" if os.path.isdir("/proc") else _alive(process)
    return "" if fields[0] == "Z" else fields[19]  # a zombie works no more


def _alive(process: int) -> str:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
