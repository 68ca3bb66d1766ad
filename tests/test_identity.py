"""What is resumed: only the same computation, only an unharmed checkpoint, and never at the cost of the run."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepphenomena import training
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import checkpoints, driver
from deepphenomena.training.identity import described, program_digest

X = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
DATA = X, X @ np.arange(5, dtype=np.float32)


def squared(w, batch):
    return jnp.mean((batch[0] @ w - batch[1]) ** 2)


def train(folder, loss=squared, rate=0.05, optimizer=optax.sgd, every=5, **options):
    return training.train(
        loss, jnp.zeros(5), DATA, optimizer=optimizer(rate), steps=20, description=None, checkpoint=folder,
        **({"recording": training.Recording(every=every)} | options),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _always_saved(monkeypatch):
    monkeypatch.setattr(driver, "CHECKPOINT_SECONDS", 0)


def test_every_change_of_the_computation_is_another_training(tmp_path):
    done = train(tmp_path)
    np.testing.assert_array_equal(train(tmp_path).losses, done.losses)
    scale = np.full(5, 2.0, np.float32)  # captured, not written in the code
    evaluate = lambda w, _: {"size": jnp.sum(w)}  # noqa: E731
    for changed in (
        {"rate": 0.001},
        {"optimizer": optax.adam},
        {"loss": lambda w, b: squared(w, b) + 10 * jnp.sum(w**2)},
        {"loss": lambda w, b: squared(w * scale, b)},
        {"loss": lambda w, b: squared(w * (scale + 1), b)},
        {"stop_above": 1e-9},
        {"recording": training.Recording(evaluate, every=5)},
        {"key": jax.random.key(1)},
        {"every": 10},
    ):
        with pytest.raises(InputError, match="another training's checkpoint; delete it"):
            train(tmp_path, **changed)


def test_a_captured_value_is_part_of_the_training(tmp_path):
    def scaled(scale):
        return lambda w, batch: squared(w * scale, batch)

    train(tmp_path, scaled(np.full(5, 2.0, np.float32)))
    train(tmp_path, scaled(np.full(5, 2.0, np.float32)))
    with pytest.raises(InputError, match="another training"):
        train(tmp_path, scaled(np.full(5, 2.5, np.float32)))


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from deepphenomena.training import objectives
from deepphenomena.training.identity import described, program_digest
table = np.arange(9.0)
def step(w, key):
    jax.debug.callback(lambda: None)
    names = {"one", "two", "three"}
    return jax.lax.scan(lambda c, t: (jnp.maximum(c, t) * w + jax.random.normal(key), None), w, table)[0]
print(program_digest(jax.grad(lambda w, key: step(w, key)), described((1.0, jax.random.key(0)))))
loss = objectives.of(lambda w, x: jax.nn.relu(x @ w), objectives.cross_entropy)
at = described((jnp.ones((3, 2)), {"x": jnp.ones((4, 3)), "y": jnp.zeros(4, int)}))
print(program_digest(jax.value_and_grad(loss), at))
"""


def test_the_digest_of_a_program_is_the_same_in_every_process():
    def digests(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True).stdout

    assert digests("1") == digests("2") != b""


def test_the_digest_of_a_program_covers_what_it_captures():
    def of(values):
        return program_digest(lambda x: jax.lax.scan(lambda c, v: (c * v, None), x, values)[0], described((1.0,)))

    assert of(np.array([1.0, 2.0])) == of(np.array([1.0, 2.0]))
    assert of(np.array([1.0, 2.0])) != of(np.array([1.0, 2.5]))


# A read that fails leaves callbacks of Orbax behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused_or_restored_whole(data, tmp_path):
    folder, kept = tmp_path / "damaged", tmp_path / "kept"
    start = [np.int64(0), np.zeros(5, np.float32)]
    state = [np.int64(3), np.arange(5, dtype=np.float32)]
    if not kept.exists():
        checkpoints.Store(kept, 0, lambda: start).save(state)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    file = data.draw(st.sampled_from(sorted(file for file in folder.rglob("*") if file.is_file())))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, max(0, len(content) - 1)))
    damage = data.draw(st.sampled_from(["flip", "cut", "zeros", "add", "delete"]))
    if damage == "delete":
        file.unlink()
    else:
        if damage == "flip" and content:
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif damage == "cut":
            del content[place:]
        elif damage == "zeros":
            content[place : place + 64] = bytes(len(content[place : place + 64]))
        else:
            content.insert(place, data.draw(st.integers(0, 255)))
        file.write_bytes(content)
    restored, refused = None, ""
    try:
        restored = checkpoints.Store(folder, 0, lambda: start).restore(start)
    except InputError as problem:
        refused = str(problem)
    if restored is None:
        assert re.search("damaged|another training", refused)
        return
    wanted = start if damage == "delete" and file.name == "checkpoint" else state
    for value, saved in zip(restored, wanted, strict=True):
        assert value.dtype == saved.dtype
        np.testing.assert_array_equal(value, saved)


@pytest.mark.parametrize("by", ["another state", "nothing"])
def test_a_checkpoint_that_another_run_replaces_while_it_is_read_is_read_again(tmp_path, monkeypatch, by):
    start, old, new = ([np.full(3, value, np.float32)] for value in (0, 1, 2))
    checkpoints.Store(tmp_path, 0, lambda: start).save(old)
    stored, calls = checkpoints.Store._stored, []

    def replace_then_read(store, *arguments):
        calls.append(1)
        if len(calls) == 1:
            shutil.rmtree(tmp_path)
            if by == "another state":
                checkpoints.Store(tmp_path, 0, lambda: start).save(new)
        return stored(store, *arguments)

    monkeypatch.setattr(checkpoints.Store, "_stored", replace_then_read)
    (found,) = checkpoints.Store(tmp_path, 0, lambda: start).restore(start)
    np.testing.assert_array_equal(found, (new if by == "another state" else start)[0])


def test_a_flipped_value_is_refused(tmp_path):
    start = [np.zeros(1000, np.float32)]
    checkpoints.Store(tmp_path, 0, lambda: start).save([np.ones(1000, np.float32)])
    described = json.loads((tmp_path / "checkpoint").read_text())
    described["sha256"] = "0" * 64
    (tmp_path / "checkpoint").write_text(json.dumps(described))
    with pytest.raises(InputError, match="damaged"):
        checkpoints.Store(tmp_path, 0, lambda: start).restore(start)


def test_states_of_killed_runs_are_removed_and_those_of_running_ones_are_not(tmp_path):
    state = [np.zeros(3)]
    for name, age in (("state-killed", 7200), ("state-running", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    store = checkpoints.Store(tmp_path, 0, lambda: state)
    store.save(state)
    store.save(state)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"checkpoint", "state-running", json.loads((tmp_path / "checkpoint").read_text())["state"]}


@pytest.mark.parametrize("name", ["lr=[1,2]", "a*b", "{x}", "ü ~ %41", "-p", "two\nlines"])
def test_a_folder_has_any_name(tmp_path, name):
    done = train(tmp_path / name)
    np.testing.assert_array_equal(train(tmp_path / name).losses, done.losses)
    assert any((tmp_path / name).iterdir())


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("os.fsync", OSError(errno.ENOSPC, "No space left on device")),
        ("orbax.checkpoint.StandardCheckpointer.save", ValueError("RESOURCE_EXHAUSTED: No space left on device\nat")),
    ],
)
def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path, monkeypatch, place, error):
    def full(*_, **__):
        raise error

    done = train(None)
    monkeypatch.setattr(place, full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        found = train(tmp_path)
    np.testing.assert_array_equal(found.losses, done.losses)
    assert not list(tmp_path.iterdir()), "half a checkpoint is left"


def test_a_folder_that_another_run_deletes_is_made_again(tmp_path, monkeypatch):
    save = checkpoints.Store.save

    def delete_then_save(store, state, *, last=False):
        shutil.rmtree(tmp_path / "kept")
        save(store, state, last=last)

    undisturbed = train(None).losses
    monkeypatch.setattr(checkpoints.Store, "save", delete_then_save)
    np.testing.assert_array_equal(train(tmp_path / "kept").losses, undisturbed)
