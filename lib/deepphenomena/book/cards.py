"""Cards: what a chapter declares before anything runs: the paper, the parameters, the presets, the claims."""

import functools
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml

from deepphenomena.book.claims import Check, Claim
from deepphenomena.book.paper import Coverage, Paper
from deepphenomena.book.parameters import Parameter, Rule, Value
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError, unknown

Slug = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]

QUICK = "quick"  # the preset without overrides: the card's defaults
SMOKE = "smoke"  # the preset that only shows that every line runs; it is never judged

# What the first edition of cards did not have, with what an author has to write.
_NEW_IN_THIS_EDITION = {
    "basis": "state where the bound comes from, basis: number or basis: direction",
    "order": "list the presets from quick to the one nearest the paper, order: [quick, full]",
    "coverage": "list every figure, table and theorem of the paper with the claims that test it",
}


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Precision(_Declared):
    """The half-width expected of a claim's interval, and the margin from the paper's number to the bound."""

    half_width: float = pydantic.Field(gt=0)
    margin: float = pydantic.Field(gt=0)

    @property
    def enough(self) -> bool:
        """Whether the interval is expected to fit: its half-width is at most half the margin."""
        return self.half_width <= self.margin / 2


class Power(_Declared):
    """The plan of a recorded run, made before it.

    Attributes:
        seeds: how many seeds the run takes.
        drafts: the first and last seed that drafts used; a recorded run refuses them.
        note: what was planned and from which drafts.
        expected: the precision that the plan expects, for each claim that it names.
    """

    seeds: int = pydantic.Field(ge=1)
    drafts: tuple[int, int] | None = None
    note: str
    expected: dict[str, Precision] = {}


class Card(_Declared):
    """What a chapter declares. It never computes.

    Attributes:
        draft: whether the chapter is still being written; a draft counts for nothing.
        order: its presets from quick to the one nearest the paper; smoke has no place in it.
        power: the plan for each recorded preset.
        rules: what parameters must satisfy together.
        claims: what the paper asserts.
        checks: what validates our apparatus.
        coverage: what became of every figure, table and theorem of the paper.
    """

    slug: Slug
    title: str
    part: str
    summary: str
    draft: bool = False
    paper: Paper
    datasets: list[str]
    parameters: dict[Slug, Parameter]
    rules: list[Rule] = []
    presets: dict[Slug, dict[str, Any]] = {}
    order: list[Slug]
    power: dict[Slug, Power] = {}
    claims: list[Claim] = pydantic.Field(min_length=1)
    checks: list[Check] = []
    coverage: Coverage

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        self._check_parameters()
        self._check_order()
        ids = [measured.id for measured in self.measured]
        for measured in self.measured:
            if ids.count(measured.id) > 1:
                raise ValueError(f"id '{measured.id}' stands twice; the ids of claims and checks must differ")
            for preset in set(measured.expect) - {QUICK, *self.presets}:
                raise unknown(f"preset in '{measured.id}'", preset, [QUICK, *self.presets])
        self.coverage.check(claim.id for claim in self.claims)
        for preset in [QUICK, *self.presets]:
            self.values(preset)
        return self

    def _check_parameters(self) -> None:
        if QUICK in self.presets:
            raise ValueError(f"preset '{QUICK}' is the defaults and takes no overrides; change the defaults instead")
        for name in ("seeds", "first_seed"):
            if name not in self.parameters or self.parameters[name].type != "int":
                raise ValueError(f"parameter '{name}' of type int is missing; every stochastic number needs its seeds")
        if "preset" in self.parameters:
            raise ValueError("parameter 'preset' is every notebook's own; give this one another name")
        for preset, overrides in self.presets.items():
            for name, value in overrides.items():
                if name not in self.parameters:
                    raise unknown(f"parameter in preset '{preset}'", name, self.parameters)
                try:
                    self.parameters[name].check(value)
                except ValueError as problem:
                    allowed = self.parameters[name].allowed
                    raise ValueError(f"preset '{preset}' sets {name} to {value!r}: {problem}; give {allowed}") from None
        for rule in self.rules:
            for name in rule.names:
                if name not in self.parameters:
                    raise unknown("parameter in rules", name, self.parameters)

    def _check_order(self) -> None:
        wanted = {QUICK, *self.presets} - {SMOKE}
        if self.order[:1] != [QUICK] or sorted(self.order) != sorted(wanted):
            raise ValueError(
                f"order must begin with quick and name {', '.join(sorted(wanted))} once each, nearest the paper last "
                f"(found {', '.join(self.order) or 'none'})"
            )
        for preset, plan in self.power.items():
            if preset not in self.order[1:]:
                raise unknown("preset under power", preset, self.order[1:])
            seeds = self.presets[preset].get("seeds", self.parameters["seeds"].default)
            if plan.seeds != seeds:
                raise ValueError(f"power plans {plan.seeds} seeds for '{preset}', which takes {seeds}; make them equal")
            for claim in plan.expected:
                self.claim(claim)

    @property
    def measured(self) -> list[Claim | Check]:
        """All that a run measures: the claims, then the checks."""
        return [*self.claims, *self.checks]

    def find(self, measured_id: str) -> Claim | Check:
        """The claim or check of this id; InputError names those there are."""
        return self._find("claim or check", measured_id, self.measured)

    def claim(self, claim_id: str) -> Claim:
        """The claim of this id; InputError names those there are."""
        return self._find("claim", claim_id, self.claims)

    def _find(self, kind: str, wanted: str, among: list) -> Any:
        for measured in among:
            if measured.id == wanted:
                return measured
        raise unknown(f"{kind} of {self.slug}", wanted, [measured.id for measured in among])

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
        for rule in self.rules:
            rule.check(chosen, self.slug)
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


def slugs() -> list[str]:
    """The slugs of all chapters that have a card, sorted."""
    return sorted(_paths())


def path(slug: str) -> Path:
    """Where the card of a chapter lies; the notebook lies beside it under the same name."""
    found = _paths()
    if slug not in found:
        raise unknown("chapter", slug, found)
    return found[slug]


def load(slug: str) -> Card:
    """The card of a chapter. InputError for an unknown chapter or a card that does not hold together."""
    return read(path(slug))


def read(file: Path) -> Card:
    """The card in a YAML file. InputError names the file, the key and the fix."""
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
        raise InputError(f"card {file.name}: {_explain(error, content)}") from None
    if (card.slug, card.part) != (file.stem, file.parent.name):
        raise InputError(
            f"card {file.name}: slug '{card.slug}' in part '{card.part}' belongs in "
            f"chapters/{card.part}/{card.slug}.yaml; rename the file or fix these keys"
        )
    return card


def _explain(error: pydantic.ValidationError, content: Any) -> str:
    """The first fault in one line; what a card of the first edition lacks comes with the way to migrate it."""
    for fault in error.errors():
        field = fault["loc"][-1] if fault["loc"] else None
        if fault["type"] == "missing" and field in _NEW_IN_THIS_EDITION:
            of = (
                f"claim '{content['claims'][fault['loc'][1]].get('id')}'" if fault["loc"][0] == "claims" else "the card"
            )
            hint = _NEW_IN_THIS_EDITION[field]
            return f"{of} lacks the field '{field}', which cards need since their second edition: {hint}"
    return documents.explain(error, Card)
