"""A DataFrame in the place of the file that predict.py reads."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from data.contracts import Panel
from data.panel import KEYS, DataError, validated
from runtime.build import build, class_of

NAME = "table"
PLAIN = "data.sources.csv.CSV"  # a column of values; others need several


class FrameSource:
    """Read series or cells from a DataFrame, as the source of a run reads them from its file.

    Columns ``unique_id``, ``ds`` and ``y`` with dates or whole numbers in ``ds`` are taken as they are; without
    ``unique_id`` all rows are one series.  Any other table is read as a file with these columns would be, by the
    options of the run.

    Parameters
    ----------
    frame : DataFrame
    node : DictConfig
        Source that reads a file of this task, with the options of the run.
    unit : str
        Unit of ``y``.
    """

    def __init__(self, frame: pd.DataFrame, node: DictConfig, unit: str) -> None:
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"A forecast needs a DataFrame with ds and y, not {type(frame).__name__}.")
        self.frame, self.node, self.unit = frame, node, unit

    def load(self) -> Panel:
        """Return the series as a panel.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        frame = self.frame
        if self.node._target_ == PLAIN and "y" in frame and "ds" in frame and _is_time(frame["ds"]):
            ids: Any = frame.get("unique_id", NAME)
            panel = validated(frame[["ds", "y"]].assign(unique_id=ids)[KEYS], NAME, self.unit)
            return replace(panel, calendar=self.node.get("calendar"))
        options: Any = OmegaConf.to_container(self.node)
        kind: Any = class_of(options.pop("_target_"))
        named = {"time": "ds", "value": "y", "series": "unique_id"} if "y" in frame else {}
        options |= {option: column for option, column in named.items() if option in options and column in frame}
        if self.node._target_ == PLAIN:
            options["unit"] = self.unit
        read: Panel = kind(**(options | {"path": frame, "name": NAME})).load()
        return read

    def read(self) -> Panel:
        """Return cells, whose end of life need not be known.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        with tempfile.TemporaryDirectory() as folder:  # cells are read from files, with all that this checks
            path = Path(folder) / f"{NAME}.parquet"
            self.frame.to_parquet(path, index=False)
            names = {"cell": "unique_id", "cycle": "ds"}
            own = {option: column for option, column in names.items() if option in self.node and column in self.frame}
            node = self.node.copy()
            node.update({"path": str(path)} | own)
            panel: Panel = build(node).read()
            return panel


def _is_time(ds: "pd.Series[Any]") -> bool:
    return pd.api.types.is_datetime64_any_dtype(ds) or pd.api.types.is_integer_dtype(ds)


class TextSource:
    """Read series or cells from the text of a file that was sent, as predict.py reads a file.

    Parameters
    ----------
    content : bytes
        A table with a header line, columns parted by commas, semicolons or tabs.
    node : DictConfig
        Source that reads a file of this task, with the options of the run.
    """

    def __init__(self, content: bytes, node: DictConfig) -> None:
        self.content, self.node = content, node

    def load(self) -> Panel:
        """Return the series as a panel.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        return self._panel("load", {"time": "ds", "value": "y", "series": "unique_id"})

    def read(self) -> Panel:
        """Return cells, whose end of life need not be known.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        return self._panel("read", {"cell": "unique_id", "cycle": "ds"})

    def _panel(self, method: str, names: dict[str, str]) -> Panel:
        header = self.content[:10_000].decode("utf-8", errors="replace").partition("\n")[0]
        columns = re.split(r"[,;\t|]", header.replace('"', "").strip("\ufeff\r "))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{NAME}.csv"
            path.write_bytes(self.content)
            node = self.node.copy()
            own = {option: column for option, column in names.items() if option in node and column in columns}
            node.update({"path": str(path)} | own)
            try:
                panel: Panel = getattr(build(node), method)()
                return panel
            except DataError as error:
                raise DataError(str(error).replace(f"{folder}/", "")) from None
