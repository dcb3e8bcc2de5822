"""The page in a real browser, which can reach nothing but this machine."""

import base64
import io
import re
import shutil
import time
from functools import partial

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from server_helpers import Process, encoded

from impasto.catalog import shipped_styles

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
GREYS = {"dusk": 40, "dawn": 200}
SHIPPED = len(shipped_styles())
PHOTO = (200, 60, 20)
NEGATIVE = tuple(255 - level for level in PHOTO)
LEFT, RIGHT = (230, 20, 20), (20, 20, 230)  # of the fake camera's picture
PATIENCE_MS = 60_000
FOCUSED = """(({ textContent, id, value }) => textContent.trim() || id || value)(
    document.activeElement)"""
PHONE = {"width": 390, "height": 844}

# Draws what an element shows and gives it back as a PNG file.
SHOWN = """element => {
  const canvas = document.createElement("canvas");
  canvas.width = element.naturalWidth || element.width;
  canvas.height = element.naturalHeight || element.height;
  canvas.getContext("2d").drawImage(element, 0, 0);
  return canvas.toDataURL();
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    camera = tmp_path_factory.mktemp("camera") / "camera.y4m"
    camera.write_bytes(camera_film())
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def camera_film(size=(320, 240)):
    """A film that a fake camera shows: one frame, red on the left and blue on the right."""
    frame = Image.new("RGB", size, LEFT)
    frame.paste(RIGHT, (size[0] // 2, 0, *size))
    y, cb, cr = frame.convert("YCbCr").split()
    half = (size[0] // 2, size[1] // 2)
    planes = [y, cb.resize(half), cr.resize(half)]
    header = f"YUV4MPEG2 W{size[0]} H{size[1]} F30:1 Ip A1:1 C420jpeg\nFRAME\n"
    return header.encode() + b"".join(plane.tobytes() for plane in planes)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two model files, made once: the tests' models need fixtures of a test."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def address(models, save_model, save_gallery, save_upscaler, request):
    """Where the page of a service with tiny models is; the service lasts for all tests."""
    if not hasattr(request.module, "service"):
        negative = save_model(models / "negative.onnx")
        grey = save_gallery(models / "grey.onnx", GREYS)
        upscaler = save_upscaler(models / "nearest.onnx", scale=4)
        options = [part for path in (negative, grey, upscaler) for part in ("-m", path)]
        request.module.service = Process(models, "app", "--no-browser", *options)
    return request.module.service.address


@pytest.fixture(scope="module", autouse=True)
def stop_the_service(request):
    yield
    if hasattr(request.module, "service"):
        request.module.service.stop()


@pytest.fixture
def new_page(browser, address):
    """Opens pages whose requests to other machines are ended, and lets none of them be made."""
    contexts, outside = [], []

    def check(route):
        if route.request.url.startswith((address, "http://127.0.0.1:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    def new(path="", **options):
        context = browser.new_context(**({"locale": "en-GB", "permissions": ["camera"]} | options))
        context.route("**/*", check)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.mistakes = []
        page.on("pageerror", lambda error: page.mistakes.append(str(error)))
        page.goto(address.partition("?")[0] + path)
        return page

    yield new
    mistakes = [mistake for context in contexts for page in context.pages
                for mistake in getattr(page, "mistakes", [])]  # fmt: skip
    for context in contexts:
        context.close()
    assert outside == []
    assert mistakes == []


@pytest.fixture
def page(new_page):
    return new_page()


@pytest.fixture
def picture(tmp_path):
    """A photo of one colour, larger than what is painted while dials move."""
    path = tmp_path / "my photo.png"
    Image.new("RGB", (1600, 800), PHOTO).save(path)
    return path


def shown(page, selector):
    """The middle of what an image or a canvas shows."""
    image = shown_image(page, selector)
    return image.getpixel((image.width // 2, image.height // 2))


def shown_image(page, selector):
    data = page.locator(selector).evaluate(SHOWN).partition(",")[2]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def near(colour, wanted):
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 8


def until(condition):
    end = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def upload(page, path):
    page.get_by_role("radio").first.wait_for(state="attached")  # the page's code runs
    page.set_input_files("#file", path)
    expect(page.locator("#photo-actions")).to_be_visible(timeout=PATIENCE_MS)


def choose(page, style):
    page.locator(".card", has=page.locator(f"input[value={style}]")).click()


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


def test_a_chinese_browser_sees_chinese(new_page):
    page = new_page(locale="zh-CN")
    expect(page.get_by_role("button", name="选择照片")).to_be_visible()
    page.get_by_role("button", name="English").click()
    page.reload()
    expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()


def negative_of(colour):
    return tuple(255 - level for level in colour)


def sides(page):
    """What the live view shows on the left and on the right."""
    image = shown_image(page, "#live-view")
    return [image.getpixel((share * image.width // 4, image.height // 2)) for share in (1, 3)]


def test_the_live_view_paints_mirrors_and_changes_style(new_page):
    page = new_page("?live=1&rate=30&mirror=1&style=negative")
    until(lambda: page.locator("#live-facts").text_content())
    facts = page.locator("#live-facts").text_content()
    assert re.search(r"^[\d.]+ frames/s .* 320 . 240$", facts)

    mirrored = [negative_of(RIGHT), negative_of(LEFT)]
    until(lambda: all(map(near_camera, sides(page), mirrored)))
    page.get_by_label("Mirror").uncheck()
    until(lambda: all(map(near_camera, sides(page), mirrored[::-1])))

    page.get_by_role("button", name="Next style").click()
    until(lambda: near(sides(page)[0], (40, 40, 40)))
    expect(page.get_by_role("radio", checked=True)).to_have_value("dusk")
    page.get_by_role("button", name="Previous style").click()
    page.get_by_label("Strength").fill("0")
    until(lambda: all(map(near_camera, sides(page), [LEFT, RIGHT])))


def near_camera(colour, wanted):
    # The browser's way from the film's colours to pixels is not the film's.
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 60


def test_the_camera_takes_a_photo_and_records(page, tmp_path):
    page.get_by_role("button", name="Use the camera").click()
    until(lambda: page.locator("#live-facts").text_content())

    for patience_s in (1, 4, 16):  # a busy machine records nothing in a second
        page.get_by_role("button", name="Record").click()
        expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
        time.sleep(patience_s)
        with page.expect_download() as download:
            page.get_by_role("button", name="Stop recording").click()
        video = download.value.path().read_bytes()
        if video:
            break
    assert download.value.suggested_filename in ("impasto.webm", "impasto.mp4")
    assert video[:4] == b"\x1aE\xdf\xa3" or video[4:8] == b"ftyp"
    assert len(video) > 500

    page.get_by_role("button", name="Take the photo").click()
    expect(page.locator("#photo-actions")).to_be_visible(timeout=PATIENCE_MS)
    assert shown_image(page, "#before").size == (320, 240)
    assert page.locator("#camera").evaluate("video => video.srcObject") is None


def test_a_photo_that_is_chosen_while_the_browser_asks_for_the_camera_stays(page, picture):
    page.evaluate("""() => {
      const { mediaDevices } = navigator;
      const get = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = async (wanted) => {
        await new Promise((allow) => (window.allow = allow));
        return (window.stream = await get(wanted));
      };
    }""")
    page.get_by_role("button", name="Use the camera").click()
    until(lambda: page.evaluate("window.allow !== undefined"))
    upload(page, picture)
    page.evaluate("allow()")
    ended = "window.stream?.getTracks().every(({ readyState }) => readyState === 'ended')"
    until(lambda: page.evaluate(ended))
    expect(page.locator("body")).to_have_attribute("data-mode", "photo")
    assert near(shown(page, "#after"), NEGATIVE)


def test_the_camera_that_is_refused_is_told(new_page):
    page = new_page()
    page.evaluate("""() => { navigator.mediaDevices.getUserMedia =
        () => Promise.reject(new DOMException("", "NotAllowedError")); }""")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("does not let this page use the camera")


def test_the_working_size_follows_the_frame_rate(page):
    next_size = """async ([size, rate, target]) =>
        (await import("./live.js")).nextSize(size, rate, target)"""
    cases = {
        (320, 12, 12): 320,  # as wanted
        (320, 6, 12): 224,  # half the rate: about half the pixels
        (320, 3, 12): 224,  # and no further at once
        (320, 24, 12): 384,
        (720, 60, 12): 720,
        (128, 1, 12): 128,
    }
    for case, wanted in cases.items():
        assert page.evaluate(next_size, list(case)) == wanted
    # Where time goes with pixels, it settles at the rate that is wanted.
    size = 320
    for _ in range(20):
        size = page.evaluate(next_size, [size, 12 * (400 / size) ** 2, 12])
    assert 370 <= size <= 420


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
        "Try an example", "strength", "stroke", "keep-colors", "negative",
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


def test_a_service_that_has_gone_is_told(page, picture):
    upload(page, picture)
    page.context.route("**/v1/stylize*", lambda route: route.abort())
    choose(page, "dusk")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")


def test_the_page_behind_a_token(browser, models, tmp_path, picture, address):
    token = "a-token-of-sufficient-length"
    service = Process(tmp_path / "guarded", "serve", "--port", "0", "--quiet",
                      "-m", models / "negative.onnx", IMPASTO_TOKEN=token)  # fmt: skip
    page = browser.new_page(locale="en-GB")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(service.address)
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
    page.close()
    assert service.stop() == 0
