"""A model that learns nothing, in whose place the audit makes what stands before a model."""

from typing import ClassVar

from models.model import Needs
from models.naive import NoMove


class Nobody(NoMove):
    """Forecast zero from scaled windows, whatever they are.

    Parameters
    ----------
    label : str
        What tables call the model.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.
    """

    needs: ClassVar[Needs] = Needs(scaled=True, gradients=False, chance=False, state=True)
