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
from deepphenomena.training import Epochs, Recording, checkpoints, driver, grid, tunable


def squared(parameters, batch):
    x, y = batch
    return 0.5 * jnp.mean((x @ parameters["w"] - y) ** 2)


def squared_on_held_out(parameters, held_out):
    return {"held_out_loss": squared(parameters, held_out)}


@pytest.fixture
def data():
    x = jax.random.normal(jax.random.key(0), (24, 6))
    return x, x @ jnp.arange(6.0) + 0.1 * jax.random.normal(jax.random.key(1), (24,))


def start(members, size=6, seed=0):
    return {"w": jax.random.normal(jax.random.key(seed), (members, size))}


def test_full_batch_descent_on_a_quadratic_follows_its_closed_form(data):
    x, y = (np.asarray(a, np.float64) for a in data)
    initial, rate, steps = start(1), 0.05, 30
    trained = training.train(squared, initial, data, grid(seed=[0]), optimizer=optax.sgd(rate), steps=steps)
    optimum = np.linalg.lstsq(x, y, rcond=None)[0]
    contraction = np.linalg.matrix_power(np.eye(6) - rate * x.T @ x / len(x), steps)
    expected = optimum + contraction @ (np.asarray(initial["w"][0], np.float64) - optimum)
    np.testing.assert_allclose(trained.parameters["w"][0], expected, rtol=1e-4, atol=1e-4)


def test_the_loop_equals_the_plain_python_loop(data):
    optimizer, initial = optax.adam(0.05), {"w": start(1, seed=3)["w"][0]}
    parameters, losses = initial, []
    state = optimizer.init(parameters)
    for _ in range(15):
        loss, gradient = jax.value_and_grad(squared)(parameters, data)
        updates, state = optimizer.update(gradient, state)
        parameters = optax.apply_updates(parameters, updates)
        losses.append(float(loss))
    trained = training.train(squared, initial, data, optimizer=optimizer, steps=15, recording=Recording(every=4))
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(trained.parameters["w"], parameters["w"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [6, 5000], ids=["side by side", "one by one"])
def test_an_ensemble_equals_its_members_trained_alone(size):
    x = jax.random.normal(jax.random.key(0), (16, size)) / jnp.sqrt(size)
    data, members = (x, jnp.sin(x[:, 0])), grid(seed=[5, 6, 7])
    initial, rates = start(3, size), np.array([0.1, 0.5, 1.0], np.float32)
    options = {
        "steps": 12,
        "batch_fn": Epochs(4),
        "recording": Recording(squared_on_held_out, data, every=5),
    }
    together = training.train(
        squared, initial, data, members, optimizer=tunable(optax.sgd, learning_rate=rates), **options
    )
    for k, seed in enumerate(members["seed"]):
        alone = training.train(
            squared, {"w": initial["w"][k]}, data, optimizer=tunable(optax.sgd, learning_rate=rates[k]),
            key=jax.random.key(seed), **options,
        )  # fmt: skip
        np.testing.assert_allclose(together.losses[k], alone.losses, rtol=1e-6, atol=1e-6)
        of_member = together.metrics["held_out_loss"][k]
        np.testing.assert_allclose(of_member, alone.metrics["held_out_loss"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(together.parameters["w"][k], alone.parameters["w"], rtol=1e-6, atol=1e-6)


def test_the_pure_scan_takes_jit_and_vmap_and_equals_the_driver(data):
    members = grid(seed=range(3))
    initial, rates = start(3), jnp.array([0.01, 0.1, 0.2])
    options = {"steps": 12, "batch_fn": Epochs(5), "recording": Recording(squared_on_held_out, data, every=4)}

    def alone(parameters, key, rate):
        optimizer = tunable(optax.adam, learning_rate=rate)
        return training.scan(squared, parameters, data, optimizer=optimizer, key=key, **options)

    scanned = jax.jit(jax.vmap(alone))(initial, members.keys(), rates)
    driven = training.train(
        squared, initial, data, members, optimizer=tunable(optax.adam, learning_rate=rates), **options
    )
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6),
        (scanned.parameters, scanned.losses, scanned.metrics),
        (driven.parameters, driven.losses, driven.metrics),
    )
    slope = jax.grad(lambda rate: alone({"w": initial["w"][0]}, members.keys()[0], rate).losses[-1])(0.1)
    assert np.isfinite(slope)
    assert slope != 0


def test_the_scan_refuses_records_that_do_not_divide_the_steps_and_batches_without_a_key(data):
    options = {"optimizer": optax.sgd(0.1), "steps": 10}
    with pytest.raises(InputError, match="every 4 does not divide the 10 steps"):
        training.scan(squared, {"w": jnp.ones(6)}, data, recording=Recording(every=4), **options)
    with pytest.raises(InputError, match="key"):
        training.scan(squared, {"w": jnp.ones(6)}, data, batch_fn=Epochs(4), **options)


def test_a_batch_function_is_given_a_new_key_and_the_step():
    def loss(parameters, batch):
        step, draw = batch
        return jnp.sum(parameters) * 0 + step + draw

    def batch_fn(key, step, data):
        return step, data + jax.random.uniform(key)

    trained = training.train(
        loss, jnp.zeros(1), 100.0, optimizer=optax.sgd(0.1), steps=4, key=jax.random.key(0), batch_fn=batch_fn
    )
    draws = trained.losses - np.arange(4) - 100
    assert ((draws >= 0) & (draws < 1)).all()
    assert len(set(draws.tolist())) == 4


def test_epochs_shuffle_a_part_of_the_data_and_hand_the_batch_on():
    data = {"real": jnp.arange(8.0), "shift": jnp.float32(100)}

    def shifted(key, step, batch, data):
        return batch + data["shift"]

    def loss(parameters, batch):
        return jnp.sum(parameters) * 0 + jnp.sum(batch)

    epochs = Epochs(4, of="real", then=shifted)
    trained = training.train(
        loss, jnp.zeros(1), data, optimizer=optax.sgd(0.1), steps=2, key=jax.random.key(0), batch_fn=epochs
    )
    assert trained.losses.sum() == 28 + 800
    assert trained.losses[0] != trained.losses[1]


def test_double_precision_reaches_members_in_threads_of_their_own():
    with jax.enable_x64(True):
        x = jnp.linspace(0.0, 1.0, 2 * 5000, dtype=float).reshape(2, 5000)
        optimizer = tunable(optax.sgd, learning_rate=np.array([0.0, 1e-9, 2e-9]))
        trained = training.train(
            squared, {"w": jnp.ones((3, 5000))}, (x, x[:, 0]), grid(seed=range(3)), optimizer=optimizer, steps=2
        )
    moved = np.abs(np.asarray(trained.parameters["w"]) - 1).max(1)
    assert trained.parameters["w"].dtype == np.float64
    assert moved[0] == 0 < moved[1] < moved[2]


THREE_WAYS = """
import jax, jax.numpy as jnp, numpy as np, optax
from deepphenomena import training
from deepphenomena.runtime import compilation, threads
from deepphenomena.training import Epochs, Recording, driver, grid, tunable

def squared(parameters, batch):
    x, y = batch
    return 0.5 * jnp.mean((x @ parameters["w"] - y) ** 2)

x = jax.random.normal(jax.random.key(0), (24, 6))
data = x, jnp.sin(x[:, 0])

def train():
    return training.train(
        squared, {"w": jax.random.normal(jax.random.key(1), (8, 6))}, data, grid(seed=range(8)), steps=20,
        optimizer=tunable(optax.adam, learning_rate=np.linspace(0.01, 0.1, 8)), batch_fn=Epochs(5),
        recording=Recording(lambda p, h: {"error": squared(p, h)}, data, every=7),
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
            batch_fn=Epochs(batch_size),
        )  # fmt: skip
        return np.asarray(trained.parameters)

    np.testing.assert_array_equal(shown(4), np.ones(12))
    np.testing.assert_array_equal(shown(8), 2 * np.ones(12))
    assert sorted(set(shown(1))) == [0.0, 1.0]
    assert not np.array_equal(shown(1), shown(5) - 1)
    assert shown(2, batch_size=5).sum() == 10  # the last, short batch of an epoch is left out
    assert shown(2, batch_size=5).max() == 1


def test_members_stop_at_their_own_number_of_steps(data):
    trained = training.train(
        squared, start(3), data, grid(seed=range(3)), optimizer=optax.sgd(0.01), steps=np.array([3, 10, 7]),
        recording=Recording(squared_on_held_out, data, every=4),
    )  # fmt: skip
    assert trained.steps.tolist() == [3, 10, 7]
    assert np.isfinite(trained.losses).sum(1).tolist() == [3, 10, 7]
    assert trained.recorded.tolist() == [0, 4, 8, 10]
    exact = [float(squared({"w": w}, data)) for w in trained.parameters["w"]]
    np.testing.assert_allclose(trained.last("held_out_loss"), exact, rtol=1e-6)


def test_a_diverging_member_stops_and_leaves_the_others_alone(data):
    members = grid(seed=[0], learning_rate=[0.05, 1e4])
    trained = training.train(
        squared, start(2), data, members, steps=30, stop_above=1e6,
        optimizer=tunable(optax.sgd, learning_rate=members["learning_rate"]),
        recording=Recording(squared_on_held_out, data, every=10),
    )  # fmt: skip
    assert trained.diverged.tolist() == [False, True]
    assert trained.steps[1] < 30
    assert np.isfinite(trained.last("held_out_loss")).tolist() == [True, False]
    calm = training.train(squared, start(2), data, members, optimizer=tunable(optax.sgd, learning_rate=0.05), steps=30)
    np.testing.assert_allclose(trained.losses[0], calm.losses[0], rtol=1e-6)


def test_all_learning_rates_share_one_compilation(data):
    traced = []

    def loss(parameters, batch):
        traced.append(1)
        return squared(parameters, batch)

    def sweep(rates):
        training.train(
            loss, start(12), data, grid(learning_rate=rates), steps=20, recording=Recording(every=5),
            optimizer=tunable(optax.sgd, learning_rate=rates),
        )  # fmt: skip
        return len(traced)

    once = sweep(np.linspace(0.1, 0.3, 12))
    assert once <= 3  # the loss is traced for its type and for its gradient, however many members there are
    assert sweep(np.linspace(0.01, 0.2, 12)) == once


@pytest.fixture
def compiled():
    """The names of the programs compiled meanwhile."""
    names, over = [], []

    def noted(name, seconds, fun_name="", **_):
        if name.endswith("backend_compile_duration") and not over:
            names.append(fun_name)

    with compilation.uncached():
        jax.monitoring.register_event_duration_secs_listener(noted)  # the oldest JAX has no public way to take it back
        yield names
        over.append(True)


def times_compiled(compiled):
    return [compiled.count(f"jit({name})") for name in ("begin_training", "train_segment", "evaluated")]


def test_trainings_that_start_at_once_share_one_compilation_whatever_their_steps(compiled):
    x = jnp.linspace(0.0, 1.0, 2 * 5000).reshape(2, 5000)
    descent = optax.sgd(0.1)

    def loss(parameters, batch):
        return 2 * squared(parameters, batch)

    def train(start):
        steps = 1 + int(start[0])
        trained = training.train(
            loss, {"w": start}, (x, x[:, 0]), optimizer=descent, steps=steps, recording=Recording(every=5)
        )
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

    recording = Recording(lambda parameters, data: {"error": loss(parameters, data)}, data, every=5)
    members = grid(seed=range(8))
    training.train(loss, start(8), data, members, optimizer=optax.sgd(0.1), steps=10, recording=recording)
    assert times_compiled(compiled) == [1, 1, 1], compiled


def test_the_initial_parameters_survive_training(data):
    initial = start(1)
    training.train(squared, initial, data, grid(seed=[0]), optimizer=optax.sgd(0.1), steps=2)
    assert np.isfinite(np.asarray(initial["w"])).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_fn": Epochs(25)}, ["batch_size 25", "24"]),
        ({"batch_fn": Epochs(4), "members": grid(learning_rate=[0.1, 0.2])}, ["key", "seed"]),
        ({"key": jax.random.key(0)}, ["key", "seed"]),
        ({"steps": 0}, ["steps", "0"]),
        ({"optimizer": tunable(optax.sgd, learning_rate=np.ones(3))}, ["learning_rate", "2 members"]),
        ({"steps": np.array([1, 2, 3])}, ["steps", "2 members"]),
        ({"members": grid(seed=range(3))}, ["parameter leaf 0", "3 members"]),
        ({"recording": Recording(lambda parameters, _: {"loss": jnp.float32(0)})}, ["'loss'", "another name"]),
    ],
)
def test_what_cannot_be_trained_is_refused(data, changes, words):
    arguments = {"members": grid(seed=range(2)), "optimizer": optax.sgd(0.1), "steps": 3} | changes
    with pytest.raises(InputError) as refusal:
        training.train(squared, start(2), data, **arguments)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


@pytest.fixture
def trained(data):
    members = grid(seed=[3, 4], learning_rate=[0.01, 0.1])
    recording = Recording(squared_on_held_out, data, every=5)
    optimizer = tunable(optax.sgd, learning_rate=members["learning_rate"])
    initial = members.stack(lambda seed: {"w": start(1, seed=seed)["w"][0]})
    return training.train(
        squared, initial, data, members, optimizer=optimizer, steps=np.array([10, 4, 10, 10]), recording=recording
    )


def test_a_frame_of_losses_has_a_row_for_every_step_taken(trained):
    frame = trained.frame("loss")
    assert list(frame) == ["seed", "learning_rate", "step", "loss"]
    assert len(frame) == 34
    chosen = frame.query("seed == 4 and learning_rate == 0.1")
    np.testing.assert_array_equal(chosen["loss"], trained.losses[3])
    assert trained.frame("loss", every=4)["step"].unique().tolist() == [0, 4, 8]


def test_a_frame_of_metrics_has_a_row_for_every_record(trained):
    frame = trained.frame("held_out_loss")
    assert frame.query("seed == 3 and learning_rate == 0.1")["step"].tolist() == [0, 5]
    assert frame.query("seed == 4 and learning_rate == 0.1")["step"].tolist() == [0, 5, 10]


def test_metrics_at_a_step_are_indexed_by_the_labels(trained):
    at = trained.at("held_out_loss", 5)
    assert list(at.index.names) == ["seed", "learning_rate"]
    assert at.loc[(4, 0.1)] == trained.metrics["held_out_loss"][3, 1]
    assert trained.last("held_out_loss").loc[(3, 0.1)] == trained.metrics["held_out_loss"][1, 1]
    with pytest.raises(InputError, match="recorded step"):
        trained.at("held_out_loss", 7)
    with pytest.raises(InputError, match="accuracy"):
        trained.at("accuracy", 5)
    for names in ((), ("loss", "held_out_loss")):
        with pytest.raises(InputError, match="one metric or more"):
            trained.frame(*names)


def test_selected_members_are_a_training_of_their_own(trained):
    chosen = trained.select(learning_rate=0.1)
    assert chosen.members == grid(seed=[3, 4])
    np.testing.assert_array_equal(chosen.losses, trained.losses[[1, 3]])
    np.testing.assert_array_equal(chosen.parameters["w"], trained.parameters["w"][jnp.array([1, 3])])


def test_one_model_has_frames_and_numbers_without_labels(data):
    trained = training.train(
        squared, {"w": jnp.ones(6)}, data, optimizer=optax.sgd(0.1), steps=6,
        recording=Recording(squared_on_held_out, data, every=3),
    )  # fmt: skip
    assert list(trained.frame("held_out_loss")) == ["step", "held_out_loss"]
    assert trained.last("held_out_loss") == trained.at("held_out_loss", 6) == trained.metrics["held_out_loss"][-1]
    with pytest.raises(InputError, match="one model"):
        trained.select(seed=0)


def equal(a, b):
    return all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


KILLED = """
import os, signal, sys
import jax, jax.numpy as jnp, numpy as np, optax
from pathlib import Path
from deepphenomena import training
from deepphenomena.training import Epochs, Recording, checkpoints, driver, grid, tunable

driver.CHECKPOINT_SECONDS = 0

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
trained = training.train(
    squared, {"w": jax.random.normal(jax.random.key(1), (3, 6))}, data, grid(seed=range(3)),
    steps=np.array([20, 50, 50]), optimizer=tunable(optax.adam, learning_rate=np.array([0.1, 0.2, 0.3])),
    batch_fn=Epochs(5), recording=Recording(lambda p, h: {"error": squared(p, h)}, data, every=7),
    checkpoint=Path(sys.argv[1]) if sys.argv[1] else None,
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


@pytest.fixture
def always_saved(monkeypatch):
    monkeypatch.setattr(driver, "CHECKPOINT_SECONDS", 0)


def test_a_checkpoint_is_read_only_by_the_training_that_wrote_it(data, tmp_path, always_saved):
    options = {"optimizer": optax.sgd(0.1), "checkpoint": tmp_path / "kept", "members": grid(seed=[0])}
    done = training.train(squared, start(1), data, steps=4, **options)
    assert equal(done, training.train(squared, start(1), data, steps=4, **options))
    for other in ({"steps": 5}, {"steps": 4, "batch_fn": Epochs(2)}):
        with pytest.raises(InputError, match="another training"):
            training.train(squared, start(1), data, **options, **other)
    with pytest.raises(InputError, match="another training"):
        training.train(squared, start(1, seed=1), data, steps=4, **options)


def test_a_checkpoint_folder_that_cannot_be_written_is_refused_at_once(data, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    options = {"optimizer": optax.sgd(0.1), "steps": 4}
    with pytest.raises(InputError, match="cannot be written"):
        training.train(squared, {"w": jnp.ones(6)}, data, checkpoint=tmp_path / "file", **options)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="cannot be written"):
        training.train(squared, {"w": jnp.ones(6)}, data, checkpoint=tmp_path / "locked", **options)


def test_only_what_took_long_against_a_save_is_saved_at_its_end(data, tmp_path, monkeypatch):
    def train(name):
        options = {"optimizer": optax.sgd(0.1), "checkpoint": tmp_path / name}
        return training.train(squared, {"w": jnp.ones(6)}, data, steps=4, **options)

    done = train("soon over")
    assert not any((tmp_path / "soon over").iterdir())
    monkeypatch.setattr(checkpoints, "_WORTH", 0)
    assert equal(done, train("long"))
    assert any((tmp_path / "long").iterdir())
    assert equal(done, train("long"))


def test_trainings_that_end_at_once_keep_their_checkpoints_apart(tmp_path, data, monkeypatch, always_saved):
    monkeypatch.setenv("NPROC", "8")
    optimizer, initials = optax.sgd(0.1), start(24)["w"]

    def train(k):
        folder = tmp_path / str(k)
        return training.train(squared, {"w": initials[k]}, data, optimizer=optimizer, steps=3, checkpoint=folder).losses

    done = []
    # Daemons, because without the lock they also wait for each other for ever.
    running = threading.Thread(target=lambda: done.append(threads.each(train, range(24))), daemon=True)
    running.start()
    running.join(timeout=120)
    assert done, "saving at once failed or hung"
    np.testing.assert_allclose(threads.each(train, range(24)), done[0])  # each is restored from its own folder
