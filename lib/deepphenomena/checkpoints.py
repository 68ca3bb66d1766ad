"""Checkpoints of a training: saved by Orbax, whole or not at all, and only ever read back by the same training."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from deepphenomena.errors import InputError

# Orbax numbers its saves in one counter for the whole process: two at once get into each other's folders, and may wait
# for each other for ever.
_ONE_AT_A_TIME = threading.Lock()


class Store:
    """The checkpoints of one training in one folder; with no folder, it keeps nothing.

    `identity` is a pytree of whatever fixes the training's course. A folder that was written under another identity is
    refused.
    """

    def __init__(self, folder: Path | None, seconds: float, identity: Any):
        self._folder = None if folder is None else Path(folder).absolute()
        self._seconds = seconds
        self._saved = time.monotonic()
        if self._folder is None:
            return
        self._fingerprint = fingerprint(identity)
        try:
            self._manager = ocp.CheckpointManager(
                self._folder, options=ocp.CheckpointManagerOptions(max_to_keep=1, create=True)
            )
        except OSError as error:
            raise InputError(
                f"checkpoint folder {self._folder}: cannot be written ({error.strerror}); "
                "free or unlock it, or choose another"
            ) from None

    def restore(self, start: Any) -> Any:
        """The newest checkpoint in the form of `start`, or `start` where there is none.

        InputError where the folder holds another training's checkpoint.
        """
        if self._folder is None or (step := self._manager.latest_step()) is None:
            return start
        leaves, form = jax.tree.flatten(start)
        try:
            kept = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    identity=ocp.args.JsonRestore(),
                    state=ocp.args.StandardRestore([np.asarray(leaf) for leaf in leaves]),
                ),
            )
        except (ValueError, KeyError, OSError):  # another training's leaves, or a damaged folder
            kept = None
        if kept is None or kept["identity"] != {"fingerprint": self._fingerprint}:
            raise InputError(
                f"checkpoint folder {self._folder}: holds another training's checkpoint, or a damaged one; "
                "delete it or choose another"
            )
        restored = [
            jax.numpy.asarray(value) if isinstance(leaf, jax.Array) else np.array(value, np.asarray(leaf).dtype)
            for leaf, value in zip(leaves, kept["state"], strict=True)
        ]
        return jax.tree.unflatten(form, restored)

    def save(self, state: Any, *, last: bool = False) -> None:
        """Save `state`, whose first leaf counts the rounds done, unless the last save was too short a time ago."""
        if self._folder is None or (time.monotonic() - self._saved < self._seconds and not last):
            return
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        with _ONE_AT_A_TIME:
            self._manager.save(
                int(leaves[0]),
                args=ocp.args.Composite(
                    identity=ocp.args.JsonSave({"fingerprint": self._fingerprint}), state=ocp.args.StandardSave(leaves)
                ),
            )
            self._manager.wait_until_finished()
        self._saved = time.monotonic()


def fingerprint(identity: Any) -> str:
    """The sha256 of a pytree: its structure, and each leaf's type, shape and bytes."""
    leaves, form = jax.tree.flatten(identity)
    digest = hashlib.sha256(str(form).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        digest.update(json.dumps([str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
