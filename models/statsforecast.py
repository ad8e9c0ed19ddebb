"""Exponential smoothing, Theta and ARIMA of the package statsforecast, chosen and fitted by series.

Shapes
------
n window, L lookback, H horizon, C component
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.contracts import SERIES, FloatArray
from models.model import Inputs, Needs, State
from models.naive import summed
from models.peers import require
from models.seasonal import AUTO, find_season, series_of

NAMES = ("AutoARIMA", "AutoETS", "AutoTheta")


class StatsForecast:
    """Fit one statistical model a series on its training rows, and forecast from each origin without fitting again.

    Order and parameters come from the training rows alone.  At each origin the fitted model is applied to the last
    ``memory`` steps up to it, which gives its states there, and forecasts from these.  Level, slope and season at the
    beginning of these steps are those the package begins a fit with: what was fitted holds at the beginning of the
    training rows alone.

    Parameters
    ----------
    label : str
        What tables call the model.
    name : str
        ``AutoETS`` (Hyndman et al., 2002), ``AutoTheta`` (Fiorucci et al., 2016) or ``AutoARIMA`` (Hyndman and
        Khandakar, 2008).
    season : int, str or None
        Of the series [steps]; ``auto`` finds it in the training rows, None is none.
    memory : int
        What the model looks back upon at an origin [steps].
    most : int or None
        Training rows it is fitted on, the latest of each series; None takes all.
    settings : mapping
        Further arguments of the statsforecast class.
    n_components, lookback, horizon : int
        C, L [steps] and H [steps]; given by the data.

    Raises
    ------
    ValueError
        If there is no such model.
    """

    needs: ClassVar[Needs] = Needs(scaled=False, gradients=False, chance=False, state=False, kinds=(SERIES,))
    component: None = None

    def __init__(
        self,
        label: str,
        name: str,
        season: int | str | None,
        memory: int,
        most: int | None,
        settings: Mapping[str, Any],
        n_components: int,
        lookback: int,
        horizon: int,
    ) -> None:
        if name not in NAMES:
            raise ValueError(f"model.name={name} is not known; it is one of {', '.join(NAMES)}.")
        self.label, self.name, self.season, self.memory, self.most = label, name, season, memory, most
        self.settings = dict(settings)
        self.horizon = horizon
        self._fitted: dict[str, Any] = {}

    def applies(self, train: pd.DataFrame, test: pd.DataFrame) -> bool:
        """Say whether every series that is tested can be learnt from.

        Raises
        ------
        ImportError
            If the package is not installed.
        """
        require("statsforecast")
        return set(test["unique_id"]) <= set(train["unique_id"])

    def fit(self, train: Inputs, validation: Inputs) -> None:
        """Choose and fit a model for every series by its training rows."""
        require("statsforecast")
        from statsforecast import models  # seconds to import

        kind = {"AutoARIMA": models.AutoARIMA, "AutoETS": models.AutoETS, "AutoTheta": models.AutoTheta}[self.name]
        found = find_season(series_of(train.rows)) if self.season == AUTO else self.season
        names = train.rows["unique_id"].drop_duplicates()
        for name, series in zip(names, series_of(train.rows), strict=True):
            own = series if self.most is None else series[-self.most :]
            self._fitted[str(name)] = kind(season_length=found or 1, **self.settings).fit(own)

    def predict(self, inputs: Inputs) -> FloatArray:
        """Return forecasts ``(n, H)`` in the unit of ``y``.

        Raises
        ------
        ValueError
            If it was not fitted: its parameters are kept in no file.
        """
        if not self._fitted:
            raise ValueError(f"{self.label} is fitted with its run and kept in no file; train it again.")
        pasts = summed(inputs.windows.past)  # (n, L)
        forecast = np.empty((len(pasts), self.horizon))
        for n, (name, past) in enumerate(zip(inputs.rows["unique_id"], pasts, strict=True)):
            forecast[n] = APPLIED[self.name](self._fitted[str(name)], np.ascontiguousarray(past), self.horizon)
        return forecast

    def state(self) -> State:
        """Return nothing: orders and parameters are objects of the package (``needs.state``)."""
        return {}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Refuse: nothing was kept."""
        raise ValueError(f"{self.label} is kept in no file; train it again.")


def _arima(fitted: Any, past: FloatArray, horizon: int) -> FloatArray:
    """Apply an ARIMA to a past ``(L,)`` and forecast ``(H,)``."""
    found: FloatArray = fitted.forward(y=past, h=horizon)["mean"]
    return found


def _ets(fitted: Any, past: FloatArray, horizon: int) -> FloatArray:
    """Apply exponential smoothing to a past ``(L,)``, whose season begins anywhere, and forecast ``(H,)``."""
    from statsforecast import ets

    kept = fitted.model_
    _, trend, season, _ = kept["components"]
    begin = ets.initstate(past, kept["m"], trend, season)  # level, slope, all but one of the season
    if season != "N":
        whole = kept["m"] if season == "M" else 0.0
        begin = np.r_[begin, whole - begin[1 + (trend != "N") :].sum()]
    there = ets.forward_ets(kept | {"par": np.r_[kept["par"][:4], begin]}, past)
    found: FloatArray = ets.forecast_ets(there, h=horizon)["mean"]
    return found


def _theta(fitted: Any, past: FloatArray, horizon: int) -> FloatArray:
    """Apply the Theta model to a past ``(L,)``, whose level is found anew, and forecast ``(H,)``."""
    from statsforecast import theta

    kept = fitted.model_
    there = theta.auto_theta(
        y=past,
        m=kept["m"],
        model=kept["modeltype"],
        alpha=kept["par"]["alpha"],
        theta=kept["par"]["theta"],
        decomposition_type=fitted.decomposition_type,
    )
    found: FloatArray = theta.forecast_theta(there, horizon)["mean"]
    return found


APPLIED: Mapping[str, Callable[[Any, FloatArray, int], FloatArray]] = {
    "AutoARIMA": _arima,
    "AutoETS": _ets,
    "AutoTheta": _theta,
}
"""How the fitted model of each name is applied to another past, its parameters as they are."""
