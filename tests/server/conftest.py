"""A service of tiny models, in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from impasto.server import ServerSettings, create_app

HOST = "http://127.0.0.1:8000"


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
