"""Attention over hidden states: over every place of their map, over steps, over segments of steps."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from models.layers import Linear, tanh, uniform


class MapAttention(nn.Module):
    """Weigh every position (t, d) of the hidden map against all others (paper 1, equations 14-16).

    The paper writes ``S = v . tanh(W_q Q + W_k h)`` with v as wide as the hidden state (14), asks
    for one weight per position (t, d), summing to one over the whole map (15), and reads the
    weighted map ``C = A * h`` through a dense layer (16 and the text below it).  An inner product
    with v would leave one score a step, so v must multiply channel by channel:

        s[t, d] = v[d] tanh(W_q Q + W_k h[t])[d]
        a[t, d] = exp(s[t, d]) / sum over all t', d' of exp(s[t', d'])
        c[t, d] = a[t, d] h[t, d]

    Summed over d, s is the additive score of step t.  The query Q is the last hidden state.

    Weights that sum to one over T D positions make the map T D times smaller than the states, and
    a dense layer would need as many times more steps of the optimiser to grow by as much.  So the
    map is handed on times T D: even weights leave the states as they are.  The dense layer that
    follows can express what it could before.

    Shapes
    ------
    K network, B batch, T time, D hidden

    Parameters
    ----------
    n_networks, hidden : int
        K, D.
    """

    def __init__(self, n_networks: int, hidden: int) -> None:
        super().__init__()
        self.query = Linear(n_networks, hidden, hidden, bias=False)
        self.key = Linear(n_networks, hidden, hidden, bias=False)
        self.score = uniform(n_networks, hidden, fan_in=hidden)

    def weights(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to weights ``(K, B, T, D)`` that sum to one."""
        query = self.query(states[:, :, -1:])  # (K, B, 1, D)
        scores = self.score[:, None, None] * tanh(query + self.key(states))  # (K, B, T, D)
        return scores.flatten(2).softmax(dim=2).unflatten(2, states.shape[2:])  # (K, B, T, D)

    def forward(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to the weighted map times T D, ``(K, B, T, D)``."""
        n_positions = states.shape[2] * states.shape[3]
        return n_positions * self.weights(states) * states


class StepAttention(Protocol):
    """Sum the states of all steps to one context, with weights that can be read.

    K network, B batch, T time, D hidden
    """

    def weights(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to weights ``(K, B, T)`` that sum to one over T."""
        ...

    def __call__(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to their context ``(K, B, D)``."""
        ...


class AdaptiveAttention(nn.Module):
    """Sum the states of all steps, each with a weight that follows from it (paper 2).

        score[t] = tanh(W h[t] + b),  alpha = softmax over t of v . score[t],  c = sum of alpha[t] h[t]

    Shapes
    ------
    K network, B batch, T time, D hidden

    Parameters
    ----------
    n_networks, n_steps, hidden : int
        K, T and D; any T will do.
    """

    def __init__(self, n_networks: int, n_steps: int, hidden: int) -> None:
        super().__init__()
        self.dense = Linear(n_networks, hidden, hidden)
        self.score = uniform(n_networks, hidden, fan_in=hidden)

    def weights(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to weights ``(K, B, T)`` that sum to one over T."""
        scores = tanh(self.dense(states)) * self.score[:, None, None]  # (K, B, T, D)
        scores = scores.sum(dim=3, keepdim=True)  # (K, B, T, 1)
        # Over a last axis, the last bits of the gradient of softmax would depend on the number of threads.
        return scores.softmax(dim=2).squeeze(3)  # (K, B, T)

    def forward(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to their context ``(K, B, D)``."""
        return (self.weights(states)[..., None] * states).sum(dim=2)  # (K, B, D)


class HierarchicalAttention(nn.Module):
    """Weigh features within segments of steps, then the segments (paper 2).

    The paper describes it in words alone: a second level on the first that captures relations between
    features and between segments of the sequence.  It is read as attention of two levels (Yang et al.,
    2016) whose first gives every feature weights of its own (Shen et al., 2018):

        a[t, d] = softmax over the steps t of a segment of v[d] tanh(W h[t] + b)[d]
        m[s, d] = sum over the steps of segment s of a[t, d] h[t, d]
        c = adaptive attention over the summaries m[s] in place of states

    Features are related by W, which lets all of them speak for the weight of each; segments by the
    softmax of the second level, in which they compete.  Segments are counted from the end: where T is
    no multiple of their length, the oldest is shorter.

    Shapes
    ------
    K network, B batch, T time, S segment, P steps of a segment, D hidden

    Parameters
    ----------
    n_networks, n_steps, hidden : int
        K, T and D.
    segment : int
        P [steps].

    Raises
    ------
    ValueError
        If one of the levels would have nothing to choose from.
    """

    def __init__(self, n_networks: int, n_steps: int, hidden: int, segment: int) -> None:
        super().__init__()
        if not 2 <= segment < n_steps:
            raise ValueError(
                f"segment={segment} leaves one level of the hierarchical attention nothing to choose from; it "
                f"must be at least 2 steps and less than lookback={n_steps}.  Change segment below "
                f"model.network.contexts, or lookback."
            )
        self.segment = segment
        self.dense = Linear(n_networks, hidden, hidden)
        self.score = uniform(n_networks, hidden, fan_in=hidden)
        self.between = AdaptiveAttention(n_networks, -(-n_steps // segment), hidden)

    def weights(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to weights ``(K, B, T)`` that sum to one over T.

        A step weighs what its segment does times its share of it, which is the mean over the features.
        """
        shares, summaries = self._within(states)
        of_segments = self.between.weights(summaries)[..., None]  # (K, B, S, 1)
        return (of_segments * shares.mean(dim=4)).flatten(2)[:, :, -states.shape[2] :]  # (K, B, T)

    def forward(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to their context ``(K, B, D)``."""
        _, summaries = self._within(states)
        return self.between(summaries)  # (K, B, D)

    def _within(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares ``(K, B, S, P, D)`` of the first level and the summaries ``(K, B, S, D)``."""
        scores = tanh(self.dense(states)) * self.score[:, None, None]  # (K, B, T, D)
        before = (0, 0, -states.shape[2] % self.segment, 0)  # steps that the oldest segment lacks
        split = (-1, self.segment)
        shares = pad(scores, before, value=-torch.inf).unflatten(2, split).softmax(dim=3)  # (K, B, S, P, D)
        return shares, (shares * pad(states, before).unflatten(2, split)).sum(dim=3)
