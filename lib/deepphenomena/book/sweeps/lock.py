"""A lock on the folder of a sweep: one sweep at a time, also after a crash, a restart, or damage to the lock's file."""

import contextlib
import json
import os
import platform
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import fsspec

from deepphenomena.runtime.errors import InputError, shown

_NAME = "sweep.lock"
_GUARD = ".sweep.lock.guard"
_SECONDS_FOR_THE_GUARD = 30  # it is held for the moment in which a lock is looked at and taken


@contextlib.contextmanager
def locked(files: fsspec.AbstractFileSystem, root: str, out: str) -> Iterator[None]:
    """Lock a folder against a second sweep.

    The file of the lock is created exclusively, with a conditional write on an object store. It is taken over only from
    a process of this machine that no longer runs, known by its start time: a reused number is another process.

    Raises:
        InputError: another sweep holds the lock, with its owner and time, or the file of the lock is damaged.
    """
    path = f"{root}/{_NAME}"
    mine = {
        "host": platform.node(),
        "process": os.getpid(),
        "began": _beginning(os.getpid()),
        "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "token": uuid.uuid4().hex,
    }
    with _guarded(files, root):
        if not _created(files, path, mine):
            held = _holder(files, path)
            if held is not None and not _gone(held):
                raise _occupied(out, held, path)
            with contextlib.suppress(FileNotFoundError):
                files.rm_file(path)
            if not _created(files, path, mine):
                raise _occupied(out, _holder(files, path) or {}, path)
    try:
        yield
    finally:
        with _guarded(files, root):
            if (_holder(files, path) or {}).get("token") == mine["token"]:
                files.rm_file(path)


@contextlib.contextmanager
def _guarded(files: fsspec.AbstractFileSystem, root: str) -> Iterator[None]:
    """Let one process of this machine at a time look at the lock and change it."""
    if not is_local(files):
        yield
        return
    guard = filelock.FileLock(Path(root) / _GUARD, timeout=_SECONDS_FOR_THE_GUARD)
    try:
        guard.acquire()
    except (OSError, NotImplementedError) as problem:  # a file system without locks, or another process that hangs
        raise InputError(f"output {root}: it cannot be locked ({problem}); give a folder on another disk") from None
    try:
        yield
    finally:
        guard.release()


def _created(files: fsspec.AbstractFileSystem, path: str, content: dict[str, Any]) -> bool:
    """Create the file of the lock, whole or not at all. Return False if there is one."""
    text = json.dumps(content)
    try:
        if is_local(files):
            beside = Path(f"{path}.{content['token']}")
            beside.write_text(text, encoding="utf-8")
            try:
                os.link(beside, path)
            finally:
                beside.unlink()
        elif files.exists(path):
            return False
        else:
            files.pipe_file(path, text.encode(), mode="create")
    except FileExistsError:
        return False
    return True


def _holder(files: fsspec.AbstractFileSystem, path: str) -> dict[str, Any] | None:
    """Return what the lock says of its owner, {} if that is damaged, or None without a lock."""
    try:
        held = json.loads(files.cat_file(path))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _gone(held: dict[str, Any]) -> bool:
    """Return whether the lock belongs to a process of this machine that no longer runs."""
    process = held.get("process")
    if held.get("host") != platform.node() or type(process) is not int or not 0 < process < 2**31:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs, and belongs to someone else
        pass
    began = _beginning(process)
    return began is not None and "began" in held and held["began"] != began


def _beginning(process: int) -> str | None:
    """Return when a process began, as the boot of the machine and the clock ticks since, or None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
    return f"{boot} {ticks}"


def _occupied(out: str, held: dict[str, Any], path: str) -> InputError:
    known = {name: shown(held[name]).strip("'") for name in ("process", "host", "since") if name in held}
    if len(known) < 3:
        return InputError(
            f"output {out}: its lock is damaged, so its owner is not known; if no sweep writes there, delete {path}"
        )
    return InputError(
        f"output {out}: a sweep writes there already (process {known['process']} on {known['host']}, since "
        f"{known['since']}); wait for it, give another --out, or, if it no longer runs, delete {path}"
    )


def is_local(files: fsspec.AbstractFileSystem) -> bool:
    """Return whether a file system is that of this machine."""
    protocols = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    return "file" in protocols
