"""Where things lie: in a clone of the repository, or inside the installed package."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


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
