"""Cards: the declarations of a chapter before any run: paper, parameters, presets, claims."""

import functools
from pathlib import Path
from typing import Annotated, Any

import pydantic

from deepphenomena.book.claims import Check, Claim
from deepphenomena.book.paper import Coverage, Paper
from deepphenomena.book.parameters import Parameter, Rule, Value
from deepphenomena.runtime import documents, paths, text
from deepphenomena.runtime.errors import InputError, shown, unknown

Slug = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Part = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$")]  # a folder, and part of addresses

QUICK = "quick"  # the preset without overrides: the card's defaults
SMOKE = "smoke"  # the preset that only checks that every line runs; it is never judged

# Fields that the first edition of cards did not have, with instructions for authors.
_NEW_IN_THIS_EDITION = {
    "basis": "state the source of the bound, basis: number or basis: direction",
    "order": "list the presets from quick to the one nearest the paper, order: [quick, full]",
    "coverage": "list every figure, table and theorem of the paper with the claims that test it",
}


class _Declared(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Precision(_Declared):
    """The expected half-width of the interval of a claim, and the margin from the paper's number to the bound."""

    half_width: float = pydantic.Field(gt=0)
    margin: float = pydantic.Field(gt=0)

    @property
    def enough(self) -> bool:
        """Whether the interval is expected to fit: its half-width is at most half the margin."""
        return self.half_width <= self.margin / 2


class Power(_Declared):
    """The plan of a recorded run, made before it.

    Attributes:
        seeds: number of seeds of the run.
        drafts: first and last seed of the drafts; a recorded run refuses them.
        note: the plan, and the drafts that it is based on.
        expected: the expected precision, for each claim that the plan names.
    """

    seeds: int = pydantic.Field(ge=1)
    drafts: tuple[int, int] | None = None
    note: str
    expected: dict[str, Precision] = {}


class Card(_Declared):
    """The declarations of a chapter.

    Attributes:
        summary: what the paper says, in one or two sentences.
        main_claim: the id of the claim that stands for the paper; None for the first one.
        draft: whether the chapter is not finished; drafts do not count.
        order: the presets from quick to the one nearest the paper, without smoke.
        power: the plan for each recorded preset.
        rules: constraints across parameters.
        claims: the claims of the paper.
        checks: checks of our setup.
        coverage: how each figure, table and theorem of the paper is tested.
    """

    slug: Slug
    title: str
    part: Part
    summary: str
    main_claim: Slug | None = None
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
                raise ValueError(f"id '{measured.id}' appears twice; the ids of claims and checks must differ")
            for preset in set(measured.expect) - {QUICK, *self.presets}:
                raise unknown(f"preset in '{measured.id}'", preset, [QUICK, *self.presets])
        if self.main_claim not in (None, *(claim.id for claim in self.claims)):
            raise unknown("main_claim", self.main_claim, [claim.id for claim in self.claims])
        self.coverage.check(claim.id for claim in self.claims)
        for preset in [QUICK, *self.presets]:
            self.values(preset)
        return self

    def _check_parameters(self) -> None:
        if QUICK in self.presets:
            raise ValueError(f"preset '{QUICK}' is the defaults and has no overrides; change the defaults instead")
        for name in ("seeds", "first_seed"):
            if name not in self.parameters or self.parameters[name].type != "int":
                raise ValueError(f"parameter '{name}' of type int is missing; every stochastic number needs seeds")
        if "preset" in self.parameters:
            raise ValueError("parameter 'preset' is reserved; give this parameter another name")
        for preset, overrides in self.presets.items():
            for name, value in overrides.items():
                if name not in self.parameters:
                    raise unknown(f"parameter in preset '{preset}'", name, self.parameters)
                try:
                    self.parameters[name].check(value)
                except ValueError as problem:
                    allowed = self.parameters[name].allowed
                    raise ValueError(
                        f"preset '{preset}' sets {name} to {shown(value)}: {problem}; give {allowed}"
                    ) from None
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
        """All measured quantities of a run: the claims, then the checks."""
        return [*self.claims, *self.checks]

    @property
    def main(self) -> Claim:
        """The claim that stands for the paper."""
        return self.claim(self.main_claim or self.claims[0].id)

    def find(self, measured_id: str) -> Claim | Check:
        """Return the claim or check with this id. Raise InputError with the known ids if there is none."""
        return self._find("claim or check", measured_id, self.measured)

    def claim(self, claim_id: str) -> Claim:
        """Return the claim with this id. Raise InputError with the known ids if there is none."""
        return self._find("claim", claim_id, self.claims)

    def _find(self, kind: str, wanted: str, among: list) -> Any:
        for measured in among:
            if measured.id == wanted:
                return measured
        raise unknown(f"{kind} of {self.slug}", wanted, [measured.id for measured in among])

    def values(self, preset: str = QUICK, overrides: dict[str, Any] | None = None) -> dict[str, Value]:
        """Return the checked value of every parameter for a preset and overrides. Raise InputError for bad values."""
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

    def parse(self, name: str, written: str) -> Value:
        """Parse the value of a parameter from the command line. Raise InputError as `values` does."""
        if name not in self.parameters:
            raise unknown(f"parameter of {self.slug}", name, self.parameters)
        try:
            return self.parameters[name].parse(written)
        except ValueError as problem:
            raise self._refusal(name, written, problem) from None

    def _refusal(self, name: str, value: Any, problem: ValueError) -> InputError:
        parameter = self.parameters[name]
        return InputError(
            f"parameter '{name}' of {self.slug} cannot be {shown(value)}: {problem}; "
            f"give {parameter.allowed}, for example {name}={parameter.default}"
        )


def slugs() -> list[str]:
    """Return the sorted slugs of all chapters with a card."""
    return sorted(_paths())


def path(slug: str) -> Path:
    """Return the path of the card of a chapter. The notebook is next to it, with the same name."""
    found = _paths()
    if slug not in found:
        raise unknown("chapter", slug, found)
    return found[slug]


def load(slug: str) -> Card:
    """Return the card of a chapter. Raise InputError for an unknown chapter or an inconsistent card."""
    return read(path(slug))


def read(file: Path) -> Card:
    """Return the card in a YAML file. Raise InputError with the file, the key and the fix if it is invalid."""
    return _parse(file, text.read(file, f"card {file.name}"))


def _paths() -> dict[str, Path]:
    return {file.stem: file for file in paths.chapters().glob("*/*.yaml")}


@functools.lru_cache
def _parse(file: Path, written: str) -> Card:
    content = text.from_yaml(written, f"card {file.name}")
    try:
        card = Card.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError(f"card {file.name}: {_explain(error, content)}") from None
    if (card.slug, card.part) != (file.stem, file.parent.name):
        raise InputError(
            f"card {file.name}: slug '{card.slug}' in part '{card.part}' belongs in "
            f"chapters/{card.part}/{card.slug}.yaml; rename the file or fix these keys"
        )
    return card


def _explain(error: pydantic.ValidationError, content: Any) -> str:
    """Return the first fault in one line. For a card of the first edition, say how to migrate it."""
    for fault in error.errors():
        field = fault["loc"][-1] if fault["loc"] else None
        if fault["type"] == "missing" and field in _NEW_IN_THIS_EDITION:
            of = (
                f"claim '{content['claims'][fault['loc'][1]].get('id')}'" if fault["loc"][0] == "claims" else "the card"
            )
            hint = _NEW_IN_THIS_EDITION[field]
            return f"{of} lacks the field '{field}', which is required since the second edition of cards: {hint}"
    return documents.explain(error, Card)
