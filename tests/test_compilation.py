"""The cache of compiled programs: kept between runs, shared by parallel ones, never in the way."""

import os
import subprocess
import sys

import pytest

from deepphenomena.runtime import compilation

PROGRAM = """
import jax, jax.numpy as jnp
from deepphenomena.runtime import compilation
compilation.use_persistent_cache()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x).T)(jnp.ones((8, 8))).sum())
"""


def start(cache, **variables):
    environment = os.environ | {"DEEPPHENOMENA_CACHE": str(cache)} | variables
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def programs(cache):
    return {file for file in cache.glob("compiled/*/*") if file.name.endswith("-cache")}


def test_a_second_run_finds_what_the_first_compiled(tmp_path):
    first = finish(start(tmp_path))
    kept = {file: file.stat().st_mtime_ns for file in programs(tmp_path)}
    assert kept
    assert finish(start(tmp_path)) == first
    assert {file: file.stat().st_mtime_ns for file in programs(tmp_path)} == kept


def test_parallel_runs_share_it(tmp_path):
    running = [start(tmp_path) for _ in range(3)]
    assert len({finish(process) for process in running}) == 1
    assert programs(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda whole: b"damaged", lambda whole: whole[: len(whole) // 2], lambda whole: b""]
)
def test_a_damaged_entry_is_compiled_again(tmp_path, damage):
    first = finish(start(tmp_path))
    for file in programs(tmp_path):
        file.write_bytes(damage(file.read_bytes()))
    assert finish(start(tmp_path)) == first


def test_the_oldest_programs_go_where_there_are_too_many(tmp_path):
    for age, name in enumerate(["new", "old", "older"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    for limit, left in ((300, {"new", "old", "older"}), (299, {"new", "old"}), (100, {"new"}), (0, set())):
        compilation._prune(tmp_path, limit)
        assert {file.name for file in tmp_path.iterdir()} == left
    compilation._prune(tmp_path / "not yet there", 0)


@pytest.mark.parametrize("mode", ["elsewhere", "unwritable"])
def test_a_cache_chosen_by_the_user_or_none_to_be_had_is_no_obstacle(tmp_path, mode):
    if mode == "elsewhere":
        finish(start(tmp_path / "ours", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "theirs")))
        assert not programs(tmp_path / "ours")
        assert list((tmp_path / "theirs").iterdir())
    else:
        (tmp_path / "file").write_text("")
        finish(start(tmp_path / "file"))
