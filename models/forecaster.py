"""Training and forecasting of any network, through Lightning."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR

from data.contracts import Batch, FloatArray
from models.allocation import Allocation
from models.model import Inputs, scaled_batch
from models.trained import Trained


class Forecaster(Trained, pl.LightningModule):
    """Train K networks as one, each with the mean loss of its own scaled target.

    The losses add and an optimiser such as Adam works number by number, so every network takes
    the steps it would take alone.  Losses are logged once an epoch: logging every step costs
    more than the step of a network this small.  So do Lightning's hooks before and after every
    step: where nobody listens to them and a step is nothing but a step (``uninterrupted``), many of them
    are one training step of Lightning.  The numbers are the same, to the bit.

    Shapes
    ------
    B batch, L lookback, C component, H horizon, K network, E covariate

    Parameters
    ----------
    label : str
        What tables call the model.
    network : callable (n_networks, n_features, lookback, horizon) -> nn.Module
        The module maps ``(K, B, L, F)`` to ``(K, B, H)``.
    optimizer : callable (parameters) -> Optimizer
    component : Allocation
        Which network sees and learns which components.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    compile : bool
        Whether to compile the network, which takes minutes before the first step.
    loss : str
        ``squared``, which is for means, or ``absolute``, for medians and judged by MAE.
    decay : float
        Learning rate of an epoch over that of the epoch before; 1: it stays as it is.
    n_extra : int
        E, covariates that every network sees beside its components; given by the data.

    Raises
    ------
    ValueError
        If the loss is not known or not for these components, or the decay makes the rate grow.
    """

    def __init__(
        self,
        label: str,
        network: Callable[..., nn.Module],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        component: Allocation,
        n_components: int,
        lookback: int,
        horizon: int,
        compile: bool = False,
        loss: str = "squared",
        decay: float = 1.0,
        n_extra: int = 0,
    ) -> None:
        super().__init__(
            label, network, optimizer, component, n_components, lookback, horizon, compile, loss, decay, n_extra
        )
        self.validation_losses: Tensor | None = None
        """``(K,)`` of the last validation, over all processes; None before the first."""
        self._train = _RunningMean()
        self._validation = _RunningMean()

    def before(self, train: Inputs, validation: Inputs) -> tuple[Batch, Batch]:
        """Learn what must be learnt before the weights, and return what they are trained on and chosen by."""
        return scaled_batch(train), scaled_batch(validation)

    def whole(self, given: FloatArray, inputs: Inputs) -> FloatArray:
        """Return scaled forecasts ``(K, n, H)`` from what the networks give: the same, unless they give a part."""
        return given

    def configure_callbacks(self) -> list[pl.Callback]:
        """Add none; called before anything else of a training, it decides who takes the steps."""
        self.automatic_optimization = not uninterrupted(self.trainer)
        return []

    def on_fit_start(self) -> None:
        """Refuse a clipping that would be wrong, and leave new memory as it comes.

        Raises
        ------
        ValueError
            If gradients would be clipped before they are unscaled.
        """
        refuse_clipping_scaled(self.trainer.precision, self.trainer.gradient_clip_val, self.trainer.optimizers)
        _fill_new_memory(False)  # all of it is written, and to fill it first costs up to a sixth of a step

    def on_fit_end(self) -> None:
        """Let torch fill new memory again where its algorithms are deterministic."""
        _fill_new_memory(True)

    def training_step(self, given: Batch | Iterable[Batch], _: int) -> Tensor | None:
        """Return the sum of the networks' losses of a batch, or take a step on each of many batches."""
        total = None
        if self.automatic_optimization:
            assert isinstance(given, Batch)
            total = self._added(given)
        else:
            optimizer: Any = self.trainer.optimizers[
                0
            ]  # as it is: what Lightning wraps around it takes longer than it does
            for batch in given:
                optimizer.step(partial(self._gradients, optimizer, batch))
        if self.trainer.is_last_batch:
            loss = self._mean_of(self._train).mean()
            self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=1)
            self._lower_rate()
        return total

    def _lower_rate(self) -> None:
        """Let the learning rate decay after an epoch whose steps Lightning has not taken."""
        if not self.automatic_optimization:
            schedulers: list[Any] = [config.scheduler for config in self.trainer.lr_scheduler_configs]
            for scheduler in schedulers:
                scheduler.step()

    def _gradients(self, optimizer: Optimizer, batch: Batch) -> Tensor:
        """Compute the gradients of a batch and return the sum of the networks' losses."""
        optimizer.zero_grad()
        total = self._added(batch)
        total.backward()
        return total

    def _added(self, batch: Batch) -> Tensor:
        """Return the sum of the networks' losses, and remember each."""
        losses = self._losses_of(self(batch.past, batch.extra), batch)  # (K,)
        self._train.add(losses.detach(), len(batch.past))
        return losses.sum()

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """Collect the networks' losses; the scaled forecasts ``(K, B, H)`` are for callbacks."""
        forecasts: Tensor = self(batch.past, batch.extra)  # (K, B, H)
        self._validation.add(self._losses_of(forecasts, batch), len(batch.past))
        return forecasts

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss, and keep that of each network for those who choose weights."""
        self.validation_losses = self._mean_of(self._validation)  # (K,)
        self.log("val/loss", self.validation_losses.mean(), batch_size=1)

    def configure_optimizers(self) -> Any:
        """Return one optimiser for all networks, and what lowers its learning rate after every epoch."""
        optimizer = self.make_optimizer(self.parameters())
        if self.decay == 1:
            return optimizer
        return [optimizer], [{"scheduler": ExponentialLR(optimizer, self.decay), "interval": "epoch"}]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient of each network by its own norm, as if it were alone.

        ``trainer.gradient_clip_val`` and ``trainer.gradient_clip_algorithm`` are Lightning's.
        """
        if not gradient_clip_val:
            return
        if gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
            return
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients])  # (parameter, K)
        factors = (gradient_clip_val / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1)  # (K,)
        for g in gradients:
            g.mul_(factors.view(-1, *[1] * (g.ndim - 1)))

    def _losses_of(self, forecasts: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of each network, ``(K,)``, of its scaled forecasts ``(K, B, H)``."""
        return self.component.losses(forecasts, self.component.targets(batch.target), self.penalty)

    def _mean_of(self, running: "_RunningMean") -> Tensor:
        """Return the mean over the batches of all processes, ``(K,)``, and start again."""
        total, count = running.take()
        reduce = self.trainer.strategy.reduce
        return reduce(total, reduce_op="sum") / reduce(count, reduce_op="sum")


STEP_HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
)
"""What a callback overrides to be called at every step."""


def uninterrupted(trainer: Any) -> bool:
    """Say whether nothing but steps happens in an epoch: one device, single precision, nobody counts or clips them.

    Parameters
    ----------
    trainer : Trainer
        Of Lightning, which sets some of these where its types do not tell.
    """
    whole = (trainer.limit_train_batches, trainer.val_check_interval)  # 1.0 of an epoch; 1 is one batch
    return (
        isinstance(trainer.strategy, SingleDeviceStrategy)
        and trainer.precision == "32-true"
        and trainer.accumulate_grad_batches == 1
        and not trainer.gradient_clip_val
        and all(isinstance(share, float) and share == 1.0 for share in whole)
        and trainer.overfit_batches == 0
        and trainer.max_steps == -1
        and not any(is_overridden(hook, callback, pl.Callback) for callback in trainer.callbacks for hook in STEP_HOOKS)
    )


def refuse_clipping_scaled(precision: str | int, clip: float | None, optimizers: Iterable[Optimizer]) -> None:
    """Refuse to clip gradients that a fused optimiser unscales only afterwards.

    Raises
    ------
    ValueError
        If the precision is ``16-mixed``, gradients are clipped and an optimiser is fused.
    """
    if precision == "16-mixed" and clip and any(group.get("fused") for o in optimizers for group in o.param_groups):
        raise ValueError(
            f"trainer.gradient_clip_val={clip} with trainer.precision=16-mixed needs an optimiser that is not fused, "
            f"which would unscale gradients after they are clipped; set model.optimizer.fused=false or "
            f"trainer.precision=bf16-mixed."
        )


def _fill_new_memory(fill: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


class _RunningMean:
    """Losses added up batch by batch, without waiting for the device."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, losses: Tensor, n_windows: int) -> None:
        share = losses * n_windows  # (K,)
        self._sum = share if self._sum is None else self._sum + share
        self._count += n_windows

    def take(self) -> tuple[Tensor, Tensor]:
        """Return the sum and the number of windows, ``(K,)`` each, and forget them."""
        assert self._sum is not None
        taken = self._sum, torch.full_like(self._sum, self._count)
        self._sum, self._count = None, 0
        return taken
