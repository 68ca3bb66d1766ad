"""What is resumed: only the same computation, only an unharmed checkpoint, and never at the cost of the run."""

import errno
import os
import subprocess
import sys

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
from deepphenomena.training.identity import program_digest

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
from deepphenomena.training.identity import program_digest
table = np.arange(9.0)
def step(w, key):
    jax.debug.callback(lambda: None)
    names = {"one", "two", "three"}
    return jax.lax.scan(lambda c, t: (jnp.maximum(c, t) * w + jax.random.normal(key), None), w, table)[0]
print(program_digest(jax.grad(lambda w, key: step(w, key)), 1.0, jax.random.key(0)))
loss = objectives.of(lambda w, x: jax.nn.relu(x @ w), objectives.cross_entropy)
print(program_digest(jax.value_and_grad(loss), jnp.ones((3, 2)), {"x": jnp.ones((4, 3)), "y": jnp.zeros(4, int)}))
"""


def test_the_digest_of_a_program_is_the_same_in_every_process():
    def digests(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True).stdout

    assert digests("1") == digests("2") != b""


def test_the_digest_of_a_program_covers_what_it_captures():
    def of(values):
        return program_digest(lambda x: jax.lax.scan(lambda c, v: (c * v, None), x, values)[0], 1.0)

    assert of(np.array([1.0, 2.0])) == of(np.array([1.0, 2.0]))
    assert of(np.array([1.0, 2.0])) != of(np.array([1.0, 2.5]))


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_damaged_checkpoint_is_refused(data, tmp_path):
    folder = tmp_path / "kept"
    file = folder / "checkpoint"
    if not (tmp_path / "whole").exists():
        train(folder)
        (tmp_path / "whole").write_bytes(file.read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "zeros", "add"]))
    content = bytearray(whole)
    if damage == "flip":
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    elif damage == "cut":
        del content[place:]
    elif damage == "zeros":
        content[place : place + 64] = bytes(len(content[place : place + 64]))
    else:
        content.insert(place, data.draw(st.integers(0, 255)))
    file.write_bytes(content)
    start = [np.int64(0), np.zeros(5, np.float32)]
    store = checkpoints.Store(folder, 0, lambda: start)
    if bytes(content) == whole:
        return
    with pytest.raises(InputError, match="damaged"):
        store.restore(start)


@pytest.mark.parametrize("name", ["lr=[1,2]", "a*b", "{x}", "ü ~ %41", "-p", "two\nlines"])
def test_a_folder_has_any_name(tmp_path, name):
    done = train(tmp_path / name)
    np.testing.assert_array_equal(train(tmp_path / name).losses, done.losses)
    assert any((tmp_path / name).iterdir())


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    done = train(None)
    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        found = train(tmp_path)
    np.testing.assert_array_equal(found.losses, done.losses)
    assert not list(tmp_path.iterdir()), "half a checkpoint is left"


def test_a_folder_that_another_run_deletes_is_made_again(tmp_path, monkeypatch):
    save = checkpoints.Store.save

    def delete_then_save(store, state, *, last=False):
        for file in (tmp_path / "kept").iterdir():
            file.unlink()
        (tmp_path / "kept").rmdir()
        save(store, state, last=last)

    undisturbed = train(None).losses
    monkeypatch.setattr(checkpoints.Store, "save", delete_then_save)
    np.testing.assert_array_equal(train(tmp_path / "kept").losses, undisturbed)
