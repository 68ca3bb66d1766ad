"""Parameters of a chapter, with types, bounds and choices, checked before any computation."""

import math
import re
from typing import Any, Literal

import pydantic
import yaml

from deepphenomena.runtime.errors import InputError

Value = bool | int | float | str | list[int] | list[float] | list[str]

_PYTHON_TYPES = {"int": int, "float": float, "str": str, "bool": bool}


class Parameter(pydantic.BaseModel):
    """One parameter: a literal with type, unit and help. Bounds and choices apply to each element of a list."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    default: Value
    type: Literal["int", "float", "str", "bool", "list[int]", "list[float]", "list[str]"]
    help: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] | None = None
    multiple_of: int | None = pydantic.Field(default=None, ge=2)
    pattern: str | None = None

    @property
    def allowed(self) -> str:
        """The allowed values, as text."""
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
        if self.multiple_of:
            words += f", a multiple of {self.multiple_of}"
        if self.pattern:
            words += f", of the form {self.pattern}"
        return words + (f" ({self.unit})" if self.unit else "")

    def check(self, value: Any) -> Value:
        """Return the value in its declared type. Raise ValueError with the fault if it is invalid."""
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
        if self.multiple_of and value % self.multiple_of:
            raise ValueError(f"it is not a multiple of {self.multiple_of}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{value!r} does not have the required form")
        return value

    def parse(self, text: str) -> Value:
        """Parse a value from the command line. Lists are written 1,2,3."""
        try:
            value = text if self.type == "str" else yaml.safe_load(f"[{text}]" if "list" in self.type else text)
        except yaml.YAMLError:
            value = text
        if self.type.startswith("list") and isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
            value = value[0]  # written with its brackets
        if self.type in ("float", "list[float]"):  # YAML 1.1 reads 1e-3 as text
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


class Rule(pydantic.BaseModel):
    """A constraint across two parameters, or on the contents of a list.

    Attributes:
        parameter: the constrained parameter; for a list, each element.
        multiple_of: a parameter that must divide it.
        at_least: a parameter that is its lower bound.
        contains: values that the list must contain.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    parameter: str
    multiple_of: str | None = None
    at_least: str | None = None
    contains: list[int] | list[float] | list[str] | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_them(self):
        given = [name for name in ("multiple_of", "at_least", "contains") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of multiple_of, at_least, contains (found {', '.join(given) or 'none'})"
            )
        return self

    @property
    def names(self) -> list[str]:
        """The parameters that the rule names."""
        return [name for name in (self.parameter, self.multiple_of, self.at_least) if name is not None]

    def check(self, values: dict[str, Value], slug: str) -> None:
        """Raise InputError, with both parameters and the fix, if these values violate the rule."""
        value = values[self.parameter]
        elements = value if isinstance(value, list) else [value]
        start = f"parameter '{self.parameter}' of {slug} cannot be {value!r}"
        if self.multiple_of and any(element % values[self.multiple_of] for element in elements):
            other = values[self.multiple_of]
            raise InputError(
                f"{start}: it must be a multiple of '{self.multiple_of}', which is {other}; "
                f"give for example {self.parameter}={max(1, round(elements[0] / other)) * other}"
            )
        if self.at_least and any(element < values[self.at_least] for element in elements):
            other = values[self.at_least]
            raise InputError(f"{start}: it must not be below '{self.at_least}', which is {other}; give {other} or more")
        if self.contains and not set(self.contains) <= set(elements):
            needed = ", ".join(map(str, self.contains))
            raise InputError(f"{start}: it must contain {needed}; add what is missing")
