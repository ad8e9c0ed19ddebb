"""A conditional Wasserstein GAN with gradient penalty (Gulrajani et al., 2017) for rows of numbers.

Shapes
------
n row, D width of a row, K condition, B batch, Z noise
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from data.contracts import FloatArray, IntArray, TooFewWindows

WIDTHS = (0.25, 1.0, 4.0)
"""Kernels of the discrepancy: their squared widths over the median squared distance of real rows."""
MIN_ROWS = 20
"""Fewer rows cannot be learnt from and watched at once."""
WATCHED = 500
"""Most held-out rows that are compared with generated ones."""


class Check(NamedTuple):
    """How far the training was when it was looked at."""

    step: int
    """Of the generator."""
    critic_loss: float
    """Of the last batch: Wasserstein estimate, negative, and weighted penalty."""
    mmd: float
    """Squared maximum mean discrepancy of generated and held-out rows."""


class ConditionalWganGP:
    """Learn the rows that belong to a condition, and draw new ones.

    Both networks are dense with leaky rectifiers and see the condition beside their input; the critic has
    no batch normalisation, because the penalty is of each row alone.  Rows are standardised within and, below a
    ``variance`` of 1, learnt by their principal components: steps of a window hang together, and numbers that are
    drawn one by one are rougher than a real window is.  Of
    every condition a share is held out: the discrepancy between those rows and generated ones is watched,
    the weights at its smallest are kept, and training stops when it has not fallen for long.  The two
    networks circle about their balance rather than settle in it, so the last weights are seldom the best.

    Training runs on one thread and draws from generators of its own: the same seed gives the same rows
    whatever the number of threads, and no other random number changes.

    Parameters
    ----------
    noise : int
        Z, width of the noise a row is made from.
    hidden : sequence of int
        Units of the hidden layers of either network.
    batch_size : int
        B [rows].
    epochs : int
        Passes of the critic over the rows: at most ``epochs * n / (batch_size * critic_steps)`` generator steps.
    max_steps : int or None
        Most generator steps, whatever the epochs; None for no such limit.
    critic_steps : int
        Steps of the critic for each of the generator.
    penalty : float
        Weight of the gradient penalty.
    lr : float
        Learning rate of Adam.
    betas : sequence of float
        Decay of Adam's two moments.
    held_out : float
        Share of the rows of each condition that is watched and not learnt from [fraction].
    check_every : int
        Generator steps between two looks.
    patience : int
        Looks without a smaller discrepancy after which training stops.
    variance : float
        Share of the variance of standardised rows that their principal components keep [fraction]; what they leave
        out is not drawn.  1: rows are learnt number by number.

    Raises
    ------
    ValueError
        If a setting cannot work; all faults at once.
    """

    fewest: ClassVar[int] = MIN_ROWS

    def __init__(
        self,
        noise: int,
        hidden: Sequence[int],
        batch_size: int,
        epochs: int,
        max_steps: int | None,
        critic_steps: int,
        penalty: float,
        lr: float,
        betas: Sequence[float],
        held_out: float,
        check_every: int,
        patience: int,
        variance: float = 1.0,
    ) -> None:
        counts = {
            "noise": noise,
            "batch_size": batch_size,
            "epochs": epochs,
            "critic_steps": critic_steps,
            "check_every": check_every,
            "patience": patience,
            "max_steps": 1 if max_steps is None else max_steps,
        }
        faults = [f"generator.{name}={count} must be at least 1." for name, count in counts.items() if count < 1]
        if not hidden or min(hidden) < 1:
            faults.append(f"generator.hidden={list(hidden)} must name at least one layer, each of at least 1 unit.")
        if not penalty >= 0:
            faults.append(f"generator.penalty={penalty} must not be negative.")
        if not lr > 0:
            faults.append(f"generator.lr={lr} must be above 0.")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            faults.append(f"generator.betas={list(betas)} must be two numbers from 0 to below 1.")
        if not 0 < held_out <= 0.5:
            faults.append(f"generator.held_out={held_out} must be above 0 and at most 0.5.")
        if not 0 < variance <= 1:
            faults.append(f"generator.variance={variance} must be above 0 and at most 1.")
        if faults:
            raise ValueError("  ".join(faults))
        self.noise, self.hidden = noise, list(hidden)
        self.batch_size, self.epochs, self.max_steps = batch_size, epochs, max_steps
        self.critic_steps, self.penalty = critic_steps, penalty
        self.lr, self.betas = lr, (betas[0], betas[1])
        self.held_out, self.check_every, self.patience, self.variance = held_out, check_every, patience, variance
        self.history: list[Check] = []
        """One record a look, of the last fit."""
        self._generator: nn.Module | None = None
        self._mean = self._deviation = np.empty(0)  # (D,)
        self._axes: FloatArray | None = None  # (P, D) principal components, each times its deviation
        self._known = np.empty((0, 0))  # (conditions, K)

    def fit(self, rows: FloatArray, conditions: FloatArray, seed: int) -> "ConditionalWganGP":
        """Learn from rows ``(n, D)`` and their conditions ``(n, K)``, K = 0 for none, from the start.

        Raises
        ------
        TooFewWindows
            If there are too few rows.
        ValueError
            If they are not finite or not one for each condition, or the training diverges.
        """
        _check_rows(rows, conditions)
        self._mean, self._deviation = rows.mean(axis=0), rows.std(axis=0)
        # A quantity that never moves, but for rounding, is always drawn as its mean.
        self._deviation = np.where(self._deviation > 1e-9 * np.abs(rows).max(axis=0), self._deviation, 0.0)
        standardised = (rows - self._mean) / np.where(self._deviation > 0, self._deviation, 1.0)
        self._axes = None
        if self.variance < 1:
            standardised, self._axes = _principal(standardised, self.variance)
        self._known, condition = np.unique(conditions, axis=0, return_inverse=True)
        learnt, watched = _divided(condition.ravel(), self.held_out, np.random.default_rng(seed))
        if len(watched) < 2:
            raise TooFewWindows(
                f"generator.held_out={self.held_out} of {len(rows)} rows with {len(self._known)} conditions leaves "
                f"{len(watched)} to watch, but two are needed.  Give more training windows or raise it."
            )
        with _one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._generator = self._trained(
                _tensor(standardised[learnt]),
                _tensor(conditions[learnt]),
                standardised[watched],
                conditions[watched],
                condition.ravel()[watched],
            )
        return self

    def sample(self, conditions: FloatArray, seed: int) -> FloatArray:
        """Return a new row ``(m, D)`` for each condition ``(m, K)``.

        Raises
        ------
        ValueError
            If nothing was learnt, of these conditions or at all.
        """
        if self._generator is None:
            raise ValueError("Nothing was learnt yet: call fit before sample.")
        if conditions.ndim != 2 or conditions.shape[1] != self._known.shape[1]:
            raise ValueError(f"Conditions {conditions.shape} were given, but (m, {self._known.shape[1]}) were learnt.")
        unknown = ~(conditions[:, None] == self._known).all(axis=2).any(axis=1)
        if unknown.any():
            raise ValueError(
                f"Condition {conditions[unknown][0].tolist()} was in no row that was learnt from.  Ask for those "
                f"that were: {self._known.tolist()}."
            )
        noise = torch.randn(len(conditions), self.noise, generator=torch.Generator().manual_seed(seed))
        with _one_thread():
            drawn = _generated(self._generator, noise, _tensor(conditions))  # (m, D), or (m, P)
            if self._axes is not None:
                with threadpool_limits(1):
                    drawn = drawn @ self._axes
        return self._mean + self._deviation * drawn

    def _trained(
        self, rows: Tensor, given: Tensor, watched: FloatArray, asked: FloatArray, condition: IntArray
    ) -> nn.Module:
        """Return the generator at its smallest discrepancy."""
        (n_rows, width), n_conditions = rows.shape, given.shape[1]
        generator = _dense(self.noise + n_conditions, self.hidden, width)
        critic = _dense(width + n_conditions, self.hidden, 1)
        adam_g = torch.optim.Adam(generator.parameters(), self.lr, betas=self.betas, fused=True)
        adam_c = torch.optim.Adam(critic.parameters(), self.lr, betas=self.betas, fused=True)
        noise_watched, asked_watched = torch.randn(len(watched), self.noise), _tensor(asked)
        gamma = inverse_width(watched)

        n_steps = max(1, self.epochs * n_rows // (self.batch_size * self.critic_steps))
        n_steps = n_steps if self.max_steps is None else min(n_steps, self.max_steps)
        best, kept, idle = np.inf, {}, 0
        self.history = []
        for step in range(1, n_steps + 1):
            critic.requires_grad_(True)
            for _ in range(self.critic_steps):
                batch = torch.randint(n_rows, (self.batch_size,))
                real, condition_of_real = rows[batch], given[batch]  # (B, D), (B, K)
                noise = torch.randn(self.batch_size, self.noise)
                with torch.no_grad():
                    fake = generator(torch.cat([noise, condition_of_real], dim=1))
                scores = critic(torch.cat([torch.cat([real, fake]), condition_of_real.repeat(2, 1)], dim=1))
                real_score, fake_score = scores.chunk(2)  # (B, 1) each
                mix = torch.rand(self.batch_size, 1)
                steep = gradient_penalty(critic, real, fake, condition_of_real, mix)
                critic_loss = fake_score.mean() - real_score.mean() + self.penalty * steep
                adam_c.zero_grad()
                critic_loss.backward()
                adam_c.step()
            critic.requires_grad_(False)  # it only judges
            wanted = given[torch.randint(n_rows, (self.batch_size,))]
            fake = generator(torch.cat([torch.randn(self.batch_size, self.noise), wanted], dim=1))
            adam_g.zero_grad()
            (-critic(torch.cat([fake, wanted], dim=1)).mean()).backward()
            adam_g.step()

            if step % self.check_every == 0 or step == n_steps:
                drawn = _generated(generator, noise_watched, asked_watched)
                mmd = _mmd_by_condition(watched, drawn, condition, gamma)
                self.history.append(Check(step, critic_loss.item(), mmd))
                if mmd < best:
                    best, idle = mmd, 0
                    kept = {name: value.clone() for name, value in generator.state_dict().items()}
                else:
                    idle += 1
                if idle == self.patience:
                    break
        generator.load_state_dict(kept)
        return generator


def _principal(rows: FloatArray, variance: float) -> tuple[FloatArray, FloatArray]:
    """Map centred rows ``(n, D)`` to P components of deviation 1, ``(n, P)``, and return the axes ``(P, D)`` as well.

    Components times axes are the rows, but for what the first P components leave out.
    """
    with threadpool_limits(1):  # whose last bits do not depend on how many threads there are
        left, size, right = np.linalg.svd(rows, full_matrices=False)
    share = np.cumsum(size**2) / max(float(np.square(size).sum()), np.finfo(np.float64).tiny)
    n_kept = int(np.searchsorted(share, variance)) + 1
    spread = size[:n_kept] / np.sqrt(len(rows))  # (P,) deviation of each component
    return left[:, :n_kept] * np.sqrt(len(rows)), spread[:, None] * right[:n_kept]


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, conditions: Tensor, mix: Tensor
) -> Tensor:
    """Return how far the critic is from a slope of 1 between real and generated rows.

    Mean of ``(|gradient| - 1)^2`` at ``mix * real + (1 - mix) * fake`` (Gulrajani et al., 2017, equation 3); the
    slope is that along the row, not along the condition.

    Parameters
    ----------
    critic : callable
        Maps ``(B, D + K)`` to ``(B, 1)``.
    real, fake : Tensor
        ``(B, D)``.
    conditions : Tensor
        ``(B, K)``, of either.
    mix : Tensor
        ``(B, 1)``, from 0 to 1.
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    scores = critic(torch.cat([between, conditions], dim=1))
    (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)  # (B, D)
    return (torch.linalg.vector_norm(slope, dim=1) - 1).square().mean()


def inverse_width(rows: FloatArray) -> float:
    """Return 1 over the median squared distance of different rows ``(n, D)``: the gamma of a Gaussian kernel."""
    squared = euclidean_distances(rows, squared=True)[np.triu_indices(len(rows), 1)]
    typical = float(np.median(squared))
    return 1.0 / typical if typical > 0 else 1.0


def squared_mmd(real: FloatArray, synthetic: FloatArray, gamma: float) -> float:
    """Return the squared maximum mean discrepancy of two samples (Gretton et al., 2012, equation 5).

    Never negative and 0 for equal samples; of different samples of one distribution it is about
    ``1 / n + 1 / m``.  Mean over Gaussian kernels of the widths ``WIDTHS``.

    Parameters
    ----------
    real, synthetic : FloatArray
        ``(n, D)`` and ``(m, D)``.
    gamma : float
        That of the middle kernel ``exp(-gamma |x - y|^2)``.
    """
    discrepancies = [
        rbf_kernel(real, gamma=gamma / width).mean()
        + rbf_kernel(synthetic, gamma=gamma / width).mean()
        - 2 * rbf_kernel(real, synthetic, gamma=gamma / width).mean()
        for width in WIDTHS
    ]
    return max(float(np.mean(discrepancies)), 0.0)


def _mmd_by_condition(real: FloatArray, drawn: FloatArray, condition: IntArray, gamma: float) -> float:
    """Return the mean discrepancy over the conditions: rows of the wrong condition count as wrong.

    Raises
    ------
    ValueError
        If what was drawn is not finite.
    """
    if not np.isfinite(drawn).all():
        raise ValueError(
            "The generator diverged: it draws numbers that are not finite.  Lower generator.lr or raise "
            "generator.penalty."
        )
    clusters = [condition == cluster for cluster in np.unique(condition)]
    return float(np.mean([squared_mmd(real[own], drawn[own], gamma) for own in clusters]))


def _dense(n_inputs: int, hidden: Sequence[int], n_outputs: int) -> nn.Sequential:
    """Return a network ``(B, n_inputs) -> (B, n_outputs)``."""
    layers: list[nn.Module] = []
    for width_in, width_out in zip([n_inputs, *hidden], hidden, strict=False):
        layers += [nn.Linear(width_in, width_out), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], n_outputs))


def _generated(generator: nn.Module, noise: Tensor, conditions: Tensor) -> FloatArray:
    with torch.no_grad():
        drawn: Tensor = generator(torch.cat([noise, conditions], dim=1))
    return drawn.numpy().astype(np.float64)


def _divided(condition: IntArray, share: float, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return the rows to learn from and those to watch; every condition has both, if it has two rows."""
    learnt, watched = [], []
    for cluster in np.unique(condition):
        own = rng.permutation(np.flatnonzero(condition == cluster))
        n_watched = min(max(1, round(share * len(own))), len(own) - 1)
        watched.append(own[:n_watched])
        learnt.append(own[n_watched:])
    everything = rng.permutation(np.concatenate(watched))
    return np.sort(np.concatenate(learnt)), np.sort(everything[:WATCHED])


def _check_rows(rows: FloatArray, conditions: FloatArray) -> None:
    if rows.ndim != 2 or conditions.ndim != 2 or len(rows) != len(conditions):
        raise ValueError(
            f"Rows {rows.shape} and conditions {conditions.shape} were given, but (n, D) and (n, K) are needed."
        )
    if len(rows) < MIN_ROWS:
        raise TooFewWindows(
            f"{len(rows)} rows were given, but the generator needs at least {MIN_ROWS} to learn from and to watch.  "
            f"Give more training windows, or choose augmentation=gaussian, jitter or mixup."
        )
    if not (np.isfinite(rows).all() and np.isfinite(conditions).all()):
        raise ValueError("Rows and conditions must be finite: the generator would learn to draw what is not.")


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and with one the last bits are always the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
