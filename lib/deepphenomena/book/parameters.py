"""Parameters of a chapter, with types, bounds and choices, checked before any computation."""

import math
import re
from typing import Any, Literal

import pydantic

from deepphenomena.runtime import text
from deepphenomena.runtime.errors import InputError, shown

Value = bool | int | float | str | list[int] | list[float] | list[str]

_PYTHON_TYPES = {"int": int, "float": float, "str": str, "bool": bool}
_KINDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
_LONGEST = 1000  # characters of a text


class Parameter(pydantic.BaseModel):
    """One parameter: a literal with type, unit and help. Bounds and choices apply to each element of a list."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
        element = self.type.removeprefix("list[").removesuffix("]")
        words = f"a list, each {_KINDS[element]}" if self.type.startswith("list") else _KINDS[self.type]
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
            try:
                value = float(value)
            except OverflowError:
                raise ValueError("it is beyond the range of float64, 1.8e308") from None
        if type(value) is not _PYTHON_TYPES[kind]:
            given = "a text (str)" if isinstance(value, str) else f"of type {type(value).__name__}"
            raise ValueError(f"{shown(value)} is {given}, not {_KINDS[kind]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("it is not finite")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("it is beyond 64 bits")
        if isinstance(value, str) and not (value.isprintable() and len(value) <= _LONGEST):
            raise ValueError(f"a text has at most {_LONGEST} characters, all of them printable")
        if self.choices and value not in self.choices:
            raise ValueError("it is not among the choices")
        if (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum):
            raise ValueError("it is out of bounds")
        if self.multiple_of and value % self.multiple_of:
            raise ValueError(f"it is not a multiple of {self.multiple_of}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{shown(value)} does not have the required form")
        return value

    def parse(self, written: str) -> Value:
        """Parse a value from the command line. Numbers are read in tens; lists are 1,2,3, with or without brackets."""
        if not self.type.startswith("list"):
            return self.check(_literal(written, self.type))
        inside = written.strip()
        inside = inside[1:-1] if inside[:1] == "[" and inside[-1:] == "]" else inside
        return self.check([_literal(_unquoted(piece.strip()), self.type[5:-1]) for piece in inside.split(",")])

    @pydantic.model_validator(mode="after")
    def _default_is_allowed(self):
        self.check(self.default)
        return self


def _literal(written: str, kind: str) -> Any:
    """Return the value that a text stands for, or the text itself, which the check then refuses."""
    if kind in ("int", "float"):
        found = text.number(written.strip())
        return written if found is None else found
    return {"true": True, "false": False}.get(written.strip().lower(), written) if kind == "bool" else written


def _unquoted(piece: str) -> str:
    return piece[1:-1] if len(piece) > 1 and piece[0] == piece[-1] and piece[0] in "\"'" else piece


class Rule(pydantic.BaseModel):
    """A constraint across two parameters, or on the contents of a list.

    Attributes:
        parameter: the constrained parameter; for a list, each element.
        multiple_of: a parameter that must divide it.
        at_least: a parameter that is its lower bound.
        contains: values that the list must contain.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
        start = f"parameter '{self.parameter}' of {slug} cannot be {shown(value)}"
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
