"""Cards: declared once, checked at every door, and every fault named with its fix."""

import pytest
import yaml
from example_card import CONTENT, changed

from deepphenomena.book import cards
from deepphenomena.book.parameters import Rule
from deepphenomena.runtime.errors import InputError


def write(folder, content, name="example"):
    file = folder / "training-dynamics" / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


@pytest.fixture
def card(tmp_path):
    return cards.read(write(tmp_path, CONTENT))


def test_a_preset_overrides_defaults_and_a_parameter_overrides_the_preset(card):
    assert card.values()["width"] == 64
    assert card.values("full")["width"] == 512
    assert card.values("full", {"width": 8})["width"] == 8


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"widht": 1}, ["widht", "did you mean 'width'"]),
        ({"width": "64"}, ["width", "'64'", "str", "whole number", "width=64"]),
        ({"width": 64.0}, ["width", "64.0", "float"]),
        ({"width": True}, ["width", "bool"]),
        ({"width": 4}, ["width", "4", "out of bounds", "from 8 to 512", "units"]),
        ({"learning_rate": float("nan")}, ["learning_rate", "not finite"]),
        ({"learning_rate": -0.1}, ["learning_rate", "out of bounds", "0 or more"]),
        ({"rates": 1.0}, ["rates", "list"]),
        ({"rates": []}, ["rates", "at least one"]),
        ({"rates": [1.0, "x"]}, ["rates", "str"]),
        ({"dataset": "mnits"}, ["dataset", "mnist, cifar10"]),
        ({"augment": 1}, ["augment", "int", "true or false"]),
        ({"network": "mpl-64"}, ["network", "'mpl-64'", "of the form (mlp|cnn)-", "network=mlp-64"]),
        ({"batch_size": 33}, ["batch_size", "33", "a multiple of 2"]),
        ({"samples": 65}, ["samples", "65", "a multiple of 'batch_size', which is 32", "samples=64"]),
        ({"batch_size": 48}, ["samples", "64", "which is 48"]),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_is_allowed(card, overrides, words):
    with pytest.raises(InputError) as refusal:
        card.values(overrides=overrides)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_whole_number_serves_as_a_float(card):
    values = card.values(overrides={"learning_rate": 1, "rates": [1, 2.5]})
    assert values["learning_rate"] == 1.0
    assert isinstance(values["learning_rate"], float)
    assert values["rates"] == [1.0, 2.5]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("width", "128", 128),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", "2", 2.0),
        ("rates", "1,2.5,1e1", [1.0, 2.5, 10.0]),
        ("rates", "[1, 2]", [1.0, 2.0]),
        ("rates", "4", [4.0]),
        ("dataset", "cifar10", "cifar10"),
        ("augment", "true", True),
    ],
)
def test_the_command_line_s_text_becomes_the_declared_type(card, name, text, value):
    assert card.parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("width", "6.5"), ("width", "many"), ("width", "[8"), ("rates", "1,,x"), ("augment", "2")]
)
def test_a_text_that_is_no_such_value_is_refused(card, name, text):
    with pytest.raises(InputError, match=f"parameter '{name}'"):
        card.parse(name, text)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["tilte"], "x", ["tilte", "did you mean 'title'"]),
        (["paper", "yaer"], 2020, ["yaer", "did you mean 'year'"]),
        (["claims", 0, "expect", "quick", "at_mots"], 1, ["at_mots", "did you mean 'at_most'"]),
        (["claims", 0, "expect", "quikc"], {"at_most": 1}, ["quikc", "did you mean 'quick'"]),
        (["claims", 0, "expect"], {"full": {"at_most": 1}}, ["gap", "quick"]),
        (["claims", 0, "where"], None, ["claims.0.where", "missing"]),
        (["claims"], [], ["claims"]),
        (["parameters", "width", "default"], 4, ["width", "out of bounds"]),
        (["parameters", "width", "type"], "integer", ["parameters.width.type", "integer"]),
        (["parameters", "seeds"], None, ["seeds", "missing"]),
        (["presets", "full", "widht"], 3, ["full", "widht", "did you mean 'width'"]),
        (["presets", "full", "width"], 3, ["full", "width", "from 8 to 512"]),
        (["presets", "quick"], {}, ["quick", "defaults"]),
        (["presets", "full", "samples"], 65, ["samples", "multiple of 'batch_size'"]),
        (["rules", 0, "multiple_of"], "batch", ["batch", "did you mean 'batch_size'"]),
        (["claims", 0, "basis"], None, ["'gap'", "basis", "number", "direction"]),  # cards of the first edition
        (["order"], None, ["order", "quick to the one nearest the paper"]),
        (["coverage"], None, ["coverage", "every figure, table and theorem"]),
        (["order"], ["quick", "full"], ["order", "larger"]),
        (["order"], ["full", "quick", "larger"], ["order", "begin with quick"]),
        (["order"], ["quick", "full", "larger", "smoke"], ["order", "smoke"]),
        (["power", "full", "seeds"], 8, ["8 seeds", "'full'", "5"]),
        (["power", "quick"], {"seeds": 3, "note": "N."}, ["power", "quick"]),
        (["power", "full", "expected"], {"gpa": {"half_width": 1, "margin": 2}}, ["gpa", "did you mean 'gap'"]),
        (["claims", 1, "paper", "low"], 5, ["low, value and high"]),
        (["claims", 0, "scale"], "logarithmic", ["scale", "logarithmic", "log"]),
        (["checks", 0, "id"], "gap", ["'gap' appears twice"]),
        (["coverage", "items", 0, "claims"], ["gap", "gpa"], ["gpa", "claims are gap, size, ratio"]),
        (["coverage", "items", 0, "claims"], ["size"], ["claim 'gap'", "no item of coverage"]),
        (["coverage", "items", 2, "not_attempted"], None, ["Figure 3", "not_attempted"]),
        (["coverage", "items", 2, "item"], "Table 2", ["Table 2 twice"]),
        (["paper", "arxiv"], "1834.00001", ["1834.00001", "no month 34"]),
        (["paper", "arxiv"], "1806.0539", ["1806.0539", "5 digits"]),
        (["paper", "arxiv"], "0612.1234", ["0612.1234", "0704"]),
        (["slug"], "other", ["other", "example.yaml"]),
        (["part"], "generalization", ["generalization"]),
    ],
)
def test_a_card_s_fault_is_named_by_file_and_key(tmp_path, path, value, words):
    with pytest.raises(InputError) as refusal:
        cards.read(write(tmp_path, changed(path, value)))
    message = str(refusal.value)
    assert "example.yaml" in message
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_claim_s_id_stands_once(tmp_path):
    with pytest.raises(InputError, match="'gap' appears twice"):
        cards.read(write(tmp_path, changed(["claims"], CONTENT["claims"] * 2)))


def test_a_key_given_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="'slug' stands twice"):
        cards.read(write(tmp_path, yaml.safe_dump(CONTENT) + "slug: example\n"))


@pytest.mark.parametrize("text", ["[unclosed", "- a list", "", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_card_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"example\.yaml"):
        cards.read(write(tmp_path, text))


def test_an_unknown_chapter_is_named_with_those_there_are():
    with pytest.raises(InputError, match="large_learning_rate_phase"):
        cards.load("large_learning_rate_phases")


def test_a_list_without_a_value_that_it_must_contain_is_refused():
    rule = Rule(parameter="blocks", contains=[1, 2])
    rule.check({"blocks": [2, 3, 1]}, "some_chapter")
    with pytest.raises(InputError, match=r"'blocks' of some_chapter cannot be .*: it must contain 1, 2"):
        rule.check({"blocks": [1, 3]}, "some_chapter")
