import csv
import json

import pytest

from impasto.errors import ResumeError
from impasto.reproduction.measurements import Measurements
from impasto.reproduction.objective import crossing, spread
from impasto.reproduction.report import Picture, Section, Table, save_section, write_report

SECTION = Section(
    "speed",
    "Speed <fast>",
    ["One paragraph."],
    [Table("Seconds & more", ["", "a|b"], [["256 px", "1.5"], ["512 px", "<2"]])],
    [Picture("speed.png", "A plot")],
)


def test_sections_become_one_report(tmp_path):
    save_section(tmp_path, Section("figures", "Figures"))
    save_section(tmp_path, SECTION)
    files = write_report(tmp_path, machine="a machine", notes=["A note."])
    assert [file.name for file in files] == ["report.md", "report.html"]
    markdown, page = (file.read_text(encoding="utf-8") for file in files)
    assert markdown.index("## Speed") < markdown.index("## Figures")
    assert "| 256 px | 1.5 |" in markdown
    assert "a\\|b" in markdown
    assert "![A plot](speed/speed.png)" in markdown
    for text in (markdown, page):
        assert "a machine" in text
        assert "A note." in text
    assert "Speed &lt;fast&gt;" in page
    assert '<img src="speed/speed.png" alt="A plot">' in page
    assert "<td>&lt;2</td>" in page
    assert "<fast>" not in page
    rows = list(csv.reader((tmp_path / "speed" / "table1.csv").open(encoding="utf-8")))
    assert rows == [["", "a|b"], ["256 px", "1.5"], ["512 px", "<2"]]


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


def test_photos_are_spread_evenly():
    assert spread(list("abcdefg"), 3) == ["a", "d", "g"]
    assert spread(list("ab"), 5) == ["a", "b"]
    assert spread(list("abc"), 1) == ["a"]
