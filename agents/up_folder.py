"""The folder in which `ebbtide up` keeps tables and state."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATE = "state"
"""Folder of state and positions, below it."""
STORE = "clickhouse"
"""Folder of the tables, below it."""


class DataDirInUse(RuntimeError):
    """Another process runs on this folder."""


@contextmanager
def folder_of(kept: Path | None) -> Iterator[Path]:
    """The folder that was named, for this process alone, or one that is thrown away in the end.

    Raises: DataDirInUse
    """
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        with (kept / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"another `ebbtide up` runs on {kept}: stop it first, or name another folder with --data-dir"
                raise DataDirInUse(message) from error
            yield kept
        return
    folder = Path(tempfile.mkdtemp(prefix="ebbtide-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
