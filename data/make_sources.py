"""Train the networks of `deepphenomena.papers.transfusion.sources` on CIFAR-10 and write their weights.

    python data/make_sources.py [NAME ...]

Each takes a few minutes on two CPU cores. It prints the checksum that belongs into `sources.SHA256`.
"""

import argparse
import hashlib
import json
import platform

import jax
import jax.numpy as jnp
import optax

from deepphenomena import datasets, metrics, nets, training
from deepphenomena.book.provenance import package_version
from deepphenomena.papers.transfusion import sources, tasks
from deepphenomena.training import objectives

PIXELS, BATCH, RATE, SEED = 32, 64, 0.003, 0
NETWORKS = {"cbr-tiny/8": 2000, "cbr-tiny/4": 2000, "resnet-18/8": 1200, sources.FILTERS: 2000}  # steps of training


def build(name: str):
    key = jax.random.key(SEED)
    if name == sources.FILTERS:
        return sources.many_filters(3, 10, key=key)
    return nets.network(name, (PIXELS, PIXELS, 3), 10, key=key)


def cross_entropy(scores, labels):
    return jnp.mean(optax.sigmoid_binary_cross_entropy(scores, labels))


def make(name: str, steps: int) -> dict:
    """Train one network, write its weights, and return their provenance."""
    network, initial = nets.functional(build(name))
    given, held_out = datasets.load("cifar10", n=50_000), datasets.load("cifar10", "test", n=10_000)
    photographs, test = tasks.photographs(given, pixels=PIXELS), tasks.photographs(held_out, pixels=PIXELS)
    trained = training.train(
        objectives.of(network, cross_entropy), initial, photographs, key=jax.random.key(SEED), steps=steps,
        optimizer=optax.adam(optax.cosine_decay_schedule(RATE, steps)), batch_fn=training.Epochs(BATCH),
    ).parameters  # fmt: skip
    content = sources.packed(trained)
    (sources.FOLDER / f"{name.replace('/', '-')}.npz").write_bytes(content)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(jnp.float32), trained)
    scores = jnp.concatenate([jax.jit(network)(rounded, test["x"][i : i + 500]) for i in range(0, 10_000, 500)])
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "dataset": {"name": "cifar10", "n": 50_000, "sha256": given.sha256},
        "training": {"steps": steps, "batch": BATCH, "optimizer": "Adam, cosine to zero", "rate": RATE, "seed": SEED},
        "test": {
            "auc": round(float(jnp.mean(metrics.roc_auc(scores, test["y"] == 1))), 4),
            "accuracy": round(float(jnp.mean(jnp.argmax(scores, 1) == jnp.argmax(test["y"], 1))), 4),
        },
        "versions": {"python": platform.python_version(), **{p: package_version(p) for p in ("jax", "flax", "optax")}},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help=f"of {', '.join(NETWORKS)}; default: all")
    chosen = parser.parse_args().names or list(NETWORKS)
    if unknown := set(chosen) - set(NETWORKS):
        parser.error(f"unknown network {', '.join(sorted(unknown))}; choose from {', '.join(NETWORKS)}")
    sources.FOLDER.mkdir(exist_ok=True)
    file = sources.FOLDER / "sources.json"
    made = json.loads(file.read_text()) if file.exists() else {}
    for name in chosen:
        made[name] = make(name, NETWORKS[name])
        print(f'    "{name}": "{made[name]["sha256"]}",', made[name]["test"], flush=True)
        file.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n")
