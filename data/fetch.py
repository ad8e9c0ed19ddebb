"""Download a data set from its publisher: ``python -m data.fetch hnei``.

A download that broke off goes on where it stopped.  A file is checked against the sha256 pinned here; where
no hash could be pinned, the hash of the first download is written beside the file (``<file>.sha256``, the
lock) and a later download that differs from it is refused.
"""

import argparse
import logging
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pooch
import requests

from data.cells.files import data_folder
from data.panel import DataError
from data.sources.calce import read_records

TIMEOUT = 60.0  # [s] without an answer
CHUNK = 1 << 20  # [bytes]
LARGEST = 8 << 30  # [bytes] of the workbooks of a cell


class FetchError(RuntimeError):
    """A file could not be had; the message says why and what to do."""


class File(NamedTuple):
    """One file of a publisher."""

    name: str
    """What it is called here."""
    url: str
    sha256: tuple[str, ...]
    """Of every form it may come in; empty where none is known: the first download is trusted, and locked."""


class DataSet(NamedTuple):
    """What a publisher offers."""

    what: str
    page: str
    """Where a person finds it."""
    folder: str
    """Within the data folder."""
    cells: tuple[str, ...]
    """Names of what is fetched unless others are named; empty where it is one file."""
    file: Callable[[str], File]
    """Return the file of a cell."""


def _hnei(_: str) -> File:
    # The hashes are of the same table written anew from a copy: its length and its text at the beginning, in the
    # middle and at the end are those of the file at this commit, whose ends of lines could not be seen.
    commit = "1fec5c1efcf2b9df076178f82f8b238d802e6b6d"
    return File(
        "Final Database.csv",
        f"https://raw.githubusercontent.com/ignavinuales/Battery_RUL_Prediction/{commit}"
        "/Datasets/HNEI_Processed/Final%20Database.csv",
        (
            "36f4269f1e4b8191c061e717cc9768b19e5d0fce8bcaf0bb5756812b6f88342e",  # lines end in LF
            "5ead0f0b3c06efbeff1d8b4d210d45dd1580886dd57dd08bfbe57a0895a9d63f",  # in CR LF
        ),
    )


def _calce(cell: str) -> File:
    return File(f"{cell}.zip", f"https://web.calce.umd.edu/batteries/data/{cell}.zip", ())


def _batteryarchive(cell: str) -> File:
    name = f"{cell.replace('/', '-')}_cycle_data.csv"
    return File(name, f"https://www.batteryarchive.org/data/{name}", ())


DATA_SETS = {
    "hnei": DataSet(
        "health factors of 14 HNEI cells, derived by I. Vinuales",
        "https://github.com/ignavinuales/Battery_RUL_Prediction",
        "hnei",
        (),
        _hnei,
    ),
    "calce": DataSet(
        "Arbin workbooks of CALCE, University of Maryland",
        "https://calce.umd.edu/battery-data",
        "calce",
        ("CS2_35", "CS2_36", "CS2_37", "CS2_38"),
        _calce,
    ),
    "batteryarchive": DataSet(
        "cycle tables of the HNEI cells at Battery Archive",
        "https://www.batteryarchive.org",
        "batteryarchive",
        tuple(f"HNEI_18650_NMC_LCO_25C_0-100_0.5-1.5C_{cell}" for cell in "abcdefgjlnopst"),
        _batteryarchive,
    ),
}


def fetch(file: File, folder: Path, page: str) -> Path:
    """Return the file in the folder, downloaded if it is not there, and checked either way.

    Parameters
    ----------
    file : File
    folder : Path
        Made where it is missing.
    page : str
        Where a message sends a person who has to fetch the file by hand.

    Raises
    ------
    FetchError
        If it cannot be had, or is not the file that is expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, lock = folder / file.name, folder / f"{file.name}.sha256"
    expected = file.sha256 or (tuple(lock.read_text().split()[:1]) if lock.is_file() else ())
    by_hand = f"If it does not come right, download it from {page} by hand and save it as {path}."
    if path.is_file():
        found = _sha256(path)
        if expected and found not in expected:
            raise FetchError(
                f"{path} is not the file that is expected: its sha256 is {found}, not {' or '.join(expected)}.  Remove "
                f"it to fetch it again; to use it all the same, name it with source.path."
            )
    else:
        _download(file, folder, expected, by_hand)
        found = _sha256(path)
    if not expected:
        lock.write_text(f"{found}  {file.name}\n")
        print(f"No sha256 of {file.name} is known: it is trusted as it came, {found}, and locked in {lock.name}.")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Fetch what the command line names and say where it lies; return 1 if something could not be had."""
    parser = argparse.ArgumentParser(prog="python -m data.fetch", description="Download a data set from its publisher.")
    parser.add_argument("name", choices=sorted(DATA_SETS))
    parser.add_argument("cells", nargs="*", help="names of cells, such as CS2_33; none fetches the usual ones")
    parser.add_argument("--folder", type=Path, default=None, help="default: $MODECAST_DATA, or ~/.cache/modecast")
    given = parser.parse_args(arguments)
    logging.getLogger("pooch").setLevel(logging.WARNING)  # it speaks of its own options
    wanted = DATA_SETS[given.name]
    folder = (given.folder or data_folder()) / wanted.folder
    try:
        for cell in given.cells or wanted.cells or ("",):
            path = fetch(wanted.file(cell), folder, wanted.page)
            if path.suffix == ".zip":
                path = _records(path, cell)
            print(path)
    except (FetchError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.name}: {wanted.what}, in {folder}.  Terms and traps: docs/data/{given.name}.md")
    return 0


class _Resuming:
    """Download as pooch asks for it, but go on from what an earlier try left behind.

    Checked here and not by pooch, which knows one hash and would throw away what differs without saying
    what came.
    """

    def __init__(self, left: Path, expected: tuple[str, ...]) -> None:
        self.left, self.expected = left, expected

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Fill ``output_file``; what has come stays in ``left`` if the connection breaks."""
        tag = self.left.with_name(f"{self.left.name}.etag")
        start = self.left.stat().st_size if self.left.is_file() and tag.is_file() else 0
        asked = {"Range": f"bytes={start}-", "If-Range": tag.read_text()} if start else {}
        # Compressed on the way, the length and the place to go on from would not be those of the file.
        asked["Accept-Encoding"] = "identity"
        with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            if answer.status_code != requests.codes.partial_content:
                start = 0
            tag.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
            length = answer.headers.get("Content-Length")
            whole = start + int(length) if length else None
            answer.raw.enforce_content_length = False  # or the last bytes before a break would be thrown away
            with self.left.open("ab" if start else "wb") as sink:
                for chunk in answer.iter_content(CHUNK):
                    sink.write(chunk)
        size = self.left.stat().st_size
        if whole is not None and size < whole:
            raise requests.ConnectionError(f"{size} of {whole} bytes came")
        tag.unlink(missing_ok=True)
        found = _sha256(self.left)
        if self.expected and found not in self.expected:
            self.left.unlink()
            raise _Different(found)
        self.left.replace(output_file)


class _Different(ValueError):
    """What came has this sha256, which is not one expected."""


def _download(file: File, folder: Path, expected: tuple[str, ...], by_hand: str) -> None:
    """Let pooch download the file and move it into place, and turn what may go wrong into a sentence."""
    left = folder / f"{file.name}.part"
    try:
        pooch.retrieve(
            file.url,
            known_hash=None,
            fname=file.name,
            path=str(folder),
            downloader=_Resuming(left, expected),
        )
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        gone = "no longer has it there" if status in (404, 410) else f"answered {status}"
        raise FetchError(f"{file.url}: the site {gone}.  {by_hand}") from None
    except requests.RequestException as error:
        kept = left.stat().st_size if left.is_file() else 0
        if kept:
            raise FetchError(
                f"{file.url}: the connection broke after {kept} bytes ({_reason(error)}).  They are kept; run the "
                f"same command again to go on.  {by_hand}"
            ) from None
        raise FetchError(
            f"{file.url}: there is no network, or the site does not answer ({_reason(error)}).  Try again later.  "
            f"{by_hand}"
        ) from None
    except _Different as error:
        raise FetchError(
            f"{file.url}: what came is not the file that is expected: its sha256 is {error}, not "
            f"{' or '.join(expected)}.  It was thrown away: the publisher has changed the file, or something on the "
            f"way has.  {by_hand}"
        ) from None
    if not _is_what_it_says(folder / file.name):
        (folder / file.name).unlink()
        raise FetchError(f"{file.url}: the site sent something else than {file.name}, such as a page.  {by_hand}")


def _sha256(path: Path) -> str:
    return str(pooch.file_hash(str(path), alg="sha256"))


def _reason(error: Exception) -> str:
    return type(error).__name__ if len(str(error)) > 80 else str(error)


def _is_what_it_says(path: Path) -> bool:
    if path.suffix == ".zip":
        return zipfile.is_zipfile(path)
    with path.open("rb") as content:
        return not content.read(512).lstrip().startswith(b"<")


def _records(archive: Path, cell: str) -> Path:
    """Read the workbooks of an archive once, and keep their records where the source finds them quickly."""
    kept = archive.with_name(f"{cell}_records.parquet")
    if kept.is_file() and kept.stat().st_mtime >= archive.stat().st_mtime:
        return kept
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as content:
        books = [member for member in content.infolist() if member.filename.endswith(".xlsx")]
        if sum(member.file_size for member in books) > LARGEST:
            raise FetchError(f"{archive} unpacks to more than {LARGEST >> 30} GiB, as no cell does.  Look into it.")
        content.extractall(folder, books)
    records = read_records(sorted(folder.rglob("*.xlsx")))
    if not records:
        raise FetchError(f"{archive} holds no workbook (*.xlsx).")
    table = pd.concat([book.assign(src_file=name) for name, book in records.items()], ignore_index=True)
    table.to_parquet(kept, index=False)
    return kept


if __name__ == "__main__":
    sys.exit(main())
