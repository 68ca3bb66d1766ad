"""Documents that people write or keep: validation errors in one line, atomic writes."""

import os
from pathlib import Path

import pydantic

from deepphenomena.runtime.errors import InputError, shown, unknown


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    """Describe the first error of a failed validation in one line: the key, the value, and how to fix it."""
    faults = error.errors()
    # A misspelt key is also a missing one: name the misspelling.
    fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        parent, _, name = key.rpartition(".")
        return str(unknown(f"key under {parent}" if parent else "key", name, _fields_at(model, fault["loc"][:-1])))
    if fault["type"] == "missing":
        return f"key '{key}' is missing; add it"
    problem = fault["msg"].removeprefix("Value error, ")
    found = "" if isinstance(fault["input"], dict | pydantic.BaseModel) else f" (found {shown(fault['input'])})"
    return f"{f'key {key!r}: ' if key else ''}{problem}{found}"


def _fields_at(model: type[pydantic.BaseModel], location: tuple) -> list[str]:
    """Return the allowed keys at a location, following it through nested models."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            candidates = [model.model_fields[part].annotation]
            while candidates:
                candidate = candidates.pop()
                if isinstance(candidate, type) and issubclass(candidate, pydantic.BaseModel):
                    model = candidate
                    break
                candidates.extend(getattr(candidate, "__args__", ()))
    return list(model.model_fields)


def write_whole(file: Path, text: str) -> None:
    """Write a text to a temporary file and rename it, so that no reader sees a partial file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"output {file}: cannot be written ({error.strerror}); free or unlock the folder, or choose another place"
        ) from None
