"""The page in a real browser, whose camera is a film of one frame: the live view."""

import re
import time

import pytest
from page_helpers import (
    LEFT,
    NEGATIVE,
    PATIENCE_MS,
    RIGHT,
    near,
    shown,
    shown_image,
    until,
    upload,
)
from playwright.sync_api import expect


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


# The styles are told only when the test calls `answer`.
SLOW_STYLES = """
const asked = new Promise((answer) => { window.answer = answer; });
const get = window.fetch.bind(window);
window.fetch = async (address, ...rest) => {
  if (`${address}`.endsWith("v1/styles")) await asked;
  return get(address, ...rest);
};
"""


def test_the_camera_may_be_asked_for_before_the_styles_are_known(new_page):
    page = new_page("?style=dusk", script=SLOW_STYLES)
    page.get_by_role("button", name="Use the camera").click()
    page.evaluate("answer()")
    until(lambda: page.locator("#live-facts").text_content())
    expect(page.get_by_role("radio", checked=True)).to_have_value("dusk")


# Two cameras, both the one of the film, which look at oneself and away.
TWO_CAMERAS = """
const { mediaDevices } = navigator;
const get = mediaDevices.getUserMedia.bind(mediaDevices);
window.asked = [];
mediaDevices.enumerateDevices = async () =>
  ["a", "b"].map((deviceId) => ({ kind: "videoinput", deviceId }));
mediaDevices.getUserMedia = async ({ video }) => {
  asked.push(video.facingMode ?? video.deviceId.exact);
  return get({ video: true });
};
MediaStreamTrack.prototype.getSettings = () => (%s);
"""


@pytest.mark.parametrize(
    ("told", "asked", "mirrored"),
    [
        ("{ facingMode: asked.at(-1) }", ["user", "environment", "user"], [False, True]),
        ("{ deviceId: asked.at(-1) === 'b' ? 'b' : 'a' }", ["user", "b", "a"], [True, True]),
    ],
)
def test_the_other_camera(new_page, told, asked, mirrored):
    page = new_page(script=TWO_CAMERAS % told)
    page.get_by_role("button", name="Use the camera").click()
    for count, mirror in enumerate(mirrored, 2):
        page.get_by_role("button", name="Other camera").click()
        until(lambda count=count: page.evaluate("asked.length") == count)
        until(lambda: page.locator("#live-facts").text_content())
        expect(page.get_by_label("Mirror")).to_be_checked(checked=mirror)
    assert page.evaluate("asked") == asked
    page.get_by_role("button", name="Close", exact=True).click()
    assert page.locator("#camera").evaluate("video => video.srcObject") is None


def test_one_camera_has_no_other_and_a_browser_that_cannot_record_says_so(new_page):
    page = new_page(script="MediaRecorder.isTypeSupported = () => false;")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#status")).to_contain_text("This browser cannot record it.")
    expect(page.get_by_role("button", name="Record")).to_be_hidden()
    expect(page.get_by_role("button", name="Other camera")).to_be_hidden()


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
