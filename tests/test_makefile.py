import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AS_IT_IS = "pass"
TOO_OLD = "sys.version_info = (3, 10, 9)"
WITHOUT_VENV = "sys.modules['ensurepip'] = None"

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("make") is None, reason="needs make and a Unix shell"
)


@pytest.fixture
def checkout(tmp_path):
    """The files that the set-up reads, in a folder of their own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    return folder


def fake_python(path, change):
    """A Python that is this one after a change, or one that does not run."""
    if change is None:
        script = "exit 127"
    else:
        script = f'exec "{sys.executable}" -c "import sys; {change}; exec(sys.argv[1])" "$2"'
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def run(checkout, *command, **environment):
    # What an outer make hands down would override the arguments of this one.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAKE") and name not in ("MFLAGS", "PYTHON", "PYTEST_ARGS", "RUNNER")
    }
    return subprocess.run(
        command,
        cwd=checkout,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def our_lines(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("target", ["demo", "train-demo", "test", "coverage", "check", "bench"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (TOO_OLD, "needs Python 3.11 or newer, but {python} is Python 3.10"),
        (WITHOUT_VENV, "without the venv module"),
        (None, "{python} does not run"),
    ],
)
def test_an_unfit_python_stops_with_one_line(checkout, tmp_path, target, change, expected):
    python = fake_python(tmp_path / "python", change)

    result = run(checkout, "make", target, f"PYTHON={python}")

    assert result.returncode != 0
    (line,) = our_lines(result)
    assert expected.format(python=python) in line
    assert not (checkout / ".venv").exists()


def test_the_newest_python_that_runs_is_chosen(checkout, tmp_path):
    path = tmp_path / "bin"
    path.mkdir()
    fake_python(path / "python3.14", None)
    fake_python(path / "python3.13", WITHOUT_VENV)
    fake_python(path / "python3.12", TOO_OLD)
    fake_python(path / "python3.11", AS_IT_IS)
    fake_python(path / "python3", AS_IT_IS)

    result = run(checkout, "/bin/sh", "scripts/choose-python.sh", PATH=str(path))

    assert (result.stdout, result.stderr) == ("python3.11\n", "")


def test_set_up_is_repeated_only_when_requirements_change(checkout):
    stamp = checkout / ".venv" / ".installed-dev"
    stamp.parent.mkdir()
    stamp.touch()
    assert "setup-venv.sh" not in run(checkout, "make", "-n", "test").stdout

    later = stamp.stat().st_mtime + 10
    os.utime(checkout / "constraints.txt", (later, later))
    assert "setup-venv.sh" in run(checkout, "make", "-n", "test").stdout


@pytest.mark.parametrize("script", ["scripts/check", ".ci/run"])
def test_bash_scripts_parse_and_are_executable(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda p: p.name)
def test_shell_scripts_parse(script):
    subprocess.run(["sh", "-n", script], check=True)


def test_each_test_runs_in_one_of_the_parts():
    result = run(ROOT, "make", "--dry-run", "first-half", "second-half", "ray")
    assert result.returncode == 0
    patterns = [word for word in result.stdout.split() if word.startswith("tests/")]
    ran = [path for pattern in patterns for path in ROOT.glob(pattern)]
    files = set(ROOT.glob("tests/**/test_*.py"))
    found = [
        test for path in ran for test in (path.rglob("test_*.py") if path.is_dir() else [path])
    ]
    assert len(found) == len(set(found))
    assert set(found) >= files
