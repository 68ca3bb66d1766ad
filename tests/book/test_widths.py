"""Every kind of page at the widths of a phone, a tablet, a laptop and a desk, in light and dark."""

import chromium
import pytest
from reading import CARDS, each_chapter, path

WIDTHS = (390, 768, 1280, 1920)
CHAPTERS = [path(card) for card in CARDS]
PAGES = ["index.html", "scorecard.html", "guide/verdicts.html", *CHAPTERS]
A4 = 672  # the width of a printed page between its margins
SLACK = 1  # pixels

# What a reader cannot see without scrolling sideways, and tables that are cut.
FAULTS = """async (slack) => {
  await new Promise(requestAnimationFrame);
  const moving = document.getAnimations().filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime));
  moving.forEach((one) => one.finish());
  const wide = document.documentElement.clientWidth, faults = new Set();
  if (document.documentElement.scrollWidth > wide) faults.add("the page scrolls sideways");
  const words = (element) => element.textContent.trim().replace(/\\s+/g, " ").slice(0, 60);
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length;
  const box = (element) => {  // the nearest ancestor that scrolls sideways, else the window
    for (let above = element.parentElement; above; above = above.parentElement) {
      if (scrolls(above) && above !== document.body) return above;
    }
    return null;
  };

  for (const cell of document.querySelectorAll("article :is(td, th)")) {
    if (!isSeen(cell)) continue;
    const isCut = cell.scrollWidth > cell.clientWidth + slack && !scrolls(cell);
    if (isCut) faults.add("wider than its cell: " + words(cell));
    const { left, right } = cell.getBoundingClientRect();
    if ((right > wide + slack || left < -slack) && !box(cell)) faults.add("beyond the window: " + words(cell));
  }
  for (const verdict of document.querySelectorAll("article :is(td, p, dd) > [class^=dp-]:is(span, strong)")) {
    if (!isSeen(verdict)) continue;
    const { left, right } = verdict.getBoundingClientRect();
    const bounds = box(verdict)?.getBoundingClientRect() ?? { left: 0, right: wide };
    if (left < bounds.left - slack || right > bounds.right + slack) faults.add("out of sight: " + words(verdict));
  }
  return [...faults];
}"""

# How many texts a figure has, and where two of them overlap. A text is a group of outlines, drawn upside down. It may
# be turned, so its box is kept as four corners. Boxes overlap if they do so along each side of both of them.
OVERLAPS = r"""async ([source, slack]) => {
  const drawing = new DOMParser().parseFromString(await (await fetch(source)).text(), "image/svg+xml").documentElement;
  document.body.append(drawing);
  const origin = drawing.getBoundingClientRect();
  const boxes = [...drawing.querySelectorAll("g[transform]")]
    .filter((group) => /scale\(([\d.]+) -\1\)/.test(group.getAttribute("transform")))
    .map((group) => {
      const { x, y, width, height } = group.getBBox(), onScreen = group.getScreenCTM();
      const corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
      return corners.map(([across, down]) => new DOMPoint(across, down).matrixTransform(onScreen));
    })
    .filter(([first, , third]) => first.x !== third.x);
  drawing.remove();
  const sides = ([first, second, , last]) => [second, last].map((corner) => {
    const side = { x: corner.x - first.x, y: corner.y - first.y }, length = Math.hypot(side.x, side.y);
    return { x: side.x / length, y: side.y / length };
  });
  const shadow = (box, side) => box.map((corner) => corner.x * side.x + corner.y * side.y);
  const common = (one, other, side) => {
    const [a, b] = [shadow(one, side), shadow(other, side)];
    return Math.min(Math.max(...a), Math.max(...b)) - Math.max(Math.min(...a), Math.min(...b));
  };
  const found = [];
  boxes.forEach((one, number) => boxes.slice(number + 1).forEach((other) => {
    const overlap = [...sides(one), ...sides(other)].every((side) => common(one, other, side) > slack);
    if (overlap) found.push([one, other].map(([{ x, y }]) => [x - origin.x, y - origin.y].map(Math.round)));
  }));
  return [boxes.length, found];
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_every_width(name, theme, page, address):
    page.emulate_media(color_scheme=theme)
    page.goto(f"{address}/{name}")
    chromium.wait_for_maths(page)
    assert page.locator("html").get_attribute("data-theme") == theme
    faults = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        faults[width] = page.evaluate(FAULTS, SLACK)
    assert not any(faults.values()), faults
    assert not page.faults


@each_chapter
def test_no_text_of_a_figure_overlaps_another(card, page, address):
    page.goto(f"{address}/{path(card)}")
    sources = page.locator("article .cell_output img[src$='.svg']").evaluate_all("images => images.map(one => one.src)")
    assert sources
    faults, texts = {}, 0
    for source in sources:
        count, overlapping = page.evaluate(OVERLAPS, [source, SLACK])
        texts += count
        faults |= {source.rpartition("/")[2][:12]: overlapping} if overlapping else {}
    assert texts > 5 * len(sources)
    assert not faults


@pytest.mark.parametrize("name", ["scorecard.html", "guide/benchmarks.html", CHAPTERS[0]])
def test_on_paper_a_table_of_claims_is_a_table_and_fits(name, page, address):
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4, "height": 900})
    page.goto(f"{address}/{name}")
    head = page.locator(".dp-claims thead th").first
    assert head.evaluate("cell => getComputedStyle(cell).display") == "table-cell"
    assert page.evaluate(FAULTS, SLACK) == []
