"""Open a file a person names, whatever it turns out to be: bytes within bounds, or one sentence."""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from data.panel import DataError, listed

LARGEST = 1 << 30  # [bytes] of a file, packed or not
BOMB = 64 << 20, 200  # [bytes], [ratio] beyond both a packed file is no table
CHUNK = 1 << 20  # [bytes]
MOST_FILES = 10_000  # of a folder
ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".tsf", ".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".xlsm")
PACKED = (".gz", ".zip", ".bz2", ".xz")


def read_bytes(path: str | Path) -> tuple[str, bytes]:
    """Return the name and the content of a regular file, unpacked where it is an archive of one file.

    Raises
    ------
    DataError
        If there is no such file, or it is a web address, a folder, a pipe or a device, too large, or an archive
        of none or several files.
    """
    if not isinstance(path, str | Path):
        raise DataError(f"source.path={path} is no path.  Set it to a file.")
    name, content = Path(path).name, _content(path)
    packed = _packing(content)
    if packed is None:
        return name, content
    if packed == "zip":
        if _is_workbook(content):
            return name, content
        name, unpacked = _one_member(name, content)
    else:
        unpacked = _bounded(name, len(content), _stream(packed, content))
        name = re.sub(r"\.(gz|bz2|xz)$", "", name, flags=re.IGNORECASE)
    again = _packing(unpacked)
    if unpacked[257:262] == b"ustar" or (again is not None and not (again == "zip" and _is_workbook(unpacked))):
        raise DataError(f"{Path(path).name} is an archive in an archive.  Unpack it and give the table itself.")
    return name, unpacked


def local(path: str | Path) -> Path:
    """Return a path of this machine.

    Raises
    ------
    DataError
        If it is a web address: nothing is fetched because a configuration says so.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise DataError(
            f"source.path={path} is a web address, and nothing is fetched because a configuration says so.  Download "
            f"the file (python -m data.fetch knows some) and give its path here."
        )
    return Path(path).expanduser()


def tables_of(path: str | Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the file itself, or the tables in a folder or of a pattern such as ``cells/*.csv``, by name.

    Of a folder with files of several endings those of the most frequent are taken, and the others told.

    Raises
    ------
    DataError
        If there is none.
    """
    root = local(path)
    try:
        if root.is_dir():
            found = _alike([file for file in root.iterdir() if _is_table(file)])
            what = f"The folder {root} holds no table ({', '.join(ENDINGS)})"
        elif not root.exists() and re.search(r"[*?\[]", str(root)):
            base = Path(root.anchor) if root.is_absolute() else Path()
            found = [file for file in base.glob(str(root.relative_to(root.anchor))) if file.is_file()]
            what = f"No file is of the pattern {root}"
        else:
            return [root], ()
    except (OSError, ValueError) as error:
        raise DataError(f"{root} cannot be read ({_reason(error)}).  Set source.path to a file or a folder.") from None
    if not found:
        raise DataError(f"{what}.  Set source.path to a file, a folder of files, or a pattern.")
    if len(found) > MOST_FILES:
        raise DataError(f"{root} holds {len(found)} tables; at most {MOST_FILES} are read.  Name fewer.")
    rest = sorted(file.name for file in root.iterdir() if file.is_file() and file not in found) if root.is_dir() else []
    notes = (f"Of the folder {root.name} {len(rest)} files are not read: {listed(rest)}.",) if rest else ()
    return sorted(found, key=lambda file: _by_number(file.name)), notes


def stem(path: str | Path) -> str:
    """Return the name of a file without its folder and its endings: ``c0`` of ``cells/c0.csv.gz``."""
    name = Path(path).name
    for ending in (*PACKED, *ENDINGS):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def _content(path: str | Path) -> bytes:
    where = local(path)
    try:
        # Without O_NONBLOCK, to open a pipe would wait for somebody to write into it.
        handle = os.open(where, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise DataError(f"There is no file {where}.  Set source.path to a file.") from None
    except (OSError, ValueError) as error:
        if os.path.isdir(where):  # Windows does not open folders
            raise _no_file(where, "a folder") from None
        raise DataError(f"{where} cannot be read ({_reason(error)}).  Set source.path to a file.") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
        raise _no_file(where, kinds.get(stat.S_IFMT(mode), "a device or a socket"))
    with os.fdopen(handle, "rb") as file:
        try:
            content = file.read(LARGEST + 1)
        except OSError as error:
            raise DataError(f"{where} cannot be read ({_reason(error)}).  Set source.path to a file.") from None
    if len(content) > LARGEST:
        raise DataError(f"{where} has more than {LARGEST >> 20} MiB.  Give a part of it, or only its columns of use.")
    if not content.strip():
        raise DataError(f"{where} is empty.  Give a file with a header line and rows.")
    return content


def _no_file(path: Path, what: str) -> DataError:
    return DataError(f"{path} is {what}, where a file is needed.  Set source.path to a file.")


def _packing(content: bytes) -> str | None:
    marks = {b"\x1f\x8b": "gz", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
    return next((kind for mark, kind in marks.items() if content.startswith(mark)), None)


def _is_workbook(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.startswith(("xl/", "[Content_Types]")) or name == "mimetype" for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RecursionError):
        return False


def _one_member(name: str, content: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not member.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                names = f" ({listed([member.filename for member in members])})" if members else ""
                raise DataError(
                    f"{name} holds {len(members)} files{names}, and one is needed.  Unpack it and set source.path to "
                    f"the one that is meant."
                )
            if members[0].flag_bits & 1:
                raise DataError(f"{name} is locked with a password.  Unpack it and give the table itself.")
            with archive.open(members[0]) as stream:
                return Path(members[0].filename).name, _bounded(name, len(content), stream)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} is an archive that cannot be read ({_reason(error)}).  Pack it again.") from None


def _stream(kind: str, content: bytes) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    packed = io.BytesIO(content)
    return gzip.open(packed) if kind == "gz" else bz2.open(packed) if kind == "bz2" else lzma.open(packed)


def _bounded(name: str, packed: int, stream: IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> bytes:
    """Unpack, but no more than a table can be."""
    parts: list[bytes] = []
    size = 0
    try:
        while part := stream.read(CHUNK):
            size += len(part)
            parts.append(part)
            if size > LARGEST or (size > BOMB[0] and size > BOMB[1] * packed):
                raise DataError(
                    f"{name} unpacks to more than {size >> 20} MiB from {packed} bytes, as no table does.  Unpack it "
                    f"yourself, look at it and give the table."
                )
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{name} is an archive that cannot be read ({_reason(error)}).  Pack it again.") from None
    content = b"".join(parts)
    if not content.strip():
        raise DataError(f"{name} holds an empty file.  Give a file with a header line and rows.")
    return content


def _is_table(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(("~", ".")) and _ending(path) in ENDINGS


def _alike(files: list[Path]) -> list[Path]:
    """Return the files of the most frequent ending: a note beside the tables is no table."""
    endings = Counter(_ending(file) for file in files)
    if len(endings) > 1 and len(set(endings.values())) == 1:
        raise DataError(
            f"The folder {files[0].parent} holds files of several kinds ({listed(sorted(endings))}).  Name those "
            f"that are meant with a pattern, such as source.path='{files[0].parent}/*{sorted(endings)[0]}'."
        )
    most = max(endings, key=lambda ending: endings[ending], default="")
    return [file for file in files if _ending(file) == most]


def _ending(path: Path) -> str:
    name = path.name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return Path(name).suffix


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sort c2 before c10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def first_lines(content: str, n: int) -> Iterable[str]:
    """Yield the first lines of a text, their ends included, without splitting all of it."""
    at = 0
    for _ in range(n):
        end = re.compile(r"\r\n|\n|\r").search(content, at)
        if end is None:
            if at < len(content):
                yield content[at:]
            return
        yield content[at : end.end()]
        at = end.end()
