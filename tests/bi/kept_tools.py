"""Tools of others that tests of BI need and that have no place in our environment: installed once into the cache of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

DONE = "done"


def kept(name: str, *commands: str) -> Path:
    """A folder in which these commands have been run, in a shell; now, if they have not yet. Another version is another name."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ebbtide" / name
    if not (folder / DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in commands:
            subprocess.run(command, shell=True, cwd=folder, check=True)
        (folder / DONE).touch()
    return folder
