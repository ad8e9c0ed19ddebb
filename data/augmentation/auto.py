"""Synthetic windows that have to earn their place."""

from data.contracts import Augmentation, Batch


class Auto:
    """Keep the windows of another augmentation only if validation gains by them.

    Whether it does takes two fits, one without and one with them, which is the pipeline's business;
    this class says which augmentation is on trial, and makes its windows.

    Parameters
    ----------
    inner : Augmentation
        The one on trial.
    """

    def __init__(self, inner: Augmentation) -> None:
        self.inner = inner

    @property
    def covariates(self) -> bool:
        """Whether the windows on trial have covariates."""
        return self.inner.covariates

    @property
    def fewest(self) -> int:
        """Windows that the one on trial needs."""
        return self.inner.fewest

    def samples(self, train: Batch, n_conditions: int, seed: int) -> Batch:
        """Return the windows on trial."""
        return self.inner.samples(train, n_conditions, seed)
