"""Networks that are trained as one learn what each learns alone, and nothing of it is lost."""

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from numpy.lib.stride_tricks import sliding_window_view
from omegaconf import OmegaConf
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import gpu
from data import datamodule
from data.contracts import Batch, Windows
from data.datamodule import FoldData
from data.scaling import LastValue
from models.allocation import Joint, Quantiles, Separate
from models.best_weights import BestWeights
from models.forecaster import Forecaster, refuse_clipping_scaled
from models.model import Inputs
from models.naive import Persistence
from pipeline.fitting import _train
from runtime.build import build
from runtime.history import History
from runtime.random_state import RandomState
from runtime.resume_point import ResumePoint
from tests.conftest import choices
from tests.test_networks import NETWORKS, compose_model, make

COMPONENTS, LOOKBACK, HORIZON = 3, 12, 2

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*`LeafSpec"),
]


def small(n_components=COMPONENTS, component="separate", *overrides):
    """CNN-LSTM-AM with few channels."""
    sizes = ["model.network.channels=4", "model.network.hidden=5", "model.network.zero_head=false"]
    node = compose_model("cnn_lstm_attention", f"model/component={component}", *sizes, *overrides)
    return build(node, n_components=n_components, lookback=LOOKBACK, horizon=HORIZON)


def batch(n_windows, seed=0, n_components=COMPONENTS):
    """Noise that carries a little of the future of each component."""
    rng = np.random.default_rng(seed)
    past = rng.standard_normal((n_windows, LOOKBACK, n_components))
    target = np.tanh(past[:, -HORIZON:] - past[:, :HORIZON]) + 0.1 * rng.standard_normal((n_windows, HORIZON, 1))
    return Batch(past, np.concatenate([target, target.sum(axis=2, keepdims=True)], axis=2))


def alone(data, k):
    """What network k learns from."""
    return Batch(data.past[..., [k]], data.target[..., [k, -1]])


def trainer(*callbacks, max_epochs=4, **settings):
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        logger=False,
        enable_checkpointing=any(isinstance(c, ResumePoint) for c in callbacks),
        enable_model_summary=False,
        enable_progress_bar=False,
        deterministic=True,
        callbacks=list(callbacks),
        **settings,
    )


def slices(model, k):
    """State of network k, shaped as that of a module of one network."""
    return {name: p[k : k + 1].clone() for name, p in model.state_dict().items()}


@pytest.fixture(autouse=True)
def _one_thread():
    """Networks this small gain nothing from more, and wait for them on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


# Stacked training


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gradient_clip_val": 0.05},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"accumulate_grad_batches": 2},
    ],
    ids=["plain", "clipped by norm", "clipped by value", "accumulated"],
)
def test_training_as_one_equals_training_alone(settings):
    train, validation = batch(75), batch(30, seed=1)  # 10 steps an epoch
    together = small()
    starts = [slices(together, k) for k in range(COMPONENTS)]
    trainer(BestWeights(None), precision="64-true", **settings).fit(together, FoldData(train, validation, 8, seed=3))
    for k, start in enumerate(starts):
        single = small(n_components=1)
        single.load_state_dict(start)
        data = FoldData(alone(train, k), alone(validation, k), 8, seed=3)
        trainer(BestWeights(None), precision="64-true", **settings).fit(single, data)
        for name, weight in slices(together, k).items():
            assert (weight - start[name]).abs().max() > 1e-4, f"{name} did not move"
            torch.testing.assert_close(weight, single.state_dict()[name], atol=1e-10, rtol=0, msg=name)


def test_each_network_is_clipped_by_its_own_norm():
    model = small()
    losses = model(torch.randn(8, LOOKBACK, COMPONENTS)).square().mean(dim=(1, 2))
    (losses * torch.tensor([1e-4, 1.0, 100.0])).sum().backward()

    def norms():
        return torch.cat([p.grad.flatten(1) for p in model.parameters()], dim=1).norm(dim=1)

    before = norms()
    assert before[0] < 0.01 < before[1]
    model.configure_gradient_clipping(model.configure_optimizers(), 0.01, "norm")
    torch.testing.assert_close(norms(), torch.tensor([before[0], 0.01, 0.01]), rtol=1e-3, atol=0)


def test_losses_are_means_over_windows_not_over_batches():
    train, validation = batch(40), batch(1030, seed=1)  # 1024 + 6 windows
    model, history = small(), History()
    with torch.no_grad():
        forecast = model(torch.tensor(validation.past, dtype=torch.float32))
    error = forecast.numpy() - validation.target[..., :-1].transpose(2, 0, 1)
    model.make_optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.0)
    trainer(history, max_epochs=1).fit(model, FoldData(train, validation, 32, seed=0))
    assert history.epochs[0]["val/loss"] == pytest.approx(float(np.square(error).mean()), rel=1e-5)
    np.testing.assert_allclose(model.validation_losses, np.square(error).mean(axis=(1, 2)), rtol=1e-5)

    with torch.no_grad():
        forecast = model(torch.tensor(train.past, dtype=torch.float32))
    error = forecast.numpy() - train.target[..., :-1].transpose(2, 0, 1)
    assert history.epochs[0]["train/loss"] == pytest.approx(float(np.square(error).mean()), rel=1e-5)


# Best weights


class Watch(pl.Callback):
    """Remember every epoch's losses and weights."""

    def __init__(self):
        self.losses, self.weights = [], []

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.losses.append(pl_module.validation_losses.clone())
            self.weights.append({name: p.clone() for name, p in pl_module.state_dict().items()})


def test_each_network_ends_with_the_weights_of_its_own_best_epoch():
    model, watch = small(), Watch()
    model.make_optimizer = lambda parameters: torch.optim.Adam(parameters, lr=0.05)  # overshoots
    trainer(watch, BestWeights(None), max_epochs=12).fit(model, FoldData(batch(32), batch(20, 1), 8, seed=0))
    best = torch.stack(watch.losses).argmin(dim=0)  # (K,)
    assert len(set(best.tolist())) > 1, "a test of one best epoch for all would show nothing"
    for k, epoch in enumerate(best.tolist()):
        for name, weight in model.state_dict().items():
            torch.testing.assert_close(weight[k], watch.weights[epoch][name][k], atol=0, rtol=0, msg=name)


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_no_network_gains(patience):
    model, history = small(), History()
    model.make_optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.0)  # never gains
    trainer(history, BestWeights(patience), max_epochs=20).fit(model, FoldData(batch(16), batch(8), 8, seed=0))
    assert len(history.epochs) == 1 + patience


def test_training_goes_on_while_any_network_gains():
    model, best = small(), BestWeights(patience=1)
    watched = SimpleNamespace(sanity_checking=False, state=SimpleNamespace(fn="fit"), should_stop=False)
    for epoch in range(5):
        model.validation_losses = torch.ones(COMPONENTS)
        model.validation_losses[0] -= 0.1 * epoch  # the others stand still
        best.on_validation_end(watched, model)
        assert not watched.should_stop
    best.on_validation_end(watched, model)
    assert watched.should_stop


def test_without_validation_windows_the_last_weights_stay():
    model, history = small(), History()
    trainer(history, BestWeights(1), max_epochs=3).fit(model, FoldData(batch(16), batch(0), 8, seed=0))
    assert [set(losses) for losses in history.epochs] == [{"epoch", "lr", "train/loss"}] * 3


def test_no_patience_is_refused():
    with pytest.raises(ValueError, match="patience must be at least 1 epoch"):
        BestWeights(0)


# Resume


class Noisy(nn.Module):
    """A network that draws random numbers while it trains."""

    def __init__(self, n_networks, n_features, lookback, horizon):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_networks, lookback, horizon) / lookback)
        self.dropout = nn.Dropout(0.5)

    def forward(self, past):
        return self.dropout(past[..., 0]) @ self.weight


def noisy():
    return Forecaster("noisy", Noisy, torch.optim.Adam, Separate(), COMPONENTS, LOOKBACK, HORIZON)


def decaying():
    return Forecaster("d", Noisy, torch.optim.AdamW, Separate(), COMPONENTS, LOOKBACK, HORIZON, decay=0.5)


class Cut(pl.Callback):
    """The power fails in the second step of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            steps = iter((None, RuntimeError("cut")))
            pl_module.network.register_forward_pre_hook(lambda *_: _raised(next(steps)))


def _raised(fault):
    if fault is not None:
        raise fault


@pytest.mark.parametrize("make", [small, noisy, decaying], ids=["CNN-LSTM-AM", "dropout", "decay"])
def test_a_resumed_training_ends_with_the_bits_of_an_unbroken_one(make, tmp_path):
    data = batch(30), batch(12, seed=1)

    def fit(path, *more):
        model, history, best = make(), History(), BestWeights(4)
        run = trainer(best, RandomState(), history, ResumePoint(path), *more, max_epochs=7)
        start = path if path.exists() else None
        try:
            run.fit(model, FoldData(*data, 8, seed=5), ckpt_path=start, weights_only=True)
        except RuntimeError as error:
            assert str(error) == "cut"  # noqa: PT017
        return model, history, best

    whole, whole_history, whole_best = fit(tmp_path / "whole.ckpt")
    torch.manual_seed(0)
    for epoch in (2, 5):
        fit(tmp_path / "broken.ckpt", Cut(epoch))
        torch.manual_seed(99)
        (tmp_path / "broken.part").write_bytes(b"half a file")
    resumed, history, best = fit(tmp_path / "broken.ckpt")

    assert history.epochs == whole_history.epochs
    assert len(history.epochs) == 7
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, atol=0, rtol=0, msg=name)
    for key in ("losses", "idle"):
        assert torch.equal(torch.as_tensor(best.state_dict()[key]), torch.as_tensor(whole_best.state_dict()[key]))
    last = [torch.load(tmp_path / name, weights_only=True) for name in ("whole.ckpt", "broken.ckpt")]
    for whole_slot, slot in zip(*(c["optimizer_states"][0]["state"].values() for c in last), strict=True):
        assert all(torch.equal(whole_slot[key], slot[key]) for key in whole_slot)


def test_a_training_that_had_ended_ends_the_same_again(tmp_path):
    def fit():
        model, history = small(), History()
        model.make_optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.0)
        path = tmp_path / "run.ckpt"
        start = path if path.exists() else None
        run = trainer(BestWeights(2), RandomState(), history, ResumePoint(path), max_epochs=20)
        run.fit(model, FoldData(batch(16), batch(8), 8, seed=0), ckpt_path=start, weights_only=True)
        return model, history

    first, first_history = fit()
    torch.manual_seed(9)
    again, history = fit()
    assert len(history.epochs) == len(first_history.epochs) == 3
    for name, weight in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


# Steps


class Listening(pl.Callback):
    """Somebody wants to be called at every step."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        pass


@pytest.mark.parametrize("make", [small, noisy, decaying], ids=["CNN-LSTM-AM", "dropout", "decay"])
def test_steps_taken_at_once_have_the_bits_of_one_after_another(make, monkeypatch):
    monkeypatch.setattr(datamodule, "AT_ONCE", 3)  # of four steps an epoch

    def fit(*more):
        torch.manual_seed(0)
        model, history, rates = make(), History(), Rates()
        data = FoldData(batch(30), batch(12, seed=1), 8, seed=5)
        trainer(BestWeights(None), history, rates, *more, max_epochs=3).fit(model, data)
        return model, history.epochs, rates.seen

    (at_once, epochs, rates), (stepwise, stepped, stepped_rates) = fit(), fit(Listening())
    assert not at_once.automatic_optimization
    assert stepwise.automatic_optimization
    assert epochs == stepped
    assert rates == stepped_rates
    for name, weight in at_once.state_dict().items():
        assert torch.equal(weight, stepwise.state_dict()[name]), name


@pytest.mark.parametrize(
    "settings",
    [
        {"gradient_clip_val": 0.5},
        {"accumulate_grad_batches": 2},
        {"limit_train_batches": 1},
        {"max_steps": 2},
        {"precision": "bf16-mixed"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_lightning_takes_the_steps_where_they_are_more_than_steps(settings):
    model = noisy()
    trainer(max_epochs=1, **settings).fit(model, FoldData(batch(24), batch(8), 8, seed=0))
    assert model.automatic_optimization


class Waiting(TorchDispatchMode):
    """Count how often the program waits for a number of a tensor: ``.item()``, ``float()``, ``if tensor``."""

    def __init__(self):
        super().__init__()
        self.waits = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.waits += function in {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("more", [(), (Listening(),)], ids=["at once", "stepwise"])
def test_no_step_waits_for_a_number(more):
    def waits(n_steps):
        model = small()
        model.make_optimizer = partial(torch.optim.Adam, fused=True)
        with Waiting() as waiting:
            data = FoldData(batch(8 * n_steps), batch(8, seed=1), 8, seed=0)
            trainer(BestWeights(None), *more, max_epochs=1).fit(model, data)
        return waiting.waits

    assert waits(9) == waits(2)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_steps_of_an_epoch_stay_on_the_device(name, monkeypatch):
    """On a device without numbers: whatever looks at one, or brings a tensor from or to the CPU, fails."""
    device = torch.device("meta")
    model = make(name, "joint", lookback=LOOKBACK, hidden=8).train().to(device)
    strategy = SimpleNamespace(root_device=device, reduce=lambda value, reduce_op: value)
    trainer = SimpleNamespace(
        strategy=strategy,
        optimizers=[torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)],
        lr_scheduler_configs=[],
        lightning_module=model,
        is_last_batch=True,
    )
    model.trainer, model.automatic_optimization = trainer, False
    logged = {}
    monkeypatch.setattr(model, "log", lambda name, value, **_: logged.update({name: value}))
    data = FoldData(batch(8), batch(5), 8, seed=0)  # one step: of LSTMs, this device takes seconds
    data.trainer = trainer
    (epoch,) = data.train_dataloader()
    assert {order.device for order in epoch.order} == {device}
    model.training_step(epoch, 0)
    (held_out,) = data.val_dataloader()
    forecasts = [model.validation_step(seen, 0) for seen in held_out]
    model.on_validation_epoch_end()
    assert {value.device for value in (*logged.values(), *forecasts)} == {device}
    assert set(logged) == {"train/loss", "val/loss"}


def test_a_network_forecasts_where_it_was_trained(monkeypatch, tmp_path):
    """Lightning takes a network from its device when training ends."""
    monkeypatch.setattr(pl.strategies.SingleDeviceStrategy, "root_device", torch.device("meta"))
    monkeypatch.setattr(pl.Trainer, "fit", lambda *_, **__: None)
    monkeypatch.setattr("pipeline.fitting._epochs_in", lambda _: [])
    settings = {"_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "logger": False}
    cfg = OmegaConf.create({"threads": 1, "seed": 0, "batch_size": 8, "callbacks": {}, "trainer": settings})
    model = small()
    _train(cfg, model, "N", batch(8), batch(8), tmp_path / "none.ckpt", [])
    assert model.device == torch.device("meta")


def test_without_a_card_the_benchmark_of_cards_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    with pytest.raises(SystemExit) as left:
        gpu.main()
    assert left.value.code == 2
    assert "no CUDA card here, so nothing was measured" in capsys.readouterr().err


# Loss and learning rate


class Rates(pl.Callback):
    """Remember the learning rate of every epoch."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_the_learning_rate_decays_from_epoch_to_epoch(decay):
    model, rates = small(COMPONENTS, "separate", f"+model.decay={decay}"), Rates()
    trainer(rates, max_epochs=4).fit(model, FoldData(batch(16), batch(8, 1), 8, seed=0))
    np.testing.assert_allclose(rates.seen, [1e-3 * decay**epoch for epoch in range(4)])


def test_the_absolute_loss_finds_the_median_and_the_squared_the_mean():
    data = Batch(np.ones((60, LOOKBACK, 1)), np.repeat([0.0, 0.0, 3.0], 20)[:, None, None].repeat(2, axis=2))
    for loss, wanted in {"squared": 1.0, "absolute": 0.0}.items():
        model = Forecaster("m", Noisy, None, Joint(), 1, LOOKBACK, 1, loss=loss)
        model.network.dropout.p = 0.0
        model.make_optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.01)
        trainer(max_epochs=40).fit(model, FoldData(data, data.take(slice(0)), 60, seed=0))
        assert float(model(torch.ones(1, LOOKBACK, 1)).detach()) == pytest.approx(wanted, abs=0.13), loss


def test_settings_of_the_loss_that_cannot_be_are_named_together():
    with pytest.raises(ValueError, match=r"model\.loss=mse is not known; .* squared, absolute.*model\.decay=1\.5 must"):
        Forecaster("m", Noisy, torch.optim.Adam, Joint(), 1, LOOKBACK, 1, loss="mse", decay=1.5)
    with pytest.raises(ValueError, match=r"model\.loss=absolute has no say in model/component=quantiles"):
        Forecaster("m", Noisy, torch.optim.Adam, Quantiles([0.5]), 1, LOOKBACK, 1, loss="absolute")


# Settings of the machine


def trained(name, component, **settings):
    torch.manual_seed(0)
    model = make(name, component, lookback=LOOKBACK, hidden=8).train()
    rng = np.random.default_rng(0)
    past, target = rng.standard_normal((64, LOOKBACK, 3)), rng.standard_normal((64, HORIZON, 4))
    data = FoldData(Batch(past, target), Batch(past[:8], target[:8]), 32, seed=0)
    trainer(max_epochs=1, **settings).fit(model, data)
    return {**model.state_dict(), "forecast": model(torch.tensor(past, dtype=torch.float32)).detach()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_gives_the_same_bits_again(name):
    once = trained(name, "joint")
    for key, value in trained(name, "joint").items():
        torch.testing.assert_close(value, once[key], atol=0, rtol=0, msg=key)


@pytest.mark.parametrize("name", ["lstm", "bilstm"])
def test_a_training_on_two_threads_differs_by_rounding_alone(name):
    one = trained(name, "joint")
    torch.set_num_threads(2)
    for key, value in trained(name, "joint").items():
        torch.testing.assert_close(value, one[key], atol=1e-5, rtol=0, msg=key)


def test_clipping_before_gradients_are_unscaled_is_refused():
    weight = [nn.Parameter(torch.zeros(1))]
    fused, plain = torch.optim.Adam(weight, fused=True), torch.optim.Adam(weight)
    with pytest.raises(ValueError, match=r"gradient_clip_val=0\.5 with trainer\.precision=16-mixed .*fused=false"):
        refuse_clipping_scaled("16-mixed", 0.5, [fused])
    for harmless in (("16-mixed", 0.5, [plain]), ("16-mixed", None, [fused]), ("bf16-mixed", 0.5, [fused])):
        refuse_clipping_scaled(*harmless)


def test_a_trainer_asks_before_the_first_step(monkeypatch):
    asked = []
    monkeypatch.setattr("models.forecaster.refuse_clipping_scaled", lambda *given: asked.append(given[:2]))
    trainer(max_epochs=1, gradient_clip_val=0.5).fit(small(), FoldData(batch(8), batch(8), 8, seed=0))
    assert asked == [("32-true", 0.5)]


class Filled(pl.Callback):
    """Remember whether torch fills new memory during training."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.during = torch.utils.deterministic.fill_uninitialized_memory


def test_memory_is_not_filled_in_training_and_is_after_it():
    filled = Filled()
    trainer(filled, max_epochs=1).fit(small(), FoldData(batch(8), batch(8), 8, seed=0))
    assert not filled.during
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_mixed_precision_stays_near_full_precision():
    full = trained("cnn_lstm_attention", "separate")
    mixed = trained("cnn_lstm_attention", "separate", precision="bf16-mixed")
    assert not torch.equal(full["network.head.weight"], mixed["network.head.weight"])
    for name, value in full.items():
        assert mixed[name].dtype == torch.float32
        torch.testing.assert_close(mixed[name], value, atol=0.01, rtol=0, msg=name)


def test_compilation_is_an_option():
    assert small().network._compiled_call_impl is None
    compiled = small(COMPONENTS, "separate", "model.compile=true")
    assert compiled.network._compiled_call_impl is not None
    assert compiled.state_dict().keys() == small().state_dict().keys()


# Forecasts


def inputs_of(past):
    """Inputs of a model that reads scaled windows alone."""
    return Inputs(panel_windows(), Batch(past, None), pd.DataFrame())


@pytest.mark.parametrize("component", choices("model/component"))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_forecast_of_a_window_does_not_depend_on_those_around_it(name, component):
    model = make(name, component, lookback=LOOKBACK, hidden=24)
    past = np.random.default_rng(0).standard_normal((70, LOOKBACK, 3))  # a chunk and a bit
    found = model.predict(inputs_of(past))
    assert found.shape == (model.component.n_networks(3), 70, HORIZON)
    for chosen in (slice(0), slice(1), slice(60, 67), slice(None, None, -1)):
        np.testing.assert_array_equal(model.predict(inputs_of(past[chosen])), found[:, chosen])


@pytest.mark.parametrize("name", ["lstm", "cnn_lstm_attention", "bilstm_hybrid"])
def test_a_forecast_does_not_depend_on_the_number_of_threads(name):
    model = make(name, "joint", lookback=LOOKBACK)  # as wide as its file says, for several threads to have work
    past = inputs_of(np.random.default_rng(0).standard_normal((70, LOOKBACK, 3)))
    found = model.predict(past)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(model.predict(past), found)


def test_forecasts_are_those_of_the_network_and_leave_it_as_it_is():
    model = make("bilstm_hybrid", "separate", lookback=LOOKBACK, hidden=8).train()  # with dropout and noise
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    past = np.random.default_rng(0).standard_normal((70, LOOKBACK, 3))
    found = model.predict(inputs_of(past))
    assert model.network.training
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name], atol=0, rtol=0, msg=name)
    np.testing.assert_array_equal(found, found.astype(np.float32))
    with torch.no_grad():
        expected = model.eval()(torch.tensor(past, dtype=torch.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_that_is_loaded_forecasts_the_same():
    model, other = (make("cnn_lstm_attention", "joint", lookback=LOOKBACK, hidden=8) for _ in range(2))
    state = model.state()
    assert state.keys() == model.state_dict().keys()
    assert all(isinstance(weight, np.ndarray) and weight.dtype == np.float32 for weight in state.values())
    inputs = inputs_of(np.random.default_rng(0).standard_normal((5, LOOKBACK, 3)))
    assert not np.array_equal(other.predict(inputs), model.predict(inputs))
    other.load_state(state)
    np.testing.assert_array_equal(other.predict(inputs), model.predict(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_with_a_zero_head_an_untrained_network_is_persistence_and_learns(name):
    windows = panel_windows()
    scaling = LastValue().fit(windows)
    inputs = Inputs(windows, scaling.transform(windows), pd.DataFrame(), scaling)
    model = make(name, "joint", lookback=LOOKBACK, hidden=8, zero_head=True)
    naive = Persistence("P", 3, LOOKBACK, HORIZON).predict(inputs)
    np.testing.assert_array_equal(model.component.restore(model.predict(inputs), windows, scaling), naive)
    assert compose_model(name).network.zero_head is True
    assert np.any(make(name, "joint", lookback=LOOKBACK, hidden=8).predict(inputs)), "a head at random does forecast"
    model.train().make_optimizer = partial(torch.optim.Adam, lr=0.01)
    none = inputs.batch.take(slice(0))
    trainer(max_epochs=1).fit(model, FoldData(inputs.batch, none, 32, seed=0))
    assert all(p.detach().any() for p in model.network.head.parameters())


def test_a_network_is_fitted_by_a_trainer_alone():
    with pytest.raises(TypeError, match=r"CNN-LSTM-AM is trained by a trainer of Lightning"):
        small().fit(inputs_of(np.zeros((1, LOOKBACK, 3))), inputs_of(np.zeros((0, LOOKBACK, 3))))


# Components


def panel_windows(n_components=3):
    """Windows of known components: waves on a walk."""
    time = np.arange(300.0)
    walk = np.cumsum(np.random.default_rng(0).standard_normal(300))
    components = np.stack([np.sin(time), np.sin(time / 7), walk])[-n_components:]
    cut = sliding_window_view(components, LOOKBACK + HORIZON, axis=1).transpose(1, 2, 0)
    past, target = cut[:, :LOOKBACK], cut[:, LOOKBACK:]
    return Windows(past, target, target.sum(axis=2), np.arange(len(cut)) + LOOKBACK - 1)


@pytest.mark.parametrize("component", [Separate(), Joint()])
def test_a_perfect_scaled_forecast_restores_the_future(component):
    windows = panel_windows()
    scaling = LastValue().fit(windows)
    scaled = scaling.transform(windows)
    for target in (scaled.target, torch.tensor(scaled.target)):
        perfect = np.asarray(component.targets(target))
        assert perfect.shape == (component.n_networks(3), len(windows.y), HORIZON)
        np.testing.assert_allclose(component.restore(perfect, windows, scaling), windows.y, atol=1e-9)


@pytest.mark.parametrize("component", [Separate(), Joint()])
def test_networks_see_their_components(component):
    past = panel_windows().past
    seen = component.inputs(past)
    assert seen.shape == (component.n_networks(3), len(past), LOOKBACK, component.n_features(3))
    np.testing.assert_array_equal(seen.transpose(1, 2, 0, 3).reshape(past.shape), past)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_learns_a_wave(name):
    time = np.arange(400.0)
    wave = np.stack([np.sin(time / 3), np.cos(time / 3)], axis=1)  # a network may see the newest step alone
    cut = sliding_window_view(wave, LOOKBACK + 1, axis=0).transpose(0, 2, 1)
    data = Batch(cut[:, :LOOKBACK], cut[:, LOOKBACK:, :1].repeat(3, axis=2))
    train, validation = (data.take(part) for part in (slice(300), slice(300, None)))
    model, history = make(name, "joint", n_components=2, lookback=LOOKBACK, horizon=1, hidden=16).train(), History()
    model.make_optimizer = partial(model.make_optimizer, lr=0.01)
    trainer(history, BestWeights(None), max_epochs=8).fit(model, FoldData(train, validation, 16, seed=0))
    losses = [epoch["val/loss"] for epoch in history.epochs]
    assert all(map(math.isfinite, losses))
    assert min(losses) < 0.02 * float(np.var(validation.target))
