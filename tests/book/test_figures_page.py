"""Figures on a page: their captions and numbers, and what a reader sees of them in light and dark."""

import io
import re
import types

import building
import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepphenomena import figures
from deepphenomena.book import page_files

CAPTIONS = ["Loss of five seeds & more.", "Accuracy of two networks."]


def drawn() -> list[nbformat.NotebookNode]:
    """The outputs of a cell that shows two figures."""
    held = []

    def display(data, *, raw, metadata):
        held.append(nbformat.v4.new_output("display_data", data=data, metadata=metadata))

    frame = pd.DataFrame(
        {"step": step, "loss": np.exp(-rate * step / 9) + seed / 50, "rate": rate}
        for rate in (0.1, 1.0) for seed in range(5) for step in range(10)
    )  # fmt: skip
    sources = {"this run (quick)": frame, "recorded run (full, cpu)": frame}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", display)
        figures.lines(
            sources, x="step", y="loss", color="rate", marks={"paper": 0.5}, alt="The loss falls.", caption=CAPTIONS[0]
        )
        ends = frame[frame.step == 9]
        figures.bars(ends, x="rate", y="loss", alt="Two points with error bars.", caption=CAPTIONS[1])
    return held


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a page with the figures, in the book's theme."""
    folder = tmp_path_factory.mktemp("figures")
    status, messages, _ = building.build_page(folder, *drawn(), theme="sphinx_book_theme")
    assert status == 0, messages
    return folder / "html"


def test_figures_are_numbered_and_have_their_captions_below(built, page):
    page.goto((built / "index.html").as_uri())
    shown = page.locator("article figure")
    assert [caption.strip(" #") for caption in shown.locator("figcaption").all_inner_texts()] == [
        f"Figure {number}. {caption}" for number, caption in enumerate(CAPTIONS, 1)
    ]
    assert [image.get_attribute("alt") for image in shown.locator("img").all()] == [
        "The loss falls.", "Two points with error bars."
    ]  # fmt: skip
    article = page.locator("article").inner_text()
    assert [article.count(caption) for caption in CAPTIONS] == [1, 1], "what Jupyter shows is not shown again"
    for figure in shown.all():
        image, caption = figure.locator("img").bounding_box(), figure.locator("figcaption").bounding_box()
        assert caption["y"] >= image["y"] + image["height"]


@pytest.mark.parametrize("width", [390, 1280])
def test_panels_stand_one_below_the_other_on_a_phone_alone(built, browser, width):
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        page.goto((built / "index.html").as_uri())
        figure = page.locator("article figure").first
        row, stack = figure.locator("> img"), figure.locator("> .dp-stacked")
        narrow = width < 600
        assert (row.is_visible(), stack.is_visible()) == (not narrow, narrow)
        if narrow:
            assert stack.bounding_box()["width"] / stack.evaluate("drawn => drawn.viewBox.baseVal.width") * 11 >= 11
            pixels = np.asarray(Image.open(io.BytesIO(stack.screenshot())).convert("RGB")).astype(int)
            colored = np.ptp(pixels, axis=2) > 60  # the lines
            upper, lower = colored[: len(colored) // 2 - 30], colored[len(colored) // 2 - 30 :]
            assert min(upper.sum(), lower.sum()) > 100, "both panels are drawn"


def contrast(pixels, paper):
    """WCAG's contrast of each pixel (n, 3) with the paper (3,)."""

    def luminance(colours):
        parts = colours / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    ours, theirs = luminance(pixels), luminance(paper)
    return (np.maximum(ours, theirs) + 0.05) / (np.minimum(ours, theirs) + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_figure_is_legible_in_the_pages_theme_whatever_the_system_has(built, browser, theme, width, system):
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=system) as context:
        page = context.new_page()
        page.goto((built / "index.html").as_uri())
        for _ in range(3):
            if page.locator("html").get_attribute("data-theme") == theme:
                break
            page.locator("button.theme-switch-button").first.evaluate("button => button.click()")
        assert page.locator("html").get_attribute("data-theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        paper = np.array([int(part) for part in re.findall(r"\d+", background)[:3]])
        shown = [one for one in page.locator("article figure > :is(img, .dp-stacked)").all() if one.is_visible()]
        assert len(shown) == len(CAPTIONS)
        for image in shown:
            image.scroll_into_view_if_needed()
            box = image.bounding_box()
            assert box["width"] <= width
            pixels = np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("RGB")).reshape(-1, 3)
            values, counts = np.unique(pixels, axis=0, return_counts=True)
            assert np.abs(values[counts.argmax()].astype(int) - paper).max() <= 2, "the page shows through"
            neutral = pixels[np.ptp(pixels, axis=1) <= 20]
            standing_out = np.sort(contrast(neutral, paper))
            assert standing_out[-300] >= 4.5, "text, as WCAG's AA asks; at 390 pixels it is thin"


def test_pictures_lose_weight_and_drawings_are_left_alone(tmp_path):
    (tmp_path / "_images").mkdir()
    noise = np.random.default_rng(0).normal(scale=6, size=(300, 400, 3))
    picture = np.linspace(0, 200, 400)[:, None] * [1.0, 0.7, 0.3] + noise + 20
    heavy, drawing = tmp_path / "_images" / "heavy.png", tmp_path / "_images" / "drawing.svg"
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(heavy)
    drawing.write_text("<svg/>")
    before, weight = np.asarray(Image.open(heavy)).astype(int), heavy.stat().st_size
    app = types.SimpleNamespace(outdir=tmp_path, builder=types.SimpleNamespace(format="html", imagedir="_images"))
    page_files.lighten(app, None)
    difference = np.abs(np.asarray(Image.open(heavy).convert("RGB")).astype(int) - before)
    assert heavy.stat().st_size < weight
    assert difference.mean() < 6, "it is the same picture, in 256 colours"
    assert drawing.read_text() == "<svg/>"
