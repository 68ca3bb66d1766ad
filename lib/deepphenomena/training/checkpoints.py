"""Checkpoints of a training, written by Orbax; restored only whole, and only by the same training."""

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from deepphenomena.runtime import text
from deepphenomena.runtime.errors import InputError

# Names the folder of the newest state, and says what it is. Replaced atomically, so a checkpoint is whole or absent.
_FILE = "checkpoint"

# Orbax uses one counter of saves for the whole process: two simultaneous saves can deadlock.
_ONE_AT_A_TIME = threading.Lock()

# The approximate cost of a save. The end of a training is saved only if the training took _WORTH times as long.
_SAVE_SECONDS, _BYTES_PER_SECOND = 0.2, 1e8
_WORTH = 20
_ABANDONED_SECONDS = 3600.0  # a state that nobody has finished for so long belongs to a killed run


class Store:
    """The checkpoint of one training in one folder. Without a folder, nothing is saved.

    Each state is saved in a new folder, and then `checkpoint` is replaced by a file that names it, so that neither a
    killed process nor a second run in the folder leaves half of one. A checkpoint that cannot be written costs a
    warning, not the training.

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
        self._newest: Path | None = None  # the state that the file names, as far as this store knows
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
    def _fingerprint(self) -> str:
        return fingerprint(self._identify())

    @functools.cached_property
    def _orbax(self):
        import orbax.checkpoint  # takes half a second; short trainings do not need it

        return orbax.checkpoint.StandardCheckpointer()

    def restore(self, start: Any) -> Any:
        """Return the checkpoint with the structure and devices of `start`, or `start` without a checkpoint.

        Raises:
            InputError: the folder holds the checkpoint of another training, or a damaged one.
        """
        leaves, form = jax.tree.flatten(start)
        while self._folder is not None and (described := self._described()) is not None:
            if {name: described[name] for name in ("identity", "leaves")} != self._description(leaves):
                raise self._refusal("holds another training's checkpoint")
            self._newest = self._folder / Path(str(described["state"])).name  # in this folder, whatever the file says
            try:
                stored = self._stored(described["sha256"], leaves)
            except InputError:
                if self._described() == described:
                    raise
                continue  # another run in this folder has replaced or deleted it
            restored = [
                jax.device_put(value, leaf.sharding) if isinstance(leaf, jax.Array) else value
                for leaf, value in zip(leaves, stored, strict=True)
            ]
            return jax.tree.unflatten(form, restored)
        return start

    def _described(self) -> dict[str, Any] | None:
        """Return what the folder says of its checkpoint, or None without one."""
        try:
            content = (self._folder / _FILE).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refusal(f"cannot be read ({error.strerror})") from None
        try:
            described = text.from_json(content.decode("utf-8", "replace"), str(self._folder / _FILE))
        except InputError:
            described = None
        if not isinstance(described, dict) or not {"identity", "leaves", "sha256", "state"} <= set(described):
            raise self._refusal("holds a damaged checkpoint, or one of another version")
        return described

    def _description(self, leaves: list[Any]) -> dict[str, Any]:
        return {"identity": self._fingerprint, "leaves": [_kind(leaf) for leaf in leaves]}

    def _stored(self, sha256: str, leaves: list[Any]) -> list[np.ndarray]:
        """Return the arrays of the newest state, of the form of `leaves`, if they are those that were saved."""
        wanted = [np.asarray(leaf) for leaf in leaves]
        try:
            with _plainly_named(self._folder) as folder:
                stored = self._orbax.restore(folder / self._newest.name, wanted)
        except Exception:  # every layer of Orbax has its own errors for a damaged file
            raise self._refusal("holds a damaged checkpoint") from None
        stored = [np.array(value, leaf.dtype) for leaf, value in zip(wanted, stored, strict=True)]
        if fingerprint(stored) != sha256:
            raise self._refusal("holds a damaged checkpoint")
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
        try:
            self._write([np.asarray(leaf) for leaf in leaves])
        except Exception as error:  # a full disk has another error in each layer of Orbax
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            warnings.warn(
                f"checkpoint folder {self._folder}: not saved ({reason}); the training goes on, and a killed "
                "run would begin from its last checkpoint. Free or unlock the folder",
                RuntimeWarning,
                stacklevel=2,
            )
        self._saved = time.monotonic()

    def _write(self, leaves: list[np.ndarray]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)  # a run that ended has removed it
        unique = uuid.uuid4().hex
        state, beside = self._folder / f"state-{unique}", self._folder / f".{_FILE}.{unique}"
        try:
            with _ONE_AT_A_TIME, _plainly_named(self._folder) as folder:
                self._orbax.save(folder / state.name, leaves)
                self._orbax.wait_until_finished()
            described = self._description(leaves) | {"sha256": fingerprint(leaves), "state": state.name}
            with beside.open("w", encoding="utf-8") as file:
                json.dump(described, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._folder / _FILE)
        except BaseException:
            shutil.rmtree(state, ignore_errors=True)
            raise
        finally:
            beside.unlink(missing_ok=True)
        abandoned = time.time() - _ABANDONED_SECONDS
        for old in self._folder.glob("state-*"):
            with contextlib.suppress(OSError):
                if old != state and (old == self._newest or old.stat().st_mtime < abandoned):
                    shutil.rmtree(old)
        self._newest = state


@contextlib.contextmanager
def _plainly_named(folder: Path) -> Iterator[Path]:
    """Yield another name of a folder: Orbax reads brackets in a path as a pattern."""
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "folder"
        link.symlink_to(folder, target_is_directory=True)
        yield link


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
