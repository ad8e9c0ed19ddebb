"""Configurations that tests compose quickly are those Hydra composes."""

import pytest

from tests import composing


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["experiment=smoke", "model=mlp", "+model@baselines.ridge=ridge", "~split.validation"],
        ["experiment=battery", "features=paper2_plain", "+feature@features.steps.more=rolling", "seed=3"],
    ],
)
def test_what_is_composed_quickly_is_what_hydra_composes(configure, words):
    with composing.plain():
        slow = configure(*words)
    assert configure(*words) == slow
    configure(*words).source = None  # what was handed out is nobody else's
    assert configure(*words) == slow
    configure(*words, "++source.seed=7", "trainer.max_epochs=99")
    composing.kept.clear()
    assert configure(*words) == slow  # what is typed changes no file
