"""A DataFrame in the place of the file that predict.py reads."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from data.contracts import Panel
from data.panel import KEYS, DataError, listed, validated
from runtime.build import build, class_of

NAME = "table"
PLAIN = "data.sources.csv.CSV"  # a column of values; others need several


def tidy(table: Any) -> pd.DataFrame:
    """Return a table as a file would hold it: what stands in its index becomes columns, periods their first instant.

    A Series is the values of one series at the dates of its index.

    Raises
    ------
    DataError
        If it is no DataFrame or Series of pandas, or names a column twice.
    """
    if isinstance(table, pd.Series):
        table = table.rename("y").to_frame()
    if not isinstance(table, pd.DataFrame):
        raise DataError(
            f"A forecast needs a pandas DataFrame with ds and y, or a Series with dates, not {type(table).__name__}.  "
            f"Make one: pd.DataFrame({{'ds': dates, 'y': values}})."
        )
    table = table.set_axis(_labels(table.columns), axis=1)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()].unique()
        raise DataError(f"The table has more than one column {listed(map(repr, twice))}.  Rename them.")
    index = table.index
    if index.nlevels > 1 or index.name is not None or not pd.api.types.is_integer_dtype(index):
        names = [("ds" if name is None else name) for name in index.names]
        taken = [name for name in names if name in table.columns]
        if taken:
            raise DataError(
                f"The table has {listed(map(repr, taken))} as a column and in its index.  Drop one of them."
            )
        table = table.reset_index(names=names)
    elif all(map(pd.api.types.is_numeric_dtype, table.dtypes)) and "ds" not in table and not _counts(index):
        table = table.reset_index(names=["ds"])  # years, or steps of one's own
    periods = [name for name in table.columns if isinstance(table[name].dtype, pd.PeriodDtype)]
    return table.assign(**{name: table[name].dt.to_timestamp() for name in periods}).reset_index(drop=True)


def _labels(columns: "pd.Index[Any]") -> list[str]:
    """Return the names of columns as texts; of several levels those that are not the same everywhere, side by side."""
    if columns.nlevels > 1:  # as yfinance writes them: prices above tickers
        told = [level for level in range(columns.nlevels) if columns.get_level_values(level).nunique() > 1] or [0]
        return [" ".join(str(label[level]) for level in told if str(label[level])) for label in columns]
    return [str(label) for label in columns]


def _counts(index: "pd.Index[Any]") -> bool:
    return len(index) > 0 and index[0] in (0, 1) and bool((np.diff(index) == 1).all())


class FrameSource:
    """Read series or cells from a DataFrame, as the source of a run reads them from its file.

    Columns ``unique_id``, ``ds`` and ``y`` with dates or whole numbers in ``ds`` are taken as they are; without
    ``unique_id`` all rows are one series.  Any other table is read as a file with these columns would be, by the
    options of the run.

    Parameters
    ----------
    frame : DataFrame or Series
        As of ``tidy``.
    node : DictConfig
        Source that reads a file of this task, with the options of the run.
    unit : str
        Unit of ``y``.
    """

    def __init__(self, frame: pd.DataFrame, node: DictConfig, unit: str) -> None:
        self.frame, self.node, self.unit = tidy(frame), node, unit

    def load(self) -> Panel:
        """Return the series as a panel.

        Raises
        ------
        DataError
            Naming every fault of the table.
        """
        frame = self.frame
        if self.node._target_ == PLAIN and {"ds", "y"} <= {*frame} and _is_time(frame["ds"]) and _is_number(frame["y"]):
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


def _is_number(y: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)


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
