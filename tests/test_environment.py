"""The environment that runs start their kernels in."""

import os
import subprocess
import sys

from deepphenomena.runtime import environment


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert "OPENBLAS_NUM_THREADS" not in environment.for_speed()
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert environment.for_speed()["OPENBLAS_NUM_THREADS"] == "1"


def test_under_it_large_temporaries_are_not_fetched_again(monkeypatch):
    """Filling and freeing 64 MB again and again: page faults once, or at every turn."""
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    program = (
        "import ctypes, resource; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; "
        "c.free.argtypes = [ctypes.c_void_p]\n"
        "def turn():\n"
        "    p = c.malloc(1 << 26); ctypes.memset(p, 1, 1 << 26); c.free(p)\n"
        "turn(); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5): turn()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )

    def faults(variables):
        run = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | variables, capture_output=True, text=True
        )
        return int(run.stdout)

    if "GLIBC_TUNABLES" in environment.for_speed():  # elsewhere than under glibc there is nothing to set
        assert faults(environment.for_speed()) < 100
        assert faults({}) > 100
