"""Command lines over a folder of awkward files, run in this process."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest import mock

import hypothesis
from hypothesis import strategies as st
from PIL import Image

from fuzz import models, pictures
from impasto.images.writing import FORMAT_BY_SUFFIX

CATALOG_ROW = """
[[style]]
name = "{name}"
file = "{name}.onnx"
title = "Title"
artist = "Nobody"
year = 1900
source = "made by a test"
licence = "Apache-2.0"
recipe = "{name}.toml"
scores = {{ correlation = 0.5, photos = 15 }}
"""

UPSCALER_ROW = """
[[upscaler]]
name = "photo"
scale = 4
file = "photo_x4.onnx"
title = "Title"
licence = "Apache-2.0"
recipe = "photo_x4.toml"
scores = { psnr = 30 }
"""

_POSIX = os.name == "posix"


@dataclass(frozen=True)
class CommandCase:
    """A command line.

    Attributes:
        kind: the line, for people.
        args: the arguments after ``impasto``.
        stdin: what the command can read from its standard input.
    """

    kind: str
    args: tuple[str, ...]
    stdin: bytes


class RefusedError(Exception):
    """The command said what was wrong and exited with 1 or 2."""


def _photo_bytes(file_format: str, index: int = 0) -> bytes:
    return [seed.data for seed in pictures.seeds() if seed.format == file_format][index]


@functools.cache
def _files() -> dict[str, bytes]:
    """Returns what lies in the folder that the commands run in."""
    png, jpeg, tiff = _photo_bytes("PNG"), _photo_bytes("JPEG"), _photo_bytes("TIFF", 2)
    huge = png[:16] + (60_000).to_bytes(4, "big") * 2 + png[24:]
    files = {
        "photo.png": png,
        "照片 一.jpg": jpeg,
        "-dash.png": png,
        "same.jpg": jpeg,
        "SAME.jpg": jpeg,
        "animated.gif": _photo_bytes("GIF", 1),
        "alpha.webp": _photo_bytes("WEBP", 1),
        "empty.png": b"",
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "huge.png": huge,
        "notes.txt": b"no picture",
        "no suffix": png,
        "photos/a.png": png,
        "photos/below/b.jpg": jpeg,
        "photos/below/cut.jpg": jpeg[:200],
        "photos/.hidden.png": png,
        "nothing/notes.txt": b"",
        "tiny.onnx": models.intact(),
        "x4.onnx": models.intact("upscale"),
        "newer.onnx": models.intact().replace(b'"format_version": 1', b'"format_version": 9'),
        "cut.onnx": models.intact()[:-9],
        "there.png": png,
        "cut.tif": tiff[:40] + bytes(60) + tiff[100:],
    }
    if _POSIX:
        files |= {"two\nlines.png": png, "caf\udce9.jpg": jpeg, "tab\t\x1b[31m.png": png}
    return files


_NAMES = (
    "photo.png", "照片 一.jpg", "-dash.png", "./-dash.png", "same.jpg", "SAME.jpg", "animated.gif",
    "alpha.webp", "empty.png", "cut.jpg", "huge.png", "notes.txt", "no suffix", "photos", "photos/",
    "photos/a.png", "photos/below/..", "nothing", "tiny.onnx", "x4.onnx", "newer.onnx", "cut.onnx",
    "cut.tif", "two\nlines.png", "caf\udce9.jpg", "tab\t\x1b[31m.png", "link.png", "loop.png",
    "dangling.png", "linked", "missing.png", "missing/x.png", "photo.png/x.png", ".", "", "-", "--",
    "x" * 300 + ".png", "长" * 100 + ".jpg", "photos/" + "y/" * 2100 + "z.png",
)  # fmt: skip
_OUTPUTS = (
    "out.png", "out.jpg", "out.webp", "out.TIFF", "out.avif", "out.bmp", "out.gif", "out", "out/",
    "new/deep/", "new/deep/out.png", "photos", "photos/", "there.png", "photo.png", "-",
    "notes.txt/", "notes.txt/out.png", "照片 二.jpg", "-o.png", "link.png", "loop.png",
    "dangling.png", "", "out.png/", ".", "x" * 252 + ".png", "caf\udce9.png", "two\nlines.jpg",
)  # fmt: skip


def _text() -> st.SearchStrategy[str]:
    """Any text that a shell can hand over and that leads to no other folder."""
    usual = st.characters(exclude_categories=["Cs"], exclude_characters="\0/\\")
    undecodable = st.sampled_from([chr(0xDC80 + i) for i in (0, 1, 0x69, 0x7F)])
    letters = usual | undecodable if _POSIX else usual
    return st.text(letters, max_size=12).filter(lambda text: text.strip(".") or not text)


def _number() -> st.SearchStrategy[str]:
    odd = ("nan", "inf", "-inf", "1e999", "-0", "0x10", "½", "٣", "1_0", "9" * 5000, "", " 1")
    return st.one_of(
        st.sampled_from(odd),
        st.integers(-2, 5).map(str),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(("0", "0.5", "1", "1.0", "16", "90", "100", "101")),
    )


def _changing(command: str) -> st.SearchStrategy[list[str]]:
    names = st.sampled_from(_NAMES) | _text()
    outputs = st.sampled_from(_OUTPUTS) | _text()
    styles = ("tiny", "other", "Tiny", "none", "tiny.onnx", "photo.png", "photos", "C:\\tiny.onnx")
    formats = ("jpeg", "JPG", "png", "webp", "tiff", "avif", "bmp", "gif", "heic", "")
    devices = ("auto", "cpu", "cuda", "CPU", "coreml", "tpu", "")
    number = _number()

    def option(*flags: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
        apart = st.tuples(st.sampled_from(flags), value).map(list)
        return apart | apart.map(lambda pair: ["=".join(pair)])

    own = {
        "stylize": st.one_of(
            option("-s", "--style", value=st.sampled_from(styles) | names),
            option("-m", "--model", value=st.sampled_from(("tiny.onnx", "cut.onnx")) | names),
            option("--strength", value=number),
            option("--mask", value=names),
            option("--max-size", value=number),
            st.just(["--keep-colors"]),
        ),
        "upscale": st.one_of(
            option("-m", "--model", value=st.sampled_from(("photo", "sharp", "x4.onnx")) | names),
            option("--scale", value=st.sampled_from(("2", "4", "8")) | number),
            option("--tile", value=number),
            st.just(["--match-histogram"]),
        ),
    }
    options = st.one_of(
        own[command],
        own[command],
        option("-o", "--output", value=outputs),
        option("-o", "--output", value=outputs),
        option("--format", value=st.sampled_from(formats) | _text()),
        option("--quality", value=number),
        option("--device", value=st.sampled_from(devices) | _text()),
        option("--threads", value=st.sampled_from(("1", "2", "0", "-1", "1025", "x"))),
        option("--max-pixels", value=number),
        st.sampled_from(("--overwrite", "--json", "-q", "-v")).map(lambda f: [f]),
        _text().map(lambda text: [f"--{text}"]),
    )
    lists = st.tuples(st.lists(options, max_size=4), st.lists(names.map(lambda n: [n]), max_size=3))
    parts = lists.map(lambda both: both[0] + both[1]).flatmap(st.permutations)
    return parts.map(lambda parts: [command, *(word for part in parts for word in part)])


def _others(*, training: bool) -> st.SearchStrategy[list[str]]:
    words = st.sampled_from(_NAMES) | _text()
    rest = st.lists(words | st.sampled_from(("--json", "--overwrite", "-h")), max_size=3)

    def line(*start: str) -> st.SearchStrategy[list[str]]:
        return rest.map(lambda more: [*start, *more])

    lines = [line("styles"), line("styles", "add"), line("styles", "remove"), line("info")]
    lines += [line(), line("--version")]
    if training:
        lines += [line("export"), line("train", "notes.txt")]  # no picture, so that none begins
    return st.one_of(lines)


def command_lines(*, training: bool = True) -> st.SearchStrategy[CommandCase]:
    """Draws command lines with what they find on their standard input.

    Args:
        training: also those of the commands that import PyTorch.
    """
    stdin = st.sampled_from((b"", b"no picture")) | st.sampled_from(pictures.seeds()).map(
        lambda seed: seed.data
    )
    work = [_changing(command) for command in ("stylize", "stylize", "upscale")]
    args = st.one_of(*work, _others(training=training))
    # Completion is installed into the shell's own start-up files.
    args = args.filter(lambda words: not any("completion" in word for word in words))
    return st.builds(lambda a, s: CommandCase(" ".join(map(ascii, a)), tuple(a), s), args, stdin)


def make(rng: Random) -> CommandCase:
    """Draws the command line that belongs to a random generator's state."""
    drawn: list[CommandCase] = []

    # The first example is the simplest one whatever the seed.
    @hypothesis.seed(rng.getrandbits(64))
    @hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(command_lines())
    def collect(case: CommandCase) -> None:
        drawn.append(case)

    collect()
    return drawn[-1]


def prepare() -> None:
    """Imports what some commands import when they run, which takes seconds."""
    from impasto.training import export_run, train

    del export_run, train


def check(case: CommandCase, folder: Path) -> None:
    """Runs the command in a folder of awkward files.

    Raises:
        RefusedError: it exited with 1 or 2, as it should on bad input.
        AssertionError: what it printed or left behind is not as promised.
    """
    work = folder / "outer" / "work"
    _fill(work)
    before = _contents(folder)
    with _scene(folder, work):
        code, out, err = _run(case)
    assert code in (0, 1, 2), f"exit code {code}"
    assert "Traceback" not in err, err
    errors = [line for line in err.splitlines() if line.startswith("impasto: ")]
    assert bool(errors) == (code != 0), f"exit code {code} and on stderr: {err!r}"
    assert "Usage:" not in err, f"more than one line: {err!r}"
    if "--json" in case.args and case.args[0] in ("stylize", "upscale") and "-h" not in case.args:
        for line in out.splitlines():
            json.loads(line)
    _check_files(before, _contents(folder), overwrite="--overwrite" in case.args)
    if code:
        raise RefusedError(errors[0])


def _fill(work: Path) -> None:
    for name, data in _files().items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if _POSIX:
        (work / "link.png").symlink_to("photo.png")
        (work / "loop.png").symlink_to("loop.png")
        (work / "dangling.png").symlink_to("nowhere.png")
        (work / "linked").symlink_to("photos")
        os.mkfifo(work / "photos" / "pipe.png")


@contextlib.contextmanager
def _scene(folder: Path, work: Path) -> Iterator[None]:
    """Lets commands find a small catalogue and a home in place of ours."""
    here = Path.cwd()
    home = {name: str(folder / "home") for name in ("HOME", "USERPROFILE", "IMPASTO_HOME")}
    os.chdir(work)
    try:
        with (
            mock.patch.dict(os.environ, home),
            mock.patch("impasto.catalog.CATALOG_FOLDER", _catalog()),
        ):
            yield
    finally:
        os.chdir(here)


@functools.cache
def _catalog() -> Path:
    folder = Path(_kept_folder().name)
    rows = [*(CATALOG_ROW.format(name=name) for name in ("tiny", "other")), UPSCALER_ROW]
    (folder / "catalog.toml").write_text("".join(rows), encoding="utf-8")
    (folder / "photo_x4.onnx").write_bytes(models.intact("upscale"))
    for name in ("tiny", "other"):
        data = models.intact().replace(b'"name": "tiny"', b'"name": "%b"' % name.encode())
        (folder / f"{name}.onnx").write_bytes(data)
    return folder


@functools.cache
def _kept_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()  # removed when the process ends


def _run(case: CommandCase) -> tuple[int, str, str]:
    from impasto.cli.app import main

    streams = [
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        for data in (case.stdin, b"", b"")
    ]
    with (
        mock.patch.object(sys, "stdin", streams[0]),
        mock.patch.object(sys, "stdout", streams[1]),
        mock.patch.object(sys, "stderr", streams[2]),
    ):
        code = 0
        try:
            main(list(case.args))
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    texts = []
    for stream in streams[1:]:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))
    return code, texts[0], texts[1]


def _contents(folder: Path) -> dict[str, bytes | None]:
    """Returns every file below a folder; None for what is no regular file."""
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in map(Path, _walk(folder))
    }


def _walk(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (f"{parent}{os.sep}{name}" for name in names)


def _check_files(
    before: dict[str, bytes | None], after: dict[str, bytes | None], *, overwrite: bool
) -> None:
    lost = [path for path in before if path not in after]
    assert not lost, f"removed: {lost}"
    for path, data in after.items():
        assert ".impasto-" not in path, f"left behind: {path}"
        if path in before and not overwrite:
            assert data == before[path], f"changed: {path}"
        if data != before.get(path) and Path(path).suffix.lower() in FORMAT_BY_SUFFIX:
            assert data is not None
            with Image.open(io.BytesIO(data)) as image:
                image.load()
