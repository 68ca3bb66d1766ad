"""The switch that folds the code of a chapter."""

from reading import CARDS, each_chapter, path


@each_chapter
def test_only_the_papers_idea_is_open_at_first(card, page, address):
    page.goto(f"{address}/{path(card)}")
    idea = page.locator("article .cell.tag_idea .cell_input")
    assert 1 <= idea.count() <= 4, "tag the cells of the paper's algorithm 'idea'"
    assert all(cell.is_visible() for cell in idea.all())
    others = page.locator("article .cell:not(.tag_idea) .cell_input")
    assert others.count() > 5
    assert not any(cell.is_visible() for cell in others.all())


def test_the_keyboard_shows_the_code_and_the_browser_remembers(page, address):
    page.goto(f"{address}/{path(CARDS[0])}")
    switch = page.get_by_role("button", name="Show code")
    switch.focus()
    page.keyboard.press("Enter")
    hidden = page.get_by_role("button", name="Hide code")
    assert hidden.get_attribute("aria-pressed") == "true"
    shown = page.locator("article .cell:not(.tag_idea):not(.tag_hide-cell):not(.tag_hide-input) .cell_input")
    assert all(cell.is_visible() for cell in shown.all())
    page.goto(f"{address}/{path(CARDS[1])}")
    assert page.get_by_role("button", name="Hide code").is_visible()
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Hide code").click()
    page.reload()
    assert page.get_by_role("button", name="Show code").is_visible()


def test_a_link_to_code_shows_it(page, address):
    page.goto(f"{address}/{path(CARDS[0])}")
    link = page.locator("#claims a[href^='#measures-']").first
    name = link.get_attribute("href")
    link.click()
    target = page.locator(name)
    page.wait_for_function("name => document.querySelector(name).getBoundingClientRect().height >= 0", arg=name)
    assert page.get_by_role("button", name="Hide code").count() == 1
    box = target.evaluate("target => target.getBoundingClientRect().top")
    assert 0 <= box < 900


def test_without_a_script_all_code_is_there(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/{path(CARDS[0])}")
        assert page.locator("article .cell_input").first.count() == 1
        assert page.locator("article .cell.tag_idea .cell_input").first.is_visible()
        assert page.get_by_role("button", name="Show code").count() == 0
        visible = [cell.is_visible() for cell in page.locator("article .cell:not(.tag_hide-cell) .cell_input").all()]
        assert sum(visible) > 5
