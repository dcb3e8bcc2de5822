"""Pictures into requests and out of answers, and services in processes of their own."""

import io
import os
import re
import subprocess
import sys
import time

from PIL import Image


def encoded(image, file_format="PNG", **options):
    """A picture's file in bytes."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(response):
    """The picture of an answer, read to its end."""
    assert response.status_code == 200, response.text
    image = Image.open(io.BytesIO(response.content))
    image.load()
    return image


def problem(response, status, code):
    """The one line of an answer that says no."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    content = response.json()
    assert (response.status_code, content["status"], content["code"]) == (status, status, code)
    assert content["request_id"] == response.headers["x-request-id"]
    assert "\n" not in content["detail"]
    return content["detail"]


# Found by every Python that a command starts: whoever asks for another machine is written down.
LOOPBACK_ONLY = """
import socket

connect = socket.socket.connect

def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
        with open({log!r}, "a") as log:
            print(address, file=log)
        raise OSError("no network in this test")
    return connect(self, address)

def lookup(*arguments, **names):
    with open({log!r}, "a") as log:
        print(arguments, file=log)
    raise OSError("no network in this test")

socket.socket.connect = refuse
socket.getaddrinfo = lookup
"""


class Process:
    """A command that serves, in a process of its own that reaches no other machine.

    Attributes:
        address: of its page.
    """

    def __init__(self, folder, *arguments, **environment):
        """Starts it and waits until it answers.

        Args:
            folder: where what it prints is kept.
            *arguments: of ``impasto``.
            **environment: variables beside those of this process.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._log, self._output = folder / "network.log", folder / "output.txt"
        site = LOOPBACK_ONLY.format(log=str(self._log))
        (folder / "sitecustomize.py").write_text(site, encoding="utf-8")
        places = filter(None, (str(folder), os.environ.get("PYTHONPATH")))
        variables = {"IMPASTO_HOME": str(folder), "OMP_NUM_THREADS": "1"}
        variables["PYTHONPATH"] = os.pathsep.join(places)
        self._check_guard(os.environ | variables | environment)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "impasto", *map(str, arguments)],
                env=os.environ | variables | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.address = self._wait_for_address()

    def _check_guard(self, environment):
        """Asks for other machines, by address and by name, and finds both written down."""
        attempts = ("192.0.2.1", "impasto.invalid")
        code = "import socket, sys; socket.create_connection((sys.argv[1], 9), 0.1)"
        for number, host in enumerate(attempts, 1):
            asked = [sys.executable, "-c", code, host]
            subprocess.run(asked, env=environment, capture_output=True, check=False)
            noted = self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []
            assert len(noted) == number, "the guard is not in place"
            assert host in noted[-1]
        self._log.unlink()

    def _wait_for_address(self):
        for _ in range(1200):
            found = re.search(r"^(http://\S+)", self.output, re.MULTILINE)
            if found:
                return found[1]
            assert self._process.poll() is None, self.output
            time.sleep(0.05)
        raise AssertionError(self.output)

    @property
    def output(self):
        return self._output.read_text(encoding="utf-8")

    def stop(self):
        """Tells it to stop and waits; returns its exit code."""
        self._process.terminate()
        code = self._process.wait(60)
        assert not self._log.exists(), self._log.read_text(encoding="utf-8")
        return code
