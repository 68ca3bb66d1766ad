"""The declarations of every dataset in `data/datasets.yaml`, validated."""

import functools
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml

from deepphenomena.runtime import paths
from deepphenomena.runtime.documents import explain
from deepphenomena.runtime.errors import InputError

SplitName = Literal["train", "validation", "test"]
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Checksum = Annotated[str, pydantic.StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]
Size = Annotated[int, pydantic.Field(gt=0)]


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Split(_Declared):
    """A complete split. `sha256` is `digest` of its arrays; `files` the canonical files that hold it, in order."""

    size: Size
    sha256: Sha256 | None = None
    files: list[str] = []


class Embedded(_Declared):
    """The subset of a split that ships with the book: lossless grids of images, each with the sha256 of its pixels.

    `class_names` is a file of the classes' names, one a line, where every split has classes of its own.
    """

    size: Size
    files: dict[str, Sha256]
    class_names: str | None = None


class CanonicalFile(_Declared):
    """A file as its authors published it, uncompressed. Whatever serves a dataset must equal it bit for bit."""

    bytes: Size
    sha256: Sha256


class Source(_Declared):
    """Where a dataset can be read from: its archives with their checksums, their address and their form.

    An archive's name is appended to `url`. A source without one is looked for in the mirror folder alone. `folder` is
    the folder inside the archive that holds the canonical files. `parts` are archives with the same number of images
    each, read on their own; only their checksums may be null, where the authors publish none.
    """

    form: Literal["loose", "tar", "omniglot-zip", "omniglot-npz", "grid-npz", "chest", "mri", "malaria", "parts"]
    archives: dict[str, Checksum | None] = pydantic.Field(min_length=1)
    url: str | None = None
    folder: str = "."

    @pydantic.model_validator(mode="after")
    def _checked(self) -> "Source":
        if self.form != "parts" and None in self.archives.values():
            raise ValueError("an archive has no checksum; write sha256:... or md5:...")
        if self.form == "parts" and self.url is None:
            raise ValueError("a dataset in parts has an address; give url")
        return self

    @property
    def title(self) -> str:
        """One line: what serves."""
        if self.url:
            return self.url + (next(iter(self.archives)) if len(self.archives) == 1 else "")
        return ", ".join(self.archives)


class Entry(_Declared):
    """One dataset. `shape` is (height, width, channels); `canonical` is False for a lossy stand-in.

    `layout` says how canonical files become arrays: `idx` (images, then labels) or `cifar` (records of label bytes,
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
            raise ValueError("an embedded subset goes through the classes in turn; list them under classes")
        sizes = {split: declared.size for split, declared in self.splits.items()}
        if not self.sources and sizes != {split: subset.size for split, subset in self.embedded.items()}:
            raise ValueError("a dataset without sources is embedded whole; give sources, or embed every split whole")
        if any(source.form == "parts" for source in self.sources) and not self.in_parts:
            raise ValueError("a dataset in parts has one source and one split, which the parts divide; correct them")
        return self

    @property
    def in_parts(self) -> bool:
        """Whether archives are fetched one by one, as many as a request needs."""
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
    return _parse(file, file.read_text(encoding="utf-8"))


@functools.lru_cache
def _parse(file: Path, text: str) -> dict[str, Entry]:
    try:
        return _Catalogue.model_validate(yaml.safe_load(text)).datasets
    except yaml.YAMLError as error:
        raise InputError(f"catalogue {file}: not valid YAML: {' '.join(str(error).split())}") from None
    except pydantic.ValidationError as error:
        raise InputError(f"catalogue {file}: {explain(error, _Catalogue)}") from None
