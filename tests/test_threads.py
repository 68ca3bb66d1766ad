"""Independent computations on all cores."""

import threading

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
