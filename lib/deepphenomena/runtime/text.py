"""The gate for text: one loader for YAML and one for JSON. Any failure is an InputError with the file and the fix.

Both bound size, depth and number of entries, so that no file takes long to refuse, and refuse keys that stand twice.
YAML numbers are read as people write them: `010` is ten, `1e-3` is a number, `1:30` and dates are texts (YAML 1.1 reads
8, a text, 90 and a date). Only `true` and `false` are truth values.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from deepphenomena.runtime.errors import InputError, shown

_LARGEST = {"YAML": 100_000, "JSON": 400_000_000}  # characters; an executed notebook holds its figures
_DEEPEST = 60
_MOST = {"YAML": 5_000, "JSON": 20_000_000}  # entries, aliases written out
_DIGITS = 300  # of a whole number: more are beyond float64, and Python refuses to convert thousands

_WHOLE = re.compile(r"[-+]?[0-9]+(_[0-9]+)*$")
_DECIMAL = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?$")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
_SPELLED = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def number(text: str) -> int | float | None:
    """Return the number that a text is, read in tens, or None if it is none.

    Raises:
        ValueError: a whole number of more than 300 digits.

    Example:
        >>> number("010"), number("1e-3"), number("1:30")
        (10, 0.001, None)
    """
    if _WHOLE.match(text):
        if len(text) > _DIGITS:
            raise ValueError(f"a number of {len(text)} digits; at most {_DIGITS} are read")
        return int(text.replace("_", ""))
    return float(text.replace("_", "")) if _DECIMAL.match(text) else None


def read(file: Path, thing: str) -> str:
    """Return the text of a UTF-8 file. `thing` names it in the error."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{thing}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{thing}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def from_yaml(text: str, thing: str) -> Any:
    """Return the content of a YAML text: mappings, lists, texts, numbers, truth values and None.

    Raises:
        InputError: invalid YAML, a key that stands twice or is no text or number, a tag, a text too large or too deep.
    """
    _check_size(text, thing, "YAML")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(
            f"{thing}: not valid YAML{place}: {error.problem or error.context}; correct it there"
        ) from None
    except Exception as error:  # what a loader raises for a malformed text is not limited to its own errors
        raise InputError(f"{thing}: not valid YAML: {error}; correct it") from None


def from_json(text: str, thing: str) -> Any:
    """Return the content of a JSON text.

    Raises:
        InputError: invalid JSON, a key that stands twice, a text too large or too deep.
    """
    _check_size(text, thing, "JSON")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{thing}: not valid JSON in {place}: {error.msg}; write it again") from None
    except RecursionError:
        raise InputError(f"{thing}: nested more than {_DEEPEST} levels deep; write it flatter") from None
    except ValueError as error:
        raise InputError(f"{thing}: {error}; write it again") from None
    _check_depth(content, thing)
    return content


def _check_size(text: str, thing: str, language: str) -> None:
    if len(text) > _LARGEST[language]:
        raise InputError(
            f"{thing}: {len(text):,} characters; at most {_LARGEST[language]:,} of {language} are read; split it"
        )


def _check_depth(content: Any, thing: str) -> None:
    level, depth, entries = [content], 0, 0
    while level:
        level = [child for parent in level for child in _children(parent)]
        depth, entries = depth + 1, entries + len(level)
        if depth > _DEEPEST or entries > _MOST["JSON"]:
            raise InputError(
                f"{thing}: more than {_DEEPEST} levels or {_MOST['JSON']:,} entries; write it flatter or split it"
            )


def _children(parent: Any) -> Iterable[Any]:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = set()
        twice = next(key for key, _ in pairs if key in keys or keys.add(key))
        raise ValueError(f"key {shown(twice)} stands twice")
    return found


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits; at most {_DIGITS} are read")
    return int(text)


class _Loader(yaml.SafeLoader):
    """A safe loader with bounds, numbers in tens and unique keys, without tags."""

    yaml_implicit_resolvers: ClassVar[dict] = {}  # instead of PyYAML's, which are for YAML 1.1

    def __init__(self, stream):
        super().__init__(stream)
        self._depth = self._entries = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem=f"tag {shown(event.tag)} is not read", problem_mark=event.start_mark)
        self._depth, self._entries = self._depth + 1, self._entries + 1
        if self._depth > _DEEPEST or self._entries > _MOST["YAML"]:
            problem = f"more than {_DEEPEST} levels or {_MOST['YAML']:,} entries"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            _written_out(node, {})
        return node

    def construct_mapping(self, node, deep=False):
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key.start_mark)
            if key.value in keys and key.tag != _MERGE:
                raise yaml.MarkedYAMLError(problem=f"key {shown(key.value)} stands twice", problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node):
        try:
            return number(node.value)
        except ValueError as error:
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None

    def construct_special(self, node):
        return float(node.value.replace(".", "", 1))

    def construct_truth(self, node):
        return _SPELLED[node.value]


_MERGE = "tag:yaml.org,2002:merge"
_FIRST = [*"-+.0123456789"]
_Loader.add_implicit_resolver("!number", _WHOLE, _FIRST)
_Loader.add_implicit_resolver("!number", _DECIMAL, _FIRST)
_Loader.add_implicit_resolver("!special", _SPECIAL, _FIRST)
_Loader.add_implicit_resolver("!truth", re.compile(f"({'|'.join(_SPELLED)})$"), [*"tTfF"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(~|null|Null|NULL|)$"), [*"~nN", ""])
_Loader.add_implicit_resolver(_MERGE, re.compile("<<$"), ["<"])
_Loader.add_constructor("!number", _Loader.construct_number)
_Loader.add_constructor("!special", _Loader.construct_special)
_Loader.add_constructor("!truth", _Loader.construct_truth)


def _written_out(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """Return the entries under a node with its aliases written out. Raise for too many, or an alias of itself."""
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        return size
    sizes[id(node)] = None
    size = 1
    if isinstance(node, yaml.CollectionNode):
        of_pairs = isinstance(node, yaml.MappingNode)
        for child in (part for pair in node.value for part in pair) if of_pairs else node.value:
            size += _written_out(child, sizes)
    if size > _MOST["YAML"]:
        raise yaml.MarkedYAMLError(problem=f"more than {_MOST['YAML']:,} entries", problem_mark=node.start_mark)
    sizes[id(node)] = size
    return size
