"""Run times: calls take turns, and what compiles is not counted."""

import time

import numpy as np
import pytest

from deepphenomena.runtime import timing
from deepphenomena.runtime.errors import InputError


def test_calls_take_turns_and_the_first_round_is_not_counted():
    order = []

    def call(name, duration):
        order.append(name)
        time.sleep(duration if order.count(name) > 1 else 5 * duration)

    taken = timing.seconds({"slow": lambda: call("slow", 0.02), "quick": lambda: call("quick", 0.002)}, runs=3)
    assert order == ["slow", "quick"] * 4
    assert {name: times.shape for name, times in taken.items()} == {"slow": (3,), "quick": (3,)}
    assert 0.02 <= np.median(taken["slow"]) < 0.09
    assert np.median(taken["slow"]) > 2 * np.median(taken["quick"])


@pytest.mark.parametrize(("calls", "runs"), [({}, 3), ({"call": int}, 0)])
def test_nothing_to_time_is_refused(calls, runs):
    with pytest.raises(InputError, match="1 run or more"):
        timing.seconds(calls, runs=runs)
