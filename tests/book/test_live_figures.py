"""The live figures: they follow the keyboard, say the right numbers, and leave a sentence where no script runs."""

import itertools
import json
import re

import jax
import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from reading import EVERY, path

from deepphenomena import mean_field
from deepphenomena.book import cards, live_figures, results
from deepphenomena.figures import _palette
from deepphenomena.runtime import statistics
from deepphenomena.runtime.errors import InputError

FIGURES = {card.slug: words for card in EVERY if (words := live_figures.words(card.slug))}
RECORDED = {slug: words for slug, words in FIGURES.items() if words.data}
each_figure = pytest.mark.parametrize("slug", FIGURES)
each_recorded = pytest.mark.parametrize("slug", RECORDED)
SAYS = "figure.dp-live .dp-live-says"


@pytest.fixture
def opened(page, address):
    """Open the page of a chapter and wait for its figure; every control is then there."""

    def open_page(slug):
        page.goto(f"{address}/{path(cards.load(slug))}")
        page.wait_for_function("document.querySelector('.dp-live-says')?.textContent")
        return page

    return open_page


def said(page) -> str:
    return page.locator(SAYS).inner_text().replace("−", "-").replace(",", "")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def slide(page, label: str, value: float) -> None:
    page.get_by_role("slider", name=label).fill(f"{value:g}")


def in_page(page) -> dict:
    return json.loads(page.locator("figure.dp-live script").text_content())


@each_figure
def test_the_figure_stands_between_the_introduction_and_the_first_code_or_section(slug, opened):
    page = opened(slug)
    place = page.locator("figure.dp-live").evaluate(
        """figure => {
          const chapter = figure.closest("section");
          const at = (one) => [...chapter.children].indexOf(one);
          return {
            box: at(chapter.querySelector(":scope > .dp-finding")), figure: at(figure),
            text: [...chapter.children].filter((one, k) => k < at(figure) && one.matches("p:not(.dp-headline)")).length,
            after: at(chapter.querySelector(":scope > .cell, :scope > section")),
          };
        }"""
    )
    assert 0 < place["box"] < place["figure"] < place["after"]
    assert place["text"] >= 1
    assert page.locator("figure.dp-live :is(h1, h2, h3, h4)").count() == 0


@each_figure
def test_every_control_follows_the_keyboard(slug, opened):
    page = opened(slug)
    controls = page.locator("figure.dp-live :is(input[type=range], input:checked, [tabindex='0'])")
    assert controls.count() >= 1
    for at in range(controls.count()):
        control = controls.nth(at)
        control.focus()
        before = said(page)
        page.keyboard.press("ArrowLeft")
        after = said(page)
        assert after != before, control.evaluate("control => control.outerHTML")
        assert page.evaluate("document.activeElement.matches('figure.dp-live *')")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("ArrowRight")
        assert said(page) == before
    assert page.locator(SAYS).get_attribute("aria-live") == "polite"
    assert not page.faults


@each_figure
def test_every_drawing_and_control_has_a_name(slug, opened):
    page = opened(slug)
    assert len(page.locator("figure.dp-live").get_attribute("aria-label")) > 10
    drawings = page.locator(".dp-live-panels > svg")
    for drawing in drawings.all():
        assert len(drawing.get_attribute("aria-label")) > 20
        assert drawing.get_attribute("aria-describedby") == "dp-live-says"
    found = Axe().run(page, context="figure.dp-live").response["violations"]
    assert not [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")]


def catapult(scaled_rate, width, steps=40):
    """(f, λ) of the two-layer linear model under gradient descent, from f = 1 and λ = 2."""
    f, curvature = np.float64(1), np.float64(2)
    rate = scaled_rate / curvature
    states = []
    for _ in range(steps + 1):
        states.append((f, curvature))
        factor = 1 - rate * curvature + rate**2 * f**2 / width
        f, curvature = factor * f, curvature + rate * f**2 / width * (rate * curvature - 4)
    return np.transpose(states)


def test_the_catapult_is_the_recursion(opened):
    page = opened("large_learning_rate_phase")
    for width, rate in itertools.product([64, 1024, 16384], [0.5, 1.5, 1.95, 2.1, 2.5, 3, 3.5, 3.9]):
        page.get_by_label(f"{width:,}", exact=True).check()
        slide(page, "Learning rate", rate)
        f, curvature = catapult(rate, width)
        ratio, text = f**2, said(page)
        assert f"{'Lazy' if rate < 2 else 'Catapult'} phase ηλ₀ = {rate:.2f}." in text
        if ratio[-1] > 1:
            assert numbers(text.partition("steps the loss is")[2])[0] == pytest.approx(ratio[-1], rel=0.01)
            continue
        if ratio.argmax() == 0:
            assert "falls from the first step" in text
        else:
            peak, step = numbers(text.partition("rises to")[2])[:2]
            assert (peak, step) == (pytest.approx(ratio.max(), rel=0.01), ratio.argmax())
        kept, final = numbers(text.partition("ends at")[2])[:2]
        assert kept == pytest.approx(curvature[-1] / 2, abs=0.006)
        assert final == pytest.approx(rate * curvature[-1] / 2, abs=0.006)
        assert ("below the limit of 2" in text) == (final < 2 and rate > 2)


def test_above_four_the_model_diverges(opened):
    page = opened("large_learning_rate_phase")
    slide(page, "Learning rate", 4.5)
    with np.errstate(all="ignore"):
        ratio = catapult(4.5, 1024)[0] ** 2
    text = said(page)
    assert text.startswith("Divergent phase")
    assert numbers(text.partition("at step")[2])[0] == np.argmax(~(ratio <= 1e6))


def test_the_phase_plane_is_the_librarys_mean_field_theory(opened):
    page = opened("dynamical_isometry")
    for weight, bias in [
        (0.5, 0),
        (1.3, 0.05),
        (1.7, 0.1),
        (1.76, 0.005),
        (1.76, 0.05),
        (2.5, 0.05),
        (3.9, 0.3),
        (4, 0),
    ]:
        slide(page, "Weight variance", weight)
        slide(page, "Bias variance", bias)
        with jax.enable_x64(True):
            right = [float(value[0, 0]) for value in mean_field.phase_diagram("tanh", [weight], [bias])]
        text = said(page)
        found = numbers(text.partition("q* =")[2].replace("χ₁", ""))[:4]
        assert found[:3] == pytest.approx(right[:3], abs=6e-4)
        assert found[3] == pytest.approx(right[3], rel=6e-3)
        assert text.startswith("Close to" if right[3] > 500 else "Ordered" if right[2] < 1 else "Chaotic")


def test_lines_of_the_plane_join_points_of_equal_depth_scale(opened):
    plane = opened("dynamical_isometry").locator(".dp-live-plane")
    ticks = plane.locator(".dp-live-axes text").evaluate_all(
        "texts => texts.slice(0, 10).map((text) => [text.textContent, text.getAttribute('x'), text.getAttribute('y')])"
    )
    up, along = np.array(ticks[:5], float), np.array(ticks[5:], float)  # (value, x, y) of both axes
    lines = plane.locator(".dp-live-thin")
    labels = plane.locator("g:not(.dp-live-axes) > text:not([class*=dp])").all_text_contents()
    assert lines.count() == len(labels) == 5
    for at, depth in enumerate(map(float, labels)):
        points = np.reshape(re.findall(r"-?[\d.]+", lines.nth(at).get_attribute("d")), (-1, 2)).astype(float)
        weight = np.interp(points[:, 0], along[:, 1], along[:, 0])
        bias = np.interp(-points[:, 1] - 4, -up[:, 2], up[:, 0])  # the text of a tick stands 4 pixels lower
        inside = np.flatnonzero((bias > 0.004) & (bias < 0.399))
        assert len(inside) >= 8
        for one in inside[:: len(inside) // 8]:
            with jax.enable_x64(True):
                right = mean_field.phase_diagram("tanh", [weight[one]], [bias[one]]).depth_scale[0, 0]
            assert right == pytest.approx(depth, rel=0.06), (weight[one], bias[one])


def test_the_cross_moves_by_arrow_keys_and_by_the_pointer(opened):
    page = opened("dynamical_isometry")
    cross = page.locator(".dp-live-cross")
    cross.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert numbers(said(page))[:2] == [1.32, 0.055]
    assert cross.get_attribute("aria-valuetext") == "weight variance 1.32, bias variance 0.055"
    assert page.get_by_role("slider", name="Weight variance").input_value() == "1.32"
    plane = page.locator(".dp-live-plane")
    plane.click(position={"x": plane.bounding_box()["width"] - 30, "y": 100})
    assert said(page).startswith("Chaotic")


def seeds_mean(slug, name, **where):
    """The mean over seeds of a recorded series, of the run that the page shows."""
    run, _ = live_figures.data(slug, FIGURES[slug])
    frame = pd.DataFrame(run.series[name])
    for column, label in where.items():
        frame = frame[frame[column] == label]
    return frame[FIGURES[slug].data[name].value].mean()


def test_the_two_worlds_are_the_recorded_ones(opened):
    page = opened("deep_bootstrap")
    run, _ = live_figures.data("deep_bootstrap", FIGURES["deep_bootstrap"])
    last = max(run.series["curves"]["step"])
    for option, where in [
        ("fully connected, 1,000", {"name": "curves", "case": run.parameters["fully_connected"]}),
        ("convolutional", {"name": "curves", "case": run.parameters["convolutional"]}),
        ("fully connected, 100", {"name": "samples", "case": "n / 10"}),
    ]:
        page.locator("figure.dp-live label", has_text=re.compile(re.escape(option) + r"\b")).locator("input").check()
        for step in (0, last):
            slide(page, "Training step", step)
            real, ideal, train = (
                seeds_mean("deep_bootstrap", world=world, step=step, **where)
                for world in ("Real", "Ideal", "Real, training set")
            )
            found = numbers(said(page).partition("Test errors:")[2])
            assert found == pytest.approx([real, ideal, real - ideal, real - train], abs=0.0011)


def test_the_frozen_layers_cost_what_was_recorded(opened):
    page = opened("maml_anil")
    for stage in ("untrained", "after a third", "at the end"):
        page.get_by_role("radio", name=stage).check()
        for at, frozen in enumerate(["nothing", "1-3", "1-4", "head"]):
            slide(page, "Frozen layers", at)
            found = numbers(said(page).partition("new tasks")[2])
            accuracy = seeds_mean("maml_anil", "freezing", trained=stage, frozen=frozen)
            full = seeds_mean("maml_anil", "freezing", trained=stage, frozen="nothing")
            assert found[0] == pytest.approx(accuracy, abs=0.06)
            assert found[1] <= found[0] <= found[2]
            if frozen != "nothing":
                assert found[4] == pytest.approx(abs(full - accuracy), abs=0.11)
                assert ("less" if full > accuracy else "more") in said(page)


def test_the_blocks_taken_over_show_the_recorded_curves_and_lags(opened):
    page = opened("transfusion")
    starts = ["random", "1 block", "2 blocks", "3 blocks", "transfer"]
    run, _ = live_figures.data("transfusion", FIGURES["transfusion"])
    last = max(run.series["curves"]["step"])
    for at, start in enumerate(starts):
        slide(page, "Pretrained blocks", at)
        text = said(page)
        end = seeds_mean("transfusion", "curves", start=start, step=last)
        found = numbers(re.search(r"and ([\d.]+)", text)[1] + " " + text.partition("Lag")[2])
        assert found[:2] == pytest.approx([end, seeds_mean("transfusion", "lags", start=start)], abs=6e-4)


@each_recorded
def test_the_numbers_in_the_page_are_the_recorded_ones(slug, opened):
    page = opened(slug)
    written, words = in_page(page), FIGURES[slug]
    run, _ = live_figures.data(slug, words)
    presets = list(results.all_recorded(cards.load(slug)))
    assert run.preset == presets[-1], "the figure does not show the run nearest the paper"
    assert len(json.dumps(written)) <= live_figures.LARGEST + 5_000  # json.dumps adds blanks
    for name, shown in words.data.items():
        table = pd.DataFrame(run.series[name])
        groups = list(table.groupby(shown.by, sort=False))
        for labels, rows in groups:
            found = written[name]
            for label in labels:
                found = found[str(label)]
            right = statistics.estimate(rows[shown.value].to_numpy())
            assert found == pytest.approx([right.mean, right.low, right.high], rel=1e-3, abs=1e-9)
            assert len(rows) == len(run.seeds)
        leaves = written[name]
        for _ in shown.by[1:]:
            leaves = {(key, inner): leaf for key, level in leaves.items() for inner, leaf in level.items()}
        assert len(leaves) == len(groups)
    caption = page.locator("figure.dp-live figcaption")
    assert f"Recorded {run.preset} run" in caption.inner_text()
    for link in caption.get_by_role("link").all():
        assert page.request.get(link.evaluate("link => link.href")).status == 200


@each_figure
def test_without_a_script_a_sentence_stands_in_the_place(slug, browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/{path(cards.load(slug))}")
        fallback = page.locator("figure.dp-live .dp-live-stage > p")
        assert fallback.is_visible()
        assert len(fallback.inner_text()) > 80
        assert page.locator("figure.dp-live figcaption").is_visible()
        assert page.locator("figure.dp-live :is(input, svg)").count() == 0


OVERLAPS = """() => {
  const texts = [...document.querySelectorAll(".dp-live svg text")].filter((text) => text.textContent);
  const boxes = texts.map((text) => text.getBoundingClientRect());
  const found = [];
  boxes.forEach((a, i) => boxes.forEach((b, j) => {
    const [wide, high] = [Math.min(a.right, b.right) - Math.max(a.left, b.left),
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
    if (i < j && wide > 1 && high > 4) found.push([texts[i].textContent, texts[j].textContent]);
  }));
  return found;
}"""


@each_figure
def test_text_is_large_enough_whole_and_apart(slug, opened):
    page = opened(slug)
    sliders = page.locator("figure.dp-live input[type=range]")
    for width, key in itertools.product((1280, 390), ("Home", "End", "ArrowLeft")):
        page.set_viewport_size({"width": width, "height": 900})
        for slider in sliders.all():
            slider.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.locator("figure.dp-live").evaluate(
            """figure => [...figure.querySelectorAll("svg text, label, legend, span, p, figcaption")]
              .map((text) => parseFloat(getComputedStyle(text).fontSize) * (text.getScreenCTM?.().a ?? 1))"""
        )
        assert min(sizes) >= 11
        ends = page.evaluate(
            """() => [...document.querySelectorAll(".dp-live svg text")].map((text) => text.getBoundingClientRect())
              .map((box) => [box.left, box.right])"""
        )
        assert min(left for left, _ in ends) >= 0
        assert max(right for _, right in ends) <= width
        assert page.evaluate(OVERLAPS) == [], f"after {key} at {width} pixels"
    assert not page.faults


def test_only_the_pages_with_a_figure_load_its_scripts(page, address):
    page.goto(f"{address}/guide/write_a_chapter.html", wait_until="networkidle")
    assert not [url for url in page.asked if "/live" in url]
    slug = next(iter(FIGURES))
    page.asked.clear()
    page.goto(f"{address}/{path(cards.load(slug))}", wait_until="networkidle")
    asked = {re.sub(r"\?.*", "", url).rpartition("_static/")[2] for url in page.asked if "/live" in url}
    assert asked == {"live.css", "live.js", f"live/{slug}.js"}


def test_the_colors_are_those_of_the_figures(pages):
    style = (pages / "_static" / "live.css").read_text(encoding="utf-8")
    assert set(re.findall(r"--dp-\w+: (#\w+)", style)) <= set(_palette.CATEGORICAL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of live figures with one script, `new.js`."""
    monkeypatch.setattr(live_figures, "_FOLDER", tmp_path)
    (tmp_path / "new.js").write_text("live.start(() => () => {});")
    return tmp_path


def test_a_chapter_without_the_files_has_no_figure_and_one_without_words_or_script_is_an_error(folder):
    assert live_figures.words("other") is None
    with pytest.raises(InputError, match=r"new\.yaml.*cannot be read"):
        live_figures.words("new")
    (folder / "new.yaml").write_text("label: a\ncaption: b\nfallbak: c\n")
    with pytest.raises(InputError, match="fallback"):
        live_figures.words("new")
    (folder / "other.yaml").write_text("label: a\ncaption: b\nfallback: c\n")
    with pytest.raises(InputError, match=r"other\.js"):
        live_figures.words("other")


def test_a_figure_of_what_no_run_recorded_or_of_too_much_is_an_error(monkeypatch):
    slug, words = next(iter(RECORDED.items()))
    shown = next(iter(words.data.values()))
    with pytest.raises(InputError, match="no recorded run has the series no_such"):
        live_figures.data(slug, words.model_copy(update={"data": {"no_such": shown}}))
    monkeypatch.setattr(live_figures, "LARGEST", 100)
    with pytest.raises(InputError, match="bytes of data"):
        live_figures.data(slug, words)


def test_words_are_escaped():
    words = live_figures.Words(label='"><b>', caption="<i>", fallback="</div><script>")
    made = live_figures.figure_html("any", words, "")
    assert "<b>" not in made
    assert "<i>" not in made
    assert made.count("<script") == 1
