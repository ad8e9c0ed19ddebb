"""Keep a run in MLflow."""

import re
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from report.tracking.record import Child, Record

Item = TypeVar("Item")

NAME = re.compile(r"[^\w./ :-]")  # what no name of a metric or a parameter may have
AT_ONCE = 100  # parameters or tags a call; of metrics ten times as many
LONGEST = 5000  # letters of a value
PARENT = "mlflow.parentRunId"


class MLflow:
    """Keep a parent a run and a child a training, named by label, fold and seed.

    Parameters
    ----------
    uri : str
        Address of the tracking server, or of a data base.
    artefacts : str or None
        Folder of the files of a new experiment; None leaves it to the server.
    experiment : str or None
        What MLflow calls the collection; None takes the experiment of the run.

    Raises
    ------
    ModuleNotFoundError
        If MLflow is not installed.
    """

    def __init__(
        self,
        uri: str = "sqlite:///outputs/mlflow.db",
        artefacts: str | None = "outputs/mlflow",
        experiment: str | None = None,
    ) -> None:
        if find_spec("mlflow") is None:
            raise ModuleNotFoundError(
                "tracking=mlflow needs MLflow, which is not installed.  Run: pip install -e .[mlflow]"
            )
        self.uri, self.artefacts, self.experiment = uri, artefacts, experiment

    def keep(self, record: Record, folder: Path) -> str:
        """Create the runs, and return the address of the parent."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        name = self.experiment or record.experiment
        found = client.get_experiment_by_name(name)
        place = found.experiment_id if found else self._begin(client, name)
        parent = client.create_run(place, run_name=record.name, tags=dict(record.tags)).info.run_id
        self._log(client, parent, record.scores, 0)
        self._parameters(client, parent, record.parameters)
        for path in record.artefacts:
            client.log_artifact(parent, str(path))
        for child in record.children:
            self._child(client, place, parent, child)
        client.set_terminated(parent)
        return f"{self.uri}, experiment {name}, run {parent}"

    def _begin(self, client: Any, name: str) -> str:
        place = None if self.artefacts is None else Path(self.artefacts, name).resolve().as_uri()
        begun: str = client.create_experiment(name, artifact_location=place)
        return begun

    def _child(self, client: Any, place: str, parent: str, child: Child) -> None:
        tags = {PARENT: parent, "label": child.label, "fold": child.fold, "seed": str(child.seed)}
        own = client.create_run(place, run_name=child.name, tags=tags).info.run_id
        self._log(client, own, {"seconds": child.seconds}, 0)
        for epoch in child.epochs:
            self._log(client, own, {key: value for key, value in epoch.items() if key != "epoch"}, int(epoch["epoch"]))
        client.set_terminated(own)

    def _log(self, client: Any, run: str, numbers: Any, step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [Metric(NAME.sub("_", key), float(value), now, step) for key, value in numbers.items()]
        for some in _batches(metrics, 10 * AT_ONCE):
            client.log_batch(run, metrics=some)

    def _parameters(self, client: Any, run: str, parameters: Any) -> None:
        from mlflow.entities import Param

        for some in _batches(
            [Param(NAME.sub("_", key), value[:LONGEST]) for key, value in parameters.items()], AT_ONCE
        ):
            client.log_batch(run, params=some)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
