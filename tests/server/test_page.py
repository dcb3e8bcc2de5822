"""The page in a real browser, which can reach nothing but this machine: photos."""

import base64
import io
from functools import partial

import numpy as np
from page_helpers import (
    NEGATIVE,
    PATIENCE_MS,
    PHOTO,
    SHIPPED,
    choose,
    near,
    shown,
    shown_image,
    until,
    upload,
)
from PIL import Image
from playwright.sync_api import expect
from server_helpers import encoded

from impasto.catalog import shipped_styles


def test_upload_change_style_and_download(page, picture):
    expect(page.get_by_role("radio")).to_have_count(SHIPPED + 3)
    upload(page, picture)
    assert near(shown(page, "#after"), NEGATIVE)
    assert near(shown(page, "#before"), PHOTO)
    assert shown_image(page, "#after").size == (1280, 640)

    choose(page, "dusk")
    until(lambda: near(shown(page, "#after"), (40, 40, 40)))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "my photo.dusk.png"
    result = Image.open(download.value.path())
    assert (result.size, result.getpixel((9, 9))) == ((1600, 800), (40, 40, 40))
    expect(page.locator("#status")).to_have_text("Downloaded: my photo.dusk.png")

    page.get_by_label("Size").select_option("2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Image.open(download.value.path()).size == (3200, 1600)


def test_dials_and_blending_change_the_painting(page, picture):
    upload(page, picture)
    expect(page.locator("#blend")).to_be_hidden()

    page.get_by_label("Strength").fill("0")
    until(lambda: near(shown(page, "#after"), PHOTO))
    expect(page.locator("#strength-value")).to_have_text("0 %")
    page.get_by_label("Strength").fill("100")

    choose(page, "dusk")
    page.get_by_label("Blend with").select_option("dawn")
    until(lambda: near(shown(page, "#after"), (120, 120, 120)))
    page.get_by_label("Share of the second style").fill("75")
    until(lambda: near(shown(page, "#after"), (160, 160, 160)))

    page.get_by_label("Keep the photo's colours").check()
    until(lambda: np.ptp(shown(page, "#after")) > 60)


def test_the_dial_of_brush_strokes_changes_the_painting(page, tmp_path):
    path = tmp_path / "noise.png"
    Image.effect_noise((300, 200), 90).convert("RGB").save(path)
    upload(page, path)
    before = np.asarray(shown_image(page, "#after"), float)
    page.get_by_label("Brush strokes").fill("2")
    expect(page.locator("#stroke_size-value")).to_contain_text("4.00")
    until(lambda: np.abs(np.asarray(shown_image(page, "#after"), float) - before).mean() > 5)


def test_work_is_shown_while_it_lasts(page, picture):
    expect(page.get_by_role("radio")).to_have_count(SHIPPED + 3)
    expect(page.get_by_role("progressbar")).to_be_hidden()
    held = []

    def hold(route):
        held.append(route)

    page.context.route("**/v1/stylize*", hold)
    page.set_input_files("#file", picture)
    until_with(page, lambda: held)
    expect(page.get_by_role("progressbar", name="Painting")).to_be_visible()
    expect(page.locator("#status")).to_have_text("Painting …")
    held[0].continue_()
    expect(page.get_by_role("progressbar")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.locator("#status")).to_contain_text("Painted in")


def until_with(page, condition):
    """Waits for what the browser tells this test."""
    until(lambda: page.wait_for_timeout(20) or condition())


def test_cards_say_who_painted(page):
    style = shipped_styles()[0]
    card = page.locator(".card", has=page.locator(f"input[value={style.name}]"))
    expect(card.locator(".title")).to_have_text(style.title)
    expect(card.locator(".by")).to_contain_text(style.artist)
    expect(
        page.locator(".card", has=page.locator("input[value=dusk]")).locator(".by")
    ).to_have_count(0)


def limited_page(new_page, **limits):
    """A page that is told smaller limits than the service has."""
    page = new_page()
    known = page.evaluate("async () => (await fetch('v1/limits')).json()")
    page.context.route("**/v1/limits", lambda route: route.fulfill(json=known | limits))
    page.reload()
    return page


def test_only_sizes_that_the_service_makes_are_offered(new_page, picture, tmp_path):
    page = limited_page(new_page, max_pixels=6_000_000)
    upload(page, picture)  # 1600x800: 5.12 megapixels when twice as large
    choices = page.locator("#scale option")
    expect(choices).to_have_text(
        ["As the photo", "2 times as large", *(f"{n} times: above 6 megapixels" for n in (4, 8))]
    )
    assert [choice.is_disabled() for choice in choices.all()] == [False, False, True, True]
    page.get_by_label("Size").select_option("2")

    large = tmp_path / "large.png"
    Image.new("RGB", (2400, 1000)).save(large)
    page.set_input_files("#file", large)
    expect(choices.nth(1)).to_be_disabled(timeout=PATIENCE_MS)
    expect(page.get_by_label("Size")).to_have_value("")


def test_a_painting_above_the_limit_is_sent_smaller_and_comes_back_in_its_own_format(
    new_page, tmp_path
):
    path = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 60, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(path)
    most = path.stat().st_size + 1000
    page = limited_page(new_page, max_upload_bytes=most)
    upload(page, path)
    page.context.route("**/v1/stylize*strength=1*", larger(most))
    sent = []
    page.on("request", lambda request: "upscale" in request.url and sent.append(request))
    page.get_by_label("Size").select_option("2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    result = Image.open(download.value.path())
    assert (result.format, result.size) == ("PNG", (800, 600))
    assert len(sent[0].post_data_buffer) < most
    assert Image.open(io.BytesIO(sent[0].post_data_buffer)).format == "WEBP"


def larger(most):
    """Makes answers in PNG grow above a number of bytes."""

    def handle(route):
        answer = route.fetch()
        body = answer.body()
        if answer.headers["content-type"] == "image/png":
            body += bytes(most)
        route.fulfill(response=answer, body=body)

    return handle


def test_the_slider_compares_by_mouse_and_by_keyboard(page, picture):
    upload(page, picture)
    slider = page.get_by_role("slider", name="How much of the photo shows over the painting")
    until(lambda: slider.input_value() == "0")
    slider.focus()
    for _ in range(3):
        slider.press("PageUp")
    clip = partial(page.locator("#before").evaluate, "e => getComputedStyle(e).clipPath")
    until(lambda: clip() == "inset(0px 70% 0px 0px)")
    box = page.locator("#frame").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    until(lambda: 48 <= float(slider.input_value()) <= 52)


def test_pasting_dropping_and_the_example(page, picture):
    file = base64.b64encode(picture.read_bytes()).decode()
    give = """async ([kind, data]) => {
      const bytes = await (await fetch("v1/example")).blob();
      const file = kind === "example" ? bytes : Uint8Array.from(atob(data), c => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([file], "given.png"));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer })
        : new DragEvent("drop", { dataTransfer: transfer });
      dispatchEvent(event);
    }"""
    page.get_by_role("radio").first.wait_for(state="attached")  # the page's code runs
    page.evaluate(give, ["paste", file])
    until(lambda: page.locator("#after").get_attribute("src"))
    until(lambda: near(shown(page, "#after"), NEGATIVE))
    page.get_by_role("button", name="中文").click()
    page.evaluate(give, ["drop", base64.b64encode(encoded(Image.new("RGB", (90, 60)))).decode()])
    until(lambda: near(shown(page, "#after"), (255, 255, 255)))

    page.reload()
    page.get_by_role("button", name="试试示例照片").click()
    expect(page.locator("#photo-actions")).to_be_visible(timeout=PATIENCE_MS)


def test_a_file_that_is_no_picture_is_told_in_both_languages(page, tmp_path, picture):
    bad = tmp_path / "letter.jpg"
    bad.write_text("Dear painter", encoding="utf-8")
    page.set_input_files("#file", bad)
    expect(page.get_by_role("alert")).to_contain_text("not a picture", timeout=PATIENCE_MS)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("alert")).to_contain_text("不是图片")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    upload(page, picture)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_photo_that_the_browser_does_not_know_is_painted(page, tmp_path):
    path = tmp_path / "scan.tif"
    Image.new("RGB", (50, 40), PHOTO).save(path)
    upload(page, path)
    assert near(shown(page, "#before"), PHOTO)
    assert near(shown(page, "#after"), NEGATIVE)


def test_a_service_that_has_gone_is_told(page, picture):
    upload(page, picture)
    page.context.route("**/v1/stylize*", lambda route: route.abort())
    choose(page, "dusk")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
