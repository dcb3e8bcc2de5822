"""The HTTP service and its web page: `create_app` makes them, ``impasto serve`` runs them.

Pictures are painted in a bounded pool of workers; what the pool cannot take is refused at once.
Nothing here talks to another machine, and nothing of a picture is kept or logged.
"""

from __future__ import annotations

from impasto.server.running import create_app
from impasto.server.settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]
