import datetime
import tempfile
import time
from pathlib import Path
from random import Random

import hypothesis
import pytest

from fuzz import commands, models, mutation, pictures, runner

CASES = {"pictures": 250, "models": 250, "archives": 150}


@pytest.mark.parametrize("target", CASES)
def test_damaged_files_are_read_or_refused(target):
    report = runner.run_cases(target, seed=0, numbers=range(CASES[target]))
    assert not report.failures, "\n".join(map(report.describe, report.failures))
    assert len(report.results) == CASES[target]
    # Neither would say much: damage that changes nothing, damage that any reader notices.
    assert report.count("accepted") > CASES[target] // 20
    assert report.count("refused") > CASES[target] // 4


@hypothesis.settings(
    max_examples=120,
    derandomize=True,
    database=None,
    deadline=datetime.timedelta(seconds=runner.HANG_S),
)
@hypothesis.given(case=commands.command_lines(training=False))
def test_command_lines_do_their_work_or_say_in_one_line_why_not(case):
    with tempfile.TemporaryDirectory() as folder:
        try:
            commands.check(case, Path(folder))
        except commands.RefusedError as refusal:
            assert "\n" not in str(refusal)


@pytest.mark.parametrize("target", runner.TARGETS)
def test_a_case_follows_from_its_number(target):
    assert runner.make_case(target, 3, 5) == runner.make_case(target, 3, 5)
    assert runner.make_case(target, 3, 5) != runner.make_case(target, 3, 6)


def test_seeds_are_intact(tmp_path):
    for seed in pictures.seeds():
        pictures.check(pictures.PictureCase("intact", seed.data, ".png"), tmp_path)
    models.check(models.ModelCase("intact", models.intact()), tmp_path)


def test_mutations_change_what_they_are_given():
    changed = [mutation.mutate(Random(n), b"intact" * 50, b"other")[1] for n in range(50)]
    assert len(set(changed) - {b"intact" * 50}) > 40


class Odd:
    """A target whose cases fail in every way that is told apart."""

    MAY_PRINT = False

    @staticmethod
    def check(case, folder):
        if case == "prints":
            import os

            os.write(2, b"libtiff: Bad value")
        elif case == "leaves":
            (folder / ".impasto-1.png").touch()
        elif case == "slow":
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
        elif case == "raises":
            raise KeyError("width")
        elif case == "two lines":
            from impasto.errors import ModelError

            raise ModelError("first\nsecond")


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("prints", "a library printed: 'libtiff: Bad value'"),
        ("leaves", "left behind"),
        ("slow", "of processor time"),
        ("raises", "KeyError: 'width'"),
        ("two lines", "not one short line"),
    ],
)
def test_failures_of_every_kind_are_told(case, told, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "LIMIT_S", 0.1)
    with runner.captured_stderr(tmp_path) as noise:
        result = runner.run_one(Odd, case, 0, noise)
    assert result.status == "failed"
    assert told in result.detail
