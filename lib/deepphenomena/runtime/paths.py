"""Where things lie: in a clone of the repository, or inside the installed package."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parents[1]


def repository() -> Path | None:
    """The clone this package runs from (an editable install), or None when it was installed as a wheel."""
    root = _PACKAGE.parents[1]
    return root if (root / "_toc.yml").is_file() and (root / "chapters").is_dir() else None


def chapters() -> Path:
    """The folder of cards: `chapters/` of the clone, else the copy that the wheel carries."""
    return (repository() or _PACKAGE) / "chapters"


def data() -> Path:
    """The folder of `datasets.yaml`, `embedded/` and, in a clone, `results/`."""
    return (repository() or _PACKAGE) / "data"


def cache() -> Path:
    """The user's cache folder: complete datasets, checkpoints of killed runs. Safe to delete.

    The environment variable DEEPPHENOMENA_CACHE names another.
    """
    return Path(os.environ.get("DEEPPHENOMENA_CACHE") or platformdirs.user_cache_dir("deepphenomena"))
