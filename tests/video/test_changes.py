"""Key frames: what is between them, and what is none."""

import re

import pytest

from impasto.dials import Painting
from impasto.errors import UsageError
from impasto.video.changes import Timeline, parse_numbers, parse_styles, parse_time


def test_dials_change_steadily_between_key_frames():
    timeline = Timeline(
        {"wave": 1.0},
        styles=parse_styles("style-at", ["12:udnie", "2:wave"]),
        tracks={
            "strength": parse_numbers("strength", ["0:0", "4:1"]),
            "stroke_size": parse_numbers("stroke_size", ["0:1", "2:4"]),
        },
    )
    assert timeline.at(0) == ({"wave": 1.0}, Painting(strength=0.0, stroke_size=1.0))
    # Twice the size in half the time.
    assert timeline.at(1) == ({"wave": 1.0}, Painting(strength=0.25, stroke_size=2.0))
    assert timeline.at(4.5)[0] == pytest.approx({"wave": 0.75, "udnie": 0.25})
    last = ({"udnie": 1.0}, Painting(strength=1.0, stroke_size=4.0))
    assert timeline.at(12) == timeline.at(99) == last


def test_blends_pass_into_each_other():
    track = parse_styles("style-at", ["0:a:0.5,b:0.5", "10:b:0.5,c:0.5"])
    blend = Timeline({"a": 1.0}, styles=track).at(2)[0]
    assert blend == pytest.approx({"a": 0.4, "b": 0.5, "c": 0.1})
    assert sum(blend.values()) == pytest.approx(1)


def test_without_key_frames_dials_stay():
    dials = Painting(strength=0.5, stroke_size=2.0, keep_colors=True)
    assert Timeline({"a": 1.0}, dials).at(7) == ({"a": 1.0}, dials)
    assert parse_styles("style-at", []) is None


@pytest.mark.parametrize("text", ["wave", "x:wave", "-1:wave", "nan:wave", ":wave", "3:", "3:a:0"])
def test_what_is_no_key_frame_of_a_style(text):
    with pytest.raises(UsageError):
        parse_styles("style-at", [text])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1", "takes TIME:0..1.5, such as 12.5:1, not '1'"),
        ("1:2", "must lie between 0 and 1.5, not 2.0"),
        ("1:-0.1", "must lie between 0 and 1.5, not -0.1"),
        ("1:x", "must be a number from 0 to 1.5, not 'x'"),
        ("1:nan", "must lie between 0 and 1.5, not nan"),
    ],
)
def test_what_is_no_key_frame_of_a_number(text, told):
    with pytest.raises(UsageError, match=f"^--strength-at {re.escape(told)}$"):
        parse_numbers("strength", [text])


def test_a_time_counts_once_and_is_a_number_of_seconds():
    with pytest.raises(UsageError, match="twice for 2 s"):
        parse_styles("style-at", ["2:a", "2.0:b"])
    assert parse_time("start", "12.5") == 12.5
    with pytest.raises(UsageError, match=r"--start takes seconds, such as 12\.5, not '1:30'"):
        parse_time("start", "1:30")
