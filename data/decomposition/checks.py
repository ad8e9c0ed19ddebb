"""Check the settings of a decomposition, all at once."""

from data.decomposition._ensemble import BOUNDARIES, STOPS
from data.decomposition.alignment import ALIGNMENTS


def check_settings(
    n_components: int = 2,
    trials: int = 1,
    noise: float = 0.0,
    seed: int = 0,
    align: str = "period",
    stop: str = "huang",
    siftings: int = 1,
    boundary: str = "mirror",
    threads: int | None = None,
    max_modes: int = 1,
    noise_name: str = "epsilon",
) -> None:
    """Raise one error that names every setting that cannot work.

    Raises
    ------
    ValueError
        In the words of the configuration.
    """
    faults = [
        f"{name}={value!r} must be {wanted}."
        for name, value, wanted, right in (
            ("n_components", n_components, "at least 2: a mode and what is left", n_components >= 2),
            ("trials", trials, "at least 1", trials >= 1),
            (noise_name, noise, "a number that is not negative", 0 <= noise < float("inf")),
            ("seed", seed, "at least 0 and below 2**64", 0 <= seed < 2**64),
            ("align", align, f"one of {', '.join(ALIGNMENTS)}", align in ALIGNMENTS),
            ("stop", stop, f"one of {', '.join(STOPS)}", stop in STOPS),
            ("siftings", siftings, "at least 1", siftings >= 1),
            ("max_modes", max_modes, "at least 1", max_modes >= 1),
            ("boundary", boundary, f"one of {', '.join(BOUNDARIES)}", boundary in BOUNDARIES),
            ("threads", threads, "at least 1, or null for every core", threads is None or threads >= 1),
        )
        if not right
    ]
    if faults:
        raise ValueError("\n".join(faults))
