"""Every dial in every front: commands and Python here, HTTP in server/test_dials.py."""

import ast
import dataclasses
import inspect
import re
import typing
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from dial_cases import bad_texts, bad_values, cases

import impasto
from impasto.cli.app import _PLACES
from impasto.cli.options import flag
from impasto.dials import (
    CallKeywords,
    Enlarging,
    EnlargingKeywords,
    Painting,
    PaintingKeywords,
    Switch,
    Writing,
    dials_of,
)
from impasto.errors import UsageError
from impasto.runtime.stylizer import StyleModel

SOURCE = Path(impasto.__file__).parent
PIXELS = np.zeros((4, 4, 3), np.uint8)
UNLOADED = object.__new__(StyleModel)
COMMANDS = {
    "stylize photo.png": ("stylize", Painting, Writing),
    "upscale photo.png": ("upscale", Enlarging, Writing),
    "video clip.mp4": ("video", Painting, Writing),
    "batch photos out": ("batch", Painting, Writing),
    "webcam": ("webcam", Painting),
}


def options_of(command):
    stem, name = _PLACES.get(command, (command, "command"))
    function = getattr(import_module(f"impasto.cli.{stem}"), name)
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_dial_of_a_command_is_checked_in_the_same_words(run_cli, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, *kinds = COMMANDS[line]
    offered = options_of(command)
    tried = set()
    for kind in kinds:
        for name, text, told in cases(kind, bad_texts):
            if name in offered and not isinstance(dials_of(kind)[name], Switch):
                tried.add(name)
                got = run_cli(*line.split(), f"{flag(name)}={text}")
                assert got == (2, "", f"impasto: {flag(name)} {told}\n")
    assert len(tried) >= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["video clip.mp4", "batch photos out"])
def test_enlarging_in_place_of_painting(run_cli, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text, told in bad_texts(dials_of(Enlarging)["scale"]):
        got = run_cli(*line.split(), f"--upscale={text}")
        assert got == (2, "", f"impasto: --upscale {told}\n")


def test_key_frames_of_a_clip_are_checked_in_the_same_words(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("strength", "stroke_size"):
        for text, told in bad_texts(dials_of(Painting)[name]):
            got = run_cli("video", "clip.mp4", f"{flag(name)}-at=0:{text}")
            assert got == (2, "", f"impasto: {flag(name)}-at {told}\n")


@pytest.mark.parametrize(
    ("option", "dial"),
    [("--memory", dials_of(Painting)["memory"]), ("--max-pixels", dials_of(Writing)["max_pixels"])],
)
def test_limits_of_the_service_are_checked_in_the_same_words(run_cli, option, dial):
    for text, told in bad_texts(dial):
        assert run_cli("serve", f"{option}={text}") == (2, "", f"impasto: {option} {told}\n")


@pytest.mark.parametrize(("name", "value", "told"), list(cases(Painting, bad_values)))
def test_dials_of_painting_in_python(name, value, told):
    wanted = f"^{re.escape(f'{name} {told}')}$"
    with pytest.raises(UsageError, match=wanted):
        UNLOADED(PIXELS, **{name: value})
    with pytest.raises(UsageError, match=wanted):
        UNLOADED.paint(PIXELS, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "told"), [*cases(Enlarging, bad_values), *cases(Writing, bad_values)]
)
def test_dials_of_enlarging_and_writing_in_python(name, value, told):
    if name in inspect.signature(impasto.upscale).parameters:
        with pytest.raises(UsageError, match=f"^{re.escape(f'{name} {told}')}$"):
            impasto.upscale(PIXELS, **{name: value})
    if name == "max_pixels":
        with pytest.raises(UsageError, match=f"^{re.escape(f'{name} {told}')}$"):
            UNLOADED(PIXELS, max_pixels=value)
    kind = Enlarging if name in dials_of(Enlarging) else Writing
    with pytest.raises(UsageError, match=f"^{re.escape(f'{name} {told}')}$"):
        kind(**{name: value})


@pytest.mark.parametrize("kind", [Painting, Enlarging, Writing])
def test_none_stands_for_a_default_that_is_none_only(kind):
    for name, dial in dials_of(kind).items():
        if dial.default is None:
            assert getattr(kind(**{name: None}), name) is None
        else:
            with pytest.raises(UsageError, match=f"^{name} must .*, not None$"):
                kind(**{name: None})


def test_the_ends_of_a_range_belong_to_it_and_numbers_become_pythons_own():
    ends = Painting(strength=np.float32(1.5), stroke_size=4, keep_colors=np.True_)
    assert (ends.strength, ends.stroke_size, ends.keep_colors) == (1.5, 4.0, True)
    assert {type(ends.strength), type(ends.stroke_size)} == {float}
    assert Painting(strength=0, stroke_size=0.5, max_size=1).max_size == 1
    assert Writing(quality=np.int64(100)).quality == 100
    assert Painting.from_texts({"strength": "1e0", "keep_colors": "Yes"}) == Painting(
        strength=1.0, keep_colors=True
    )
    assert Writing.from_texts({"format": "JPG"}).pillow_format == "JPEG"


def test_keywords_for_type_checkers_are_the_fields():
    for keywords, kind in ((PaintingKeywords, Painting), (EnlargingKeywords, Enlarging)):
        fields = {item.name: item.type for item in dataclasses.fields(kind)}
        stated = {n: getattr(t, "__forward_arg__", t) for n, t in keywords.__annotations__.items()}
        assert {name: stated[name] for name in fields.keys() & stated} == {
            name: fields[name] for name in fields.keys() & stated
        }
        assert fields.keys() - stated.keys() <= {"tile"}
        assert stated.keys() - fields.keys() <= {"max_pixels"}
    assert "max_pixels" in typing.get_type_hints(CallKeywords, localns={"MaskSource": object})


def test_python_shows_dials_with_their_defaults_and_helps():
    for call, kinds in ((impasto.stylize, Painting), (StyleModel.__call__, Painting)):
        parameters = inspect.signature(call).parameters
        for name, dial in dials_of(kinds).items():
            assert parameters[name].default == dial.default
            assert f"{name}: {dial.help[:20].lower()}" in call.__doc__.lower()
        assert "**dials" not in call.__doc__


def test_no_front_spells_a_dial():
    options = {flag(name) for name in dials_of(Painting)} - {"--memory"}  # serve has its own
    for path in SOURCE.rglob("*.py"):
        if path.name == "dials.py":
            continue
        spelled = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not spelled & options, path
