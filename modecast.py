"""The commands as functions, for notebooks and services: DataFrames in and out.

    import modecast

    run = modecast.run("experiment=smoke", "model=lstm")     # as: python train.py experiment=smoke model=lstm
    run.scores, run.forecasts                                # DataFrames
    run.predict(df)                                          # the steps that follow the series of a table

    run = modecast.load("outputs/smoke/...")                 # needs neither Hydra nor Lightning
    modecast.Forecaster("model=ridge", horizon=5).fit(df).predict(df)
    print(modecast.audit(pipeline, df))                      # does YOUR pipeline look into the future?

Tables have the columns of Nixtla's libraries: ``unique_id``, ``ds``, ``y``, of forecasts also ``cutoff``, the last date
known, and one column a model.  What cannot be used is refused by a ``ValueError`` or ``OSError`` of one sentence.

Nothing is imported before it is needed: this module in milliseconds, PyTorch where a network forecasts, Hydra and
Lightning where one is trained.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from evaluation.leakage.prove import Audit
    from pipeline.library.stream import Stream
    from pipeline.predict import Loaded
    from report.run_folder import RunFolder

__all__ = ["Forecaster", "Run", "assert_causal", "audit", "compare", "load", "run"]


class Run:
    """A finished run: its tables, and its model.

    Parameters
    ----------
    path : Path
        Folder of the run; files are read when they are first asked for.

    Examples
    --------
    >>> run = load(folder)
    >>> run.scores["model"].tolist()
    ['ICEEMDAN-LSTM', 'Persistence', 'Drift']
    >>> run.settings["horizon"]
    1
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def model(self) -> str:
        """What the tables call the run's own model."""
        return self._folder.metrics.model

    @property
    def horizon(self) -> int:
        """How many steps the run forecasts at once [steps]."""
        return int(self._model.task.cfg.horizon)

    @property
    def audit(self) -> str:
        """The verdict of the leak audit in a sentence; empty where it was switched off."""
        return str((self._folder.metrics.audit or {}).get("sentence", ""))

    @property
    def notes(self) -> list[str]:
        """Sentences without which the tables mislead."""
        return list(self._folder.metrics.notes)

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved configuration."""
        return self._folder.settings

    @property
    def scores(self) -> pd.DataFrame:
        """A row a model, a column a score; errors are in the unit of ``y``."""
        return self._folder.metrics.scores.copy()

    @cached_property
    def forecasts(self) -> pd.DataFrame:
        """Test forecasts: ``unique_id``, ``ds``, ``cutoff``, ``y``, and ``<model>``, ``<model>-lo-95``, ... a model.

        Raises
        ------
        FolderError
            If the run has kept none.
        """
        from report.predictions import as_wide
        from runtime.faults import FolderError

        rows = self._folder.forecasts
        if rows is None:
            raise FolderError(f"{self.path} holds no forecasts.parquet.  Run the experiment again.")
        return as_wide(rows)

    def predict(self, df: pd.DataFrame | bytes | None = None, horizon: int | None = None) -> pd.DataFrame:
        """Forecast what follows the series of a table; of cells, the remaining life at every cycle.

        Parameters
        ----------
        df : DataFrame, bytes or None
            Columns ``unique_id`` (or one series), ``ds`` and ``y``, or those of the run's own file; bytes are the
            content of a CSV file; None takes the data of the run.
        horizon : int or None
            How many steps [steps]; None takes all that the model was trained for.

        Returns
        -------
        DataFrame
            ``unique_id``, ``ds``, a column a model and the bounds of its intervals, ``<model>-lo-95`` and so on.
            ``attrs["notes"]`` holds sentences without which the table misleads.

        Raises
        ------
        ValueError
            If the table cannot be used, or the horizon is longer than that of the run; in one sentence.

        Examples
        --------
        >>> table = load(folder).predict(df)
        >>> table.columns[:3].tolist()
        ['unique_id', 'ds', 'ICEEMDAN-LSTM']
        """
        from report.predictions import as_nixtla

        found = self._model.predict(self._source(df))
        wanted = self._horizon(horizon)
        table = as_nixtla(found.table, found.columns, self._model.label, wanted)
        table.attrs = {"title": found.title, "notes": list(found.notes)}
        return table

    def inputs(self, df: pd.DataFrame | bytes | None = None) -> NDArray[np.float64]:
        """Return the window each series is forecast from, ``(n, lookback, components)`` in the unit of ``y``.

        Parameters
        ----------
        df : DataFrame, bytes or None
            As of ``predict``.

        Examples
        --------
        >>> load(folder).inputs(df).shape
        (2, 30, 5)
        """
        panel = self._model.task.read(self._source(df), self._model.card["data"])
        return self._model.asked(panel)[0].past

    def export(self, path: str | Path) -> Path:
        """Write the network, with scaling and restoring inside, as ONNX (``.onnx``) or by torch.export (``.pt2``).

        It maps windows as ``inputs`` returns them, ``(batch, lookback, components)`` in double precision, to forecasts
        ``(batch, horizon)`` in the unit of ``y``.

        Raises
        ------
        ValueError
            If the model is no network of series, or a package is missing.

        Examples
        --------
        >>> import torch
        >>> run = load(folder)
        >>> network = torch.export.load(run.export(folder / "network.pt2")).module()
        >>> network(torch.from_numpy(run.inputs(df))).shape
        torch.Size([2, 1])
        """
        from pipeline.library.export import export

        cfg, models = self._model.task.cfg, self._model.models
        return export(models, int(cfg.lookback), self._model.n_components, Path(path))

    def stream(self, since: Any = None) -> Stream:
        """Go on from the data of the run: every new value moves the window and the adaptive intervals.

        Forecasts and bounds are, to the bit, those of a run whose test part holds the new values.

        Parameters
        ----------
        since : date, int or None
            Last date that counts as known, to replay what came after; None takes all.

        Raises
        ------
        ValueError
            If the data are no longer those of the run, or it is of cells.

        Examples
        --------
        >>> stream = load(folder).stream()
        >>> table = stream.update(951.2)           # the next value; forecasts of what follows it
        >>> table.columns[:3].tolist()
        ['unique_id', 'ds', 'ICEEMDAN-LSTM']
        """
        import pandas as pd

        from pipeline.library.stream import Stream

        panel = self._source(None).load()
        if isinstance(since, str):
            since = pd.Timestamp(since)
        return Stream(self._model, self.path, panel, since)

    def report(self) -> Path:
        """Return the report page, one HTML file that needs no network; written when it is first asked for."""
        from report.page import write_page
        from report.table import write_tables

        page = self.path / "report.html"
        if not page.exists():
            write_tables(self.path)
            write_page(self.path)
        return page

    @cached_property
    def _folder(self) -> RunFolder:
        from report.run_folder import RunFolder

        return RunFolder(self.path)

    @cached_property
    def _model(self) -> Loaded:
        from pipeline.predict import loaded, without_training
        from pipeline.settings import LIVE
        from runtime.build import check
        from runtime.record import load_run

        cfg, card = load_run(self.path)
        cfg = without_training(cfg)
        check(cfg, LIVE)
        return loaded(cfg, card, self.path)

    @cached_property
    def _reader(self) -> DictConfig:
        """The source that reads a file as the run's own was read."""
        from pipeline.predict import source_of

        return source_of(self._model.task.cfg, {})

    def _source(self, df: pd.DataFrame | bytes | None) -> Any:
        from pipeline.library.frames import FrameSource, TextSource
        from runtime.build import build

        if df is None:
            return build(self._model.task.cfg.source)
        if isinstance(df, bytes):
            return TextSource(df, self._reader)
        return FrameSource(df, self._reader, self._folder.metrics.unit)

    def _horizon(self, horizon: int | None) -> int:
        from data.panel import DataError

        longest = self.horizon
        if horizon is None:
            return longest
        if not 1 <= horizon <= longest:
            steps = f"{longest} step{'s' * (longest != 1)}"
            raise DataError(f"The run forecasts {steps}, not {horizon}; train again with horizon={horizon}.")
        return horizon

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


class Forecaster:
    """Fit the model of a configuration to a table, and forecast what follows: an experiment in two calls.

    Every fit is a whole run - split, baselines, audit, intervals, report - whose folder is ``run.path``.

    Parameters
    ----------
    overrides : str
        As behind ``python train.py``, such as ``"model=ridge"`` and ``"decomposition=identity"``.
    horizon : int
        How many steps are forecast at once [steps].
    folder : str, Path or None
        Where the run is kept; None takes a new folder below ``outputs/``.

    Examples
    --------
    >>> settings = ("model=ridge", "decomposition=identity", "baselines=naive", "audit=none")
    >>> table = Forecaster(*settings, horizon=2).fit(df).predict(df, horizon=2)
    >>> table[["unique_id", "Ridge"]].shape          # two steps of two series
    (4, 2)
    """

    def __init__(self, *overrides: str, horizon: int = 1, folder: str | Path | None = None) -> None:
        self.overrides, self.horizon, self.folder = overrides, horizon, folder
        self.run: Run | None = None
        """The last fit; None before the first."""

    def fit(self, df: pd.DataFrame) -> Forecaster:
        """Train on a table with ``unique_id`` (or one series), ``ds`` and ``y``, and return itself."""
        self.run = run(*self.overrides, f"horizon={self.horizon}", data=df, folder=self.folder)
        return self

    def predict(self, df: pd.DataFrame | None = None, horizon: int | None = None) -> pd.DataFrame:
        """Forecast what follows a table, or the one that was fitted; see ``Run.predict``.

        Raises
        ------
        ValueError
            If nothing was fitted yet, or for any reason ``Run.predict`` has.
        """
        if self.run is None:
            raise ValueError("This Forecaster has not learnt anything yet: call fit(df) first.")
        return self.run.predict(df, horizon)


def run(
    *overrides: str, data: pd.DataFrame | None = None, folder: str | Path | None = None, verbose: bool = False
) -> Run:
    """Fit, judge and audit one experiment, as ``python train.py`` does.

    Parameters
    ----------
    overrides : str
        As behind ``python train.py``: ``"experiment=smoke"``, ``"model=lstm"``, ``"trainer.max_epochs=5"``.
    data : DataFrame or None
        Series to forecast, with ``unique_id`` (or one series), ``ds`` and ``y``, in the place of a file.
    folder : str, Path or None
        Where the run is kept.  One that holds this run, unfinished, goes on; finished, it is returned.  None takes a
        new folder below ``outputs/``.
    verbose : bool
        Whether to print what train.py prints.

    Raises
    ------
    ValueError, OSError
        If a setting, the data or the folder cannot be used, in one message.

    Examples
    --------
    >>> small = ("experiment=smoke", "model=ridge", "decomposition=identity", "baselines=naive", "audit=none")
    >>> done = run(*small)
    >>> done.forecasts.columns.tolist()[:5]
    ['unique_id', 'ds', 'cutoff', 'y', 'Ridge']
    """
    from pipeline.library.notebook import run_here

    return Run(run_here(overrides, data, None if folder is None else Path(folder), verbose))


def load(folder: str | Path) -> Run:
    """Return a finished run; its model is built when it is first asked to forecast.

    Raises
    ------
    FolderError
        If the folder holds no finished run.

    Examples
    --------
    >>> load(folder).model
    'ICEEMDAN-LSTM'
    """
    from runtime.record import load_run

    path = Path(folder)
    load_run(path)
    return Run(path)


def compare(runs: Iterable[Run | str | Path]) -> pd.DataFrame:
    """Return finished runs side by side, a row a model and setting, as compare.py does; errors are means over seeds.

    Parameters
    ----------
    runs : iterable of Run, str or Path
        Runs, or their folders.

    Examples
    --------
    >>> compare([folder])["model"].tolist()[0]
    'Persistence'
    """
    import pandas as pd

    from report.comparison import compare as set_beside

    every = [one if isinstance(one, Run) else load(one) for one in runs]
    tables = []
    for comparison in set_beside([one._folder for one in every]):
        table = comparison.rows.copy()
        table.insert(0, "experiment", comparison.experiment)
        table.insert(0, "dataset", comparison.dataset)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def audit(
    pipeline: Any,
    df: pd.DataFrame,
    train: Any = None,
    known: Collection[str] = (),
    ways: Sequence[str] | None = None,
    lag: int = 0,
    seed: int = 0,
) -> Audit:
    """Prove that anybody's pipeline is causal, or name what leaks and its first row.

    What comes after some dates is replaced in several ways, the pipeline is run again, and what it made of the rows
    up to these dates must not change.  What is made of the data must change where its own past is replaced.

    Parameters
    ----------
    pipeline : callable or object
        A function from a table to features or forecasts: a DataFrame with ``unique_id`` and ``ds`` (and ``cutoff``,
        the last date known, where they are forecasts), one with the index of the table, an array with a row a row of
        the table, or a mapping from names to such.  Or a transformer or model of scikit-learn, which is fitted on
        ``train``; an ``MLForecast``, whose features are audited; a ``NeuralForecast``, whose cross-validation is.
    df : DataFrame
        Columns ``unique_id`` (or one series), ``ds``, ``y`` and what else the pipeline takes.
    train : date, int, float or None
        Last date that rows may have been fitted on, or the share of the dates that is [fraction]; None: the pipeline
        fits nothing, or on each row's own past.
    known : collection of str
        Columns known ahead, such as a calendar, which are not replaced.
    ways : sequence of str or None
        Of ``scrambled``, ``shifted``, ``constant`` and ``removed``; None takes all that apply.
    lag : int
        How many steps before its own date the knowledge of a row ends [steps]: 1 for features that stand beside the
        ``y`` they are to forecast.
    seed : int
        Of the replacements.

    Returns
    -------
    Audit
        ``print`` it; ``verdict`` is ``causal``, ``causal to rounding`` or ``LEAKS``; ``findings`` has a row a column.

    Examples
    --------
    >>> def smoothed(df):
    ...     return df.assign(mean=df["y"].rolling(5, center=True).mean())[["unique_id", "ds", "mean"]]
    >>> audit(smoothed, df).verdict
    'LEAKS'
    """
    from evaluation.leakage.anybody import audit_table

    return audit_table(pipeline, df, train, known, ways, lag, seed)


def assert_causal(
    pipeline: Any,
    df: pd.DataFrame,
    train: Any = None,
    known: Collection[str] = (),
    ways: Sequence[str] | None = None,
    lag: int = 0,
    seed: int = 0,
) -> None:
    """Fail, as a test does, where a pipeline is not causal; parameters are those of ``audit``.

    Raises
    ------
    AssertionError
        With what leaks and its first row.

    Examples
    --------
    >>> assert_causal(lambda df: df.groupby("unique_id")["y"].shift(1).to_frame("lag1"), df, lag=1)
    """
    found = audit(pipeline, df, train, known, ways, lag, seed)
    if found.verdict not in ("causal", "causal to rounding"):
        raise AssertionError(found.sentence)
