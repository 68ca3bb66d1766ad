"""Locations of files: in a clone of the repository, or inside the installed package."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parents[1]


def repository() -> Path | None:
    """Return the clone that this package runs from (an editable install), or None for an installed wheel."""
    root = _PACKAGE.parents[1]
    return root if (root / "_toc.yml").is_file() and (root / "chapters").is_dir() else None


def chapters() -> Path:
    """Return the folder of cards: `chapters/` of the clone, or the copy in the wheel."""
    return (repository() or _PACKAGE) / "chapters"


def data() -> Path:
    """Return the folder of `datasets.yaml`, `embedded/` and, in a clone, `results/`."""
    return (repository() or _PACKAGE) / "data"


def cache() -> Path:
    """Return the user's cache folder, for complete datasets and checkpoints of killed runs. It is safe to delete.

    Set the environment variable DEEPPHENOMENA_CACHE to choose another folder.
    """
    return Path(os.environ.get("DEEPPHENOMENA_CACHE") or platformdirs.user_cache_dir("deepphenomena"))
