"""What other sites see of the book: its addresses, the description of each page, and the page for lost readers."""

import html
import re
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from deepphenomena.book import cards, preview

_PREVIEWS = "_previews"
_LOST = """<h1>Page not found</h1>
<p>The book has no page at this address. It may have moved.</p>
<ul>
<li><a href="{root}index.html">All chapters</a></li>
<li><a href="{root}scorecard.html">The scorecard</a></li>
<li><a href="{root}search.html">Search</a></li>
</ul>"""


def use_one_address(app: Sphinx, config: Config) -> None:
    """Give every extension that writes addresses the one that `html_baseurl` says.

    The page for lost readers is served at any address, so its links and files are named from the root of the host.
    """
    if not config.html_baseurl:
        return
    root = urlsplit(config.html_baseurl).path
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = root
    config.notfound_context = {"title": "Page not found", "body": _LOST.format(root=html.escape(root))}


def describe_page(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Add what the extension for OpenGraph does not know: the picture of a page, and the summary of a chapter.

    Other pages are described by their first words.
    """
    if doctree is None or app.builder.name != "html" or not app.config.html_baseurl:
        return
    title = html.unescape(re.sub(r"<[^>]+>", "", context["title"]))
    verdicts = _verdicts(doctree)
    file = Path(app.outdir) / _PREVIEWS / f"{page.replace('/', '-')}.png"
    file.parent.mkdir(exist_ok=True)
    preview.card(app.config.project, title, verdicts).save(file, optimize=True)
    width, height = preview.SIZE
    described = {
        "og:image": f"{app.config.html_baseurl}{_PREVIEWS}/{file.name}",
        "og:image:alt": html.escape(f"{title}. {verdicts}".strip()),
        "og:image:width": str(width),
        "og:image:height": str(height),
    }
    context["metatags"] += '<meta name="twitter:card" content="summary_large_image" />\n'
    slug = page.rpartition("/")[2]
    if page.startswith("chapters/") and slug in cards.slugs():
        summary = html.escape(cards.load(slug).summary.strip())
        described |= {"og:type": "article", "og:description": summary}
        context["metatags"] += f'<meta name="description" content="{summary}" />\n'
    context["meta"] = {**(context.get("meta") or {}), **described}


def _verdicts(doctree: nodes.document) -> str:
    """Return the verdicts that stand below the title of a page, or nothing."""
    headlines = (one for one in doctree.findall(nodes.paragraph) if "dp-headline" in one["classes"])
    headline = next(headlines, None)
    return headline.children[0].astext().strip() if headline is not None else ""
