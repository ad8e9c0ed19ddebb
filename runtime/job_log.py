"""What a job of a sweep says, in a file of its own."""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from runtime.progress import spoken_in_a_log

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@contextmanager
def said_in(path: Path, aloud: bool) -> Iterator[None]:
    """Write what is said below to the end of a file and, if ``aloud``, also where it would go anyway."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, spoken_in_a_log(not aloud):
        out, err = (_Copy(file, stream if aloud else None) for stream in (sys.stdout, sys.stderr))
        with redirect_stdout(out), redirect_stderr(err):
            yield


class _Copy(io.TextIOBase):
    """A stream that keeps a copy, without colours, in a file."""

    def __init__(self, file: TextIO, stream: TextIO | None) -> None:
        self._file, self._stream = file, stream

    def write(self, text: str) -> int:
        """Write to both."""
        self._file.write(_COLOUR.sub("", text))
        if self._stream is not None:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush both."""
        if not self._file.closed:
            self._file.flush()
        if self._stream is not None:
            self._stream.flush()

    def isatty(self) -> bool:
        """Say whether a person sees it at once."""
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What letters become."""
        return "utf-8" if self._stream is None else self._stream.encoding

    def fileno(self) -> int:
        """Return that of the stream that is copied, for those who ask how wide a terminal is."""
        if self._stream is None:
            raise io.UnsupportedOperation("a log has no terminal")
        return self._stream.fileno()
