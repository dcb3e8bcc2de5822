import json
import signal
from pathlib import Path

import pytest
import tiny_runs
import torch
from safetensors import safe_open

from impasto.errors import OutputError, ResumeError
from impasto.losses import STYLE_LAYERS
from impasto.paper import (
    balanced_objective,
    load_state,
    noise,
    optimize,
    save_state,
    style_grams,
)

SETTINGS = {"--method": "lbfgs", "STYLE": ["ab", "cd"], "--style-scale": 3.0}

# Optimises a bowl and dies without a chance to tidy up.
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Bowl
from impasto.paper import noise, optimize, save_state

def on_iteration(state):
    if state.iteration in (3, 9):
        save_state(state, Path(sys.argv[2]), {})
    if state.iteration == 11:
        os.kill(os.getpid(), signal.SIGKILL)

optimize(Bowl(0.3, 2.0), noise(4, 5), method=sys.argv[3], on_iteration=on_iteration)
"""


@pytest.fixture
def saved(bowl, tmp_path):
    """Saves the state of an optimisation after some iterations."""

    def save(iterations, method="lbfgs", objective=bowl, start=None):
        states = []
        start = noise(4, 5) if start is None else start
        optimize(objective, start, method=method, iterations=iterations, on_iteration=states.append)
        path = tmp_path / "run.state.safetensors"
        save_state(states[-1], path, SETTINGS)
        return path

    return save


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("done", [1, 2, 13])
def test_a_saved_run_goes_on_to_the_same_picture(saved, bowl, method, done):
    expected = optimize(bowl, noise(4, 5), method=method, iterations=25)
    state = load_state(saved(done, method), SETTINGS)
    assert (state.iteration, state.method) == (done, method)
    result = optimize(bowl, noise(4, 5, seed=7), iterations=25, state=state)
    assert result.curve == expected.curve
    assert torch.equal(result.image, expected.image)
    assert result.total == expected.total


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_with_the_loss_network_too(saved, vgg, pictures, method):
    photo, painting = pictures
    objective = balanced_objective(vgg, photo, [style_grams(vgg, painting, STYLE_LAYERS)])
    expected = optimize(objective, photo, method=method, iterations=8)
    state = load_state(saved(4, method, objective, photo), SETTINGS)
    result = optimize(objective, photo, iterations=8, state=state)
    assert result.curve == expected.curve
    assert torch.equal(result.image, expected.image)


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_a_killed_run_goes_on_to_the_same_picture(make_bowl, tmp_path, method):
    path = tmp_path / "run.state.safetensors"
    process = tiny_runs.start(KILLED, Path(__file__).parent, path, method)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, errors
    assert [file.name for file in tmp_path.glob("*")] == [path.name]
    state = load_state(path, {})
    assert state.iteration == 9
    bowl = make_bowl(0.3, 2.0)
    result = optimize(bowl, noise(4, 5), iterations=20, state=state)
    expected = optimize(bowl, noise(4, 5), method=method, iterations=20)
    assert result.curve == expected.curve
    assert torch.equal(result.image, expected.image)


def test_other_settings_are_named(saved):
    path = saved(2)
    other = {**SETTINGS, "--style-scale": 5.0}
    with pytest.raises(
        ResumeError, match=r"--style-scale is 5.0, and was 3.0 when .*run\.state.* was begun"
    ):
        load_state(path, other)
    with pytest.raises(ResumeError, match="--seed is 4, and was None"):
        load_state(path, {**SETTINGS, "--seed": 4})
    with pytest.raises(ResumeError, match="STYLE is None, and was"):
        load_state(path, {key: SETTINGS[key] for key in ("--method", "--style-scale")})


def test_what_is_no_state_is_told(saved, tmp_path):
    with pytest.raises(ResumeError, match=r"nothing to resume: .*none is missing"):
        load_state(tmp_path / "none", {})
    path = saved(3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ResumeError, match="holds no state of an optimisation, or a damaged one"):
        load_state(path, SETTINGS)
    path.write_bytes(whole.replace(b"curvatures", b"curvaturex"))
    with pytest.raises(ResumeError, match="damaged one"):
        load_state(path, SETTINGS)
    path.write_bytes(whole.replace(b'format_version\\": 1', b'format_version\\": 9'))
    with pytest.raises(ResumeError, match="newer impasto"):
        load_state(path, SETTINGS)


def test_a_state_holds_plain_tensors_and_json(saved):
    with safe_open(saved(5), framework="pt") as file:
        stated = json.loads(file.metadata()["optimization"])
        names = set(file.keys())
    assert stated["settings"] == SETTINGS
    assert len(stated["curve"]) == 5
    assert {"image", "best", "solver.step.0", "solver.change.0", "solver.gradient"} <= names


def test_a_state_that_cannot_be_written_is_told(bowl, tmp_path):
    states = []
    optimize(bowl, noise(4, 5), iterations=1, on_iteration=states.append)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        save_state(states[0], tmp_path / "file" / "x.safetensors", {})
