"""The service: a real server, several clients at once, and what it refuses."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modecast
from runtime.faults import ConfigError
from serve import _whole
from tests.commands import run
from tests.conftest import ROOT

SMALL = ["decomposition=identity", "baselines=naive", "audit=none", "parallel.n_jobs=1", "source.n_steps=300"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server of a small run with limits, and the folder of the run."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="serve.py needs the extra: pip install -e .[serve]")
    folder = modecast.run("experiment=smoke", "model=ridge", *SMALL, folder=tmp_path_factory.mktemp("run") / "r").path
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, str(ROOT / "serve.py"), f"run={folder}", f"port={port}", "rows=3000", "bytes=100000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).read()
                break
            except OSError:
                assert server.poll() is None, server.stdout.read() if server.stdout else ""
                time.sleep(0.1)
        yield address, folder
    finally:
        server.terminate()
        server.communicate(timeout=30)


def table(seed: int, n: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = 900 + 4 * rng.standard_normal(n).cumsum()
    return pd.DataFrame({"unique_id": f"s{seed}", "ds": pd.bdate_range("2022-01-03", periods=n), "y": y})


def post(address: str, body: bytes, kind: str = "application/json", query: str = "") -> tuple[int, dict[str, Any]]:
    asked = urllib.request.Request(f"{address}/forecast{query}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def records(df: pd.DataFrame) -> bytes:
    return df.to_json(orient="records", date_format="iso", double_precision=15).encode()


def csv(df: pd.DataFrame) -> bytes:
    return df.to_csv(index=False).encode()


def test_health_names_the_model(served):
    address, _ = served
    with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
        told = json.load(answer)
    assert (told["status"], told["model"], told["horizon"]) == ("ok", "Ridge", 1)


def test_what_is_served_is_what_the_run_forecasts(served):
    address, folder = served
    df = pd.concat([table(1), table(2)])
    ours = modecast.load(folder).predict(df)
    for body, kind in ((records(df), "application/json"), (csv(df), "text/csv")):
        status, told = post(address, body, kind)
        assert status == 200, told
        found = pd.DataFrame(told["forecasts"])
        assert list(found.columns) == list(ours.columns)
        assert pd.to_datetime(found["ds"]).tolist() == ours["ds"].tolist()
        np.testing.assert_allclose(found.iloc[:, 2:], ours.iloc[:, 2:], rtol=1e-12)
        assert told["notes"] == ours.attrs["notes"]
        assert {"Ridge-lo-95", "Ridge-hi-95", "Persistence"} <= set(found)


def test_eight_clients_at_once_get_each_their_own(served):
    address, folder = served
    run = modecast.load(folder)
    tables = [table(seed) for seed in range(24)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda df: post(address, csv(df), "text/csv"), tables))
    for df, (status, told) in zip(tables, answers, strict=True):
        assert status == 200, told
        (row,) = told["forecasts"]
        assert row["unique_id"] == df["unique_id"].iloc[0]
        assert row["Ridge"] == pytest.approx(run.predict(df)["Ridge"].item(), rel=1e-12)


@pytest.mark.parametrize(
    ("body", "kind", "query", "status", "said"),
    [
        (b"{", "application/json", "", 422, "no JSON"),
        (b"[1, 2]", "application/json", "", 422, "no records"),
        (b'{"y": [1, 2], "ds": [1]}', "application/json", "", 422, "different length"),
        (b'[{"y": {"a": 1}}]', "application/json", "", 422, "more than numbers"),
        (b"", "text/csv", "", 422, "no rows|empty|nothing|header"),
        (csv(table(1).assign(y=lambda df: 1000 * df["y"])), "text/csv", "", 422, "another series or another unit"),
        (csv(table(1, 20)), "text/csv", "", 422, "but 30 are needed"),
        (records(table(1).assign(y=lambda df: df["y"].where(df.index != 3))), "application/json", "", 422, "missing"),
        (csv(table(1)), "text/csv", "?horizon=4", 422, "forecasts 1 step, not 4"),
        (csv(table(1, 1500)) + b" " * 90_000, "text/csv", "", 413, "more than 100000 bytes"),
        (b"ds,y\n" + b"1,2\n" * 3500, "text/csv", "", 413, "more than 3000 rows"),
        (b'{"y": [' + b"1," * 3500 + b"1]}", "application/json", "", 413, "more than 3000 rows"),
    ],
)
def test_a_table_that_cannot_be_forecast_is_refused_in_a_sentence(served, body, kind, query, status, said):
    address, _ = served
    found, told = post(address, body, kind, query)
    assert found == status, told
    assert pd.Series([told["detail"]]).str.contains(said).item(), told
    assert "/tmp" not in told["detail"]
    assert "Traceback" not in told["detail"]


def test_a_body_without_a_length_is_counted_as_it_comes(served):
    address, _ = served
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(
            b"POST /forecast HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"a" * 60_000
        line.sendall((f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n") * 2)
        assert b"413" in line.recv(200).splitlines()[0]


@pytest.mark.parametrize(("text", "fault"), [("0", True), ("70000", True), ("8_0", True), ("abc", True), ("80", False)])
def test_a_port_is_a_whole_number(text, fault):
    if fault:
        with pytest.raises(ConfigError, match=f"port={text} must be a whole number"):
            _whole({"port": text}, "port", 1, 65_535)
    else:
        assert _whole({"port": text}, "port", 1, 65_535) == 80


def test_a_folder_that_holds_no_run_is_said_so_before_anything_listens(tmp_path):
    done = run("serve.py", f"run={tmp_path}")
    assert done.returncode == 2
    assert "holds no run" in done.stderr
    done = run("serve.py", "--help")
    assert "POST /forecast" in done.stdout
