"""Autoencoder of paper 2, trained by any optimiser, among them one that adapts its own learning rate.

Shapes
------
B batch, F feature, D code
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from data.contracts import FloatArray
from models.chunks import in_chunks
from models.meta_optimizer import MetaOptimizer

JUDGED = 1024  # most rows, evenly spaced, that the validation loss of an epoch is of


class AutoencoderNetwork(nn.Module):
    """Fully connected layers down to the code and, mirrored, back.

    Each hidden layer is followed by batch normalisation and LeakyReLU; code and output are linear.

    Parameters
    ----------
    n_features : int
        F.
    hidden : sequence of int
        Units of the encoder's hidden layers.
    code : int
        D.
    """

    def __init__(self, n_features: int, hidden: Sequence[int], code: int) -> None:
        super().__init__()
        self.encoder = _layers([n_features, *hidden, code])
        self.decoder = _layers([code, *reversed(hidden), n_features])

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(B, F)`` to its reconstruction ``(B, F)``."""
        return self.decoder(self.encoder(rows))


class MetaAutoencoder:
    """Learn a code from which standardised features can be told again.

    Loss: mean squared error of the reconstruction + penalty * sum of all squared weights.  The weights
    kept are those of the epoch with the least reconstruction error on the validation rows.  Rows of
    neighbouring cycles are nearly the same, so an epoch draws some of them only.

    The rows for validation are also what ``MetaOptimizer`` judges its rates by, as in the paper; they
    should be cells that take no part in any judgement later.

    Everything runs on one thread: sums that are split among threads would make the code depend on their
    number.

    Parameters
    ----------
    optimizer : callable (parameters) -> Optimizer
        An optimiser of torch, or ``MetaOptimizer``.
    hidden : sequence of int
        Units of the encoder's hidden layers; the decoder mirrors them.
    code : int
        D.
    penalty : float
        lambda, price of the squared weights.
    epochs, patience : int
        Most epochs, and how many without a gain end the training.
    rows, batch_size : int
        Rows drawn in an epoch, and of these in a step.

    Raises
    ------
    ValueError
        Naming every setting that cannot work.
    """

    def __init__(
        self,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        hidden: Sequence[int] = (1024, 512),
        code: int = 8,
        penalty: float = 1e-6,
        epochs: int = 20,
        patience: int = 5,
        rows: int = 2048,
        batch_size: int = 128,
    ) -> None:
        sizes = {"code": code, "epochs": epochs, "patience": patience, "rows": rows, "hidden": min(hidden, default=1)}
        faults = [f"autoencoder.{name}={size} must be at least 1." for name, size in sizes.items() if size < 1]
        if batch_size < 2:
            faults.append(f"autoencoder.batch_size={batch_size} must be at least 2: a batch is normalised by itself.")
        if penalty < 0:
            faults.append(f"autoencoder.penalty={penalty} must not be negative.")
        if faults:
            raise ValueError("  ".join(faults))
        self.optimizer, self.hidden, self.code, self.penalty = optimizer, list(hidden), code, penalty
        self.epochs, self.patience, self.rows, self.batch_size = epochs, patience, rows, batch_size
        self.history: list[dict[str, float]] = []
        """An entry an epoch: ``epoch``, ``train/loss`` and ``val/loss`` (mean squared errors of the
        reconstruction), and of a ``MetaOptimizer`` ``eta`` and ``beta`` at its end."""
        self._network: AutoencoderNetwork | None = None

    def fit(self, train: FloatArray, validation: FloatArray, seed: int) -> "MetaAutoencoder":
        """Learn from standardised rows ``(n, F)``; those for validation ``(m, F)`` say when to stop.

        Raises
        ------
        ValueError
            If there are too few rows, or the loss leaves the numbers.
        """
        if len(train) < 2 or len(validation) < 2:
            raise ValueError(
                f"An autoencoder needs 2 rows to learn from and 2 for validation; there are {len(train)} and "
                f"{len(validation)}.  Give more cells or change codes.validation."
            )
        with _one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = AutoencoderNetwork(train.shape[1], self.hidden, self.code)
            draw = np.random.default_rng(seed)
            self.history = self._train(network, _tensor(train), _tensor(validation), draw)
        self._network = network.eval()
        return self

    def encode(self, rows: FloatArray) -> FloatArray:
        """Map standardised rows ``(n, F)`` to codes ``(n, D)``; that of a row does not depend on the others."""
        return _applied(self._fitted().encoder, rows)

    def reconstruct(self, rows: FloatArray) -> FloatArray:
        """Map standardised rows ``(n, F)`` to what their codes tell of them, ``(n, F)``."""
        return _applied(self._fitted(), rows)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights."""
        return {name: weight.numpy().copy() for name, weight in self._fitted().state_dict().items()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> "MetaAutoencoder":
        """Take the weights of an earlier fit.

        Raises
        ------
        ValueError
            If they are of another network.
        """
        network = AutoencoderNetwork(state["encoder.0.weight"].shape[1], self.hidden, self.code)
        try:
            network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
        except RuntimeError as error:
            raise ValueError(
                f"The weights are not of an autoencoder with hidden={self.hidden} and code={self.code}: {error}"
            ) from None
        self._network = network.eval()
        return self

    def _fitted(self) -> AutoencoderNetwork:
        if self._network is None:
            raise ValueError("The autoencoder has learned nothing yet.  Call fit or load_state first.")
        return self._network

    def _train(
        self, network: AutoencoderNetwork, train: Tensor, validation: Tensor, draw: np.random.Generator
    ) -> list[dict[str, float]]:
        """Leave the best weights in the network, and return what each epoch came to."""
        optimizer = self.optimizer(network.parameters())
        judged = validation[np.linspace(0, len(validation) - 1, min(len(validation), JUDGED)).astype(int)]
        best, since, weights = np.inf, 0, _copy(network)
        history: list[dict[str, float]] = []
        for epoch in range(self.epochs):
            network.train()
            error = self._epoch(network, optimizer, train, validation, draw)
            network.eval()
            with torch.no_grad():
                held_out = float(_error(network, judged))
            if not np.isfinite(error + held_out):
                raise ValueError(
                    f"The loss of the autoencoder is no number in epoch {epoch}.  Standardise its inputs, or lower "
                    f"the learning rate of autoencoder.optimizer."
                )
            rates = {"eta": optimizer.eta, "beta": optimizer.beta} if isinstance(optimizer, MetaOptimizer) else {}
            history.append({"epoch": epoch, "train/loss": error, "val/loss": held_out, **rates})
            since += 1
            if held_out < best:
                best, since, weights = held_out, 0, _copy(network)
            if since == self.patience:
                break
        network.load_state_dict(weights)
        return history

    def _epoch(
        self,
        network: AutoencoderNetwork,
        optimizer: Optimizer,
        train: Tensor,
        validation: Tensor,
        draw: np.random.Generator,
    ) -> float:
        """Take a step a batch and return the mean error of the reconstruction before each."""
        drawn = draw.permutation(len(train))[: self.rows]
        total = 0.0
        for rows in np.array_split(drawn, -(-drawn.size // self.batch_size)):
            optimizer.zero_grad()
            error = _error(network, train[rows])
            error.backward()
            self._penalise([p.grad for p in network.parameters() if p.grad is not None], network)
            if isinstance(optimizer, MetaOptimizer):
                some = validation[draw.permutation(len(validation))[: self.batch_size]]
                optimizer.adapt(self._validation_gradient(network, some))
            optimizer.step()
            total += float(error.detach()) * rows.size
        return total / drawn.size

    def _validation_gradient(self, network: AutoencoderNetwork, rows: Tensor) -> list[Tensor]:
        """Return the gradient of the validation loss by each parameter.

        The batch is normalised by itself, as in training; the running means and variances of the
        normalisation, which belong to the training rows, go to a copy.
        """
        copies = {name: buffer.clone() for name, buffer in network.named_buffers()}
        error = (functional_call(network, copies, (rows,)) - rows).square().mean()
        gradients = list(torch.autograd.grad(error, list(network.parameters())))
        self._penalise(gradients, network)
        return gradients

    @torch.no_grad()
    def _penalise(self, gradients: Sequence[Tensor], network: nn.Module) -> None:
        """Add the gradient of the penalty, 2 lambda theta, which needs no graph."""
        for gradient, parameter in zip(gradients, network.parameters(), strict=True):
            gradient.add_(parameter, alpha=2 * self.penalty)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _layers(widths: Sequence[int]) -> nn.Sequential:
    *inner, last = [nn.Linear(n, m) for n, m in pairwise(widths)]
    blocks = [[linear, nn.BatchNorm1d(linear.out_features), nn.LeakyReLU()] for linear in inner]
    return nn.Sequential(*(layer for block in blocks for layer in block), last)


def _error(network: nn.Module, rows: Tensor) -> Tensor:
    return (network(rows) - rows).square().mean()


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _applied(network: nn.Module, rows: FloatArray) -> FloatArray:
    """Map rows ``(n, F)``, rounded to single precision as in training, to outputs ``(n, ...)``."""
    exact = copy.deepcopy(network).double()

    def outputs(chunk: FloatArray) -> FloatArray:
        with torch.inference_mode():
            found: Tensor = exact(_tensor(chunk).double())
        return found.numpy()

    with _one_thread():
        return in_chunks(outputs, rows)


def _tensor(rows: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
