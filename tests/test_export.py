"""A network in a file forecasts as the run does, whatever its parts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import modecast
from data.contracts import Windows
from data.panel import DataError
from pipeline.fitted import unfitted
from pipeline.library.export import Exported
from tests.conftest import choices
from tests.test_modecast import SHORT, SMALL

L, C, H = 12, 3, 2
NETWORKS = ["lstm", "mlp", "cnn_lstm", "cnn_lstm_attention", "bilstm"]


@pytest.fixture(scope="module")
def windows() -> Windows:
    rng = np.random.default_rng(0)
    past = 100 + rng.standard_normal((40, L, C)).cumsum(axis=1)
    target = past[:, -1:] + rng.standard_normal((40, H, C)).cumsum(axis=1)
    return Windows(past, target, target.sum(axis=2), np.arange(40))


def of(configure, windows: Windows, model: str, *words: str):
    """Return a model of random weights, and windows it is asked for."""
    cfg = configure(f"model={model}", f"lookback={L}", f"horizon={H}", *words)
    torch.manual_seed(0)
    fitted = unfitted(cfg, cfg.model, C)
    with torch.no_grad():
        for weight in fitted.model.parameters():
            weight.uniform_(-0.4, 0.4)
    fitted.scaling.fit(windows)
    return fitted


def told(fitted, windows: Windows) -> np.ndarray:
    rows = pd.DataFrame({"unique_id": "a", "ds": np.arange(len(windows.origin))})
    return fitted.forecast(windows, rows)


def assert_equal(found: np.ndarray, expected: np.ndarray, windows: Windows) -> None:
    """Compare to 1e-6 of the size of the values."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(windows.y).max())
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("model", NETWORKS)
def test_a_network_with_layers_of_torch_forecasts_as_ours(configure, windows, model):
    fitted = of(configure, windows, model)
    with torch.inference_mode():
        found = Exported([fitted])(torch.from_numpy(windows.past)).numpy()
    assert_equal(found, told(fitted, windows), windows)


@pytest.mark.parametrize("scaling", choices("scaling"))
@pytest.mark.parametrize("component", choices("model/component"))
def test_every_scaling_and_allocation_is_inside(configure, windows, scaling, component):
    fitted = of(
        configure, windows, "lstm", f"scaling={scaling}", f"model/component={component}", "model.network.hidden=4"
    )
    with torch.inference_mode():
        found = Exported([fitted])(torch.from_numpy(windows.past)).numpy()
    assert_equal(found, told(fitted, windows), windows)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> modecast.Run:
    words = ["decomposition=modwt", "model=cnn_lstm", "seeds=2", "horizon=2", "model.network.hidden=8"]
    return modecast.run("experiment=smoke", *SMALL, *SHORT, *words, folder=tmp_path_factory.mktemp("run") / "r")


def batch(run: modecast.Run, n: int) -> np.ndarray:
    past = run.inputs()
    noise = np.random.default_rng(0).standard_normal((n, *past.shape[1:]))
    return past + 0.3 * noise


def test_torch_export_forecasts_as_the_run_for_any_number_of_windows(run, tmp_path):
    path = run.export(tmp_path / "network.pt2")
    network = torch.export.load(path).module()
    found = network(torch.from_numpy(run.inputs())).detach().numpy()
    np.testing.assert_allclose(found[0], run.predict()[run.model], rtol=1e-6)
    for n in (1, 7):
        past = batch(run, n)
        expected = Exported(run._model.models)(torch.from_numpy(past)).detach().numpy()
        np.testing.assert_allclose(network(torch.from_numpy(past)).detach().numpy(), expected, rtol=1e-6)


def test_onnx_forecasts_as_the_run_for_any_number_of_windows(run, tmp_path):
    pytest.importorskip("onnx", reason="a file .onnx needs the extra: pip install -e .[export]")
    runtime = pytest.importorskip("onnxruntime", reason="a file .onnx is run by onnxruntime, of the extra export")
    path = run.export(tmp_path / "network.onnx")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"past": run.inputs()})
    np.testing.assert_allclose(found[0], run.predict()[run.model], rtol=1e-6)
    for n in (1, 7):
        past = batch(run, n)
        expected = Exported(run._model.models)(torch.from_numpy(past)).detach().numpy()
        np.testing.assert_allclose(session.run(None, {"past": past})[0], expected, rtol=1e-6)


def test_what_cannot_be_exported_is_said_in_a_sentence(run, tmp_path):
    with pytest.raises(DataError, match=r"must end with \.onnx"):
        run.export(tmp_path / "network.pth")
    ridge = modecast.run("experiment=smoke", "model=ridge", *SMALL, *SHORT, folder=tmp_path / "ridge")
    with pytest.raises(DataError, match="Ridge is no network"):
        ridge.export(tmp_path / "network.pt2")
    assert not list(Path(tmp_path).glob("network*"))
