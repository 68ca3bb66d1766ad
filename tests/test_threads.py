"""Independent computations on all cores."""

import threading
import time
from concurrent import futures

import jax
import jax.numpy as jnp
import pytest

from deepphenomena.runtime import environment, threads


def test_results_keep_the_order_and_double_precision_of_the_caller():
    with jax.enable_x64(True):
        values = threads.each(lambda n: jnp.ones(n).sum() / 3, range(1, 6))
    assert [v.dtype for v in values] == ["float64"] * 5
    assert [float(v) for v in values] == pytest.approx([n / 3 for n in range(1, 6)], rel=1e-15)
    assert threads.each(lambda n: jnp.ones(n).sum() / 3, [1])[0].dtype == "float32"


def test_as_many_run_at_once_as_there_are_cores(monkeypatch):
    monkeypatch.setenv("NPROC", "3")
    assert environment.cores() == 3
    together = threading.Barrier(3, timeout=20)  # passes only where three wait at once
    threads.each(lambda _: together.wait() and None, range(3))


def test_what_one_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda n: 1 / n, [1, 0])


def test_a_cached_result_is_computed_once_by_all_who_ask_at_once():
    calls = []

    @threads.cache
    def slow(n, *, doubled=False):
        calls.append(n)
        time.sleep(0.05)
        return n * (1 + doubled)

    with futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(slow, [3, 4] * 4)) == [3, 4] * 4
    assert sorted(calls) == [3, 4]
    assert slow(3, doubled=False) == slow(n=3) == 3
    assert sorted(calls) == [3, 4]
    assert slow(3, doubled=True) == 6
    assert sorted(calls) == [3, 3, 4]


def test_different_cached_results_do_not_wait_for_each_other():
    together = threading.Barrier(2, timeout=20)
    waiting = threads.cache(lambda n: together.wait() < 0)
    with futures.ThreadPoolExecutor(2) as pool:
        assert list(pool.map(waiting, [1, 2])) == [False, False]


def test_what_a_cached_function_raises_is_raised_and_not_kept():
    results = iter([ZeroDivisionError, 5])

    @threads.cache
    def fails_first():
        if (result := next(results)) is ZeroDivisionError:
            raise result
        return result

    with pytest.raises(ZeroDivisionError):
        fails_first()
    assert fails_first() == 5
