"""What the service is told when it starts, checked before anything is loaded."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impasto.dials import Writing, dials_of
from impasto.errors import UsageError
from impasto.runtime.cores import available_bytes, usable_cores

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
SHORTEST_TOKEN: Final = 16
_ORIGIN: Final = re.compile(r"https?://[^/\s]+")
_HOST: Final = re.compile(r"[^/:\s]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True)
class ServerSettings:
    """Where the service listens, whom it answers and how much it takes on.

    Attributes:
        example_photo: the picture of every style's thumbnail.
        host: address to listen on.
        port: port to listen on; 0 is any free one.
        models: files of styles and upscalers, beside those that have names already.
        token: what requests must carry; None asks for none.
        no_auth: answer other machines without a token.
        allowed_hosts: names in the Host header that are answered, besides loopback's and ``host``.
        cors_origins: web pages of these origins may use the service too.
        workers: pictures worked on at once; None is one for each core.
        queue: requests that may wait for a worker.
        max_upload_bytes: largest body of a request.
        max_pixels: largest picture, and largest result of upscaling.
        time_limit_s: for one request, from its first byte to its answer.
        memory: bytes that a model which paints a picture whole may take for it; None shares what
            there is among the workers.
    """

    example_photo: Path
    host: str = "127.0.0.1"
    port: int = 8000
    models: tuple[Path, ...] = ()
    token: str | None = None
    no_auth: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    workers: int | None = None
    queue: int = 32
    max_upload_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    time_limit_s: float = 60.0
    memory: int | None = None

    @property
    def picture_memory(self) -> int | None:
        """What a model that paints a picture whole may take; None where that is not known."""
        there = available_bytes()
        return self.memory or (None if there is None else there // self.worker_count)

    @property
    def worker_count(self) -> int:
        """Pictures worked on at once."""
        return usable_cores() if self.workers is None else self.workers

    @property
    def threads_per_worker(self) -> int:
        """CPU threads for one picture: the workers share the cores."""
        return max(1, usable_cores() // self.worker_count)

    @property
    def answered_hosts(self) -> frozenset[str]:
        """The names in the Host header that are answered, in small letters."""
        bound = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, bound, *self.allowed_hosts))

    def check(self) -> None:
        """Checks ranges, and that no stranger is answered by accident.

        Raises:
            UsageError: a setting is out of its range, or other machines would be answered
                without a token.
        """
        _check_range("port", self.port, 0, 65_535)
        _check_range("workers", self.worker_count, 1, 1024)
        _check_range("queue", self.queue, 0, 100_000)
        dials_of(Writing)["max_pixels"].check("--max-pixels", self.max_pixels)
        if self.max_upload_bytes < 1:
            raise UsageError("--max-upload must be at least 1 MB")
        if not 0 < self.time_limit_s <= 86_400:
            raise UsageError(
                f"--time-limit must be a number of seconds up to 86400, not {self.time_limit_s}"
            )
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name):
                raise UsageError(
                    "--allow-host must be a name such as paint.example.org, without https:// and "
                    f"port, not {name!r}"
                )
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"--cors-origin must be an origin such as https://example.org, not {origin!r}"
                )
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or self.no_auth):
            raise UsageError(
                "a token and --no-auth contradict each other: give one of them"
                if self.no_auth
                else f"the token is shorter than {SHORTEST_TOKEN} characters: `python -c 'import "
                "secrets; print(secrets.token_urlsafe())'` makes one"
            )
        if self.token is None and not self.no_auth and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} answers other machines: set a token (--token-file or "
                "IMPASTO_TOKEN), or say --no-auth to answer everyone"
            )


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_range(flag: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise UsageError(f"--{flag} must lie between {lowest} and {highest}, not {value}")
