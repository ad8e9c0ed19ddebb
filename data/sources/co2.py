"""Weekly carbon dioxide over Mauna Loa, which ships with the dependency ``statsmodels``."""

import numpy as np
import pandas as pd

from data.contracts import FloatArray, Panel
from data.panel import validated
from data.remarks import remarked

YEAR = 52  # [weeks]


class CO2:
    """2284 weeks, 1958-03-29 .. 2001-12-29 [ppm]; needs no file and no network.

    59 weeks without a measurement are filled from what came before them alone, see ``filled``: a line between
    neighbours would tell a week what came after it.
    """

    def load(self) -> Panel:
        """Return the weekly means as one series."""
        from statsmodels.datasets import co2  # half a second to import

        measured = co2.load_pandas().data["co2"]
        y = measured.to_numpy(dtype=np.float64)
        gaps = int(np.isnan(y).sum())
        frame = pd.DataFrame({"unique_id": "CO2", "ds": measured.index.to_numpy(), "y": filled(y, YEAR)})
        panel = remarked(validated(frame, "CO2 at Mauna Loa", "ppm"))
        note = (
            f"{gaps} of {len(frame)} weeks were not measured: each takes the value of the week before plus the change "
            f"of a year ago, or that value alone in the first year."
        )
        return Panel(panel.frame, panel.name, panel.unit, notes=(note, *panel.notes))


def filled(series: FloatArray, season: int) -> FloatArray:
    """Return a series ``(time,)`` whose missing values are forecast one after another from what came before.

    y[t] = y[t - 1] + y[t - m] - y[t - m - 1], and y[t - 1] where no season is over.

    Parameters
    ----------
    series : array
        ``(time,)``; begins with a value.
    season : int
        m [steps].
    """
    whole = series.copy()
    for t in np.flatnonzero(np.isnan(series)):
        change = whole[t - season] - whole[t - season - 1] if t > season else 0.0
        whole[t] = whole[t - 1] + change
    return whole
