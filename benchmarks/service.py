"""The HTTP service under load: `python benchmarks/service.py`.

Starts `impasto serve` on the loopback address and sends it photos from 1, 4, 16 and 64 clients,
each of which asks again as soon as it is answered: JPEG in, JPEG out. Beside that stands pure
inference: one process, all threads, the same photos as arrays in memory. The clients run in a
process of their own, whose CPU time is stated, since it is taken from the same cores.

Each round ends after a number of pictures, whose rate is that of the time in which all clients ask;
requests that are refused because the queue is full do not count, and are asked again after the
seconds of `Retry-After`. The service is stopped at the end, and so is the measurement if it takes
longer than `--limit-s`.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import io
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

import impasto
from impasto.data.examples import example_photos_folder
from impasto.evaluation.machine import describe_machine
from impasto.images.reading import read_image
from impasto.runtime.model_file import read_model_file
from impasto.runtime.session import ModelSession

JPEG_QUALITY = 92
BATCH = 4
PERCENTILES = (50, 99)


def main() -> None:
    """Prints a table of rounds and one of the service's memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=impasto.list_styles()[0].name)
    parser.add_argument("--side", type=int, default=512, help="width and height of the photos, px")
    parser.add_argument("--threads", type=int, default=2, help="of pure inference")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--answers", type=int, default=120, help="pictures of each round")
    parser.add_argument("--memory-at", type=int, nargs=2, default=[500, 5000])
    parser.add_argument("--limit-s", type=float, default=7200.0, help="for all of it")
    parser.add_argument("--round", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.round is not None:  # this process holds the clients of one round
        print(json.dumps(asyncio.run(clients_of_a_round(arguments, **arguments.round))))
        return

    photos = make_photos(arguments.side)
    print(f"\n{arguments.side}x{arguments.side} px, {arguments.style};", end=" ")
    print(describe_machine(arguments.threads, ("onnxruntime", "pillow", "fastapi", "uvicorn")))
    inference = pure_inference(photos, arguments)
    for what, rate in inference.items():
        print(f"{what}: {rate:.2f} photos per second")
    with_service(arguments, next(iter(inference.values())))


def make_photos(side_px: int) -> list[NDArray[np.uint8]]:
    """Returns the example photos, cut to squares."""
    photos = []
    for path in sorted(example_photos_folder().glob("*.jpg")):
        image = Image.fromarray(read_image(path).rgb)
        photos.append(np.asarray(ImageOps.fit(image, (side_px, side_px))))
    return photos


def pure_inference(
    photos: list[NDArray[np.uint8]], arguments: argparse.Namespace
) -> dict[str, float]:
    """Measures photos per second of one process: one at a time, and the bare network in batches."""
    model = impasto.load_model(arguments.style, threads=arguments.threads)
    path = next(style.path for style in impasto.list_styles() if style.name == arguments.style)
    data, metadata = read_model_file(path)
    session = ModelSession(data, threads=arguments.threads)
    weights = np.zeros(metadata.parameter_sets, np.float32)
    weights[0] = 1
    planes = [photo.transpose(2, 0, 1).astype(np.float32) / 255 for photo in photos]

    def one_by_one(count: int) -> int:
        for number in range(count):
            model.paint(photos[number % len(photos)])
        return count

    def in_batches(count: int, size: int) -> int:
        for number in range(0, count, size):
            batch = [planes[(number + place) % len(planes)] for place in range(size)]
            session.run(np.ascontiguousarray(np.stack(batch)), weights)
        return count

    works: dict[str, Callable[[int], int]] = {
        f"pure inference, {arguments.threads} threads": one_by_one,
        "the bare network, one at a time": lambda n: in_batches(n, 1),
        f"the bare network, batches of {BATCH}": lambda n: in_batches(n, BATCH),
    }
    rates = {}
    for what, work in works.items():
        work(BATCH)
        start = time.perf_counter()
        done = work(arguments.answers // BATCH * BATCH)
        rates[what] = done / (time.perf_counter() - start)
    return rates


def with_service(arguments: argparse.Namespace, inference: float) -> None:
    """Starts the service, measures all rounds and its memory, and stops it."""
    end = time.monotonic() + arguments.limit_s
    line = [sys.executable, "-m", "impasto", "serve", "--port", "0"]
    serving = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)  # noqa: S603
    if serving.stderr is None:
        raise SystemExit("the service has no log")
    address = next(
        match[1] for text in serving.stderr if (match := re.match(r"(http://\S+)", text))
    )
    # What it logs must be read, or it would wait.
    log = subprocess.Popen(["cat"], stdin=serving.stderr, stdout=subprocess.DEVNULL)  # noqa: S607
    try:
        print(
            "\n| clients | served per second | refused per second | of pure inference | p50, s | "
            "p99, s | answers | clients' CPU, s of s |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for clients in arguments.clients:
            result = run_round(arguments, address, clients, arguments.answers, end)
            print(row(clients, result, inference))
        total = len(arguments.clients) * arguments.answers
        print("\n| pictures served | resident memory of the service, MiB |\n| --- | --- |")
        for wanted in arguments.memory_at:
            if wanted > total:
                run_round(arguments, address, max(arguments.clients[:3]), wanted - total, end)
                total = wanted
            print(f"| {total} | {resident_mib(serving.pid):.0f} |")
    finally:
        serving.terminate()
        serving.wait(120)
        log.wait(10)


def run_round(
    arguments: argparse.Namespace, address: str, clients: int, answers: int, end: float
) -> dict[str, Any]:
    """Has a process of its own ask, and returns what it found."""
    asked = {"address": address, "clients": clients, "answers": answers}
    line = [sys.executable, __file__, "--style", arguments.style, "--side", str(arguments.side)]
    left_s = end - time.monotonic()
    found = subprocess.run(  # noqa: S603
        [*line, "--round", json.dumps(asked)],
        check=True,
        stdout=subprocess.PIPE,
        timeout=max(1.0, left_s),
    )
    result: dict[str, Any] = json.loads(found.stdout)
    return result


async def clients_of_a_round(
    arguments: argparse.Namespace, address: str, clients: int, answers: int
) -> dict[str, Any]:
    """Asks from several clients at once until enough pictures were served.

    Raises:
        SystemExit: an answer is neither a picture nor a refusal of the full queue.
    """
    files = []
    for photo in make_photos(arguments.side):
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, "JPEG", quality=JPEG_QUALITY)
        files.append(buffer.getvalue())
    statuses: collections.Counter[str] = collections.Counter()
    times_s: list[float] = []
    numbers = iter(range(answers))
    url = f"{address}v1/stylize"
    parameters = {"style": arguments.style}

    full_load: list[tuple[int, float]] = []

    async def ask(client: httpx.AsyncClient) -> None:
        for number in numbers:
            times_s.append(await served(client, files[number % len(files)]))
        full_load.append((len(times_s), time.perf_counter() - start))

    async def served(client: httpx.AsyncClient, file: bytes) -> float:
        """Asks until it is served, and returns how long that last request took."""
        while True:
            start = time.perf_counter()
            answer = await client.post(url, params=parameters, content=file)
            elapsed_s = time.perf_counter() - start
            statuses[str(answer.status_code)] += 1
            if answer.status_code == 200:
                return elapsed_s
            if answer.status_code != 503 or "retry-after" not in answer.headers:
                raise SystemExit(f"the service answers {answer.status_code}: {answer.text:.200}")
            await asyncio.sleep(float(answer.headers["retry-after"]))

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        await client.post(url, params=parameters, content=files[0])  # warms it up
        cpu_before, start = time.process_time(), time.perf_counter()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
        elapsed_s = time.perf_counter() - start
    return {
        "elapsed_s": elapsed_s,
        # Afterwards there are fewer and fewer clients.
        "rate": full_load[0][0] / full_load[0][1],
        "cpu_s": time.process_time() - cpu_before,
        "statuses": statuses,
        "times_s": times_s,
    }


def row(clients: int, result: dict[str, Any], inference: float) -> str:
    """Returns a row of the table."""
    times_s, elapsed_s, used_s = result["times_s"], result["elapsed_s"], result["cpu_s"]
    rate, refused = result["rate"], result["statuses"].get("503", 0) / elapsed_s
    cuts = statistics.quantiles(times_s, n=100, method="inclusive")
    p50, p99 = (cuts[percent - 1] for percent in PERCENTILES)
    told = ", ".join(f"{count} x {status}" for status, count in sorted(result["statuses"].items()))
    return (
        f"| {clients} | {rate:.2f} | {refused:.2f} | {rate / inference:.0%} | {p50:.2f} | "
        f"{p99:.2f} | {told} | {used_s:.1f} of {elapsed_s:.1f} |"
    )


def resident_mib(pid: int) -> float:
    """Returns how much memory a process holds, on Linux."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else 0.0


if __name__ == "__main__":
    main()
