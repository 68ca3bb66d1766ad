"""The whole book as one PDF, printed by Chromium from the book as a single page: `python pdf.py SINGLEHTML OUT`."""

import sys
from pathlib import Path

import chromium
from playwright.sync_api import sync_playwright

# On paper the chapters are parts of one page: what led to another file leads to its place, or nowhere.
LINKS_STAY_INSIDE = """() => {
  for (const link of document.querySelectorAll("article a[href]")) {
    const [file, anchor] = link.getAttribute("href").split("#");
    const start = file && document.getElementById("document-" + file.replace(/\\.html$/, ""));
    if (start) {
      const target = (anchor && start.nextElementSibling.querySelector("#" + CSS.escape(anchor))) || start;
      if (target !== start) target.id = file + "-" + anchor; // an anchor that two chapters may have
      link.href = "#" + target.id;
    } else if (link.protocol === "file:" && link.pathname !== location.pathname) link.removeAttribute("href");
  }
}"""


def write(single_page: Path, out: Path) -> None:
    """Print the page `index.html` of a folder that Jupyter Book's builder `singlehtml` made."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=chromium.FLAGS)
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(180_000)  # a whole book, on a machine that may be busy
        page.goto((single_page / "index.html").absolute().as_uri(), wait_until="networkidle")
        chromium.wait_for_maths(page)
        page.evaluate(LINKS_STAY_INSIDE)
        margin = dict.fromkeys(("top", "bottom", "left", "right"), "16mm")
        footer = '<div style="font-size: 8px; width: 100%; text-align: center"><span class="pageNumber"></span></div>'
        page.pdf(
            path=out, format="A4", margin=margin, outline=True, tagged=True,
            display_header_footer=True, header_template="<span></span>", footer_template=footer,
        )  # fmt: skip
        browser.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
