"""The content security policy of a page: it runs the scripts that the book was built with, and nothing else."""

import base64
import hashlib
import re
from html.parser import HTMLParser

_NAME = "Content-Security-Policy"
_AFTER = re.compile(r"<meta charset=[^>]*>", re.IGNORECASE)  # browsers read the encoding before anything else


def with_policy(page: str) -> str:
    """Return a page of the book with its policy. A page that has one, or no declared encoding, is left as it is.

    Scripts and event handlers in the page are allowed by their SHA-256, so one that is injected later does not run.
    Styles in the page are allowed: MathJax and the theme write them.

    Example:
        >>> with_policy('<meta charset="utf-8"><p>Text</p>').count("script-src 'self'")
        1
    """
    place = _AFTER.search(page)
    if place is None or _NAME in page:
        return page
    found = _Scripts()
    found.feed(page)
    allowed = ["'self'", *dict.fromkeys(map(_digest, found.scripts))]
    if found.handlers:
        allowed += ["'unsafe-hashes'", *dict.fromkeys(map(_digest, found.handlers))]
    policy = "; ".join(
        (
            "default-src 'self'",
            f"script-src {' '.join(allowed)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )
    meta = f'<meta http-equiv="{_NAME}" content="{policy}">'
    return page[: place.end()] + meta + page[place.end() :]


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


class _Scripts(HTMLParser):
    """The scripts and event handlers that stand in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handlers += [value for name, value in attributes if name.startswith("on") and value]
        if tag == "script" and "src" not in dict(attributes):
            self._inside = True
            self.scripts.append("")

    def handle_data(self, text: str) -> None:
        if self._inside:
            self.scripts[-1] += text

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"
