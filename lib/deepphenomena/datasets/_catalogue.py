"""The declarations of every dataset in `data/datasets.yaml`, validated."""

import functools
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from deepphenomena.runtime import paths, text
from deepphenomena.runtime.documents import explain
from deepphenomena.runtime.errors import InputError

SplitName = Literal["train", "validation", "test"]
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Checksum = Annotated[str, pydantic.StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Size = Annotated[int, pydantic.Field(gt=0)]


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Split(_Declared):
    """A complete split. `sha256` is the `digest` of its arrays; `files` are its canonical files, in order."""

    size: Size
    sha256: Sha256 | None = None
    files: list[str] = []


class Embedded(_Declared):
    """The subset of a split that is part of the book: lossless grids of images, each with the sha256 of its pixels.

    `class_names` is a file with one class name per line, for datasets whose splits have different classes.
    """

    size: Size
    files: dict[str, Sha256]
    class_names: str | None = None


class CanonicalFile(_Declared):
    """A file as published by its authors, uncompressed. Every source must provide it bit for bit."""

    bytes: Size
    sha256: Sha256


class Source(_Declared):
    """A source of a dataset: its archives with their checksums, their address and their format.

    The name of an archive is appended to `url`. A source without `url` is only searched in the mirror folder. `folder`
    is the folder inside the archive with the canonical files. `parts` are archives with the same number of images each
    that are read separately. Only their checksums can be null, if the authors publish none.
    """

    form: Literal["loose", "tar", "omniglot-zip", "omniglot-npz", "grid-npz", "chest", "mri", "malaria", "parts"]
    archives: dict[str, Checksum | None] = pydantic.Field(min_length=1)
    url: str | None = None
    folder: str = "."

    @pydantic.model_validator(mode="after")
    def _checked(self) -> "Source":
        if self.form != "parts" and None in self.archives.values():
            raise ValueError("an archive has no checksum; write sha256:...")
        if self.form == "parts" and self.url is None:
            raise ValueError("a dataset in parts needs an address; give url")
        return self

    @property
    def title(self) -> str:
        """The name of the source, in one line."""
        if self.url:
            return self.url + (next(iter(self.archives)) if len(self.archives) == 1 else "")
        return ", ".join(self.archives)


class Entry(_Declared):
    """One dataset. `shape` is (height, width, channels); `canonical` is False for a lossy stand-in.

    `layout` is the format of the canonical files: `idx` (images, then labels) or `cifar` (records of label bytes,
    the finest last, and planes of red, green and blue).
    """

    title: str
    licence: str
    citation: str
    homepage: str
    note: str = ""
    shape: tuple[Size, Size, Size]
    canonical: bool = True
    classes: list[str] = []
    splits: dict[SplitName, Split]
    embedded: dict[SplitName, Embedded] = {}
    layout: Literal["idx", "cifar"] | None = None
    files: dict[str, CanonicalFile] = {}
    sources: list[Source] = []

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Entry":
        for split in self.splits.values():
            for file in split.files:
                if file not in self.files:
                    raise ValueError(f"file '{file}' of a split is not declared under files; add it there")
        if bool(self.files) != (self.layout is not None):
            raise ValueError("layout and files go together; give both or neither")
        if not self.classes and not all(subset.class_names for subset in self.embedded.values()):
            raise ValueError("an embedded subset cycles through the classes; list them under classes")
        sizes = {split: declared.size for split, declared in self.splits.items()}
        if not self.sources and sizes != {split: subset.size for split, subset in self.embedded.items()}:
            raise ValueError("a dataset without sources is embedded whole; give sources, or embed every split whole")
        if any(source.form == "parts" for source in self.sources) and not self.in_parts:
            raise ValueError("a dataset in parts has one source and one split, which the parts divide; correct them")
        return self

    @property
    def in_parts(self) -> bool:
        """Whether archives are downloaded one by one, as many as a request needs."""
        (source, *others), (split, *other_splits) = self.sources or [None], self.splits.values()
        whole = not others and not other_splits and source is not None and source.form == "parts"
        return whole and split.size % len(source.archives) == 0


class _Catalogue(_Declared):
    datasets: dict[str, Entry]


def catalogue() -> dict[str, Entry]:
    """Return every dataset declared in `data/datasets.yaml`, by name. Raise InputError for an invalid key in it.

    Example:
        >>> datasets.catalogue()["mnist"].shape
        (28, 28, 1)
    """
    file = paths.data() / "datasets.yaml"
    return _parse(file, text.read(file, f"catalogue {file}"))


@functools.lru_cache
def _parse(file: Path, written: str) -> dict[str, Entry]:
    content = text.from_yaml(written, f"catalogue {file}")
    try:
        return _Catalogue.model_validate(content).datasets
    except pydantic.ValidationError as error:
        raise InputError(f"catalogue {file}: {explain(error, _Catalogue)}") from None
