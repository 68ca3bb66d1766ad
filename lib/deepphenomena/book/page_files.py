"""What the pages need beside their text: style, icon, MathJax, light images, and a content security policy."""

import importlib.resources
import shutil
from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx
from sphinx.config import Config

from deepphenomena.book import content_policy

_STATIC = Path(__file__).parent / "static"
# The theme's side bar, and the same as a landmark.
_SIDE_BAR = (
    '<div id="pst-primary-sidebar" class=',
    '<div id="pst-primary-sidebar" role="complementary" aria-label="Book" class=',
)

# The files of MathJax that a page with TeX can load: MathJax, TeX extensions, fonts, and speech.
_MATHJAX = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts/woff-v2", "a11y", "sre")


def serve_own_files(app: Sphinx, config: Config) -> None:
    """Use the style sheet, icon and MathJax of the book on its pages."""
    config.html_static_path.append(str(_STATIC))
    config.html_favicon = str(_STATIC / "icon.svg")
    config.html_search_scorer = str(_STATIC / "search_scorer.js")
    config.mathjax_path = "mathjax/tex-chtml.js"
    app.add_css_file("book.css")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy MathJax to the pages, so that they load nothing from another host."""
    if exception is not None or app.builder.format != "html":
        return
    source = Path(str(importlib.resources.files("mathjax"))) / "static" / "mathjax" / "es5"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in _MATHJAX:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Reduce the size of the pages: figures with 256 colors (a quarter of the bytes), and icons only once."""
    if exception is not None or app.builder.format != "html":
        return
    for file in (Path(app.outdir) / app.builder.imagedir).glob("*.png"):
        with Image.open(file) as image:
            if image.mode in ("RGB", "RGBA") and image.convert("RGBA").getextrema()[3] == (255, 255):
                # One round of k-means: each color becomes the mean of its pixels.
                image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(file, optimize=True)
    # The theme includes its icons as fonts, which its style sheet uses, and again as a script of 1.5 MB.
    icons = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if icons.is_file():
        icons.write_text("")


def finish_pages(app: Sphinx, exception: Exception | None) -> None:
    """Make the side bar of each page a landmark, which the theme forgets, and add a content security policy."""
    if exception is not None or app.builder.format != "html":
        return
    for file in Path(app.outdir).rglob("*.html"):
        if "_static" not in file.relative_to(app.outdir).parts:
            page = file.read_text(encoding="utf-8").replace(*_SIDE_BAR)
            file.write_text(content_policy.with_policy(page), encoding="utf-8")
