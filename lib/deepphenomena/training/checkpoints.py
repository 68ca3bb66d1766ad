"""Checkpoints of a training: saved atomically by Orbax, and restored only by the same training."""

import errno
import functools
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from deepphenomena.runtime.errors import InputError

# Orbax uses one counter of saves for the whole process: two simultaneous saves can write into each other's folders or
# deadlock.
_ONE_AT_A_TIME = threading.Lock()

# The approximate cost of a save. The end of a training is saved only if the training took _WORTH times as long.
_SAVE_SECONDS, _BYTES_PER_SECOND = 0.2, 1e8
_WORTH = 20


class Store:
    """The checkpoints of one training in one folder. Without a folder, nothing is saved.

    `identity` is a pytree of everything that determines the training. A folder written with another identity is
    refused.
    """

    def __init__(self, folder: Path | None, seconds: float, identity: Any):
        self._folder = None if folder is None else Path(folder).absolute()
        self._seconds = seconds
        self._saved = time.monotonic()
        self._identity = identity
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self._folder, os.W_OK):  # fail now, not after an hour of training
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise InputError(
                f"checkpoint folder {self._folder}: cannot be written ({error.strerror}); "
                "free or unlock it, or choose another"
            ) from None

    @functools.cached_property
    def _orbax(self):
        import orbax.checkpoint  # takes half a second; short trainings do not need it

        return orbax.checkpoint

    @functools.cached_property
    def _manager(self):
        options = self._orbax.CheckpointManagerOptions(max_to_keep=1, create=True)
        return self._orbax.CheckpointManager(self._folder, options=options)

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._identity)

    def restore(self, start: Any) -> Any:
        """Return the newest checkpoint with the structure and devices of `start`, or `start` without a checkpoint.

        Raise InputError if the folder holds the checkpoint of another training.
        """
        if self._folder is None or not any(self._folder.iterdir()) or (step := self._manager.latest_step()) is None:
            return start
        leaves, form = jax.tree.flatten(start)
        args = self._orbax.args
        try:
            kept = self._manager.restore(
                step,
                args=args.Composite(
                    identity=args.JsonRestore(),
                    state=args.StandardRestore([np.asarray(leaf) for leaf in leaves]),
                ),
            )
        except (ValueError, KeyError, OSError):  # the leaves of another training, or a damaged folder
            kept = None
        if kept is None or kept["identity"] != {"fingerprint": self._fingerprint}:
            raise InputError(
                f"checkpoint folder {self._folder}: holds another training's checkpoint, or a damaged one; "
                "delete it or choose another"
            )
        restored = [
            jax.device_put(value, leaf.sharding)
            if isinstance(leaf, jax.Array)
            else np.array(value, np.asarray(leaf).dtype)
            for leaf, value in zip(leaves, kept["state"], strict=True)
        ]
        return jax.tree.unflatten(form, restored)

    def save(self, state: Any, *, last: bool = False) -> None:
        """Save `state`, whose first leaf counts the rounds done, unless the last save was too recent.

        The last state is saved sooner, if repeating the training would take much longer than the save.
        """
        if self._folder is None:
            return
        leaves = jax.tree.leaves(state)
        cost = _SAVE_SECONDS + sum(getattr(leaf, "nbytes", 0) for leaf in leaves) / _BYTES_PER_SECOND
        wait = min(self._seconds, _WORTH * cost) if last else self._seconds
        if time.monotonic() - self._saved < wait:
            return
        leaves = [np.asarray(leaf) for leaf in leaves]
        args = self._orbax.args
        with _ONE_AT_A_TIME:
            self._manager.save(
                int(leaves[0]),
                args=args.Composite(
                    identity=args.JsonSave({"fingerprint": self._fingerprint}), state=args.StandardSave(leaves)
                ),
            )
            self._manager.wait_until_finished()
        self._saved = time.monotonic()


def fingerprint(identity: Any) -> str:
    """Return the sha256 of a pytree: of its structure and of the type, shape and bytes of each leaf."""
    leaves, form = jax.tree.flatten(identity)
    digest = hashlib.sha256(str(form).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        digest.update(json.dumps([str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
