import errno
import json

import pytest
import torch
from pytorch_optimizer import SOAP
from safetensors import SafetensorError
from torch import nn

from impasto.errors import OutputError, ResumeError
from impasto.training import checkpoints
from impasto.training.checkpoints import (
    has_checkpoint,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
    split_state,
)


def save(folder, step):
    tensors = {
        "network": {"weight": torch.full((2, 3), float(step)), "count": torch.tensor(step)},
        "random": {"torch": torch.get_rng_state()},
    }
    return save_checkpoint(folder, step, tensors, {"step": step, "name": "wäve"})


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_a_checkpoint_comes_back(tmp_path):
    assert not has_checkpoint(tmp_path)
    path = save(tmp_path, 3)
    assert has_checkpoint(tmp_path)
    assert path == tmp_path / "checkpoints" / "step-00000003"
    tensors, values = load_checkpoint(tmp_path)
    assert values == {"step": 3, "name": "wäve"}
    assert torch.equal(tensors["network"]["weight"], torch.full((2, 3), 3.0))
    assert tensors["network"]["count"].dtype == torch.int64
    assert torch.equal(tensors["random"]["torch"], torch.get_rng_state())


def test_the_newest_two_are_kept_and_the_newest_is_loaded(tmp_path):
    for step in (9, 10, 100, 101):
        save(tmp_path, step)
    assert names(tmp_path) == ["step-00000100", "step-00000101"]
    assert load_checkpoint(tmp_path)[1]["step"] == 101


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    save(tmp_path, 5)
    save_checkpoint(tmp_path, 5, {"network": {}}, {"step": 5, "name": "new"})
    assert load_checkpoint(tmp_path)[1]["name"] == "new"
    assert names(tmp_path) == ["step-00000005"]


def test_tensors_in_any_memory_layout_are_saved(tmp_path):
    weight = torch.rand(4, 3, 5, 5)
    given = weight.to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path, 1, {"network": {"weight": given}}, {})
    assert torch.equal(load_checkpoint(tmp_path)[0]["network"]["weight"], weight)


def test_what_a_killed_run_left_unfinished_is_ignored(tmp_path):
    save(tmp_path, 1)
    unfinished = tmp_path / "checkpoints" / ".step-00000002.partial"
    unfinished.mkdir()
    (unfinished / "network.safetensors").write_bytes(b"half")
    assert load_checkpoint(tmp_path)[1]["step"] == 1
    save(tmp_path, 2)
    assert load_checkpoint(tmp_path)[1]["step"] == 2
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_what_a_killed_run_left_unfinished_goes_with_the_next_checkpoint(tmp_path):
    save(tmp_path, 1)
    unfinished = tmp_path / "checkpoints" / ".step-00000002.partial"
    unfinished.mkdir()
    (unfinished / "network.safetensors").write_bytes(b"half")
    save(tmp_path, 3)
    assert sorted(path.name for path in unfinished.parent.iterdir()) == [
        "step-00000001",
        "step-00000003",
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_leaves_the_older_checkpoint(tmp_path, monkeypatch, error):
    save(tmp_path, 1)
    real = checkpoints.save_file

    def full(tensors, path):
        if path.stem == "random":
            path.write_bytes(b"the beginning")
            raise error
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        save(tmp_path, 2)
    assert "step-00000002" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["step-00000001"]
    assert load_checkpoint(tmp_path)[1]["step"] == 1


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "checkpoints").write_text("a file in the way")
    with pytest.raises(OutputError):
        save(tmp_path, 1)


def test_no_checkpoint_is_a_resume_error(tmp_path):
    with pytest.raises(ResumeError, match="holds no checkpoint"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["state.json", "network.safetensors"])
def test_a_damaged_checkpoint_is_a_resume_error(tmp_path, file):
    path = save(tmp_path, 1)
    (path / file).write_bytes(b"{ damaged")
    with pytest.raises(ResumeError, match=r"cannot be read .*: start a new run") as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)
    newest = save(tmp_path, 2)
    (newest / file).write_bytes(b"{ damaged")
    with pytest.raises(ResumeError, match=r"step-00000002 .*: remove it to go on from the one"):
        load_checkpoint(tmp_path)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.01)


def soap(parameters):
    return SOAP(parameters, lr=0.01, precondition_frequency=2, max_precondition_dim=3)


def trained(optimizer, steps, optimizer_state=None, weights=None):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))
    if weights:
        network.load_state_dict(weights)
    optimizer = optimizer(network.parameters())
    if optimizer_state:
        restore_optimizer(optimizer, *optimizer_state)
    images = torch.rand(2, 3, 8, 8)
    for _ in range(steps):
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("make", [adam, soap])
def test_an_optimizer_continues_bit_for_bit(tmp_path, make):
    straight, unbroken = trained(make, 7)
    network, optimizer = trained(make, 3)
    state, values = split_state(optimizer)
    save_checkpoint(
        tmp_path, 3, {"network": network.state_dict(), "optimizer": state}, {"optimizer": values}
    )
    loaded, values = load_checkpoint(tmp_path)
    resumed, restored = trained(
        make, 4, (loaded["optimizer"], values["optimizer"]), loaded["network"]
    )
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert split_state(restored)[1] == split_state(unbroken)[1]
    fresh, _ = trained(make, 4, None, loaded["network"])
    assert not torch.equal(fresh[0].weight, straight[0].weight)


def test_an_optimizer_of_other_parameters_is_refused():
    _, optimizer = trained(adam, 1)
    other = adam(nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 3)).parameters())
    with pytest.raises(ValueError, match="belong to other parameters"):
        restore_optimizer(other, *split_state(optimizer))


def test_checkpoints_hold_no_code(tmp_path):
    path = save(tmp_path, 1)
    assert {file.suffix for file in path.iterdir()} == {".json", ".safetensors"}
    assert json.loads((path / "state.json").read_text(encoding="utf-8"))["step"] == 1
