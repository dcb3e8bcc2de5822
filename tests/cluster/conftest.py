"""A Ray cluster of two cores and an S3 server, for all tests of this folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

BUCKET = "pictures"
# On Linux, Ray takes another address than the usual one of the loopback device as it is.
HOST = "127.0.0.3" if sys.platform == "linux" else "127.0.0.1"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 server of this machine, which every process that starts from here on uses."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield
    server.stop()


@pytest.fixture
def bucket(s3_server):
    """An empty bucket, as s3fs sees it; its URL is ``s3://pictures``."""
    import s3fs

    filesystem = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    filesystem.mkdir(BUCKET)
    yield filesystem
    filesystem.rm(BUCKET, recursive=True)


class Machine:
    """A machine of a cluster, or what Ray takes for one.

    Attributes:
        host: its address.
        log: what it prints.
    """

    def __init__(self, folder, host, *arguments):
        """Starts it, as docs/cluster.md says, and waits until it runs."""
        self.host = host
        self.log = folder / "output.txt"
        line = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments]
        line += [
            f"--node-ip-address={host}",
            "--disable-usage-stats",
            f"--object-store-memory={128 << 20}",
        ]
        for _ in range(3):  # Ray gives itself 30 s, which a busy machine may not have
            with self.log.open("wb") as output:
                self._process = subprocess.Popen(
                    line, stdout=output, stderr=subprocess.STDOUT, cwd=folder, process_group=0
                )
            while self._process.poll() is None:
                if b"Ray runtime started" in self.log.read_bytes():
                    return
                time.sleep(0.2)
        raise AssertionError(self.log.read_text(encoding="utf-8"))

    def kill(self):
        """Ends it at once, as if its plug were pulled; what it has started goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)


@contextlib.contextmanager
def running_head(folder, cores):
    """Starts the first machine of a cluster and yields its address."""
    port, client_port = free_port(), free_port()
    head = Machine(
        folder,
        HOST,
        "--head",
        f"--num-cpus={cores}",
        f"--port={port}",
        f"--ray-client-server-port={client_port}",
        "--include-dashboard=false",
    )
    try:
        yield f"{HOST}:{port}"
    finally:
        head.kill()


@pytest.fixture(scope="session")
def cluster(s3_server, tmp_path_factory):
    """The address of a cluster of one machine with two cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with running_head(tmp_path_factory.mktemp("ray"), cores=2) as address:
            yield address


@pytest.fixture
def guarded_cluster(tmp_path, monkeypatch):
    """The address of a cluster of one core, and the file with the token that it asks for."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    generate = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    subprocess.run(generate, check=True, capture_output=True)
    with running_head(tmp_path, cores=1) as address:
        yield address, tmp_path / ".ray" / "auth_token"


@pytest.fixture
def second_machine(cluster, tmp_path):
    """Another machine of the cluster, with one core."""
    folder = tmp_path / "second machine"
    folder.mkdir()
    machine = Machine(folder, "127.0.0.2", f"--address={cluster}", "--num-cpus=1")
    yield machine
    machine.kill()


@pytest.fixture
def make_photos():
    """Writes pictures of one even colour each, by name, and returns the colours."""

    def make(folder, *names):
        colors = {}
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            colors[name] = (10 + number, 20, 30)
            Image.new("RGB", (24, 16), colors[name]).save(path)
        return colors

    return make


@pytest.fixture
def colors_of():
    """Reads the colours of pictures of one colour each, by name below their folder."""

    def colors(folder):
        found = {}
        for path in sorted(folder.rglob("*.png")):
            (color,) = np.unique(np.asarray(Image.open(path)).reshape(-1, 3), axis=0)
            found[path.relative_to(folder).as_posix()] = tuple(map(int, color))
        return found

    return colors
