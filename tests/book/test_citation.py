"""How to cite a chapter, and how to report a problem with a claim."""

from urllib.parse import parse_qs, urlsplit

from reading import each_chapter, path


@each_chapter
def test_a_chapter_offers_both_entries_to_copy(card, page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/{path(card)}")
    block = page.locator("#how-to-cite div.highlight")
    block.hover()
    block.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"{{{card.paper.bibtex}," in copied
    assert f"{{deep_phenomena_{card.slug}," in copied
    assert copied.count("{") == copied.count("}")
    assert not page.faults


@each_chapter
def test_each_claim_has_a_link_that_fills_in_a_report(card, page, address):
    page.goto(f"{address}/{path(card)}")
    for claim in card.claims:
        link = page.locator(f"[id='claim-{claim.id}']").get_by_role("link", name="report a problem")
        asked = parse_qs(urlsplit(link.get_attribute("href")).query)
        assert asked["title"] == [f"{card.slug}: {claim.id}"]
        assert claim.claim in asked["body"][0]
