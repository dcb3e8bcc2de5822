"""A service of tiny models, in this process; and one in another, with its page in a browser."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack

import httpx
import pytest
from page_helpers import GREYS, PATIENCE_MS, PHOTO, camera_film
from PIL import Image
from playwright.sync_api import sync_playwright
from server_helpers import Process

from impasto.server import ServerSettings, create_app

HOST = "http://127.0.0.1:8000"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


class Client:
    """A service that runs, and what asks it: one request after another, or several at once."""

    def __init__(self, settings):
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        self._http = self.run(self._start(settings))

    async def _start(self, settings):
        app = create_app(settings)
        await self._open.enter_async_context(app.router.lifespan_context(app))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST)
        return await self._open.enter_async_context(client)

    def run(self, coroutine):
        return self._loop.run_until_complete(coroutine)

    def get(self, path, **options):
        return self.run(self._http.get(path, **options))

    def post(self, path, **options):
        return self.run(self._http.post(path, **options))

    def posting(self, path, **options):
        """A request that is under way while others are."""
        return self._loop.create_task(self._http.post(path, **options))

    def getting(self, path):
        """Likewise."""
        return self._loop.create_task(self._http.get(path))

    def close(self):
        self.run(self._open.aclose())
        self._loop.close()


@pytest.fixture
def make_settings(catalog, photo):
    """Makes settings with the catalogue of `negative` and `mirror`."""

    def make(**changes):
        return ServerSettings(**({"example_photo": photo, "workers": 2} | changes))

    return make


@pytest.fixture
def make_client(make_settings):
    """Makes a client of a service with some settings, which runs until the test ends."""
    clients = []

    def make(**changes):
        clients.append(Client(make_settings(**changes)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client):
    """A client of a service with the usual settings."""
    return make_client()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium with a fake camera, to be closed before other tests have loops of their own."""
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

    def new(path="", *, at=address, script=None, **options):
        context = browser.new_context(**({"locale": "en-GB", "permissions": ["camera"]} | options))
        context.route("**/*", check)
        if script is not None:
            context.add_init_script(script)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.mistakes = []
        page.on("pageerror", lambda error: page.mistakes.append(str(error)))
        page.goto(at.partition("?")[0] + path)
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
