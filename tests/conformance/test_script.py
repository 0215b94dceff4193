"""The script of random lives, on every engine: 300 of them always, many more in the deep run."""

import pytest

from tests.conformance.scene import Engine
from tests.conformance.script import play_script


def test_an_engine_answers_as_the_oracle_does(engine: Engine):
    play_script(engine, lives=300)


@pytest.mark.deep
def test_an_engine_answers_as_the_oracle_does_in_many_long_lives(engine: Engine):
    play_script(engine, lives=1_000, steps=60)
