"""Key frames: what is between them, and what is none."""

import pytest

from impasto.errors import UsageError
from impasto.video.timeline import Dials, Timeline, parse_numbers, parse_styles, parse_time


def test_dials_change_steadily_between_key_frames():
    timeline = Timeline(
        Dials({"wave": 1.0}),
        styles=parse_styles("style-at", ["12:udnie", "2:wave"]),
        strengths=parse_numbers("strength-at", ["0:0", "4:1"], 0, 1),
        stroke_sizes=parse_numbers("stroke-size-at", ["0:1", "2:4"], 0.5, 4),
    )
    assert timeline.at(0) == Dials({"wave": 1.0}, 0.0, 1.0)
    assert timeline.at(1) == Dials({"wave": 1.0}, 0.25, 2.0)  # twice in half the time
    assert timeline.at(4.5).blend == pytest.approx({"wave": 0.75, "udnie": 0.25})
    assert timeline.at(12) == timeline.at(99) == Dials({"udnie": 1.0}, 1.0, 4.0)


def test_blends_pass_into_each_other():
    track = parse_styles("style-at", ["0:a:0.5,b:0.5", "10:b:0.5,c:0.5"])
    blend = Timeline(Dials({"a": 1.0}), styles=track).at(2).blend
    assert blend == pytest.approx({"a": 0.4, "b": 0.5, "c": 0.1})
    assert sum(blend.values()) == pytest.approx(1)


def test_without_key_frames_dials_stay():
    dials = Dials({"a": 1.0}, 0.5, 2.0)
    assert Timeline(dials).at(7) == dials
    assert parse_styles("style-at", []) is None


@pytest.mark.parametrize("text", ["wave", "x:wave", "-1:wave", "nan:wave", ":wave", "3:", "3:a:0"])
def test_what_is_no_key_frame_of_a_style(text):
    with pytest.raises(UsageError):
        parse_styles("style-at", [text])


@pytest.mark.parametrize("text", ["1", "1:2", "1:-0.1", "1:x", "1:nan"])
def test_what_is_no_key_frame_of_a_number(text):
    with pytest.raises(UsageError, match="strength-at takes TIME:a number from 0 to 1, such"):
        parse_numbers("strength-at", [text], 0, 1)


def test_a_time_counts_once_and_is_a_number_of_seconds():
    with pytest.raises(UsageError, match="twice for 2 s"):
        parse_styles("style-at", ["2:a", "2.0:b"])
    assert parse_time("start", "12.5") == 12.5
    with pytest.raises(UsageError, match=r"--start takes seconds, such as 12\.5, not '1:30'"):
        parse_time("start", "1:30")
