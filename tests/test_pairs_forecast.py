"""Every two choices on series work together, or are refused before anything is fitted."""

from tests.pairs import Pairs

FIXED = [
    "experiment=smoke",
    "source.n_steps=220",
    "lookback=8",
    "parallel.n_jobs=1",
    "audit=none",
]
SETTINGS = {"horizon": ["1", "3"], "seeds": ["1", "2"], "audit": ["sampled", "none"]}

ROWS = 6  # of the covering array; python -m tests.pairs runs all of them, for half an hour


def test_every_pair_of_choices_works_or_is_refused(configure, tmp_path, monkeypatch):
    found = Pairs(configure, tmp_path, FIXED, SETTINGS, monkeypatch, ROWS).all()
    faults = sorted({outcome.fault for outcome in found.values() if outcome.fault})
    assert not faults, "\n".join(faults)
    assert sum(bool(outcome.refused) for outcome in found.values()) < len(found) / 4
