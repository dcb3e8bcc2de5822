import json

import pytest

from impasto.errors import ResumeError
from impasto.paper.report import Measurements, Picture, Section, Table, save_section, write_report
from impasto.paper.tables import crossing, median_and_range, spread

SECTION = Section(
    "speed",
    "Speed",
    ["One paragraph."],
    [Table("Seconds & more", ["", "a|b"], [["256 px", "1.5"], ["512 px", "<2"]])],
    [Picture("speed.png", "A plot")],
    machine="a machine",
    notes=["A note."],
)


def test_sections_become_one_report(tmp_path):
    save_section(
        tmp_path, Section("figures", "Figures", machine=SECTION.machine, notes=SECTION.notes)
    )
    save_section(tmp_path, SECTION)
    file = write_report(tmp_path)
    assert file == tmp_path / "report.md"
    markdown = file.read_text(encoding="utf-8")
    assert markdown.index("## Speed") < markdown.index("## Figures")
    assert "|        | a\\|b |\n| ------ | ---: |\n| 256 px |  1.5 |\n| 512 px |   <2 |" in markdown
    assert "![A plot](speed/speed.png)" in markdown
    assert markdown.count("Machine: a machine.") == 1
    assert markdown.count("A note.") == 1
    assert markdown.index("A note.") < markdown.index("## Speed")


def test_sections_that_were_made_otherwise_say_so_themselves(tmp_path):
    save_section(tmp_path, SECTION)
    other = Section("figures", "Figures", ["Text."], machine="a machine", notes=["Quick."])
    save_section(tmp_path, other)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    speed, _, figures = text.partition("## Figures")
    assert speed.index("## Speed") < speed.index("A note.")
    assert "Quick." not in speed
    assert figures.count("Machine: a machine.") == figures.count("Quick.") == 1
    assert "A note." not in figures


def test_a_measurement_is_made_once(tmp_path):
    made = []
    kept = Measurements(tmp_path / "s", {"photos": ["a.jpg"]})
    for _ in range(2):
        assert kept.get("time", lambda: made.append(1) or 1.5) == 1.5
    again = Measurements(tmp_path / "s", {"photos": ["a.jpg"]})
    assert again.get("time", lambda: made.append(1) or 2.5) == 1.5
    assert len(made) == 1
    assert json.loads((tmp_path / "s" / "measurements.json").read_text())["values"] == {"time": 1.5}


def test_what_was_measured_stays_when_the_next_fails(tmp_path):
    kept = Measurements(tmp_path, {})
    kept.get("first", lambda: 1)
    with pytest.raises(ZeroDivisionError):
        kept.get("second", lambda: 1 / 0)
    assert Measurements(tmp_path, {}).get("first", lambda: 2) == 1


def test_measurements_of_other_inputs_are_not_mixed(tmp_path):
    Measurements(tmp_path, {"photos": ["a"], "painting": "p"}).get("x", lambda: 1)
    with pytest.raises(ResumeError, match="holds measurements with other photos: choose another"):
        Measurements(tmp_path, {"photos": ["b"], "painting": "p"})
    (tmp_path / "measurements.json").write_text("[]")
    with pytest.raises(ResumeError, match="cannot be read: remove it, or choose another -o"):
        Measurements(tmp_path, {})


def test_a_curve_crosses_where_it_is_first_as_low():
    assert crossing([5.0, 3.0, 2.0, 1.0], 2.5) == 3
    assert crossing([5.0, 3.0], 3.0) == 2
    assert crossing([5.0, 3.0], 1.0) is None


def test_the_median_lies_between_the_two_in_the_middle():
    assert median_and_range([40, 20], 100) == "30 (20 to 40)"
    assert median_and_range([7, 1, 4], 100) == "4 (1 to 7)"
    assert median_and_range([12], 100) == "12"


def test_what_was_not_reached_is_above_all_iterations():
    assert median_and_range([None], 100) == median_and_range([None, None], 100) == ">100"
    assert median_and_range([50, None], 100) == ">75 (50 to >100)"
    assert median_and_range([None, 5, 8], 100) == "8 (5 to >100)"


def test_photos_are_spread_evenly():
    assert spread(list("abcdefg"), 3) == ["a", "d", "g"]
    assert spread(list("ab"), 5) == ["a", "b"]
    assert spread(list("abc"), 1) == ["a"]
