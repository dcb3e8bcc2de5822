"""A page in a real browser: what it shows, and what is done with it."""

import base64
import io
import time

from PIL import Image
from playwright.sync_api import expect

from impasto.catalog import shipped_styles

GREYS = {"dusk": 40, "dawn": 200}
SHIPPED = len(shipped_styles())
PHOTO = (200, 60, 20)
NEGATIVE = tuple(255 - level for level in PHOTO)
LEFT, RIGHT = (230, 20, 20), (20, 20, 230)  # of the fake camera's picture
PATIENCE_MS = 60_000

# Draws what an element shows and gives it back as a PNG file.
SHOWN = """element => {
  const canvas = document.createElement("canvas");
  canvas.width = element.naturalWidth || element.width;
  canvas.height = element.naturalHeight || element.height;
  canvas.getContext("2d").drawImage(element, 0, 0);
  return canvas.toDataURL();
}"""


def camera_film(size=(320, 240)):
    """A film that a fake camera shows: one frame, red on the left and blue on the right."""
    frame = Image.new("RGB", size, LEFT)
    frame.paste(RIGHT, (size[0] // 2, 0, *size))
    y, cb, cr = frame.convert("YCbCr").split()
    half = (size[0] // 2, size[1] // 2)
    planes = [y, cb.resize(half), cr.resize(half)]
    header = f"YUV4MPEG2 W{size[0]} H{size[1]} F30:1 Ip A1:1 C420jpeg\nFRAME\n"
    return header.encode() + b"".join(plane.tobytes() for plane in planes)


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
