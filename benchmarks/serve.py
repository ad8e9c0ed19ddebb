"""Time the service under several clients at once:  python -m benchmarks.serve [run=outputs/...]

Without a run, a small LSTM is trained on undecomposed closes first.  Every request is one series of 250 days as CSV.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import modecast
from runtime.files import ROOT

CLIENTS, REQUESTS, DAYS = 8, 400, 250
SMALL = ("experiment=smoke", "model=lstm", "decomposition=identity", "baselines=naive", "audit=none")


def main(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(ROOT / "serve.py"), f"run={folder}", f"port={port}"], cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    try:
        began = time.perf_counter()
        while not _healthy(address):
            time.sleep(0.05)
        print(f"ready after {time.perf_counter() - began:.1f} s")
        own = modecast.load(folder)
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(_timed, [address] * CLIENTS, [_table(own, seed) for seed in range(CLIENTS)]))  # warm
            began = time.perf_counter()
            tables = [_table(own, seed) for seed in range(REQUESTS)]
            times = np.array(list(clients.map(_timed, [address] * REQUESTS, tables)))
        rate = REQUESTS / (time.perf_counter() - began)
        p50, p95, worst = np.percentile(times, [50, 95, 100])
        print(
            f"{own.model}: {REQUESTS} requests of {CLIENTS} clients, no error: median {1e3 * p50:.0f} ms, "
            f"p95 {1e3 * p95:.0f} ms, largest {1e3 * worst:.0f} ms, {rate:.0f} requests a second"
        )
    finally:
        server.terminate()
        server.wait(30)


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except OSError:
        return False


def _table(run: modecast.Run, seed: int) -> bytes:
    """Return a random walk with the moves of the series the run was trained on."""
    y = run.forecasts["y"].to_numpy()
    walk = y[-1] + np.abs(np.diff(y)).mean() * np.random.default_rng(seed).standard_normal(DAYS).cumsum()
    return pd.DataFrame({"ds": pd.bdate_range("2024-01-01", periods=DAYS), "y": walk}).to_csv(index=False).encode()


def _timed(address: str, body: bytes) -> float:
    asked = urllib.request.Request(f"{address}/forecast", body, {"Content-Type": "text/csv"})
    began = time.perf_counter()
    with urllib.request.urlopen(asked, timeout=60) as answer:
        answer.read()
    return time.perf_counter() - began


if __name__ == "__main__":
    given = [word.removeprefix("run=") for word in sys.argv[1:]]
    if given:
        main(Path(given[0]))
    else:
        with TemporaryDirectory() as place:
            main(modecast.run(*SMALL, folder=Path(place) / "run").path)
