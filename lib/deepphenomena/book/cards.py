"""Cards: what a chapter declares before anything runs: the paper, the parameters, the presets, the claims."""

import functools
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml

from deepphenomena.book.claims import Claim
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError, unknown

Slug = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Value = bool | int | float | str | list[int] | list[float] | list[str]

QUICK = "quick"  # the preset without overrides: the card's defaults

_PYTHON_TYPES = {"int": int, "float": float, "str": str, "bool": bool}


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Paper(_Declared):
    """The paper a chapter re-runs. `bibtex` is its key in `references.bib`."""

    title: str
    authors: list[str] = pydantic.Field(min_length=1)
    year: int = pydantic.Field(ge=1900, le=2100)
    venue: str
    bibtex: str
    arxiv: str | None = None
    url: str | None = None

    @property
    def link(self) -> str | None:
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url


class Parameter(_Declared):
    """One knob: a literal with its type, bounds or choices, unit and a line of help. Bounds hold for list elements."""

    default: Value
    type: Literal["int", "float", "str", "bool", "list[int]", "list[float]", "list[str]"]
    help: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] | None = None

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        kind = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
        element = self.type.removeprefix("list[").removesuffix("]")
        words = f"a list, each {kind[element]}" if self.type.startswith("list") else kind[self.type]
        if self.choices:
            words += f", one of {', '.join(self.choices)}"
        if self.minimum is not None and self.maximum is not None:
            words += f" from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            words += f", {self.minimum:g} or more"
        elif self.maximum is not None:
            words += f", {self.maximum:g} or less"
        return words + (f" ({self.unit})" if self.unit else "")

    def check(self, value: Any) -> Value:
        """The value in its declared type, or ValueError saying what is wrong with it."""
        if not self.type.startswith("list"):
            return self._check_element(value, self.type)
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("it must be a list with at least one element")
        return [self._check_element(element, self.type[5:-1]) for element in value]

    def _check_element(self, value: Any, kind: str) -> Value:
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not _PYTHON_TYPES[kind]:
            raise ValueError(f"it is of type {type(value).__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it is not finite")
        if self.choices and value not in self.choices:
            raise ValueError("it is not among the choices")
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise ValueError("it is out of bounds")
        return value

    def parse(self, text: str) -> Value:
        """The value that a text from the command line stands for; lists are written 1,2,3."""
        try:
            value = text if self.type == "str" else yaml.safe_load(f"[{text}]" if "list" in self.type else text)
        except yaml.YAMLError:
            value = text
        if self.type.startswith("list") and isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]  # written with its brackets
        if self.type in ("float", "list[float]"):  # YAML 1.1 reads 1e-3 as a text
            value = [_number(v) for v in value] if isinstance(value, list) else _number(value)
        return self.check(value)

    @pydantic.model_validator(mode="after")
    def _default_is_allowed(self):
        self.check(self.default)
        return self


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


class Card(_Declared):
    """What a chapter declares. It never computes."""

    slug: Slug
    title: str
    part: str
    summary: str
    paper: Paper
    datasets: list[str]
    parameters: dict[Slug, Parameter]
    presets: dict[Slug, dict[str, Any]] = {}
    claims: list[Claim] = pydantic.Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        if QUICK in self.presets:
            raise ValueError(f"preset '{QUICK}' is the defaults and takes no overrides; change the defaults instead")
        for name in ("seeds", "first_seed"):
            if name not in self.parameters or self.parameters[name].type != "int":
                raise ValueError(f"parameter '{name}' of type int is missing; every stochastic number needs its seeds")
        for preset, overrides in self.presets.items():
            for name, value in overrides.items():
                if name not in self.parameters:
                    raise unknown(f"parameter in preset '{preset}'", name, self.parameters)
                try:
                    self.parameters[name].check(value)
                except ValueError as problem:
                    allowed = self.parameters[name].allowed
                    raise ValueError(f"preset '{preset}' sets {name} to {value!r}: {problem}; give {allowed}") from None
        ids = [claim.id for claim in self.claims]
        for claim in self.claims:
            if ids.count(claim.id) > 1:
                raise ValueError(f"claim id '{claim.id}' stands twice; ids must differ")
            for preset in set(claim.expect) - {QUICK, *self.presets}:
                raise unknown(f"preset in claim '{claim.id}'", preset, [QUICK, *self.presets])
        return self

    def claim(self, claim_id: str) -> Claim:
        """The claim of this id; InputError names those there are."""
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise unknown(f"claim of {self.slug}", claim_id, [claim.id for claim in self.claims])

    def values(self, preset: str = QUICK, overrides: dict[str, Any] | None = None) -> dict[str, Value]:
        """Every parameter's value under a preset and overrides, checked: InputError names what cannot be."""
        if preset != QUICK and preset not in self.presets:
            raise unknown(f"preset of {self.slug}", preset, [QUICK, *self.presets])
        chosen = {name: parameter.check(parameter.default) for name, parameter in self.parameters.items()}
        for name, value in {**self.presets.get(preset, {}), **(overrides or {})}.items():
            if name not in self.parameters:
                raise unknown(f"parameter of {self.slug}", name, self.parameters)
            try:
                chosen[name] = self.parameters[name].check(value)
            except ValueError as problem:
                raise self._refusal(name, value, problem) from None
        return chosen

    def parse(self, name: str, text: str) -> Value:
        """A parameter's value from its text on the command line; InputError as for `values`."""
        if name not in self.parameters:
            raise unknown(f"parameter of {self.slug}", name, self.parameters)
        try:
            return self.parameters[name].parse(text)
        except ValueError as problem:
            raise self._refusal(name, text, problem) from None

    def _refusal(self, name: str, value: Any, problem: ValueError) -> InputError:
        parameter = self.parameters[name]
        return InputError(
            f"parameter '{name}' of {self.slug} cannot be {value!r}: {problem}; "
            f"give {parameter.allowed}, for example {name}={parameter.default}"
        )

    def nearest_preset(self, values: dict[str, Value]) -> tuple[str, dict[str, Value]]:
        """The preset that these values differ least from, and the values that differ (none: it is exactly that one)."""

        def differences(preset: str) -> dict[str, Value]:
            base = self.values(preset)
            return {name: value for name, value in values.items() if value != base[name]}

        best = min([QUICK, *self.presets], key=lambda preset: len(differences(preset)))
        return best, differences(best)


def slugs() -> list[str]:
    """The slugs of all chapters that have a card, sorted."""
    return sorted(_paths())


def path(slug: str) -> Path:
    """Where the card of a chapter lies; the notebook lies beside it under the same name."""
    paths = _paths()
    if slug not in paths:
        raise unknown("chapter", slug, paths)
    return paths[slug]


def load(slug: str) -> Card:
    """The card of a chapter. InputError for an unknown chapter or a card that does not hold together."""
    return read(path(slug))


def read(file: Path) -> Card:
    """The card in a YAML file. InputError names the file, the key and the mend."""
    return _parse(file, file.read_text(encoding="utf-8"))


def _paths() -> dict[str, Path]:
    return {file.stem: file for file in paths.chapters().glob("*/*.yaml")}


@functools.lru_cache
def _parse(file: Path, text: str) -> Card:
    try:
        content = yaml.load(text, documents.UniqueKeyLoader)
        card = Card.model_validate(content)
    except yaml.YAMLError as error:
        raise InputError(f"card {file.name}: not valid YAML: {' '.join(str(error).split())}") from None
    except pydantic.ValidationError as error:
        raise InputError(f"card {file.name}: {documents.explain(error, Card)}") from None
    if (card.slug, card.part) != (file.stem, file.parent.name):
        raise InputError(
            f"card {file.name}: slug '{card.slug}' in part '{card.part}' belongs in "
            f"chapters/{card.part}/{card.slug}.yaml; rename the file or mend these keys"
        )
    return card
