import asyncio
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from PIL import Image
from server_helpers import Process, decoded, encoded, problem

from impasto.runtime.cores import usable_cores
from impasto.server.running import page_address

ROOT = Path(__file__).parents[2]


@pytest.fixture
def serve(tmp_path):
    """Starts services that are stopped when the test ends."""
    started = []

    def start(*arguments, **environment):
        started.append(Process(tmp_path / f"process{len(started)}", *arguments, **environment))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_serving_without_a_network_until_told_to_stop(serve, tiny_model, photo):
    process = serve("serve", "--port", 0, IMPASTO_MODEL=str(tiny_model))

    with httpx.Client(base_url=process.address, timeout=60) as client:
        painted = client.post("/v1/stylize", content=photo.read_bytes())
        assert decoded(painted).size == (40, 31)
        assert client.get("/v1/styles").json()["styles"][0]["name"] == "negative"
        assert client.get("/v1/styles/great_wave/thumbnail").status_code == 200
        assert client.get("/docs").status_code == client.get("/").status_code == 200
        leave_in_the_middle(process.address)
        while 'status="499"' not in client.get("/metrics").text:
            time.sleep(0.01)
    assert process.stop() == 0
    assert "Traceback" not in process.output

    lines = [json.loads(line) for line in process.output.splitlines() if line.startswith("{")]
    painted, left = [line for line in lines if line.get("path") == "/v1/stylize"]
    assert (painted["status"], painted["width"], left["status"]) == (200, 40, 499)


LIMITS = ("max_upload_bytes", "max_pixels", "time_limit_s")


def test_the_limits_are_those_of_the_environment(serve, tiny_model, photo):
    process = serve(
        "serve", "--port", 0, "--quiet", "-m", tiny_model,
        IMPASTO_QUEUE="5", IMPASTO_WORKERS="3", IMPASTO_MAX_UPLOAD="2", IMPASTO_MAX_PIXELS="1239",
        IMPASTO_TIME_LIMIT="7.5",
    )  # fmt: skip
    with httpx.Client(base_url=process.address, timeout=60) as client:
        limits = client.get("/v1/limits").json()
        assert [limits[name] for name in LIMITS] == [2_000_000, 1239, 7.5]
        assert re.search(r"^impasto_places 8.0$", client.get("/metrics").text, re.MULTILINE)
        above = client.post("/v1/stylize", content=photo.read_bytes())  # 40x31 is 1240
        assert "above the limit of 1,239" in problem(above, 413, "too-large")
        problem(client.post("/v1/stylize", content=bytes(2_000_001)), 413, "too-large")


@pytest.mark.parametrize(
    ("arguments", "time_limit_s", "workers"),
    [
        (["serve", "--port", 0, "--quiet"], 60, usable_cores()),
        (["app", "--no-browser"], 3600, 1),
        (["app", "--no-browser", "--time-limit", 5], 5, 1),
    ],
)
def test_the_limits_by_default(serve, tiny_model, arguments, time_limit_s, workers):
    process = serve(*arguments, "-m", tiny_model)
    with httpx.Client(base_url=process.address, timeout=60) as client:
        limits = client.get("/v1/limits").json()
        assert [limits[name] for name in LIMITS] == [20_000_000, 50_000_000, time_limit_s]
        places = f"^impasto_places {workers + 32}.0$"
        assert re.search(places, client.get("/metrics").text, re.MULTILINE)


def test_connections_without_end_are_refused(run_cli, tiny_model, monkeypatch):
    """As many as the queue and the workers take get their answers from those."""
    spare = 20
    monkeypatch.setattr("impasto.server.running._SPARE_CONNECTIONS", spare)
    answers = []

    def ready(line):
        address = line.split()[0]
        host, port = re.fullmatch(r"http://([\d.]+):(\d+)/", address).groups()

        def ask():
            with ExitStack() as open_ones:
                answers.append(httpx.get(address, timeout=60))
                for _ in range(spare + 2):  # one worker, a queue of one
                    open_ones.enter_context(socket.create_connection((host, int(port))))
                answers.append(httpx.get(address, timeout=60))
            while len(answers) < 3 or answers[-1].status_code == 503:
                answers.append(httpx.get(address, timeout=60))
            signal.raise_signal(signal.SIGINT)

        threading.Thread(target=ask).start()

    monkeypatch.setattr("impasto.cli.serve.print_note", ready)
    code, _, _ = run_cli("serve", "--port", 0, "-q", "-m", tiny_model, "--workers", 1, "--queue", 1)
    assert code == 0
    assert [answer.status_code for answer in answers[:2]] == [200, 503]
    assert answers[-1].status_code == 200


def test_clients_beyond_the_queue_are_answered_by_the_queue(serve, tiny_model):
    process = serve("serve", "--port", 0, "-q", "-m", tiny_model, "--workers", 1, "--queue", 32,
                    "--time-limit", 600)  # fmt: skip
    picture = encoded(Image.linear_gradient("L").resize((1200, 900)).convert("RGB"))
    url = process.address + "v1/stylize"

    async def run():
        async with httpx.AsyncClient(timeout=600) as client:
            return await asyncio.gather(*(client.post(url, content=picture) for _ in range(64)))

    answers = asyncio.run(run())
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) - len(refused) >= 33
    assert refused
    for answer in refused:
        problem(answer, 503, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60


def leave_in_the_middle(address):
    """Begins to send a picture and hangs up."""
    host, port = re.fullmatch(r"http://([\d.]+):(\d+)/", address).groups()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"POST /v1/stylize HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nxyz".encode()
        )
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def logs_as_before():
    """Takes back what the log of a service changes in this process."""
    loggers = [logging.getLogger(name) for name in ("impasto.server", "uvicorn.error")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_the_browser_is_opened_once_the_page_answers(run_cli, tiny_model, monkeypatch):
    answers = []

    def opened(address):
        def ask():
            answers.append(httpx.get(address, timeout=60))
            signal.raise_signal(signal.SIGTERM)

        threading.Thread(target=ask).start()

    monkeypatch.setattr("webbrowser.open", opened)
    code, out, err = run_cli("webcam", "-m", tiny_model, "--style", "negative")
    assert (code, answers[0].status_code) == (0, 200)
    assert out.strip() == str(answers[0].url)
    assert err == "Ctrl-C stops it.\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_several_models_and_names_in_the_environment(
    run_cli, tiny_model, save_gallery, tmp_path, monkeypatch
):
    grey = save_gallery(tmp_path / "grey.onnx", {"dusk": 40})
    monkeypatch.setenv("IMPASTO_MODEL", os.pathsep.join([str(tiny_model), str(grey)]))
    monkeypatch.setenv("IMPASTO_ALLOW_HOST", "one.example two.example")
    answers = []

    def ready(line):
        def ask():
            headers = {"Host": "two.example"}
            address = line.split()[0] + "v1/styles"
            answers.append(httpx.get(address, headers=headers, timeout=60))
            signal.raise_signal(signal.SIGINT)

        threading.Thread(target=ask).start()

    monkeypatch.setattr("impasto.cli.serve.print_note", ready)
    code, _, _ = run_cli("serve", "--port", 0, "--quiet")
    assert code == 0
    names = [style["name"] for style in answers[0].json()["styles"]]
    assert names[:2] == ["negative", "dusk"]


def until_begun(client):
    """Waits until the service has begun with one request."""
    while "impasto_places_taken 1.0" not in client.get("/metrics").text:
        time.sleep(0.01)


def test_what_was_begun_is_finished_when_told_to_stop(serve, tiny_model):
    process = serve("serve", "--port", 0, "-m", tiny_model, "--workers", 1, "--quiet")
    large = encoded(Image.effect_noise((2400, 1800), 50).convert("RGB"), compress_level=1)
    answers = []

    def post():
        answers.append(httpx.post(process.address + "v1/stylize", content=large, timeout=60))

    with httpx.Client(base_url=process.address, timeout=60) as client:
        asking = threading.Thread(target=post)
        asking.start()
        until_begun(client)
    assert process.stop() == 0
    asking.join()
    assert decoded(answers[0]).size == (2400, 1800)


def test_the_page_for_one_person_stops_without_finishing_what_was_begun(serve, tiny_model):
    process = serve("app", "--no-browser", "-m", tiny_model)
    # Enlarging so much takes minutes, and what is begun has five seconds.
    large = encoded(Image.linear_gradient("L").resize((3000, 3000)).convert("RGB"))
    answers = []

    def post():
        url = process.address + "v1/upscale?scale=2"
        answers.append(httpx.post(url, content=large, timeout=300))

    with httpx.Client(base_url=process.address, timeout=60) as client:
        asking = threading.Thread(target=post)
        asking.start()
        until_begun(client)
    assert process.stop() == 0
    asking.join()
    assert "stops before" in problem(answers[0], 503, "stopping")
    assert "Traceback" not in process.output


def test_a_full_service_answers_while_a_large_picture_is_still_sent(serve, tiny_model):
    process = serve("serve", "--port", 0, "-m", tiny_model, "--workers", 1, "--queue", 0, "-q")
    large = bytes(15_000_000)

    def in_parts(more):
        yield b"x"
        more.wait(30)

    with httpx.Client(base_url=process.address, timeout=60) as client:
        more = threading.Event()
        slow = threading.Thread(
            target=lambda: httpx.post(
                process.address + "v1/stylize", content=in_parts(more), timeout=60
            )
        )
        slow.start()
        until_begun(client)
        for _ in range(3):
            assert client.post("/v1/stylize", content=large).status_code == 503
        more.set()
        slow.join()
        assert client.post("/v1/stylize", content=large + large).status_code == 413


def test_a_token_in_a_file_or_in_the_environment(serve, tiny_model, tmp_path):
    token = "a-token-of-sufficient-length"
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")
    by_file = serve("serve", "--port", 0, "-m", tiny_model, "--token-file", tmp_path / "token")
    by_name = serve(
        "serve", "--port", 0, "-m", tiny_model, "--host", "0.0.0.0", IMPASTO_TOKEN=token
    )
    for process in (by_file, by_name):
        assert httpx.get(process.address + "v1/styles", timeout=60).status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert (
            httpx.get(process.address + "v1/styles", headers=headers, timeout=60).status_code == 200
        )
        assert token not in process.output


def test_the_page_is_opened_on_a_free_port_with_what_was_asked(serve, tiny_model):
    app = serve("app", "--no-browser", "-m", tiny_model)
    webcam = serve("webcam", "--no-browser", "-m", tiny_model, "--style", "negative",
                   "--strength", "0.5", "--frame-rate", "20", "--no-mirror")  # fmt: skip
    assert httpx.get(app.address, timeout=60).status_code == 200
    assert webcam.address.endswith("/?live=1&strength=0.5&rate=20&mirror=0&style=negative")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("serve --host 0.0.0.0", "--host 0.0.0.0 answers other machines: set a token"),
        ("serve --token-file missing", "cannot read the token in missing"),
        ("serve --max-upload 0", "--max-upload must be at least 1 MB"),
        ("serve -m missing.onnx", "missing.onnx"),
        ("serve --host 300.1.1.1 --no-auth", "cannot listen on 300.1.1.1"),
        ("app -m missing.onnx", "missing.onnx"),
        ("app --time-limit 0", "--time-limit must be a number of seconds up to 86400, not 0.0"),
        ("webcam --frame-rate 0", "--frame-rate must lie between 1 and 60, not 0"),
        ("webcam --style monet", "there is no style 'monet'"),
    ],
)
def test_bad_settings_are_one_line(run_cli, arguments, told, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("impasto: ")
    assert err.count("\n") == 1
    assert told in err


def test_the_lines_of_the_guide_work(serve, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    process = serve("serve", "--port", 0, "--quiet")
    shutil.copy(ROOT / "examples" / "photos" / "cat.jpg", tmp_path / "photo.jpg")
    Image.new("L", (451, 300)).save(tmp_path / "mask.png")
    guide = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    guide = guide.replace("http://127.0.0.1:8000/", process.address)
    lines = re.findall(r"^curl (?!-H).*", guide, re.MULTILINE)
    (code,) = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert len(lines) == 5

    for line in lines:
        subprocess.run(f"{line} --silent --fail", shell=True, cwd=tmp_path, check=True)
    assert {Image.open(path).size for path in tmp_path.glob("painted.*")} == {(451, 300)}
    assert Image.open(tmp_path / "painted.png").format == "PNG"
    assert Image.open(tmp_path / "partly.jpg").size == (451, 300)
    assert Image.open(tmp_path / "thumbnail.jpg").format == "JPEG"
    (tmp_path / "painted.jpg").unlink()
    python = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "paint;dur=" in python.stdout
    assert Image.open(tmp_path / "painted.jpg").size == (451, 300)


def test_a_port_that_is_taken_is_told(run_cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run_cli("serve", "--port", taken.getsockname()[1])
    assert code == 2
    assert "choose another --port" in err


@pytest.mark.parametrize("command", ["serve", "app"])
def test_a_missing_extra_is_told_with_its_install_line(command):
    code = "import sys; sys.modules['uvicorn'] = None\n"
    code += f"from impasto.cli.app import main; main([{command!r}])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert 'pip install ".[serve]"' in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_address_that_a_browser_opens():
    assert page_address("0.0.0.0", 80) == "http://127.0.0.1:80/"
    assert page_address("::1", 80) == "http://[::1]:80/"
    assert page_address("paint.example", 80) == "http://paint.example:80/"
