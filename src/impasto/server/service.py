"""What the parts of the service share, and how a picture goes through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from impasto.dials import Writing
from impasto.runtime.changes import Change
from impasto.server.gallery import Gallery
from impasto.server.observing import Metrics, log_fields
from impasto.server.parameters import picture_names, read_parameters
from impasto.server.pictures import change
from impasto.server.pool import AbandonedError, Task, WorkerPool
from impasto.server.problems import ProblemError
from impasto.server.settings import ServerSettings
from impasto.server.uploads import read_upload
from impasto.work import Work

_Parameters = TypeVar("_Parameters", bound=Writing)

# What nginx writes into its log of a request whose sender has left; nobody reads the answer.
_CLIENT_GONE: Final = 499
_RESTART_S: Final = 10


@dataclass(frozen=True)
class Service:
    """The parts.

    Attributes:
        settings: what the service was told.
        gallery: what it can paint.
        pool: what paints.
        metrics: what counts.
    """

    settings: ServerSettings
    gallery: Gallery
    pool: WorkerPool
    metrics: Metrics

    async def picture(
        self,
        request: Request,
        kind: type[_Parameters],
        prepare: Callable[[_Parameters], Change],
    ) -> Response:
        """Reads a request's picture, has a worker change it and answers with the result.

        Args:
            request: of which nothing but the headers has been read.
            kind: of its parameters.
            prepare: makes what changes the picture out of all parameters.

        Raises:
            ProblemError: there is no place, the time is up, the service stops, or the request
                cannot be used.
            ImpastoError: a parameter or the picture cannot be used.
        """
        query = dict(request.query_params)
        read_parameters(kind, query)  # what is wrong there is told before the picture is sent
        limit_s, task = self.settings.time_limit_s, Task()
        try:
            async with asyncio.timeout(limit_s):
                with self.pool.place() as place:
                    upload = await read_upload(
                        request, self.settings.max_upload_bytes, known=picture_names(kind)
                    )
                    log_fields(request.state, bytes_in=len(upload.picture))
                    given = read_parameters(kind, query | upload.fields, upload.files)
                    asked = replace(given, max_pixels=self.settings.max_pixels)
                    work = partial(change, upload.picture, Work(prepare(asked), asked))
                    picture = await place.run(work, task, request.is_disconnected)
        except TimeoutError as error:
            raise ProblemError(
                504,
                "time-limit",
                f"the picture took longer than the limit of {limit_s:g} s: send a smaller one, or "
                "give the service a larger --time-limit",
            ) from error
        except asyncio.CancelledError as error:  # the server stops and waits no longer
            raise ProblemError(
                503,
                "stopping",
                "the service stops before the picture is finished: send it again later",
                {"Retry-After": str(_RESTART_S)},
            ) from error
        except (AbandonedError, ClientDisconnect):
            return Response(status_code=_CLIENT_GONE)
        finally:
            times_s = dict(task.times_s)
            self.metrics.count_stages(times_s)
            stages_ms = {name: round(1000 * s, 1) for name, s in times_s.items()}
            log_fields(request.state, stages_ms=stages_ms)
        size = {"width": picture.width, "height": picture.height}
        log_fields(request.state, bytes_out=len(picture.data), **size)
        timing = ", ".join(f"{name};dur={elapsed}" for name, elapsed in stages_ms.items())
        return Response(
            picture.data, media_type=picture.media_type, headers={"Server-Timing": timing}
        )
