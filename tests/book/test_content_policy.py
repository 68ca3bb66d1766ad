"""The content security policy: the book's scripts run, and what is put into a page later does not."""

import re

import pytest

from deepphenomena.book import content_policy

INJECTED = {
    "a script": "<script>document.title = 'taken'</script>",
    "an event handler": "<img src='x' onerror=\"document.title = 'taken'\">",
    "a script of another host": "<script src='https://example.invalid/x.js'></script>",
    "a link that is a script": "<a id='run' href=\"javascript:document.title = 'taken'\">link</a>",
}


def test_every_page_has_one_policy_that_allows_no_foreign_script(pages):
    for file in pages.rglob("*.html"):
        if "_static" in file.relative_to(pages).parts:
            continue
        page = file.read_text(encoding="utf-8")
        (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
        (scripts,) = re.findall(r"script-src ([^;]*)", policy)
        assert "unsafe-inline" not in scripts
        assert "http" not in scripts
        assert page.index(policy) < page.index("<script"), "a script before the policy is not under it"


@pytest.mark.parametrize("kind", INJECTED)
def test_what_is_injected_into_a_page_does_not_run(kind, page, pages, address):
    whole = (pages / "index.html").read_text(encoding="utf-8")
    body = whole.replace("</article>", INJECTED[kind] + "</article>", 1)
    assert body != whole
    page.route(f"{address}/index.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{address}/index.html", wait_until="networkidle")
    if "id='run'" in body:
        page.locator("#run").click()
    assert page.title().startswith("Deep Phenomena")
    assert any("Content Security Policy" in fault for fault in page.faults)
    assert not [url for url in page.asked if "example.invalid" in url and url not in page.faults]


def test_a_page_gets_its_policy_once_and_a_fragment_gets_none():
    page = '<head><meta charset="utf-8"><script>run()</script></head><button onclick="f(&quot;x&quot;)">'
    once = content_policy.with_policy(page)
    assert once.count("Content-Security-Policy") == 1
    assert content_policy.with_policy(once) == once
    # The digests of `run()` and of `f("x")`, as browsers compute them.
    assert once.count("'sha256-") == 2
    assert "'unsafe-hashes'" in once
    assert content_policy.with_policy("<p>no head</p>") == "<p>no head</p>"
