"""Gradient descent with momentum whose learning rate and momentum learn as well (paper 2).

The paper says that they are adjusted by the common loss and not how.  Here they follow their exact
gradients through the last update, as in Baydin et al.: Online Learning Rate Adaptation with
Hypergradient Descent, ICLR 2018.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

Tensors = Sequence[Tensor]


class Hypergradients(NamedTuple):
    """How the common loss after an update changes with what the update was made by."""

    eta: float
    """d L / d learning rate"""
    beta: float
    """d L / d momentum"""


def hypergradients(meta: Tensors, after: Tensors, change: Tensors, eta: float) -> Hypergradients:
    """Return the derivatives of L(theta') by the learning rate and the momentum of the update that led there.

    theta' = theta - eta v' and v' = beta v + (1 - beta) g, so by the chain rule
    dL / d eta = -<grad L(theta'), v'> and dL / d beta = -eta <grad L(theta'), v - g>.

    Parameters
    ----------
    meta : sequence of Tensor
        grad L(theta').
    after, change : sequence of Tensor
        v' and v - g.
    eta : float
        Learning rate of the update.
    """
    return Hypergradients(-float(_dot(meta, after)), -eta * float(_dot(meta, change)))


class MetaOptimizer(Optimizer):
    """Momentum whose learning rate eta and momentum beta descend the common loss.

    L_meta = alpha L_train + (1 - alpha) L_validation.  After a step has led to theta', and when the
    gradients of the next training batch and of a validation batch at theta' are known, ``adapt`` moves
    log eta and logit beta against their hypergradients, then ``step`` goes on.  To take the *next*
    training batch costs no gradient beyond the one the next step needs anyway, and does not reward a
    step for fitting its own batch.

    Moving log eta and logit beta keeps eta above 0 and beta between 0 and 1.  A hypergradient is
    divided by the largest it could be for vectors of these lengths, which leaves the cosine of an angle:
    one adaptation moves either by no more than its rate, whatever the scale of the loss.

    Parameters
    ----------
    params : iterable of Parameter
    eta, beta : float
        Where learning rate and momentum begin.
    alpha : float
        Weight of the training loss in the common loss; validation has the rest.
    eta_rate, beta_rate : float
        Most that log eta and logit beta move in one adaptation; 0 leaves them as they are.

    Raises
    ------
    ValueError
        Naming every setting that cannot work.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        eta: float,
        beta: float,
        alpha: float,
        eta_rate: float,
        beta_rate: float,
    ) -> None:
        faults = []
        if not eta > 0:
            faults.append(f"optimizer.eta={eta} must be above 0.")
        if not 0 < beta < 1:
            faults.append(f"optimizer.beta={beta} must be between 0 and 1.")
        if not 0 <= alpha <= 1:
            faults.append(f"optimizer.alpha={alpha} must be in [0, 1].")
        if eta_rate < 0 or beta_rate < 0:
            faults.append(f"optimizer.eta_rate={eta_rate} and optimizer.beta_rate={beta_rate} must not be negative.")
        if faults:
            raise ValueError("  ".join(faults))
        self.eta, self.beta, self.alpha, self.eta_rate, self.beta_rate = eta, beta, alpha, eta_rate, beta_rate
        super().__init__(params, {})
        self._parameters = [p for group in self.param_groups for p in group["params"]]
        self._after: list[Tensor] = [torch.zeros_like(p) for p in self._parameters]
        self._change: list[Tensor] = []  # v - g of the last step; empty before the first

    @torch.no_grad()
    def adapt(self, validation: Tensors) -> None:
        """Judge the last step at where it led, and move eta and beta; before the first step do nothing.

        The parameters must hold the gradients of the next training batch.

        Parameters
        ----------
        validation : sequence of Tensor
            Gradient of the validation loss by each parameter.
        """
        if not self._change:
            return
        meta = [torch.lerp(v, g, self.alpha) for v, g in zip(validation, self._gradients(), strict=True)]
        eta, size = self.eta, _length(meta)
        slopes = hypergradients(meta, self._after, self._change, eta)
        self.eta *= math.exp(-self.eta_rate * _ratio(slopes.eta, size * _length(self._after)))
        logit = math.log(self.beta / (1 - self.beta))
        logit -= self.beta_rate * _ratio(slopes.beta, eta * size * _length(self._change))
        self.beta = 1 / (1 + math.exp(-logit))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one momentum update with the gradients that the parameters hold."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = self._gradients()
        self._change = [v - g for v, g in zip(self._after, gradients, strict=True)]
        for parameter, velocity, gradient in zip(self._parameters, self._after, gradients, strict=True):
            velocity.lerp_(gradient, 1 - self.beta)  # v' = beta v + (1 - beta) g
            parameter.add_(velocity, alpha=-self.eta)  # theta' = theta - eta v'
        return loss

    def _gradients(self) -> list[Tensor]:
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]


def _dot(left: Tensors, right: Tensors) -> Tensor:
    return torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in zip(left, right, strict=True)]).sum()


def _length(vector: Tensors) -> float:
    return math.sqrt(float(_dot(vector, vector)))


def _ratio(slope: float, largest: float) -> float:
    """Return a slope as a fraction of the largest that the lengths allow, in [-1, 1]; 0 if there is none."""
    return slope / largest if largest > 0 else 0.0
