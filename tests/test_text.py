"""The gate for text: whatever a card, a parameter, a record, a notebook holds is read right or refused soon."""

import gc
import json
import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepphenomena.book import cards, new_chapter, outputs, parameters_cell, records, results
from deepphenomena.runtime import paths, text
from deepphenomena.runtime.errors import InputError

SLUG = "large_learning_rate_phase"
CARD = cards.path(SLUG).read_text(encoding="utf-8")
SMALL_CARD = new_chapter.filled("card.yaml", slug="small", part="tests", arxiv="1806.05393")
RECORD = json.loads(results.recorded_path(SLUG, "quick").read_text(encoding="utf-8"))
SOON = 2.0  # seconds of this thread; a quiet machine needs 0.3 at most
TRIES = 3  # a shared machine can lose seconds once, which the time of the thread counts

FUZZED = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")), deadline=None, suppress_health_check=list(HealthCheck)
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


def refusal(function, *arguments):
    """What is said against the arguments, on one line and soon, or nothing. Another exception fails the test."""
    took = []
    while len(took) < TRIES and min(took, default=SOON) >= SOON:
        gc.disable()  # a collection walks everything that the tests before have left
        started = time.thread_time()  # what other processes take does not count
        try:
            function(*arguments)
            said = ""
        except InputError as problem:
            said = str(problem)
        finally:
            gc.enable()
        took.append(time.thread_time() - started)
    assert min(took) < SOON
    assert said.isprintable()
    assert len(said) < 2100
    return said


@pytest.mark.parametrize(
    ("written", "value"),
    [("010", 10), ("08", 8), ("1e-3", 0.001), ("1E5", 1e5), ("-.5", -0.5), ("1_000", 1000), ("+3", 3), ("1.", 1.0)],
)
def test_numbers_are_read_as_people_write_them(written, value):
    assert text.number(written) == value
    assert text.from_yaml(f"a: {written}", "card") == {"a": value}


@pytest.mark.parametrize("written", ["1:30", "2020-01-01", "yes", "on", "0x10", "1e", "one"])
def test_texts_that_yaml_takes_for_something_else_stay_texts(written):
    assert text.number(written) is None
    assert text.from_yaml(f"a: {written}", "card") == {"a": written}


@pytest.mark.parametrize("file", sorted(paths.chapters().glob("*/*.y*ml")), ids=lambda file: file.name)
def test_the_cards_of_the_book_mean_what_plain_yaml_makes_of_them(file):
    written = file.read_text(encoding="utf-8")
    assert repr(text.from_yaml(written, file.name)) == repr(yaml.safe_load(written))


BOMB = "a0: &a0 {k: 1}\n" + "\n".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12))


@pytest.mark.parametrize(
    "written",
    [
        "[" * 100_000, "a: &a [*a]", 'a: !!int "x"', "!!python/object:os.system x", "? [a]\n: b", "a: 1\na: 2", "a: 'x",
        f"a: {'9' * 5000}", "\x00", "a: b: c", "\n".join(f"k{i}: 1" for i in range(20_000)), BOMB, "- " * 50_000, "%",
        "a: 1\n---\nb: 2", "*a", '"' + "\\x41" * 50_000,
    ],
)  # fmt: skip
def test_yaml_that_breaks_or_delays_a_loader_is_refused_soon(written):
    assert refusal(text.from_yaml, written, "card x").startswith("card x: ")


@pytest.mark.parametrize(
    "written", ["[" * 100_000, '{"a": 1, "a": 2}', "9" * 5000, '{"a":', "[1][2]", "", "[" * 70 + "]" * 70]
)
def test_json_that_breaks_a_loader_is_refused_soon(written):
    assert refusal(text.from_json, written, "record x").startswith("record x: ")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    assert "UTF-8" in refusal(text.read, tmp_path / "latin.yaml", "card")
    assert "cannot be read" in refusal(text.read, tmp_path, "card")


@FUZZED
@given(data=st.data())
def test_a_card_with_anything_changed_is_read_or_refused(data, tmp_path_factory):
    lines = SMALL_CARD.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        head = lines[place].partition(":")[0]
        content = data.draw(st.one_of(st.text(max_size=12), VALUES.map(lambda value: json.dumps(value))))
        lines[place] = data.draw(st.sampled_from([content, f"{head}: {content}", lines[place] + content, ""]))
    file = tmp_path_factory.getbasetemp() / "tests" / "small.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    refusal(cards.read, file)


@FUZZED
@given(name=st.sampled_from(sorted(cards.load(SLUG).parameters)), written=st.one_of(st.text(), VALUES.map(str)))
@example(name="first_seed", written="1:30")
@example(name="physical_time", written="1" + "0" * 400)
@example(name="physical_time", written="nan")
@example(name="first_seed", written="9" * 300_000)
@example(name="relu_widths", written=",".join(["64"] * 100_000))
def test_any_text_for_a_parameter_is_a_value_or_refused(name, written):
    said = refusal(cards.load(SLUG).parse, name, written)
    assert not said or name in said


def _places(content, path=()):
    yield path
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, child in list(children)[:40]:
        yield from _places(child, (*path, key))


PLACES = [path for path in _places({name: value for name, value in RECORD.items() if name != "series"}) if path]


@FUZZED
@given(path=st.sampled_from(PLACES), value=VALUES)
def test_a_record_with_anything_changed_is_read_or_refused(path, value):
    changed = json.loads(json.dumps(RECORD))
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    refusal(records.parse, changed, "record")


def _changed(**changes):
    return json.loads(json.dumps(RECORD)) | changes


def test_a_record_that_contradicts_itself_is_refused():
    records.parse(_changed(), "record")
    judged = next(k for k, one in enumerate(RECORD["outcomes"]) if one["verdict"] != "not measured")
    for key, value in {
        "verdict": "mixed",
        "exact": None,
        "estimate": {"mean": 0.123, "low": 0.1, "high": 0.2, "n": 5},
    }.items():
        outcomes = json.loads(json.dumps(RECORD["outcomes"]))
        outcomes[judged][key] = value
        assert refusal(records.parse, _changed(outcomes=outcomes), "record")
    flipped = json.loads(json.dumps(RECORD["outcomes"]))
    holds = flipped[judged]["verdict"].startswith("reproduced")
    flipped[judged]["verdict"] = "not reproduced" if holds else "reproduced (size)"
    assert "contradict" in refusal(records.parse, _changed(outcomes=flipped), "record")
    assert "twice" in refusal(records.parse, _changed(outcomes=[*flipped, flipped[judged]]), "record")
    assert "form 999" in refusal(records.parse, _changed(version=999), "record")


def test_a_record_in_the_place_of_another_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "data", lambda: tmp_path)
    for slug, preset in ((SLUG, "full"), ("maml_anil", "quick")):
        file = results.recorded_path(slug, preset)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(RECORD), encoding="utf-8")
        assert "its place is for" in refusal(results.recorded, slug, preset)


NOTEBOOK = {
    "cells": [{"cell_type": "code", "source": ["x = 1"], "metadata": {"tags": ["parameters"]}, "outputs": []}],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip
NOTEBOOK_PLACES = [path for path in _places(NOTEBOOK) if path]


@FUZZED
@given(path=st.sampled_from(NOTEBOOK_PLACES), value=VALUES)
def test_a_notebook_with_anything_changed_is_read_or_refused(path, value, tmp_path_factory):
    changed = json.loads(json.dumps(NOTEBOOK))
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    file = tmp_path_factory.getbasetemp() / "fuzzed.ipynb"
    file.write_text(json.dumps(changed), encoding="utf-8")
    assert refusal(records.read, file)
    refusal(parameters_cell.check, file, cards.load(SLUG))
    refusal(outputs.check, file, Path("chapter.ipynb"))


@pytest.mark.parametrize("bound", [".nan", ".inf", "1e999", "-1e999"])
def test_a_bound_that_is_no_number_is_refused(bound, tmp_path):
    file = tmp_path / "training-dynamics" / f"{SLUG}.yaml"
    file.parent.mkdir()
    head, _, rest = CARD.partition("minimum: ")
    file.write_text(f"{head}minimum: {bound}{rest[len(rest) - len(rest.lstrip('0123456789.')) :]}", encoding="utf-8")
    assert "minimum" in refusal(cards.read, file)
