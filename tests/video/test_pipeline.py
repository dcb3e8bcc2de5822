"""The three stages: at the same time, in order, and all of them end."""

import threading
import time

import pytest

from impasto.video.pipeline import run_stages


def test_stages_overlap_and_keep_the_order():
    meeting = threading.Barrier(3, timeout=10)
    written = []

    def read():
        for number in range(6):
            if number == 4:  # the reader is two ahead of the worker, and that one of the writer
                meeting.wait()
            yield number

    def work(number):
        if number == 2:
            meeting.wait()
        return number * 10

    def write(items):
        for number in items:
            if number == 10:
                meeting.wait()
            written.append(number)

    run_stages(read(), work, write)
    assert written == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("failing", ["read", "work", "write"])
def test_an_error_in_one_stage_stops_all(failing):
    before = threading.active_count()
    seen = []

    def maybe(stage, number):
        if stage == failing and number == 3:
            raise RuntimeError(stage)
        return number

    def write(items):
        try:
            for number in items:
                seen.append(maybe("write", number))
        except BaseException as error:
            seen.append(type(error).__name__)
            raise

    with pytest.raises(RuntimeError, match=failing):
        run_stages((maybe("read", n) for n in range(50)), lambda n: maybe("work", n), write)
    assert threading.active_count() == before
    assert isinstance(seen[-1], str)  # the writer learns of it, to leave what it began


def test_an_interrupt_does_not_wait_for_a_slow_reader(monkeypatch):
    monkeypatch.setattr("impasto.video.pipeline._READER_GETS_S", 0.1)
    goes_on = threading.Event()
    written = []

    def read():
        yield 0
        goes_on.wait(60)

    def work(_number):
        raise KeyboardInterrupt

    def write(items):
        try:
            list(items)
        finally:
            written.append("left")

    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_stages(read(), work, write)
    assert time.monotonic() - begun_s < 10
    assert written == ["left"]
    goes_on.set()


def test_an_interrupt_stops_all():
    def work(number):
        if number == 2:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        run_stages(iter(range(99)), work, list)
