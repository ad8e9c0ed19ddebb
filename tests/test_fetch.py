"""A download arrives whole and as expected, or the message says what to do; all against a server on this machine."""

import hashlib
import http.server
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from data import fetch as module
from data.fetch import DATA_SETS, DataSet, FetchError, File, fetch, main
from tests.test_cell_sources import arbin_workbook

CONTENT = b"cycle,capacity\n" + b"".join(b"%d,%d\n" % (k, 2000 - k) for k in range(20_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = "https://example.org/cells"


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serve ``files``, whole or from where a client goes on, and break off after ``breaks`` bytes if told."""

    files: dict[str, bytes]
    breaks: int | None
    asked: list[str | None]
    sent: list[int]

    def do_GET(self) -> None:
        cls = type(self)
        content = cls.files.get(self.path)
        cls.asked.append(self.headers.get("Range"))
        if content is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        given = self.headers.get("Range")
        start = int(given.removeprefix("bytes=").rstrip("-")) if given and self.headers["If-Range"] == tag else 0
        body = content[start:]
        cls.sent.append(len(body))
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if cls.breaks is None else body[: cls.breaks])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[tuple[type[Publisher], str]]:
    handler = type("Handler", (Publisher,), {"files": {"/cells.csv": CONTENT}, "breaks": None, "asked": [], "sent": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_downloaded_once_and_checked(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    file = File("cells.csv", f"{url}/cells.csv", (SHA256,))
    for _ in range(2):
        assert fetch(file, tmp_path, PAGE).read_bytes() == CONTENT
    assert len(handler.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]


def test_a_file_of_another_hash_is_thrown_away(publisher, tmp_path: Path) -> None:
    _, url = publisher
    with pytest.raises(FetchError, match=f"(?s)sha256 is {SHA256}, not {'0' * 64}.*by hand.*cells.csv"):
        fetch(File("cells.csv", f"{url}/cells.csv", ("0" * 64,)), tmp_path, PAGE)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_and_differs_is_refused_and_kept(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    (tmp_path / "cells.csv").write_text("mine")
    with pytest.raises(FetchError, match="is not the file that is expected"):
        fetch(File("cells.csv", f"{url}/cells.csv", (SHA256,)), tmp_path, PAGE)
    assert (tmp_path / "cells.csv").read_text() == "mine"
    assert not handler.asked


def test_a_download_that_broke_off_goes_on_where_it_stopped(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    file = File("cells.csv", f"{url}/cells.csv", (SHA256,))
    handler.breaks = 50_000
    with pytest.raises(FetchError, match=r"broke after 50000 bytes.*run the same command again"):
        fetch(file, tmp_path, PAGE)
    assert not (tmp_path / "cells.csv").exists()
    handler.breaks = None
    assert fetch(file, tmp_path, PAGE).read_bytes() == CONTENT
    assert handler.asked == [None, "bytes=50000-"]
    assert handler.sent == [len(CONTENT), len(CONTENT) - 50_000]
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]


def test_a_download_starts_anew_if_the_publisher_has_changed_the_file(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.breaks = 50_000
    with pytest.raises(FetchError, match="broke"):
        fetch(File("cells.csv", f"{url}/cells.csv", ()), tmp_path, PAGE)
    handler.breaks, handler.files = None, {"/cells.csv": CONTENT[::-1]}
    assert fetch(File("cells.csv", f"{url}/cells.csv", ()), tmp_path, PAGE).read_bytes() == CONTENT[::-1]


def test_the_first_download_is_locked_where_no_hash_is_known(publisher, tmp_path: Path, capsys) -> None:
    handler, url = publisher
    file = File("cells.csv", f"{url}/cells.csv", ())
    path = fetch(file, tmp_path, PAGE)
    assert SHA256 in capsys.readouterr().out
    assert SHA256 in (tmp_path / "cells.csv.sha256").read_text()
    path.unlink()
    handler.files = {"/cells.csv": CONTENT + b"1,1\n"}
    with pytest.raises(FetchError, match=f"not {SHA256}"):
        fetch(file, tmp_path, PAGE)
    assert not path.exists()


def test_a_file_that_is_gone_is_told_with_where_to_put_it(publisher, tmp_path: Path) -> None:
    _, url = publisher
    with pytest.raises(FetchError, match=rf"no longer has it.*download it from {PAGE} by hand and save it as .*gone"):
        fetch(File("gone.csv", f"{url}/gone.csv", (SHA256,)), tmp_path, PAGE)


def test_no_network_is_told_as_such(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match=r"no network, or the site does not answer.*by hand"):
        fetch(File("cells.csv", f"http://127.0.0.1:{port}/cells.csv", (SHA256,)), tmp_path, PAGE)


def test_a_page_instead_of_a_file_is_neither_kept_nor_locked(publisher, tmp_path: Path) -> None:
    handler, url = publisher
    handler.files = {"/cells.csv": b"<!DOCTYPE html>Moved", "/cells.zip": b"no archive"}
    for name in ("cells.csv", "cells.zip"):
        with pytest.raises(FetchError, match="something else"):
            fetch(File(name, f"{url}/{name}", ()), tmp_path, PAGE)
    assert not list(tmp_path.iterdir())


def test_the_command_turns_an_archive_of_workbooks_into_records(publisher, tmp_path: Path, monkeypatch, capsys) -> None:
    handler, url = publisher
    archive = io.BytesIO()
    arbin_workbook(tmp_path / "CS2_35_8_17_10.xlsx", n_cycles=2, start="2010-08-17")
    with zipfile.ZipFile(archive, "w") as content:
        content.write(tmp_path / "CS2_35_8_17_10.xlsx", "CS2_35/CS2_35_8_17_10.xlsx")
    handler.files = {"/CS2_35.zip": archive.getvalue()}
    offered = DataSet("test", PAGE, "calce", ("CS2_35",), lambda cell: File(f"{cell}.zip", f"{url}/{cell}.zip", ()))
    monkeypatch.setitem(module.DATA_SETS, "calce", offered)
    assert main(["calce", "--folder", str(tmp_path)]) == 0
    records = pd.read_parquet(tmp_path / "calce" / "CS2_35_records.parquet")
    assert records["src_file"].unique().tolist() == ["CS2_35_8_17_10.xlsx"]
    assert "docs/data/calce.md" in capsys.readouterr().out
    assert main(["calce", "CS2_99", "--folder", str(tmp_path)]) == 1
    assert "no longer has it" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_every_data_set_has_a_card_and_an_address(name: str) -> None:
    offered = DATA_SETS[name]
    assert (Path(__file__).parents[1] / "docs" / "data" / f"{name}.md").is_file()
    for cell in offered.cells or ("",):
        file = offered.file(cell)
        assert file.url.startswith("https://")
        assert all(len(digest) == 64 for digest in file.sha256)
