"""Takes the pictures of the web page in docs/images: `python scripts/make_app_pictures.py`.

It needs the extra `dev`, Debian's chromium and a font with Chinese letters, such as Debian's
fonts-wqy-microhei.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PHOTO = ROOT / "examples" / "photos" / "raccoon.jpg"
STYLE = "starry_night"
COMPARE_PERCENT = 45
COLOURS = 256  # of the PNG files, which would be four times as large otherwise
PATIENCE_MS = 600_000
WINDOWS = {
    "app_1280.png": {"viewport": {"width": 1280, "height": 860}},
    "app_390.png": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5},
}


def main() -> None:
    """Starts the page, paints a photo in it and writes the pictures."""
    line = [sys.executable, "-m", "impasto", "app", "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603
        try:
            address = re.search(r"http://\S+", serving.stdout.readline())[0]  # type: ignore[union-attr,index]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                for name, window in WINDOWS.items():
                    take(browser, address, window, ROOT / "docs" / "images" / name)
        finally:
            serving.terminate()


def take(browser: Browser, address: str, window: dict, path: Path) -> None:
    """Writes one picture."""
    page = browser.new_page(locale="en-GB", color_scheme="light", **window)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.locator(".card", has=page.locator(f"input[value={STYLE}]")).click()
    page.set_input_files("#file", PHOTO)
    page.locator("#photo-actions").wait_for()
    page.wait_for_timeout(1500)  # until the painting is uncovered
    page.locator("#compare").evaluate(
        f"e => {{ e.value = {COMPARE_PERCENT}; e.dispatchEvent(new Event('input')); }}"
    )
    page.locator("#cards").evaluate(
        "async e => { for (const i of e.querySelectorAll('img')) { i.loading = 'eager'; "
        "await i.decode(); } scrollTo(0, 0); }"
    )
    # How long it took is that of one machine at one moment.
    page.locator("#status").evaluate("e => { e.textContent = ''; }")
    page.mouse.move(0, 0)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(path.relative_to(ROOT), f"{path.stat().st_size >> 10} KB")
    page.close()


if __name__ == "__main__":
    main()
