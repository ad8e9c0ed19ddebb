"""Serve the forecasts of a finished run over HTTP:  python serve.py run=outputs/csi300/... port=8000"""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from runtime.command_line import Terminated, Usage, run_command
from runtime.faults import ConfigError, is_ours

if TYPE_CHECKING:
    import pandas as pd
    from fastapi import FastAPI, Request

    from modecast import Run

HOST, PORT = "127.0.0.1", 8000  # this machine alone, unless another host is given
ROWS, BYTES = 1_000_000, 50_000_000  # of a table
USAGE = Usage(
    "Serve the forecasts of a finished run over HTTP:  python serve.py run=outputs/csi300/... port=8000\n\n"
    "  POST /forecast   a table, as CSV (text/csv) or JSON records: forecasts, intervals, dates, notes\n"
    "  GET  /health     which run is served\n",
    {
        "run": "<folder of a run>",
        "port": f"<port; {PORT}>",
        "host": f"<address to listen at; {HOST}, this machine alone.  There is no login: others are let in by a proxy>",
        "rows": f"<most rows of a table; {ROWS}>",
        "bytes": f"<most bytes of a table; {BYTES}>",
    },
)


class TooLarge(ValueError):
    """A table is larger than the server takes."""


def main(given: DictConfig) -> None:
    """Load the run, then answer until Ctrl-C."""
    host, port = str(given.get("host", HOST)), _whole(given, "port", PORT, 65_535)
    rows, size = _whole(given, "rows", ROWS, 10**9), _whole(given, "bytes", BYTES, 10**10)
    try:
        import uvicorn
    except ModuleNotFoundError:
        raise ConfigError("serve.py needs FastAPI and uvicorn.  Run: pip install -e .[serve]") from None
    import modecast

    app = application(modecast.load(Path(given.run)), rows, size)
    print(f"Serving {given.run} at http://{host}:{port}: POST /forecast, GET /health", flush=True)
    with contextlib.suppress(KeyboardInterrupt, Terminated):  # it has answered what had come
        uvicorn.run(app, host=host, port=port, log_level="warning")


def application(run: "Run", most_rows: int = ROWS, most_bytes: int = BYTES) -> "FastAPI":
    """Return the service of one run, for any ASGI server; its model is loaded now.

    Parameters
    ----------
    run : Run
    most_rows, most_bytes : int
        A larger table is refused.
    """
    import torch
    from fastapi import FastAPI, Request
    from fastapi.concurrency import run_in_threadpool
    from fastapi.responses import JSONResponse

    torch.set_num_threads(1)  # requests are served side by side
    app = FastAPI(title=f"Forecasts of {run.model}", docs_url=None, redoc_url=None)  # whose pages load from elsewhere
    told = {"status": "ok", "model": run.model, "horizon": run.horizon, "audit": run.audit}

    async def health() -> dict[str, Any]:
        return told

    async def forecast(request: Request, horizon: int | None = None) -> JSONResponse:
        try:
            body = await _body(request, most_bytes)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            return JSONResponse(await run_in_threadpool(_answer, run, body, kind, horizon, most_rows))
        except TooLarge as error:
            return JSONResponse({"detail": str(error)}, 413)
        except (ValueError, OSError) as error:
            if not is_ours(error):
                raise
            return JSONResponse({"detail": str(error)}, 422)

    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/forecast", forecast, methods=["POST"], response_model=None)
    return app


async def _body(request: "Request", most: int) -> bytes:
    """Read what was sent, no further than it may be long."""
    too_large = TooLarge(f"The table has more than {most} bytes.  Send fewer series or rows.")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise too_large
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large
        parts.append(part)
    return b"".join(parts)


def _answer(run: "Run", body: bytes, kind: str, horizon: int | None, most_rows: int) -> dict[str, Any]:
    """Return the forecasts of a table as JSON has words for them."""
    from report.run_folder import as_records

    too_many = TooLarge(f"The table has more than {most_rows} rows.  Send fewer series or rows.")
    if kind == "text/csv":
        if body.count(b"\n") > most_rows + 1:
            raise too_many
        table = run.predict(body, horizon)
    else:
        frame = _frame(body)
        if len(frame) > most_rows:
            raise too_many
        table = run.predict(frame, horizon)
    dated = table["ds"].dtype.kind == "M"
    shown = table.assign(ds=[stamp.isoformat() for stamp in table["ds"]]) if dated else table
    return {
        "model": run.model,
        "title": table.attrs["title"],
        "notes": table.attrs["notes"],
        "forecasts": as_records(shown),
    }


def _frame(body: bytes) -> "pd.DataFrame":
    """Return the table that JSON holds: a list of records, or lists by the name of a column."""
    import pandas as pd

    from data.panel import DataError

    shape = 'Send [{"unique_id": "a", "ds": "2024-01-02", "y": 1.5}, ...], or text/csv with a header line.'
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError(f"The body is no JSON.  {shape}") from None
    rows = content if isinstance(content, list) else [content]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"The body holds no records.  {shape}")
    if any(isinstance(value, dict | list) for row in rows[:100] for value in row.values()) and isinstance(
        content, list
    ):
        raise DataError(f"A record holds more than numbers and texts.  {shape}")
    try:
        return pd.DataFrame(content)
    except (ValueError, TypeError):
        raise DataError(f"The columns are of different length, or hold no lists.  {shape}") from None


def _whole(given: DictConfig, name: str, default: int, most: int) -> int:
    text = str(given.get(name, default))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
        raise ConfigError(f"{name}={text} must be a whole number of at least 1 and at most {most}.")
    return int(text)


if __name__ == "__main__":
    run_command(main, USAGE)
