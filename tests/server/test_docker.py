"""The lines of the Dockerfile, run where only what it copies and installs is there.

The packages that its pip line would download are those of the running Python, so that the test
needs no network.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from server_helpers import decoded

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-sufficient-length"

# Runs at the start of every Python of the image: what its pip line does not name is absent.
ONLY_DOWNLOADED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the image is one of Linux")


@pytest.fixture(scope="module")
def lines():
    """The instructions and what they say, in their order."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def absent_packages(extras):
    """The top-level modules here that the image's pip line would not download."""
    downloaded, waiting = {"impasto"}, [("impasto", "")]
    waiting += [("impasto", extra) for extra in extras]
    seen = set(waiting)
    while waiting:
        distribution, extra = waiting.pop()
        for line in metadata.distribution(distribution).requires or []:
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            downloaded.add(name)
            new = {(name, wanted) for wanted in ("", *requirement.extras)} - seen
            waiting += new
            seen |= new
    return {
        module
        for module, distributions in metadata.packages_distributions().items()
        if downloaded.isdisjoint(map(canonicalize_name, distributions))
    }


def said(lines, instruction):
    return [text for name, text in lines if name == instruction]


@pytest.fixture(scope="module")
def container(lines, tmp_path_factory):
    """What the image would hold: the copied files, and an environment after the RUN lines."""
    folder = tmp_path_factory.mktemp("container")
    build, image = folder / "build", folder / "python"
    build.mkdir()
    for copied in said(lines, "COPY"):
        *sources, target = copied.split()
        for source in sources:
            place = build / target / (source if target == "./" else "")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    venv.create(image, with_pip=False, symlinks=True)
    (packages,) = image.glob("**/site-packages")
    (packages / "downloaded.pth").write_text(
        "\n".join([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    )
    pip = image / "bin" / "pip"
    offline = "--no-deps --no-index --no-build-isolation --disable-pip-version-check"
    pip.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pip --python "{image}" "$@" {offline}\n')
    pip.chmod(0o755)
    environment = {"PATH": f"{image / 'bin'}:/usr/bin:/bin", "HOME": "/nonexistent"}
    for command in said(lines, "RUN"):
        subprocess.run(command, shell=True, check=True, cwd=build, env=environment,
                       capture_output=True)  # fmt: skip
    shutil.rmtree(build)
    extras = re.search(r'"\.\[([\w,]+)\]"', " ".join(said(lines, "RUN")))[1].split(",")
    (packages / "only_downloaded.py").write_text(
        ONLY_DOWNLOADED.format(absent=absent_packages(extras)), encoding="utf-8"
    )
    (packages / "only_downloaded.pth").write_text("import only_downloaded")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    return environment | {"IMPASTO_PORT": port}


def test_the_command_serves_and_the_health_check_sees_it(lines, container, tmp_path):
    (command,) = said(lines, "CMD")
    health = said(lines, "HEALTHCHECK")[0].partition("CMD ")[2]
    address = f"http://127.0.0.1:{container['IMPASTO_PORT']}"
    program, *arguments = json.loads(command)
    log = tmp_path / "log"

    def is_healthy():
        check = ["/bin/sh", "-c", health]
        return subprocess.run(check, env=container, capture_output=True).returncode == 0  # noqa: PLW1510

    assert not is_healthy()
    program = shutil.which(program, path=container["PATH"])
    with log.open("wb") as output:
        serving = subprocess.Popen([program, *arguments], env=container | {"IMPASTO_TOKEN": TOKEN},
                                   cwd="/", stdout=output, stderr=output)  # fmt: skip
    try:
        while not is_healthy():
            assert serving.poll() is None, log.read_text()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        photo = (ROOT / "examples" / "photos" / "cat.jpg").read_bytes()
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            painted = client.post("/v1/stylize?max_size=200", content=photo)
            assert max(decoded(painted).size) == 200
            assert client.get("/").status_code == 200
        assert httpx.get(address).status_code == 401
    finally:
        serving.terminate()
        assert serving.wait(60) == 0
    assert not is_healthy()


def test_without_a_token_it_does_not_start(lines, container):
    program, *arguments = json.loads(said(lines, "CMD")[0])
    program = shutil.which(program, path=container["PATH"])
    result = subprocess.run([program, *arguments], env=container, capture_output=True, text=True,
                            check=False, timeout=60)  # fmt: skip
    assert result.returncode == 2
    assert "IMPASTO_TOKEN" in result.stderr
    assert result.stderr.count("\n") == 1


def test_packages_of_no_extra_of_the_image_are_out_of_sight(container):
    python = shutil.which("python", path=container["PATH"])
    for module, there in (("fastapi", True), ("pi_heif", True), ("torch", False),
                          ("pytest", False), ("httpx", False)):  # fmt: skip
        result = subprocess.run([python, "-c", f"import {module}"], env=container,
                                capture_output=True, check=False)  # fmt: skip
        assert (result.returncode == 0) == there, result.stderr.decode()


def test_nobody_runs_it_from_a_slim_image(lines):
    assert said(lines, "FROM")[0].endswith("-slim")
    assert not said(lines, "USER")[-1].startswith(("0", "root"))


def test_the_context_holds_what_is_copied_and_nothing_else(lines):
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert kept == {source for copied in said(lines, "COPY") for source in copied.split()[:-1]}
