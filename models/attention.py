"""Attention over every place of a map of hidden states."""

from torch import Tensor, nn

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
        query = self.query(states[:, :, -1:])                                         # (K, B, 1, D)
        scores = self.score[:, None, None] * tanh(query + self.key(states))       # (K, B, T, D)
        return scores.flatten(2).softmax(dim=2).unflatten(2, states.shape[2:])        # (K, B, T, D)

    def forward(self, states: Tensor) -> Tensor:
        """Map hidden states ``(K, B, T, D)`` to the weighted map times T D, ``(K, B, T, D)``."""
        n_positions = states.shape[2] * states.shape[3]
        return n_positions * self.weights(states) * states
