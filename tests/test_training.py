"""The training loop against its closed form, its slow reference, and its own resumed self."""

import os
import signal
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from deepphenomena import training
from deepphenomena.runtime import compilation, threads
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import checkpoints


def squared(parameters, batch):
    x, y = batch
    return 0.5 * jnp.mean((x @ parameters["w"] - y) ** 2)


def squared_on_held_out(parameters, held_out):
    return {"loss": squared(parameters, held_out)}


@pytest.fixture
def data():
    x = jax.random.normal(jax.random.key(0), (24, 6))
    return x, x @ jnp.arange(6.0) + 0.1 * jax.random.normal(jax.random.key(1), (24,))


def start(members, size=6, seed=0):
    return {"w": jax.random.normal(jax.random.key(seed), (members, size))}


def test_full_batch_descent_on_a_quadratic_follows_its_closed_form(data):
    x, y = (np.asarray(a, np.float64) for a in data)
    initial, rate, steps = start(1), 0.05, 30
    trained = training.train_members(squared, initial, data, optimizer=optax.sgd(rate), steps=steps)
    optimum = np.linalg.lstsq(x, y, rcond=None)[0]
    contraction = np.linalg.matrix_power(np.eye(6) - rate * x.T @ x / len(x), steps)
    expected = optimum + contraction @ (np.asarray(initial["w"][0], np.float64) - optimum)
    np.testing.assert_allclose(trained.parameters["w"][0], expected, rtol=1e-4, atol=1e-4)


def test_the_loop_equals_the_plain_python_loop(data):
    optimizer, initial = optax.adam(0.05), start(1, seed=3)
    parameters, losses = {"w": initial["w"][0]}, []
    state = optimizer.init(parameters)
    for _ in range(15):
        loss, gradient = jax.value_and_grad(squared)(parameters, data)
        updates, state = optimizer.update(gradient, state)
        parameters = optax.apply_updates(parameters, updates)
        losses.append(float(loss))
    trained = training.train_members(squared, initial, data, optimizer=optimizer, steps=15, record_every=4)
    np.testing.assert_allclose(trained.losses[0], losses, rtol=1e-5)
    np.testing.assert_allclose(trained.parameters["w"][0], parameters["w"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [6, 5000], ids=["side by side", "one by one"])
def test_an_ensemble_equals_its_members_trained_alone(size):
    x = jax.random.normal(jax.random.key(0), (16, size)) / jnp.sqrt(size)
    data, rates = (x, jnp.sin(x[:, 0])), np.array([0.1, 0.5, 1.0], np.float32)
    initial, keys = start(3, size), jax.random.split(jax.random.key(5), 3)
    options = {"batch_size": 4, "record_every": 5, "measure": squared_on_held_out, "held_out": data}
    together = training.train_members(
        squared,
        initial,
        data,
        optimizer=optax.sgd,
        steps=12,
        keys=keys,
        hyperparameters={"learning_rate": rates},
        **options,
    )
    for k in range(3):
        alone = training.train(
            squared, {"w": initial["w"][k]}, data, optimizer=optax.sgd, steps=12, key=keys[k],
            hyperparameters={"learning_rate": rates[k]}, **options,
        )  # fmt: skip
        np.testing.assert_allclose(together.losses[k], alone.losses, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(together.metrics["loss"][k], alone.metrics["loss"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(together.parameters["w"][k], alone.parameters["w"], rtol=1e-6, atol=1e-6)


def test_double_precision_reaches_members_in_threads_of_their_own():
    with jax.enable_x64(True):
        x = jnp.linspace(0.0, 1.0, 2 * 5000, dtype=float).reshape(2, 5000)
        trained = training.train_members(
            squared, {"w": jnp.ones((3, 5000))}, (x, x[:, 0]), optimizer=optax.sgd, steps=2,
            hyperparameters={"learning_rate": np.array([0.0, 1e-9, 2e-9])},
        )  # fmt: skip
    moved = np.abs(np.asarray(trained.parameters["w"]) - 1).max(1)
    assert trained.parameters["w"].dtype == np.float64
    assert moved[0] == 0 < moved[1] < moved[2]


THREE_WAYS = """
import jax, jax.numpy as jnp, numpy as np, optax
from deepphenomena import training
from deepphenomena.runtime import compilation, threads
from deepphenomena.training import driver

def squared(parameters, batch):
    x, y = batch
    return 0.5 * jnp.mean((x @ parameters["w"] - y) ** 2)

x = jax.random.normal(jax.random.key(0), (24, 6))
data = x, jnp.sin(x[:, 0])

def train():
    return training.train_members(
        squared, {"w": jax.random.normal(jax.random.key(1), (8, 6))}, data, optimizer=optax.adam, steps=20,
        keys=jax.random.split(jax.random.key(2), 8), hyperparameters={"learning_rate": np.linspace(0.01, 0.1, 8)},
        batch_size=5, record_every=7, measure=lambda p, h: {"loss": squared(p, h)}, held_out=data,
    )

assert jax.device_count() == 8
sharded = train()
assert len(sharded.parameters["w"].sharding.device_set) == 8
spread, driver._spread = driver._spread, lambda state, members: state
batched = train()
driver._side_by_side = lambda parameters, members: False
looped = train()
for other in (batched, looped):
    for a, b in zip(jax.tree.leaves(sharded), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
"""


def test_looped_batched_and_sharded_members_are_the_same():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", THREE_WAYS], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_sample_is_drawn_once_an_epoch_and_epochs_differ():
    def loss(parameters, batch):  # its gradient adds up the one-hot rows it was shown
        return -jnp.sum(batch @ parameters)

    def shown(steps, batch_size=3):
        trained = training.train(
            loss, jnp.zeros(12), jnp.eye(12), optimizer=optax.sgd(1.0), steps=steps, key=jax.random.key(2),
            batch_size=batch_size,
        )  # fmt: skip
        return np.asarray(trained.parameters)

    np.testing.assert_array_equal(shown(4), np.ones(12))
    np.testing.assert_array_equal(shown(8), 2 * np.ones(12))
    assert sorted(set(shown(1))) == [0.0, 1.0]
    assert not np.array_equal(shown(1), shown(5) - 1)
    assert shown(2, batch_size=5).sum() == 10  # the last, short batch of an epoch is left out
    assert shown(2, batch_size=5).max() == 1


def test_members_stop_at_their_own_number_of_steps(data):
    trained = training.train_members(
        squared, start(3), data, optimizer=optax.sgd(0.01), steps=np.array([3, 10, 7]), record_every=4,
        measure=squared_on_held_out, held_out=data,
    )  # fmt: skip
    assert trained.steps.tolist() == [3, 10, 7]
    assert np.isfinite(trained.losses).sum(1).tolist() == [3, 10, 7]
    assert trained.recorded.tolist() == [0, 4, 8, 10]
    exact = [float(squared({"w": w}, data)) for w in trained.parameters["w"]]
    np.testing.assert_allclose(trained.last("loss"), exact, rtol=1e-6)


def test_a_diverging_member_stops_and_leaves_the_others_alone(data):
    rates = np.array([0.05, 1e4])
    trained = training.train_members(
        squared, start(2), data, optimizer=optax.sgd, steps=30, hyperparameters={"learning_rate": rates},
        stop_above=1e6, record_every=10, measure=squared_on_held_out, held_out=data,
    )  # fmt: skip
    assert trained.diverged.tolist() == [False, True]
    assert trained.steps[1] < 30
    assert np.isfinite(trained.last("loss")).tolist() == [True, False]
    calm = training.train_members(
        squared, start(2), data, optimizer=optax.sgd, steps=30, hyperparameters={"learning_rate": rates[[0, 0]]}
    )
    np.testing.assert_allclose(trained.losses[0], calm.losses[0], rtol=1e-6)


def test_all_learning_rates_share_one_compilation(data):
    traced = []

    def loss(parameters, batch):
        traced.append(1)
        return squared(parameters, batch)

    def sweep(rates):
        training.train_members(
            loss,
            start(12),
            data,
            optimizer=optax.sgd,
            steps=20,
            record_every=5,
            hyperparameters={"learning_rate": rates},
        )
        return len(traced)

    once = sweep(np.full(12, 0.1))
    assert once <= 3  # the loss is traced for its type and for its gradient, however many members there are
    assert sweep(np.linspace(0.01, 0.2, 12)) == once


@pytest.fixture
def compiled():
    """The names of the programs compiled meanwhile."""
    names = []

    def noted(name, seconds, fun_name="", **_):
        if name.endswith("backend_compile_duration"):
            names.append(fun_name)

    with compilation.uncached():
        jax.monitoring.register_event_duration_secs_listener(noted)
        yield names
        jax.monitoring.unregister_event_duration_listener(noted)


def times_compiled(compiled):
    return [compiled.count(f"jit({name})") for name in ("begin", "train_segment", "measured")]


def test_trainings_that_start_at_once_share_one_compilation_whatever_their_steps(compiled):
    x = jnp.linspace(0.0, 1.0, 2 * 5000).reshape(2, 5000)
    descent = optax.sgd(0.1)

    def loss(parameters, batch):
        return 2 * squared(parameters, batch)

    def train(start):
        steps = 1 + int(start[0])
        trained = training.train(loss, {"w": start}, (x, x[:, 0]), optimizer=descent, steps=steps, record_every=5)
        assert trained.losses.shape == (steps,)
        return trained.losses[0], np.asarray(trained.parameters["w"])

    starts = [jnp.full(5000, float(value)) for value in range(4)]
    trained = threads.each(train, starts)
    assert times_compiled(compiled) == [1, 1, 1], compiled
    for of_thread, start in zip(trained, starts, strict=True):
        jax.tree.map(np.testing.assert_allclose, of_thread, train(start))


def test_members_side_by_side_are_measured_by_one_program(data, compiled):
    def loss(parameters, batch):
        return 3 * squared(parameters, batch)

    options = {
        "record_every": 5,
        "measure": lambda parameters, data: {"loss": loss(parameters, data)},
        "held_out": data,
    }
    training.train_members(loss, start(8), data, optimizer=optax.sgd(0.1), steps=10, **options)
    assert times_compiled(compiled) == [1, 1, 1], compiled


def test_the_initial_parameters_survive_training(data):
    initial = start(1)
    training.train_members(squared, initial, data, optimizer=optax.sgd(0.1), steps=2)
    assert np.isfinite(np.asarray(initial["w"])).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 25, "keys": jax.random.split(jax.random.key(0), 2)}, ["batch_size 25", "24"]),
        ({"batch_size": 4}, ["key"]),
        ({"steps": 0}, ["steps", "0"]),
        ({"hyperparameters": {"learning_rate": np.ones(3)}}, ["learning_rate", "2 members"]),
        ({"steps": np.array([1, 2, 3])}, ["steps", "2 members"]),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_compute(data, changes, words):
    arguments = {"optimizer": optax.sgd, "steps": 3, "hyperparameters": {"learning_rate": np.ones(2)}} | changes
    with pytest.raises(InputError) as refusal:
        training.train_members(squared, start(2), data, **arguments)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def equal(a, b):
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


KILLED = """
import os, signal, sys
import jax, jax.numpy as jnp, numpy as np, optax
from pathlib import Path
from deepphenomena import training
from deepphenomena.training import checkpoints

def squared(parameters, batch):
    x, y = batch
    return 0.5 * jnp.mean((x @ parameters["w"] - y) ** 2)

x = jax.random.normal(jax.random.key(0), (24, 6))
data = x, jnp.sin(x[:, 0])
kill_at = int(sys.argv[2])
save = checkpoints.Store.save
def save_then_die(store, state, *, last=False):
    save(store, state, last=last)
    if state[0] == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints.Store.save = save_then_die
trained = training.train_members(
    squared, {"w": jax.random.normal(jax.random.key(1), (3, 6))}, data, optimizer=optax.adam,
    steps=np.array([20, 50, 50]), keys=jax.random.split(jax.random.key(2), 3),
    hyperparameters={"learning_rate": np.array([0.1, 0.2, 0.3])}, batch_size=5,
    record_every=7, measure=lambda p, h: {"loss": squared(p, h)}, held_out=data,
    checkpoint=Path(sys.argv[1]) if sys.argv[1] else None, checkpoint_seconds=0,
)
np.savez(sys.argv[3], *jax.tree.leaves(trained))
"""


def test_a_run_killed_by_sigkill_goes_on_to_the_bit_identical_end(tmp_path):
    def train(folder, kill_at, out):
        return subprocess.run([sys.executable, "-c", KILLED, folder, str(kill_at), str(tmp_path / out)])

    assert train("", -1, "whole.npz").returncode == 0
    assert train(str(tmp_path / "kept"), 3, "never.npz").returncode == -signal.SIGKILL
    assert not (tmp_path / "never.npz").exists()
    assert train(str(tmp_path / "kept"), -1, "resumed.npz").returncode == 0
    with np.load(tmp_path / "whole.npz") as whole, np.load(tmp_path / "resumed.npz") as resumed:
        assert all(np.array_equal(whole[name], resumed[name], equal_nan=True) for name in whole.files)


def test_a_checkpoint_is_read_only_by_the_training_that_wrote_it(data, tmp_path):
    options = {"optimizer": optax.sgd(0.1), "checkpoint": tmp_path / "kept", "checkpoint_seconds": 0}
    done = training.train_members(squared, start(1), data, steps=4, **options)
    assert equal(done, training.train_members(squared, start(1), data, steps=4, **options))
    for other in ({"steps": 5}, {"steps": 4, "batch_size": 2, "keys": jax.random.split(jax.random.key(0), 1)}):
        with pytest.raises(InputError, match="another training"):
            training.train_members(squared, start(1), data, **options, **other)
    with pytest.raises(InputError, match="another training"):
        training.train_members(squared, start(1, seed=1), data, steps=4, **options)


def test_a_checkpoint_folder_that_cannot_be_written_is_refused_at_once(data, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    options = {"optimizer": optax.sgd(0.1), "steps": 4}
    with pytest.raises(InputError, match="cannot be written"):
        training.train_members(squared, start(1), data, checkpoint=tmp_path / "file", **options)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="cannot be written"):
        training.train_members(squared, start(1), data, checkpoint=tmp_path / "locked", **options)


def test_only_what_took_long_against_a_save_is_saved_at_its_end(data, tmp_path, monkeypatch):
    def train(name):
        options = {"optimizer": optax.sgd(0.1), "checkpoint": tmp_path / name, "checkpoint_seconds": 60}
        return training.train_members(squared, start(1), data, steps=4, **options)

    done = train("soon over")
    assert not any((tmp_path / "soon over").iterdir())
    monkeypatch.setattr(checkpoints, "_WORTH", 0)
    assert equal(done, train("long"))
    assert any((tmp_path / "long").iterdir())
    assert equal(done, train("long"))


def test_trainings_that_end_at_once_keep_their_checkpoints_apart(tmp_path, data, monkeypatch):
    monkeypatch.setenv("NPROC", "8")
    optimizer, initials = optax.sgd(0.1), start(24)["w"]

    def train(k):
        initial, folder = {"w": initials[k]}, tmp_path / str(k)
        kept = {"checkpoint": folder, "checkpoint_seconds": 0}
        return training.train(squared, initial, data, optimizer=optimizer, steps=3, **kept).losses

    done = []
    # Daemons, because without the lock they also wait for each other for ever.
    running = threading.Thread(target=lambda: done.append(threads.each(train, range(24))), daemon=True)
    running.start()
    running.join(timeout=120)
    assert done, "saving at once failed or hung"
    np.testing.assert_allclose(threads.each(train, range(24)), done[0])  # each is restored from its own folder
