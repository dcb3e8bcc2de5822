import re

from impasto.cli.train import reporter
from impasto.training import StepReport


def report(step):
    """Where a run of ten steps stands."""
    return StepReport(step, 10, 60.0, 3725.0, 1.5, {"total": 2.0, "lattice": 0.0})


def test_on_a_terminal_a_bar_moves_and_notes_stay_above_it(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    monkeypatch.setenv("COLUMNS", "100")
    with reporter() as (on_step, on_note):
        on_note("curves: tensorboard --logdir 'my run'")
        on_step(report(3))
        on_step(report(10))
    out, err = capsys.readouterr()
    assert out == ""
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert "curves: tensorboard --logdir 'my run'\n" in shown
    assert "getting ready" in shown
    assert "step 10/10, 1.50 images/s, 1:02:05 left, total 2" in shown


def test_elsewhere_a_line_comes_every_half_minute_and_at_the_end(monkeypatch, capsys):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    now = 100.0
    monkeypatch.setattr("impasto.cli.console.time.monotonic", lambda: now)
    with reporter() as (on_step, _):
        for step in range(1, 11):
            now += 9.0
            on_step(report(step))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["step 4/10", "step 8/10", "step 10/10"]
