"""Layers of K networks that are trained as one.

Every parameter has a leading axis K and network k touches slice k alone, so the networks learn
what they would learn apart; one batched product in place of K small ones is what makes it fast.
Parameters start as those of the layers of ``torch.nn`` do, for each network.

Shapes
------
K network, B batch, T time, F feature, C channel, W width of a kernel, I inputs, O outputs, D hidden
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

MANY, SMALL = 10, 16
"""From how many networks, and up to what width, a batched recurrence beats ``torch.lstm`` once a network."""


class Linear(nn.Module):
    """``torch.nn.Linear``, K times.

    Parameters
    ----------
    n_networks, n_inputs, n_outputs : int
        K, I, O.
    bias : bool
        Whether to add one.
    """

    def __init__(self, n_networks: int, n_inputs: int, n_outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = uniform(n_networks, n_outputs, n_inputs, fan_in=n_inputs)
        self.bias = uniform(n_networks, n_outputs, fan_in=n_inputs) if bias else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, ..., I)`` to ``(K, ..., O)``."""
        rows = inputs.flatten(1, -2)  # (K, rows, I)
        if self.bias is None:
            outputs = rows @ self.weight.mT  # (K, rows, O)
        else:
            outputs = torch.baddbmm(self.bias[:, None], rows, self.weight.mT)
        return outputs.unflatten(1, inputs.shape[1:-1])  # (K, ..., O)


class Conv1d(nn.Module):
    """``torch.nn.Conv1d`` without padding, K times.

    As one product over the unfolded input: twice as fast as a grouped convolution at these sizes.
    The weight comes first in it: the other way round, the sum over windows in the gradient of few
    weights is split among threads, and its last bits depend on their number.

    Parameters
    ----------
    n_networks, n_features, channels, kernel : int
        K, F, C, W.
    """

    def __init__(self, n_networks: int, n_features: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = uniform(n_networks, channels, n_features, kernel, fan_in=n_features * kernel)
        self.bias = uniform(n_networks, channels, fan_in=n_features * kernel)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, B, T, F)`` to ``(K, B, T - W + 1, C)``."""
        patches = inputs.unfold(2, self.kernel, 1)  # (K, B, T', F, W)
        n_networks, n_windows, n_steps = patches.shape[:3]
        rows = patches.reshape(n_networks, n_windows * n_steps, -1)  # (K, B T', F W)
        outputs = torch.baddbmm(self.bias[..., None], self.weight.flatten(2), rows.mT)  # (K, C, B T')
        return outputs.mT.unflatten(1, (n_windows, n_steps))  # (K, B, T', C)


class MaxPool(nn.Module):
    """Largest of every ``size`` steps, without overlap.

    The groups are counted from the end: where T is no multiple of ``size``, the oldest steps
    are left out, never the newest.

    Parameters
    ----------
    size : int
        [steps].
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, B, T, C)`` to ``(K, B, T // size, C)``."""
        n_steps = inputs.shape[2] // self.size
        groups = inputs[:, :, -n_steps * self.size :].unflatten(2, (n_steps, self.size))
        largest, *others = groups.unbind(3)  # (K, B, T', C) each
        for other in others:
            largest = torch.maximum(largest, other)
        return largest


class LSTM(nn.Module):
    """``torch.nn.LSTM`` with its parameters and their names, K times.

    Many small networks take a step as one batched product, whose backward pass is written out; few or wide
    ones are each given to ``torch.lstm``.  ``benchmarks/recurrence.py`` measures which is faster.

    Both biases are kept although their sum would do: Adam takes a step for each of them.

    Parameters
    ----------
    n_networks, n_inputs, hidden, n_layers : int
        K, I, D and the number of layers, one on top of another.
    """

    def __init__(self, n_networks: int, n_inputs: int, hidden: int, n_layers: int) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.batched = n_networks >= MANY and hidden <= SMALL
        for layer in range(n_layers):
            _add_lstm_parameters(self, n_networks, hidden if layer else n_inputs, hidden, f"_l{layer}")

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, B, T, I)`` to the hidden states of the last layer ``(K, B, T, D)``."""
        with in_full_precision(inputs.device):  # rounding would add up over the steps
            return self._together(inputs) if self.batched else _one_by_one(self, inputs, self.n_layers)

    def _together(self, inputs: Tensor) -> Tensor:
        parameters = dict(self.named_parameters())
        states = inputs.transpose(1, 2)  # (K, T, B, I)
        for layer in range(self.n_layers):
            w_ih, w_hh, b_ih, b_hh = (
                parameters[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            weight = torch.cat([w_ih, w_hh], dim=2)  # (K, 4 D, I + D)
            states = _LSTMLayer.apply(states.to(weight.dtype), weight, b_ih + b_hh)  # (K, T, B, D)
        return states.transpose(1, 2)  # (K, B, T, D)


class BiLSTM(nn.Module):
    """One bidirectional layer of ``torch.nn.LSTM`` with its parameters and their names, K times.

    Parameters
    ----------
    n_networks, n_inputs, hidden : int
        K, I, D.
    """

    def __init__(self, n_networks: int, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        for direction in ("", "_reverse"):
            _add_lstm_parameters(self, n_networks, n_inputs, hidden, f"_l0{direction}")

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, B, T, I)`` to the states ``(K, B, T, 2 D)``, the forward direction first."""
        with in_full_precision(inputs.device):  # rounding would add up over the steps
            return _one_by_one(self, inputs, n_layers=1, bidirectional=True)


class NonNegativeLinear(Linear):
    """A linear read-out whose negative outputs are bent to almost zero.

    ``softplus`` as sharp as 10 differs from ``max(x, 0)`` by at most 0.07, at the kink, and unlike it
    has a slope everywhere, so an output that has become zero can rise again.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map ``(K, ..., I)`` to ``(K, ..., O)``, all of it above zero."""
        return softplus(super().forward(inputs), beta=10.0)


HEADS = {"linear": Linear, "nonnegative": NonNegativeLinear}
"""Read-outs by the names a configuration calls them."""


def read_out(head: str, n_networks: int, n_inputs: int, n_outputs: int, zero: bool) -> Linear:
    """Return the last layer of K networks.

    Parameters
    ----------
    head : str
        One of ``HEADS``.
    n_networks, n_inputs, n_outputs : int
        K, I, O.
    zero : bool
        Whether weights and biases start at zero, so that an untrained network forecasts zero: under
        ``scaling=anchored`` the naive forecast, from which training then departs where it pays.

    Raises
    ------
    ValueError
        If there is no such head.
    """
    if head not in HEADS:
        raise ValueError(f"model.network.head={head} is not known; it is one of {', '.join(HEADS)}.")
    layer = HEADS[head](n_networks, n_inputs, n_outputs)
    if zero:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
    return layer


def _add_lstm_parameters(module: nn.Module, n_networks: int, n_inputs: int, hidden: int, suffix: str) -> None:
    """Register the four parameters of one layer and direction, in the order of ``torch.nn.LSTM``."""
    for name, shape in {
        "weight_ih": (4 * hidden, n_inputs),
        "weight_hh": (4 * hidden, hidden),
        "bias_ih": (4 * hidden,),
        "bias_hh": (4 * hidden,),
    }.items():
        module.register_parameter(f"{name}{suffix}", uniform(n_networks, *shape, fan_in=hidden))


def _one_by_one(module: nn.Module, inputs: Tensor, n_layers: int, bidirectional: bool = False) -> Tensor:
    """Give the input ``(K, B, T, I)`` and the parameters of each network to ``torch.lstm``.

    Returns ``(K, B, T, D)``, or ``(K, B, T, 2 D)`` of both directions.
    """
    parameters = list(module.parameters())
    hidden = parameters[1].shape[2]
    inputs = inputs.to(parameters[1].dtype)
    rest = inputs.new_zeros(n_layers * (1 + bidirectional), inputs.shape[1], hidden)  # (layer, B, D)
    states = [
        torch.lstm(
            past,
            (rest, rest),
            weights,
            has_biases=True,
            num_layers=n_layers,
            dropout=0.0,
            train=module.training,
            bidirectional=bidirectional,
            batch_first=True,
        )[0]
        for past, *weights in zip(inputs, *parameters, strict=True)
    ]
    return torch.stack(states)


class _LSTMLayer(torch.autograd.Function):
    """The recurrence of one layer, with the backward pass written out.

    Autograd would record ten small operations a step.  Here a step is one product of all
    networks, and what does not depend on the step before is done for all steps at once.  The
    axes of a buffer are ordered so that no product has to copy: one that a product writes step
    by step has T first, one that the gradient of the weight reads as a whole has K first.

    ``tanh(x)`` is computed as ``2 sigmoid(2 x) - 1``, which is several times faster on a CPU: the
    rows of the candidate g are doubled, and one sigmoid serves all four gates.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map ``(K, T, B, I)``, ``(K, 4 D, I + D)`` and ``(K, 4 D)`` to states ``(K, T, B, D)``."""
        n_networks, n_steps, n_windows, width = inputs.shape
        hidden = weight.shape[2] - width
        twice = _double_candidate(hidden, weight)  # (4 D,)
        weight = weight * twice[:, None]
        bias = (bias * twice)[:, None]  # (K, 1, 4 D)

        # A step sees its input and the state before it.
        seen = inputs.new_empty(n_networks, n_steps + 1, n_windows, width + hidden)
        seen[:, :-1, :, :width] = inputs
        seen[:, 0, :, width:] = 0
        gates = inputs.new_empty(n_steps, n_networks, n_windows, 4 * hidden)
        cell = inputs.new_zeros(n_steps + 1, n_networks, n_windows, hidden)
        squashed = torch.empty_like(cell[1:])  # tanh(cell)
        for t in range(n_steps):
            torch.baddbmm(bias, seen[:, t], weight.mT, out=gates[t]).sigmoid_()
            i, f, g, o = gates[t].chunk(4, dim=-1)  # (K, B, D) each
            g.mul_(2).sub_(1)
            torch.mul(i, g, out=cell[t + 1]).addcmul_(f, cell[t])
            torch.mul(cell[t + 1], 2, out=squashed[t]).sigmoid_().mul_(2).sub_(1)
            torch.mul(o, squashed[t], out=seen[:, t + 1, :, width:])
        ctx.save_for_backward(weight, seen, gates, cell, squashed)
        return seen[:, 1:, :, width:].contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the inputs, the weight and the bias."""
        weight, seen, gates, cell, squashed = ctx.saved_tensors
        n_networks, n_steps, n_windows, hidden = d_states.shape
        width = weight.shape[2] - hidden
        i, f, g, o = gates.chunk(4, dim=-1)  # (T, K, B, D) each

        # What a change of the cell (or, for o, of the state) does to each gate before its sigmoid;
        # the loop turns it into the gradient.
        d_gates = gates.new_empty(n_networks, n_steps, n_windows, 4 * hidden)
        slopes = d_gates.transpose(0, 1)  # (T, K, B, 4 D)
        slope_i, slope_f, slope_g, slope_o = slopes.chunk(4, dim=-1)
        torch.addcmul(gates, gates, gates, value=-1, out=slopes)
        slope_i.mul_(g)
        slope_f.mul_(cell[:-1])
        torch.mul(g, g, out=slope_g).neg_().add_(1).mul_(i).mul_(0.5)
        slope_o.mul_(squashed)
        d_cell_of_state = torch.addcmul(o, o * squashed, squashed, value=-1)  # (T, K, B, D)

        d_seen = gates.new_empty(n_steps + 1, n_networks, n_windows, width + hidden)
        d_seen[-1] = 0
        d_cell = torch.zeros_like(cell[0])
        with in_full_precision(d_states.device):
            for t in reversed(range(n_steps)):
                d_state = d_states[:, t] + d_seen[t + 1, ..., width:]  # (K, B, D)
                d_cell.addcmul_(d_state, d_cell_of_state[t])
                slopes[t].unflatten(-1, (4, hidden))[..., :3, :].mul_(d_cell.unsqueeze(-2))
                slope_o[t].mul_(d_state)
                torch.bmm(slopes[t], weight, out=d_seen[t])
                d_cell.mul_(f[t])

            d_gates = d_gates.flatten(1, 2)  # (K, T B, 4 D)
            twice = _double_candidate(hidden, weight)
            d_weight = (d_gates.mT @ seen[:, :-1].flatten(1, 2)).mul_(twice[:, None])  # (K, 4 D, I + D)
            d_bias = d_gates.sum(1).mul_(twice)  # (K, 4 D)
        return d_seen[:-1, ..., :width].transpose(0, 1), d_weight, d_bias


def in_full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Switch mixed precision off, on devices that have it."""
    has_it = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if has_it else nullcontext()


def tanh(inputs: Tensor) -> Tensor:
    """Return the hyperbolic tangent, by way of the sigmoid, whose code for CPUs is vectorised."""
    return 2 * torch.sigmoid(2 * inputs) - 1


def _double_candidate(hidden: int, like: Tensor) -> Tensor:
    """Return 2 for the rows of the gate g and 1 for those of i, f and o: ``(4 D,)``."""
    twice = like.new_ones(4, hidden)
    twice[2] = 2
    return twice.flatten()


def uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Return a parameter drawn as the layers of ``torch.nn`` draw theirs."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def pooled_length(lookback: int, kernel: int, pool: int) -> int:
    """Return how many steps a convolution and pooling leave of the lookback.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    n_steps = (lookback - kernel + 1) // pool
    if n_steps < 1:
        raise ValueError(
            f"lookback={lookback} leaves nothing after a convolution of kernel={kernel} and pooling of "
            f"pool={pool}; it must be at least {kernel + pool - 1}.  Use a longer lookback, or a smaller "
            f"model.network.kernel or model.network.pool."
        )
    return n_steps
