"""Checkpoints of a training: saved by Orbax, whole or not at all, and only ever read back by the same training."""

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

# Orbax numbers its saves in one counter for the whole process: two at once get into each other's folders, and may wait
# for each other for ever.
_ONE_AT_A_TIME = threading.Lock()

# What a save costs, about, and how many times as long a training must have taken for its end to be saved.
_SAVE_SECONDS, _BYTES_PER_SECOND = 0.2, 1e8
_WORTH = 20


class Store:
    """The checkpoints of one training in one folder; with no folder, it keeps nothing.

    `identity` is a pytree of whatever fixes the training's course. A folder that was written under another identity is
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
            if not os.access(self._folder, os.W_OK):  # known now, and not after an hour of training
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise InputError(
                f"checkpoint folder {self._folder}: cannot be written ({error.strerror}); "
                "free or unlock it, or choose another"
            ) from None

    @functools.cached_property
    def _orbax(self):
        import orbax.checkpoint  # half a second, which a training that is soon over does not need

        return orbax.checkpoint

    @functools.cached_property
    def _manager(self):
        options = self._orbax.CheckpointManagerOptions(max_to_keep=1, create=True)
        return self._orbax.CheckpointManager(self._folder, options=options)

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._identity)

    def restore(self, start: Any) -> Any:
        """The newest checkpoint in the form of `start` and on its devices, or `start` where there is none.

        InputError where the folder holds another training's checkpoint.
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
        except (ValueError, KeyError, OSError):  # another training's leaves, or a damaged folder
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
        """Save `state`, whose first leaf counts the rounds done, unless the last save was too short a time ago.

        The last one is saved sooner: whenever to train again would take much longer than to save.
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
    """The sha256 of a pytree: its structure, and each leaf's type, shape and bytes."""
    leaves, form = jax.tree.flatten(identity)
    digest = hashlib.sha256(str(form).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        digest.update(json.dumps([str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
