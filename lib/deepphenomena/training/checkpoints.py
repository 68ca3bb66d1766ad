"""Checkpoints of a training: one file, replaced atomically, with a checksum; restored only by the same training."""

import errno
import hashlib
import io
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from deepphenomena.runtime.errors import InputError

_FILE = "checkpoint"
_FORM = b"deepphenomena checkpoint 1\n"

# The approximate cost of a save. The end of a training is saved only if the training took _WORTH times as long.
_SAVE_SECONDS, _BYTES_PER_SECOND = 0.2, 1e8
_WORTH = 20


class Store:
    """The checkpoint of one training in one folder. Without a folder, nothing is saved.

    A file is written beside the last one and renamed, so that neither a killed process nor a second run in the folder
    leaves half of one. A checkpoint that cannot be written costs a warning, not the training.

    Args:
        folder: where the checkpoint is kept.
        seconds: between two saves.
        identity: returns a pytree of everything that determines the training. It is called when first needed: short
            trainings save nothing. The checkpoint of another identity is refused.
    """

    def __init__(self, folder: Path | None, seconds: float, identity: Callable[[], Any]):
        self._folder = None if folder is None else Path(folder).absolute()
        self._seconds = seconds
        self._saved = time.monotonic()
        self._identify = identity
        self._identity = None
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

    @property
    def _fingerprint(self) -> str:
        if self._identity is None:
            self._identity = fingerprint(self._identify())
        return self._identity

    def restore(self, start: Any) -> Any:
        """Return the checkpoint with the structure and devices of `start`, or `start` without a checkpoint.

        Raises:
            InputError: the folder holds the checkpoint of another training, or a damaged one.
        """
        if self._folder is None:
            return start
        try:
            content = (self._folder / _FILE).read_bytes()
        except FileNotFoundError:
            return start
        except OSError as error:
            raise self._refusal(f"cannot be read ({error.strerror})") from None
        leaves, form = jax.tree.flatten(start)
        stored = self._checked(content, leaves)
        restored = [
            jax.device_put(value, leaf.sharding) if isinstance(leaf, jax.Array) else value
            for leaf, value in zip(leaves, stored, strict=True)
        ]
        return jax.tree.unflatten(form, restored)

    def _checked(self, content: bytes, leaves: list[Any]) -> list[np.ndarray]:
        """Return the arrays of a checkpoint if they are whole, of this training, and of the form of `leaves`."""
        form, rest = content[: len(_FORM)], content[len(_FORM) :]
        digest, body = rest[:32], rest[32:]
        if form != _FORM or hashlib.sha256(body).digest() != digest:
            raise self._refusal("holds a damaged checkpoint, or one of another version")
        head, _, values = body.partition(b"\n")
        wanted = [_kind(leaf) for leaf in leaves]
        if json.loads(head) != {"identity": self._fingerprint, "leaves": wanted}:
            raise self._refusal("holds another training's checkpoint")
        stored, reader = [], io.BytesIO(values)
        for leaf in map(np.asarray, leaves):
            stored.append(np.frombuffer(reader.read(leaf.nbytes), leaf.dtype).reshape(leaf.shape).copy())
        return stored

    def _refusal(self, problem: str) -> InputError:
        return InputError(f"checkpoint folder {self._folder}: {problem}; delete it or choose another")

    def save(self, state: Any, *, last: bool = False) -> None:
        """Save `state`, unless the last save was too recent.

        The last state is saved sooner, if repeating the training would take much longer than the save.
        """
        if self._folder is None:
            return
        leaves = jax.tree.leaves(state)
        cost = _SAVE_SECONDS + sum(getattr(leaf, "nbytes", 0) for leaf in leaves) / _BYTES_PER_SECOND
        wait = min(self._seconds, _WORTH * cost) if last else self._seconds
        if time.monotonic() - self._saved < wait:
            return
        head = json.dumps({"identity": self._fingerprint, "leaves": [_kind(leaf) for leaf in leaves]}).encode()
        body = b"".join([head, b"\n", *(np.ascontiguousarray(np.asarray(leaf)).tobytes() for leaf in leaves)])
        try:
            self._write([_FORM, hashlib.sha256(body).digest(), body])
        except OSError as error:
            warnings.warn(
                f"checkpoint folder {self._folder}: not saved ({error.strerror}); the training goes on, and a killed "
                "run would begin from its last checkpoint. Free or unlock the folder",
                RuntimeWarning,
                stacklevel=2,
            )
        self._saved = time.monotonic()

    def _write(self, parts: list[bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)  # a run that ended has removed it
        beside = self._folder / f".{_FILE}.{uuid.uuid4().hex}"
        try:
            with beside.open("wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._folder / _FILE)
        finally:
            beside.unlink(missing_ok=True)


def _kind(leaf: Any) -> list[Any]:
    array = np.asarray(leaf)
    return [str(array.dtype), list(array.shape)]


def fingerprint(identity: Any) -> str:
    """Return the sha256 of a pytree: of its structure and of the type, shape and bytes of each leaf."""
    leaves, form = jax.tree.flatten(identity)
    digest = hashlib.sha256(str(form).encode())
    for leaf in leaves:
        is_key = isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        digest.update(json.dumps([str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
