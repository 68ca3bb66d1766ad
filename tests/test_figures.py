"""Figures: what is drawn of a tidy table, how it reaches a page, and what is refused."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from example_card import run
from PIL import Image

from deepphenomena import figures
from deepphenomena.figures import _palette, _show, _tables
from deepphenomena.figures._stack import WIDEST, stacked
from deepphenomena.figures._ticks import write_powers
from deepphenomena.runtime import origin
from deepphenomena.runtime.errors import InputError
from deepphenomena.runtime.statistics import Scale, estimate

WORDS = {"alt": "The loss falls.", "caption": "Loss of five seeds."}
SVG = "{http://www.w3.org/2000/svg}"


def table(steps=20, seeds=5, rates=(0.1, 1.0)):
    noise = np.random.default_rng(0)
    return pd.DataFrame(
        {"step": step, "seed": seed, "learning_rate": rate, "loss": np.exp(-rate * step / steps) + noise.normal() / 50}
        for rate in rates
        for seed in range(seeds)
        for step in range(steps)
    )


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they are shown, still open to a look at their axes: [(figure, svg)]."""
    shown = []
    monkeypatch.setattr(_show, "show", lambda figure, **_: shown.append((figure, _show.svg(figure))))
    yield shown
    plt.close("all")


@pytest.fixture
def outputs(monkeypatch):
    """What a notebook would hold: [(data, metadata)]."""
    held = []
    display = lambda data, *, raw, metadata: held.append((data, metadata))  # noqa: E731
    monkeypatch.setattr("IPython.display.display", display)
    return held


@pytest.fixture
def fresh(monkeypatch):
    """No colour is given out yet."""
    monkeypatch.setattr(_palette, "_labels", {})
    monkeypatch.setattr(_palette, "_places", {})


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def visible(figure):
    return [axis for axis in figure.axes if axis.axison]


def test_each_source_is_a_facet_with_its_own_range_of_x(drawn):
    figures.lines({"this run": table(), "recorded run": table(40)}, x="step", y="loss", color="learning_rate", **WORDS)
    figure, _ = drawn[0]
    left, right = figure.axes
    assert [left.get_title(), right.get_title()] == ["this run", "recorded run"]
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() != right.get_xlim(), "a short run fills its facet"
    assert [len(axis.lines) for axis in figure.axes] == [2, 2]
    assert legend(figure) == ["learning rate 0.1", "learning rate 1"]
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("step", "loss", "")


def test_a_panel_column_is_one_row_of_facets_for_each_value(drawn):
    sources = {"this run": table(rates=(0.1, 1.0)), "recorded run": table(rates=(0.1, 1.0, 3.0))}
    figures.lines(sources, x="step", y="loss", panel="learning_rate", **WORDS)
    titles = [axis.get_title() for axis in drawn[0][0].axes]
    rates = ("0.1", "1", "3")
    assert titles == [f"learning rate {rate}\n{source}" for rate in rates for source in sources]


def test_facets_that_do_not_fill_their_rows_leave_a_place_empty(drawn):
    figures.lines(table(rates=(0.1, 1.0, 3.0)), x="step", y="loss", panel="learning_rate", **WORDS)
    figure, _ = drawn[0]
    assert len(figure.axes) == 4
    assert len(visible(figure)) == 3
    assert [axis.get_xlabel() for axis in visible(figure)] == ["", "step", "step"], "nothing stands below the second"


@pytest.mark.parametrize("scale", [Scale.LINEAR, Scale.LOG])
def test_line_and_band_are_the_estimate_of_the_verdicts(drawn, scale):
    frame = table()
    figures.lines(frame, x="step", y="loss", color="learning_rate", yscale=scale.value, **WORDS)
    (axis,) = drawn[0][0].axes
    for rate, line, band in zip((0.1, 1.0), axis.lines, axis.collections, strict=True):
        wanted = [
            estimate(frame[(frame.learning_rate == rate) & (frame.step == step)].loss.to_numpy(), scale=scale)
            for step in range(20)
        ]
        np.testing.assert_array_equal(line.get_ydata(), [one.mean for one in wanted])
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        assert {(float(step), one.low) for step, one in enumerate(wanted)} <= corners
        assert {(float(step), one.high) for step, one in enumerate(wanted)} <= corners


def test_two_seeds_have_no_band_and_a_value_that_is_not_finite_leaves_a_gap(drawn):
    frame = table(seeds=2)
    figures.lines(frame, x="step", y="loss", color="learning_rate", **WORDS)
    frame.loc[(frame.step == 7) & (frame.seed == 0), "loss"] = np.nan
    figures.lines(frame, x="step", y="loss", color="learning_rate", **WORDS)
    (whole,), (broken,) = (figure.axes for figure, _ in drawn)
    assert not whole.collections
    assert np.isnan(broken.lines[0].get_ydata()).nonzero()[0].tolist() == [7]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_long_line_is_thinned_evenly_along_its_axis(logarithmic):
    long = pd.DataFrame({"source": "", "x": np.arange(10_000), "y": 0.0})
    kept = _tables.thinned(long, logarithmic=logarithmic).x.to_numpy()
    assert len(kept) <= 200
    assert (kept[0], kept[-1]) == (0, 9999)
    assert (np.sum(kept < 100) > 40) == logarithmic


def test_a_condition_has_one_colour_in_all_figures(drawn, fresh):
    one = pd.DataFrame({"start": ["random", "random", "transfer"], "x": [0, 1, 0], "y": [1.0, 2.0, 3.0]})
    other = pd.DataFrame({"start": ["mean", "transfer", "random"], "x": [0, 0, 0], "y": [1.0, 2.0, 3.0]})
    for frame in (one, other):
        figures.scatter(frame, x="x", y="y", color="start", **WORDS)
    first, second = ({line.get_color() for line in figure.axes[0].lines} for figure, _ in drawn)
    assert first == {figures.colour("start", "random"), figures.colour("start", "transfer")}
    assert second == first | {figures.colour("start", "mean")}
    assert len(second) == 3


def test_numbers_take_colours_by_rank_and_keep_them(fresh):
    first = _palette.colours("rate", [10.0, 0.1, 1.0])
    again = _palette.colours("rate", [0.1, 0.5, 10.0, 20.0])
    assert again[0.1] == first[0.1]
    assert again[10.0] == first[10.0]
    assert len(set(first.values()) | set(again.values())) == 5
    ranks = _palette._places["rate"]
    assert sorted(ranks, key=ranks.get) == [0.1, 0.5, 1.0, 10.0, 20.0]


def contrast(one, other):
    def luminance(colour):
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in matplotlib.colors.to_rgb(colour)]
        return np.dot(parts, [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", ["#ffffff", "#14181e"])  # the pages' backgrounds
def test_every_colour_is_legible_in_light_and_dark(paper):
    for colour in (*_palette.CATEGORICAL, *map(_palette._SEQUENTIAL, np.linspace(0, 1, 20))):
        assert contrast(colour, paper) >= 3, colour


def test_references_are_drawn_in_every_facet_and_named_in_the_legend(drawn):
    figures.lines(
        {"this run": table(), "recorded run": table()}, x="step", y="loss",
        marks={"paper: ReLU": 0.5, "untrained network": 2.3}, verticals={"2 / η": 5.0},
        curves={"exp(-t)": lambda x: np.exp(-x)}, **WORDS,
    )  # fmt: skip
    figure, _ = drawn[0]
    assert legend(figure) == ["paper: ReLU", "untrained network", "2 / η", "exp(-t)"]
    for axis in figure.axes:
        references = [line for line in axis.lines if line.get_label() in legend(figure)]
        assert [line.get_color() for line in references] == [figures.INK] * 4
        assert len({str(line._dash_pattern) for line in references}) == 4, "no two have the same dashes"
        assert list(references[0].get_ydata()) == [0.5, 0.5]
        assert list(references[2].get_xdata()) == [5.0, 5.0]
        np.testing.assert_allclose(references[3].get_ydata(), np.exp(-references[3].get_xdata()))
        assert axis.get_ylim()[1] > 2.3, "a reference is not cut off"


def test_what_a_run_measured_beside_its_result_is_named_in_the_figure(drawn):
    made = run()
    made.reference("size", [1.0, 1.2, 1.1], name="untrained network")
    made.keep("sizes", pd.DataFrame({"body": "MAML", "seed": made.seeds, "size": [4.0, 4.1, 3.9]}))
    figures.bars(made.sources("sizes"), x="body", y="size", marks=made.marks("size"), **WORDS)
    figure, _ = drawn[0]
    assert legend(figure) == ["paper", "untrained network"]
    heights = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_label() in legend(figure)]
    assert heights == pytest.approx([4.0, 1.1])


def test_bars_show_mean_interval_and_every_seed(drawn):
    frame = pd.DataFrame({"body": ["MAML"] * 4 + ["ANIL"] * 4, "y": [1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0, 8.0]})
    figures.bars(frame, x="body", y="y", **WORDS)
    (axis,) = drawn[0][0].axes
    seeds, means = axis.lines
    assert sorted(seeds.get_ydata()) == sorted(frame.y)
    found = [estimate(frame[frame.body == body].y.to_numpy()) for body in ("MAML", "ANIL")]
    assert list(means.get_ydata()) == [one.mean for one in found]
    ends = [tuple(segment[:, 1]) for segment in axis.collections[0].get_segments()]
    assert ends == [(one.low, one.high) for one in found]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["MAML", "ANIL"]


def test_labels_stand_along_the_axis_of_a_line_in_order_of_appearance(drawn):
    frame = pd.DataFrame({"layer": ["stem", "block", "head"], "cka": [1.0, 0.9, 0.2]})
    figures.lines(frame, x="layer", y="cka", **WORDS)
    (axis,) = drawn[0][0].axes
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["stem", "block", "head"]
    assert list(axis.lines[0].get_xdata()) == [0, 1, 2]


def test_a_heatmap_shows_means_over_seeds_on_one_scale(drawn):
    frame = pd.DataFrame(
        {"w": w, "depth": depth, "seed": seed, "accuracy": w * depth + seed}
        for w in (1.0, 2.0) for depth in (20, 10) for seed in (0, 1)
    )  # fmt: skip
    figures.heatmap({"this": frame, "that": frame.assign(accuracy=0.0)}, x="w", y="depth", value="accuracy", **WORDS)
    figure, _ = drawn[0]
    left, right, bar = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["20", "10"], "numbers rise upwards"
    np.testing.assert_allclose(left.collections[0].get_array(), [[20.5, 40.5], [10.5, 20.5]])
    assert left.collections[0].get_clim() == right.collections[0].get_clim() == (0.0, 40.5)
    assert bar.get_ylabel() == "accuracy"
    assert {text.get_color() for text in left.texts} <= {"#ffffff", "#1a1a1a"}, "not the ink, which turns"


def test_images_keep_their_pixels(drawn):
    grey, colour = np.linspace(0, 1, 12).reshape(3, 4), np.random.default_rng(0).uniform(size=(3, 4, 3))
    figures.images({"grey": grey, "colour": colour}, **WORDS)
    figure, svg = drawn[0]
    assert [axis.get_title() for axis in figure.axes] == ["grey", "colour"]
    embedded = [base64.b64decode(image) for image in re.findall(r"data:image/webp;base64,([^\"]+)", svg)]
    pictures = [np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) for image in embedded]
    assert [picture.shape for picture in pictures] == [(3, 4, 3)] * 2
    for picture, wanted in zip(pictures, (np.repeat(grey[..., None], 3, 2), colour), strict=True):
        upright = picture if abs(picture - wanted * 255).max() < 2 else picture[::-1]
        np.testing.assert_allclose(upright, wanted * 255, atol=1.01)


def test_a_figure_is_an_svg_without_background_that_turns_with_the_page(drawn):
    figures.lines(table(), x="step", y="loss", marks={"paper": 0.5}, **WORDS)
    _, svg = drawn[0]
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert not root.findall(f".//{SVG}text"), "text is drawn as paths: a page needs no font"
    assert f'@media (prefers-color-scheme: dark){{[style*="fill: {figures.INK}"]' in root.find(f"{SVG}style").text
    styles = [node.get("style", "") for node in root.iter()]
    fills = {fill for style in styles for fill in re.findall(r"fill: (#\w+)", style)}
    assert fills == {figures.INK}, "the band and text; nothing lies behind them"
    assert f"stroke: {figures.INK}" in " ".join(styles)
    assert "<dc:date>" not in svg


def test_the_same_figure_is_the_same_bytes(drawn):
    for _ in range(2):
        figures.lines(table(), x="step", y="loss", color="learning_rate", **WORDS)
    assert drawn[0][1] == drawn[1][1]


def test_figures_are_small(drawn):
    sources = {"this run": table(300), "recorded run": table(2000)}
    figures.lines(sources, x="step", y="loss", color="learning_rate", marks={"paper": 0.5}, **WORDS)
    figures.scatter(table(300), x="step", y="loss", **WORDS)
    assert [len(svg) < 60_000 for _, svg in drawn] == [True, True]


def test_a_notebook_holds_the_svg_its_words_and_its_caption(outputs):
    figures.lines(table(), x="step", y="loss", **WORDS)
    (shown, metadata), (below, mark) = outputs
    assert shown["image/svg+xml"].startswith("<svg")
    assert shown["text/plain"] == WORDS["alt"]
    assert metadata == {"image/svg+xml": WORDS}
    assert below == {"text/plain": WORDS["caption"]}
    assert mark == {"text/plain": {"caption_of_figure": True}}
    assert not plt.get_fignums(), "the figure is closed"


def times_shown(text, stack, figure):
    """How many views of the stack hold the whole of a text."""
    box, height = text.get_window_extent(), figure.get_figheight() * 72
    left, right, top, bottom = box.x0, box.x1, height - box.y1, height - box.y0
    return sum(
        view.x <= left + 0.5 and right <= view.x + view.width + 0.5
        and view.y <= top + 0.5 and bottom <= view.y + view.height + 0.5
        for view in stack.views
    )  # fmt: skip


@pytest.mark.parametrize("panel", [None, "learning_rate"])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("ylabel", ["loss", "the loss of all seeds, minus chance"])
def test_on_a_phone_every_panel_has_its_words_and_the_numbers_of_both_axes(panel, scale, ylabel, drawn):
    sources = {"this run (quick)": table(), "recorded run (full, cpu)": table(steps=40)}
    marks = {"the paper's number, which it gives in a table": 0.4, "chance": 0.1}
    looks = {"color": "learning_rate", "panel": panel, "yscale": scale, "marks": marks, "ylabel": ylabel}
    figures.lines(sources, x="step", y="loss", **looks, **WORDS)
    ((figure, _),) = drawn
    stack = stacked(figure)
    assert stack.width <= WIDEST
    assert min(view.to_y for view in stack.views) == 0
    for text in [*(axis.title for axis in figure.axes), *figure.legends[0].get_texts()]:
        assert times_shown(text, stack, figure) == 1, text.get_text()
    rows = {axis.get_subplotspec().rowspan.start for axis in figure.axes}

    def written(one):
        low, high = sorted(one.get_view_interval())
        within = [low <= place <= high for place in one.get_majorticklocs()]
        return [label for label, shown in zip(one.get_majorticklabels(), within, strict=True) if shown]

    for axis in figure.axes:
        first, last = axis.get_subplotspec().is_first_col(), axis.get_subplotspec().is_last_row()
        for label in [*written(axis.yaxis), axis.yaxis.label] if first else []:
            assert times_shown(label, stack, figure) == 2, f"{label.get_text()!r}, for both panels of the row"
        for label in [*written(axis.xaxis), axis.xaxis.label] if last else []:
            assert times_shown(label, stack, figure) == len(rows), f"{label.get_text()!r}, for each panel of the column"


def test_a_narrow_figure_or_one_panel_has_no_stack():
    for titles, width in ((["left", "right"], 2.0), (["alone"], 6.0)):
        figure, _ = figures.panels(titles, width=width)
        assert stacked(figure) is None
        plt.close(figure)


def test_a_figure_drawn_by_hand_has_the_theme_and_reaches_the_page(outputs):
    figure, (left, right) = figures.panels(["before", "after"], sharey=True)
    left.plot([0, 1], [0, 1], color=figures.colour("start", "random"))
    right.plot([0, 1], [1, 0], "k--")
    _show.show(figure, **WORDS)
    assert (left.get_title(), right.get_title()) == ("before", "after")
    assert outputs[0][1]["image/svg+xml"].items() >= WORDS.items()


@pytest.mark.parametrize("call", [figures.lines, figures.scatter, figures.bars])
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alt": " "}, "empty alt"),
        ({"caption": ""}, "empty caption"),
        ({"y": "los"}, "unknown column for y .*'los'.*did you mean 'loss'"),
        ({"color": "rate"}, "unknown column for color .*'rate'.*learning_rate, loss, seed, step"),
        ({"data": table().iloc[:0]}, "without rows"),
        ({"data": {}}, "without rows"),
        ({"data": [1, 2]}, "type list.*run.sources"),
        ({"data": {"this run": [1, 2]}}, "run.sources"),
        ({"data": table().assign(loss="x")}, "y='loss'.*give numbers"),
        ({"yscale": "sqrt"}, "unknown yscale"),
        ({"marks": {"paper": None}}, r"marks\['paper'\] = None: give one finite number"),
        ({"marks": {"paper": [1.0, 2.0]}}, "one finite number"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, changed, words):
    given = {"data": table(), "x": "step", "y": "loss"} | WORDS | changed
    with pytest.raises(InputError, match=words):
        call(given.pop("data"), **given)
    plt.close("all")


def test_a_column_that_one_source_lacks_is_named_with_the_source():
    with pytest.raises(InputError, match="of 'recorded run'"):
        figures.lines({"this run": table(), "recorded run": table().drop(columns="loss")}, x="step", y="loss", **WORDS)


@pytest.mark.parametrize(
    ("sheets", "words"), [({}, "no sheet"), ({"a": np.zeros((2, 3, 4))}, r"'a' of shape \(2, 3, 4\)")]
)
def test_a_sheet_that_is_no_picture_is_refused(sheets, words):
    with pytest.raises(InputError, match=words):
        figures.images(sheets, **WORDS)


def test_words_are_asked_for_before_anything_is_drawn():
    figure, _ = figures.panels(["a"])
    with pytest.raises(InputError, match=r"figures\.show was given an empty caption"):
        _show.show(figure, alt="A figure.", caption=" ")
    plt.close(figure)


def test_a_figure_names_the_recorded_tables_that_it_draws(outputs):
    frame = table()
    figures.lines(frame, x="step", y="loss", **WORDS)
    kept = frame.copy()
    origin.mark(kept, ("curves", "quick"))
    tables = {"a": kept[kept["step"] > 0], "b": kept.assign(loss=1.0), "c": frame}
    figures.lines(tables, x="step", y="loss", **WORDS)
    plain, named = (metadata[_show.MIME] for _, metadata in outputs if _show.MIME in metadata)
    assert "origins" not in plain
    assert named["origins"] == [["curves", "quick"]]


@pytest.mark.parametrize("ends", [(128, 4096), (1.05, 2.6), (0.3, 0.35), (1e-7, 3e-6), (5, 600), (1, 100)])
def test_a_short_logarithmic_axis_has_a_few_labels_of_major_ticks_alone(ends):
    figure, (axis,) = figures.panels([""])
    axis.set(xscale="log", xlim=ends)
    write_powers(axis.xaxis)
    figure.canvas.draw()
    places = [label.get_position()[0] for label in axis.get_xticklabels() if label.get_text()]
    assert 2 <= sum(ends[0] <= place <= ends[1] for place in places) <= 7
    assert not any(label.get_text() for label in axis.get_xticklabels(minor=True))
    plt.close(figure)
