"""The library's rooms import in one direction: from the book down to what everything stands on."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

LIBRARY = Path(__file__).parents[1] / "lib" / "deepphenomena"
PACKAGE = "deepphenomena"

# A room may import the layers below its own, and rooms of its own layer as long as no circle arises.
LAYERS = (
    {"book", "figures", "papers"},
    {
        "complexity",
        "infinite_width",
        "landscape",
        "mean_field",
        "metrics",
        "pruning",
        "robustness",
        "similarity",
        "spectra",
        "tasks",
    },
    {"generators", "nets", "training"},
    {"datasets", "kernels"},
    {"runtime"},
)
DEPTH = {room: depth for depth, layer in enumerate(LAYERS) for room in layer}

# What the package itself offers under a shorter name.
SHORT_NAMES = {"cards": "book/cards.py", "records": "book/records.py", "start": "book/start.py"}


def wrong_arrows(sources: Mapping[str, str]) -> list[str]:
    """The imports that break the design's rule, one sentence each, sorted.

    `sources` maps each module's path below the package, as in "papers/maml_anil.py", to its source.
    """
    wrong, arrows = [], {room: set() for room in DEPTH}
    for path, source in sources.items():
        room = room_of(path)
        if room and room not in DEPTH:
            wrong.append(f"{path}: the room '{room}' has no layer; add it to the design and to LAYERS")
            continue
        for target in imports(path, source, sources):
            other = room_of(target)
            if not room or other not in DEPTH:  # the package's own __init__ offers all rooms
                continue
            if reason := why_wrong(path, target):
                wrong.append(f"{path} imports {target}: {reason}")
            elif room != other:
                arrows[room].add(other)
    wrong += [f"{' and '.join(sorted(circle))} import each other" for circle in circles(arrows)]
    return sorted(set(wrong))


def why_wrong(path: str, target: str) -> str | None:
    """Why one module may not import another, or None where it may."""
    room, other = room_of(path), room_of(target)
    if room == other:
        strangers = room == "papers" and chapter_of(path) != chapter_of(target)
        return "papers of different chapters stand alone" if strangers else None
    if other == "book":
        return "nothing outside book imports book"
    if room == "book" and other in {"figures", "papers"}:
        return f"book does not import {other}"
    if DEPTH[other] < DEPTH[room]:
        return f"{room} lies below {other}"
    return None


def room_of(path: str) -> str:
    """The room of a module; "" for the package itself and for the command that it is as a module."""
    name = PurePosixPath(path).parts[0].removesuffix(".py")
    return "" if name in ("__init__", "__main__") else name


def chapter_of(path: str) -> str:
    return PurePosixPath(path).parts[1].removesuffix(".py")


def imports(path: str, source: str, known: Mapping[str, str]) -> Iterator[str]:
    """The path below the package of every module of the package that a source imports, wherever in it."""
    package = [PACKAGE, *PurePosixPath(path).parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                target = module_path(parts[1:], known)
                yield SHORT_NAMES.get(target.removesuffix(".py"), target)


def module_path(parts: list[str], known: Mapping[str, str]) -> str:
    """The longest prefix of a dotted name that is a module among those known, else the name's own path."""
    for end in range(len(parts), 0, -1):
        stem = "/".join(parts[:end])
        for path in (f"{stem}/__init__.py", f"{stem}.py"):
            if path in known:
                return path
    return "/".join(parts) + ".py" if parts else "__init__.py"


def circles(arrows: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The groups of rooms that reach each other."""
    reach = dict(arrows)
    for _ in arrows:
        reach = {room: targets.union(*(reach[target] for target in targets)) for room, targets in reach.items()}
    return {frozenset(other for other in reach[room] if room in reach[other]) for room in reach if room in reach[room]}


def real_sources() -> dict[str, str]:
    return {file.relative_to(LIBRARY).as_posix(): file.read_text(encoding="utf-8") for file in LIBRARY.rglob("*.py")}


def test_no_module_of_the_library_imports_against_the_arrows():
    sources = real_sources()
    assert sources
    assert wrong_arrows(sources) == []


def test_no_module_of_the_library_exceeds_300_lines():
    lengths = {path: len(source.splitlines()) for path, source in real_sources().items()}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize(
    ("path", "source", "words"),
    [
        ("spectra/lanczos.py", "import deepphenomena.book.cards", "nothing outside book imports book"),
        ("spectra/lanczos.py", "from deepphenomena.book import cards", "nothing outside book imports book"),
        ("figures/show.py", "from deepphenomena.book.run import Run", "nothing outside book imports book"),
        ("papers/a.py", "from deepphenomena.papers import b", "papers of different chapters"),
        ("papers/a/fit.py", "from deepphenomena.papers.b.fit import f", "papers of different chapters"),
        ("papers/a.py", "from . import b", "papers of different chapters"),
        ("papers/a.py", "from ..book import cards", "nothing outside book imports book"),
        ("papers/a.py", "from deepphenomena import cards", "nothing outside book imports book"),
        ("runtime/threads.py", "from deepphenomena import nets", "runtime lies below nets"),
        ("runtime/threads.py", "def f():\n    import deepphenomena.nets.mlp", "runtime lies below nets"),
        ("kernels/scan.py", "from deepphenomena.training import loop", "kernels lies below training"),
        ("nets/mlp.py", "from deepphenomena import spectra", "nets lies below spectra"),
        ("book/run.py", "from deepphenomena import figures", "book does not import figures"),
        ("book/run.py", "from deepphenomena.papers import a", "book does not import papers"),
        ("utils.py", "", "has no layer"),
    ],
)
def test_a_wrong_arrow_is_named(path, source, words):
    around = {"papers/a/__init__.py": "", "papers/b/__init__.py": "", "nets/__init__.py": ""}
    (found,) = wrong_arrows({**around, path: source})
    assert found.startswith(path)
    assert words in found


def test_rooms_that_import_in_a_circle_are_named():
    sources = {
        "nets/__init__.py": "from deepphenomena import training",
        "training/__init__.py": "from deepphenomena.generators import Pool",
        "generators/__init__.py": "",
    }
    assert wrong_arrows(sources) == []
    sources["generators/labels.py"] = "from deepphenomena.nets.functional import Network"
    assert wrong_arrows(sources) == ["generators and nets and training import each other"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("papers/a/fit.py", "from deepphenomena.papers.a import starts"),
        ("papers/a/fit.py", "from . import starts"),
        ("papers/a.py", "from deepphenomena import figures_of_speech"),
        ("papers/a.py", "from deepphenomena.runtime import sampling\nfrom deepphenomena import mean_field, training"),
        ("book/run.py", "from deepphenomena import __version__, datasets\nfrom deepphenomena.runtime import paths"),
        ("mean_field/phases.py", "from deepphenomena.mean_field.activations import ACTIVATIONS"),
        ("__init__.py", "from deepphenomena.book import cards"),
    ],
)
def test_a_right_arrow_is_not_reported(path, source):
    assert wrong_arrows({path: source}) == []
