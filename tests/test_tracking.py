"""The same run, read back from every tracker: parameters, tags, scores, trainings, epochs, artefacts."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from report.run_folder import RunFolder
from report.tracking.csv import Csv
from report.tracking.record import Record, record
from runtime.build import class_of
from runtime.compose import settled
from runtime.files import write_json
from tests.conftest import choices
from tests.run_folders import series_run

MODEL = "ICEEMDAN-CNN-LSTM-AM"
EPOCHS = [
    {"epoch": float(n), "train/loss": 1.0 - 0.1 * n, "val/loss": 0.9, "val/mae": 3.0 - n, "lr": 1e-3} for n in range(2)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job of a sweep: two seeds of a network, and a model without chance."""
    run = series_run(tmp_path / "sweep" / "lookback-30_12345678" / "seed-0")
    names = [f"{MODEL}, by time, seed 0", f"{MODEL}, by time, seed 1", "Drift, by time, seed 0"]
    card = RunFolder(run).card | {"seconds": dict.fromkeys(names, 1.5), "commit": "abc"}
    write_json(run / "run.json", card | {"data": {"name": "S&P 500", "rows": 260, "sha256": "feed"}})
    losses = {f"{MODEL}, seed 0": EPOCHS, f"{MODEL}, seed 1": EPOCHS[:1]}
    write_json(run / "artifacts" / "losses.json", losses)
    return run


@pytest.fixture
def kept(folder: Path) -> Record:
    return record(folder, folder.parents[1])


def test_a_record_holds_the_whole_run(kept, folder):
    assert kept.name == "lookback-30_12345678/seed-0"
    assert kept.sweep == str(folder.parents[1])
    assert kept.parameters == {"seed": "0", "model.label": MODEL, "model.hidden": "32"}
    assert (kept.tags["commit"].partition("+")[0], kept.tags["data"]) == ("abc", "feed")
    assert kept.tags["audit"] == RunFolder(folder).metrics.audit["verdict"]
    assert kept.scores[f"test/{MODEL}/mae"] == pytest.approx(RunFolder(folder).metrics.scores["mae"].iloc[0], rel=0.5)
    assert [child.name for child in kept.children] == [
        f"{MODEL}, by time, seed 0",
        f"{MODEL}, by time, seed 1",
        "Drift, by time, seed 0",
    ]
    assert [len(child.epochs) for child in kept.children] == [2, 1, 0]
    assert {path.name for path in kept.artefacts} >= {"config.yaml", "run.json", "metrics.json"}


def same(kept: Record, epochs: Mapping[str, Mapping[str, list[float]]]) -> None:
    """Compare what a tracker kept of the epochs, by the name of the training and of the number."""
    for child in kept.children:
        own = epochs.get(child.name, {})
        assert set(own) == {name for epoch in child.epochs for name in epoch if name != "epoch"}
        for name, values in own.items():
            assert values == pytest.approx([epoch[name] for epoch in child.epochs], rel=1e-6)


def test_a_run_is_read_back_from_csv(kept, folder):
    place = Path(Csv().keep(kept, folder))
    table = pd.read_csv(place / "run.csv", dtype=str)
    parts = {kind: dict(zip(own["name"], own["value"], strict=True)) for kind, own in table.groupby("kind")}
    assert parts["parameter"] == kept.parameters
    assert {name: float(value) for name, value in parts["score"].items()} == pytest.approx(kept.scores)
    assert parts["tag"]["data"] == "feed"
    rows = pd.read_csv(place / "epochs.csv")
    epochs: dict[str, dict[str, list[float]]] = {}
    for (run, name), own in rows.groupby(["run", "name"]):
        epochs.setdefault(str(run), {})[str(name)] = own.sort_values("epoch")["value"].tolist()
    same(kept, epochs)


def test_a_run_is_read_back_from_tensorboard(kept, folder, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from report.tracking.tensorboard import TensorBoard

    place = Path(TensorBoard(str(tmp_path / "tb")).keep(kept, folder))

    def scalars(path: Path) -> dict[str, list[float]]:
        found = EventAccumulator(str(path))
        found.Reload()
        return {name: [event.value for event in found.Scalars(name)] for name in found.Tags()["scalars"]}

    assert place.parent.parent.name == "sweep"  # the runs of a sweep stand together
    assert {name: one[0] for name, one in scalars(place).items()} == pytest.approx(kept.scores, rel=1e-6)
    epochs = {}
    for child in kept.children:
        own = scalars(place / child.name.replace(", ", "-").replace(" ", "-"))
        assert own.pop("seconds") == [1.5]
        epochs[child.name] = own
    same(kept, epochs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_run_is_read_back_from_mlflow(kept, folder, tmp_path):
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    from mlflow import MlflowClient

    from report.tracking.mlflow import MLflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    MLflow(uri, str(tmp_path / "files")).keep(kept, folder)
    assert len(list((tmp_path / "files").rglob("report.html"))) == len(
        [p for p in kept.artefacts if p.suffix == ".html"]
    )
    place = client.get_experiment_by_name(kept.experiment).experiment_id
    (parent,) = client.search_runs([place], f"tags.sweep = '{kept.sweep}'")
    assert parent.info.run_name == kept.name
    assert parent.info.status == "FINISHED"
    assert parent.data.params == kept.parameters
    assert {key: parent.data.tags[key] for key in kept.tags} == kept.tags
    assert parent.data.metrics == pytest.approx(kept.scores)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {path.name for path in kept.artefacts}
    children = client.search_runs([place], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    epochs: dict[str, Any] = {}
    for child in children:
        names = [name for name in child.data.metrics if name != "seconds"]
        history = {name: client.get_metric_history(child.info.run_id, name) for name in names}
        epochs[child.info.run_name] = {name: [one.value for one in own] for name, own in history.items()}
        assert child.data.metrics["seconds"] == 1.5
    assert set(epochs) == {child.name for child in kept.children}
    same(kept, epochs)


def kept_by_wandb(path: Path) -> Iterator[Any]:
    """Yield the records of a run that was kept offline: the log of LevelDB, in blocks of 32 kB."""
    from wandb.proto.wandb_internal_pb2 import Record as Kept

    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        whole, at = whole + content[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # whole, or the last part
            kept = Kept()
            kept.ParseFromString(whole)
            yield kept
            whole = b""


def test_a_run_is_read_back_from_wandb(kept, folder, tmp_path):
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    from report.tracking.wandb import WandB

    place = Path(WandB(str(tmp_path / "wb")).keep(kept, folder))
    assert {path.name for path in (place / "files").iterdir()} >= {path.name for path in kept.artefacts}
    epochs: dict[str, dict[str, list[float]]] = {}
    parents = []
    for path in (tmp_path / "wb" / "wandb").glob("offline-run-*/*.wandb"):
        records = list(kept_by_wandb(path))
        (run,) = (record.run for record in records if record.HasField("run"))
        assert (run.project, run.run_group) == (kept.experiment, f"sweep/{kept.name}")
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        summary = {item.key: json.loads(item.value_json) for one in records for item in one.summary.update}
        if run.job_type == "run":
            parents.append(run.display_name)
            assert config["settings"] == kept.parameters
            assert config["tags"] == kept.tags
            assert {name: summary[name] for name in kept.scores} == pytest.approx(kept.scores)
            continue
        assert summary["seconds"] == 1.5
        own = epochs.setdefault(run.display_name, {})
        for one in records:
            for item in one.history.item:
                if not item.nested_key[0].startswith("_"):
                    own.setdefault(item.nested_key[0], []).append(json.loads(item.value_json))
    assert parents == [kept.name]
    assert set(epochs) == {child.name for child in kept.children}
    same(kept, epochs)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_says_how_to_install_it(name, monkeypatch):
    from importlib import import_module

    module = import_module(f"report.tracking.{name}")
    monkeypatch.setattr(module, "find_spec", lambda package: None)
    (tracker,) = (value for key, value in vars(module).items() if key.lower() == name)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install -e \.\[{name}\]"):
        tracker()


@pytest.mark.parametrize(
    "names", [[name] for name in choices("tracking")] + [["csv", "mlflow", "tensorboard", "wandb"]]
)
def test_trackers_are_chosen_and_no_part_of_the_kept_configuration(names):
    from hydra import compose, initialize_config_dir

    from runtime.settings import CONF

    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose("train", overrides=["experiment=smoke", f"tracking=[{','.join(names)}]"])
    assert set(cfg.get("tracking") or {}) == set(names) - {"none"}
    for node in (cfg.get("tracking") or {}).values():
        assert callable(class_of(node._target_).keep)
    assert "tracking" not in settled(["experiment=smoke", f"tracking=[{','.join(names)}]"])
