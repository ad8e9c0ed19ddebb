"""BiLSTM with attention, the network of paper 2."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from models.attention import StepAttention
from models.bilstm import BiLSTMStates
from models.layers import Linear, read_out


class BiLSTMAttention(nn.Module):
    """Read the forecast from what attention makes of a BiLSTM's states, K networks side by side.

    Each attention sums the states up to a context of its own; the contexts stand side by side and
    ``c + ReLU(W c + b)`` is read out.  Adaptive and hierarchical attention together are the paper's
    hybrid.

    Shapes
    ------
    K network, B batch, L lookback, F feature, D hidden of the last layer, A attention, H horizon

    Parameters
    ----------
    n_networks, n_features, lookback, horizon : int
        K, F, L [steps] and H [steps]; given by the data.
    hidden : sequence of int
        Width of every layer, in each of its directions; the last is D.
    dropout : float
        Share of the states that is left out of a training step [fraction].
    contexts : mapping of str to callable (n_networks, n_steps, hidden) -> nn.Module
        The attentions, by name; each module is a ``models.attention.StepAttention``.
    head : str
        ``linear``, or ``nonnegative`` where a scaled target is never below zero.
    noise : float
        As of ``models.bilstm.BiLSTMStates`` [scaled units].
    zero_head : bool
        Whether the read-out starts at zero.
    """

    def __init__(
        self,
        n_networks: int,
        n_features: int,
        lookback: int,
        horizon: int,
        hidden: Sequence[int],
        dropout: float,
        contexts: Mapping[str, Callable[..., nn.Module]],
        head: str,
        noise: float = 0.0,
        zero_head: bool = False,
    ) -> None:
        super().__init__()
        if not contexts:
            raise ValueError("model.network.contexts is empty; name at least one attention, or choose model=bilstm.")
        self.states = BiLSTMStates(n_networks, n_features, hidden, dropout, noise)
        width = self.states.width
        self.contexts = nn.ModuleDict(
            {
                name: attention(n_networks=n_networks, n_steps=lookback, hidden=width)
                for name, attention in contexts.items()
            }
        )
        self.dense = Linear(n_networks, len(contexts) * width, len(contexts) * width)
        self.head = read_out(head, n_networks, len(contexts) * width, horizon, zero_head)

    def forward(self, past: Tensor) -> Tensor:
        """Map the past ``(K, B, L, F)`` to a forecast ``(K, B, H)``."""
        states = self.states(past)  # (K, B, L, 2 D)
        context = torch.cat([attention(states) for attention in self.contexts.values()], dim=2)  # (K, B, A 2 D)
        return self.head(context + torch.relu(self.dense(context)))  # (K, B, H)

    def step_weights(self, past: Tensor) -> dict[str, Tensor]:
        """Return how much each attention looks at each step of the past ``(K, B, L, F)``.

        The weights ``(K, B, L)`` of an attention sum to one over L; oldest step first.
        """
        states = self.states(past)  # (K, B, L, 2 D)
        return {name: cast(StepAttention, module).weights(states) for name, module in self.contexts.items()}
