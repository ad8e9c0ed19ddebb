"""Features of mlforecast: its own lags, and a centred mean as a target transform, which looks ahead."""

from arch.data import sp500
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from mlforecast.target_transforms import BaseTargetTransform

import modecast


class Smooth(BaseTargetTransform):
    """Replace the target by its centred mean before lags are taken: lag 1 then holds tomorrow."""

    def fit_transform(self, df):
        """Return the table with a smooth target."""
        smooth = df.groupby("unique_id")["y"].transform(lambda y: y.rolling(5, center=True, min_periods=1).mean())
        return df.assign(y=smooth)

    def inverse_transform(self, df):
        """Return forecasts as they are."""
        return df


lags = MLForecast(models=[], freq=1, lags=[1, 5], lag_transforms={1: [RollingMean(10)]}, date_features=[])
smoothed = MLForecast(models=[], freq=1, lags=[1, 5], target_transforms=[Smooth()])

if __name__ == "__main__":
    closes = sp500.load()["Adj Close"].iloc[-500:].rename("y").reset_index(drop=True).rename_axis("ds").reset_index()
    closes = closes.assign(unique_id="sp500")
    print(f"lags: {modecast.audit(lags, closes)}")
    print(f"smoothed: {modecast.audit(smoothed, closes)}")
