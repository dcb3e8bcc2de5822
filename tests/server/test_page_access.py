"""The page in a real browser: whom it serves, with a keyboard, on a phone, in two languages."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_helpers import NEGATIVE, PATIENCE_MS, SHIPPED, choose, near, shown, until, upload
from playwright.sync_api import expect
from server_helpers import Process

FOCUSED = """(({ textContent, id, value }) => textContent.trim() || id || value)(
    document.activeElement)"""
PHONE = {"width": 390, "height": 844}


def test_a_chinese_browser_sees_chinese(new_page):
    page = new_page(locale="zh-CN")
    expect(page.get_by_role("button", name="选择照片")).to_be_visible()
    page.get_by_role("button", name="English").click()
    page.reload()
    expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()


def test_a_browser_that_keeps_nothing_is_no_hindrance(new_page):
    page = new_page(
        script="""Object.defineProperty(window, "localStorage", {
      get() { throw new DOMException("", "SecurityError"); } });"""
    )
    expect(page.get_by_role("radio")).to_have_count(SHIPPED + 3)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("button", name="选择照片")).to_be_visible()


def violations(page):
    results = Axe().run(page)
    return [(v["id"], v["nodes"][0]["html"]) for v in results.response["violations"]]


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_no_accessibility_violation(new_page, picture, scheme, locale):
    page = new_page(color_scheme=scheme, locale=locale)
    page.locator(".card img").first.wait_for()
    assert violations(page) == []
    choose(page, "dusk")
    upload(page, picture)
    page.locator("#second").select_option("dawn")
    expect(page.locator("#busy")).to_be_hidden(timeout=PATIENCE_MS)
    assert violations(page) == []
    page.locator("#photo-actions .camera").click()
    until(lambda: page.locator("#live-facts").text_content())
    assert violations(page) == []
    page.goto(page.url + "sign-in")
    assert violations(page) == []


def test_everything_is_reached_by_keyboard(page, picture):
    expect(page.get_by_role("radio")).to_have_count(SHIPPED + 3)
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    assert reached == [
        "Skip to the picture", "API", "中文", "Choose a photo", "Use the camera",
        "Try an example", "strength", "stroke_size", "keep_colors", "negative",
    ]  # fmt: skip
    page.locator("input[value=negative]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", checked=True)).to_have_value("dusk")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").press("Enter")
    chooser.value.set_files(picture)
    expect(page.locator("#photo-actions")).to_be_visible(timeout=PATIENCE_MS)


def test_a_phone_has_all_of_it_and_never_scrolls_sideways(new_page, picture):
    page = new_page(viewport=PHONE, is_mobile=True, has_touch=True)
    wide = "document.scrollingElement.scrollWidth"
    assert page.evaluate(wide) == 390
    upload(page, picture)
    assert page.evaluate(wide) == 390
    frame = page.locator("#frame").bounding_box()
    assert (frame["x"], frame["width"]) == (0, 390)
    page.locator("#photo-actions .camera").tap()
    until(lambda: page.locator("#live-facts").text_content())
    assert page.evaluate(wide) == 390


def test_the_documentation_works_without_other_machines(new_page):
    page = new_page("docs")
    page.get_by_text("Paint a photo in a style, or in a blend of styles").click()
    expect(page.get_by_text("keep_colors").first).to_be_visible()


def test_the_page_behind_a_token(new_page, models, tmp_path, picture):
    token = "a-token-of-sufficient-length"
    service = Process(tmp_path / "guarded", "serve", "--port", "0", "--quiet",
                      "-m", models / "negative.onnx", IMPASTO_TOKEN=token)  # fmt: skip
    page = new_page(at=service.address)
    assert page.url == service.address + "sign-in"
    page.locator("#token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("#token").fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio")).to_have_count(SHIPPED + 1)
    until(lambda: page.locator(".card img").first.evaluate("image => image.naturalWidth"))
    upload(page, picture)
    assert near(shown(page, "#after"), NEGATIVE)
    assert service.stop() == 0
