import asyncio
import threading
import time

import numpy as np
import pytest
from server_helpers import problem

from impasto.runtime import upscaler
from impasto.runtime.stylizer import StyleModel
from impasto.server.pool import AbandonedError, Task, WorkerPool
from impasto.server.problems import ProblemError


@pytest.fixture
def gate(monkeypatch):
    """Keeps workers busy until it is opened; counts what they have begun."""
    opened, begun = threading.Event(), []
    paint = StyleModel.paint_photo

    def slowly(*arguments):  # thumbnails, which are arrays, are let through
        begun.append(time.monotonic())
        opened.wait(30)
        return paint(*arguments)

    monkeypatch.setattr(StyleModel, "paint_photo", slowly)
    opened.begun = begun
    yield opened
    opened.set()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_a_full_queue_refuses_at_once_and_what_it_took_is_finished(make_client, photo, gate):
    client = make_client(workers=1, queue=2)
    picture = photo.read_bytes()

    async def run():
        taken = [client.posting("/v1/stylize", content=picture) for _ in range(3)]
        await until(lambda: gate.begun)
        await asyncio.sleep(0.1)
        start = time.monotonic()
        refused = [await client.posting("/v1/stylize", content=picture) for _ in range(3)]
        assert time.monotonic() - start < 5
        ready = await client.getting("/readyz")
        gate.set()
        return refused, ready, [await request for request in taken]

    refused, ready, answers = client.run(run())
    for response in refused:
        problem(response, 503, "busy")
        assert 1 <= int(response.headers["retry-after"]) <= 60
    assert (ready.status_code, ready.json()) == (503, {"status": "busy"})
    assert [response.status_code for response in answers] == [200] * 3
    assert len(gate.begun) == 3
    assert "impasto_places_taken 0.0" in client.get("/metrics").text


def test_a_request_that_takes_too_long_is_ended_and_its_place_kept_until_the_worker_is_free(
    make_client, photo, gate
):
    client = make_client(workers=1, queue=0, time_limit_s=0.3)
    picture = photo.read_bytes()

    told = problem(client.post("/v1/stylize", content=picture), 504, "time-limit")
    assert "limit of 0.3 s" in told
    assert "--time-limit" in told
    problem(client.post("/v1/stylize", content=picture), 503, "busy")
    gate.set()

    async def freed():
        while (answer := await client.getting("/readyz")).status_code == 503:
            await asyncio.sleep(0.01)
        return answer

    assert client.run(freed()).json() == {"status": "ready"}


def test_a_slow_upload_has_the_same_limit_and_takes_a_place(make_client, photo):
    client = make_client(workers=1, queue=0, time_limit_s=0.5)

    async def slow():
        yield b"x"
        await asyncio.sleep(30)

    async def run():
        slow_one = client.posting("/v1/stylize", content=slow())
        await asyncio.sleep(0.1)
        other = await client.posting("/v1/stylize", content=photo.read_bytes())
        return await slow_one, other

    slow_one, other = client.run(run())
    problem(slow_one, 504, "time-limit")
    problem(other, 503, "busy")
    assert client.post("/v1/stylize", content=photo.read_bytes()).status_code == 200


def test_the_work_of_somebody_who_has_left_is_not_begun():
    pool, begun = WorkerPool(1, 1), []
    busy = threading.Event()

    async def gone():
        return True

    async def run():
        blocking = pool.submit(lambda task: busy.wait(30), Task())
        with pytest.raises(AbandonedError), pool.place() as place:
            await place.run(lambda task: begun.append(True), Task(), gone)
        assert pool.taken == 0
        busy.set()
        await asyncio.wrap_future(blocking)

    asyncio.run(run())
    pool.close()
    assert begun == []


def test_a_large_picture_ends_at_its_next_strip_when_nobody_waits():
    pool, ended = WorkerPool(1, 0), threading.Event()

    def in_strips(task):
        try:
            for strip in range(10_000):
                task.check(strip / 10_000)
                time.sleep(0.01)
        except AbandonedError:
            ended.set()
            raise

    async def stays():
        return False

    async def run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                with pool.place() as place:
                    await place.run(in_strips, Task(), stays)
        assert pool.taken == 1
        await until(lambda: pool.taken == 0)

    asyncio.run(run())
    pool.close()
    assert ended.is_set()


def test_an_upscale_ends_at_its_next_tile_when_nobody_waits(
    make_client, tiny_upscaler, photo, monkeypatch
):
    """Its network takes no time, so the tiles wait for one another here."""
    done, tiles = [], 200

    def slow_tiles(*_arguments, **_settings):
        for _ in range(tiles):
            time.sleep(0.05)
            done.append(True)
            yield slice(0, 1), slice(0, 1), np.zeros((4, 4, 3), np.float32)

    monkeypatch.setattr(upscaler, "run_in_tiles", slow_tiles)
    client = make_client(workers=1, queue=0, time_limit_s=0.4, models=(tiny_upscaler,))
    answer = client.post("/v1/upscale?scale=4&model=nearest", content=photo.read_bytes())
    problem(answer, 504, "time-limit")

    async def freed():
        while (await client.getting("/readyz")).status_code == 503:
            await asyncio.sleep(0.01)

    client.run(freed())
    assert 0 < len(done) < tiles / 2


def test_retry_after_grows_with_the_line():
    pool = WorkerPool(1, 9)
    pool.taken, pool._last_s = 10, 2.5
    with pytest.raises(ProblemError) as caught, pool.place():
        pass
    assert caught.value.headers == {"Retry-After": "25"}


def test_threads_share_the_cores(make_settings, monkeypatch):
    monkeypatch.setattr("impasto.server.settings.usable_cores", lambda: 8)
    assert [make_settings(workers=workers).threads_per_worker for workers in (1, 2, 3, 8, 100)] == [
        8,
        4,
        2,
        1,
        1,
    ]
    assert make_settings(workers=None).worker_count == 8
