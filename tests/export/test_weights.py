import errno
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import impasto.export
from impasto.errors import ModelError, OutputError
from impasto.export import load_weights, save_weights
from impasto.networks import NetworkSpec

SPECS = [
    NetworkSpec(width=2, residual_blocks=1),
    NetworkSpec(width=3, norm="batch", padding="reflection_start", output="tanh_0_255"),
]


def test_public_names():
    assert set(impasto.export.__all__) == {"export_network", "load_weights", "save_weights"}
    for name in impasto.export.__all__:
        assert getattr(impasto.export, name) is not None


@pytest.mark.parametrize("spec", SPECS)
def test_a_network_is_rebuilt_from_its_weights(spec, tmp_path):
    torch.manual_seed(5)
    network = spec.build()
    network(torch.rand(2, 3, 48, 48))  # moves the running statistics of batch norm
    path = tmp_path / "wave.safetensors"
    digest = save_weights(network, path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["wave.safetensors"]

    twin = load_weights(path)
    assert twin.spec == spec
    assert not twin.training
    images = torch.rand(1, 3, 45, 50)
    with torch.no_grad():
        assert torch.equal(twin(images), network.eval()(images))


def test_the_same_weights_have_the_same_hash(tmp_path):
    network = SPECS[0].build()
    first = save_weights(network, tmp_path / "a.safetensors")
    assert save_weights(network, tmp_path / "b.safetensors") == first
    network.layers[-1].bias.data += 1
    assert save_weights(network, tmp_path / "c.safetensors") != first


def test_channels_last_networks_are_saved_the_same(tmp_path):
    network = SPECS[0].build()
    first = save_weights(network, tmp_path / "a.safetensors")
    other = network.to(memory_format=torch.channels_last)
    assert save_weights(other, tmp_path / "b.safetensors") == first


def test_the_spec_can_be_read_without_impasto(tmp_path):
    save_weights(SPECS[1].build(), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["network"]) == SPECS[1].to_dict()


def damaged_files(folder):
    network = SPECS[0].build()
    good = folder / "good.safetensors"
    save_weights(network, good)
    state = network.state_dict()
    spec = json.dumps(SPECS[0].to_dict())
    other = json.dumps(NetworkSpec(width=5).to_dict())
    save_file(state, folder / "no_spec.safetensors")
    save_file(state, folder / "other_spec.safetensors", metadata={"network": other})
    save_file(state, folder / "bad_spec.safetensors", metadata={"network": '{"width": 0}'})
    save_file(state, folder / "list_spec.safetensors", metadata={"network": "[1]"})
    save_file(state, folder / "no_json.safetensors", metadata={"network": "{"})
    del state["layers.0.0.weight"]
    save_file(state, folder / "incomplete.safetensors", metadata={"network": spec})
    (folder / "cut.safetensors").write_bytes(good.read_bytes()[:-100])
    (folder / "empty.safetensors").touch()
    (folder / "text.safetensors").write_text("no weights")
    good.unlink()
    return sorted(folder.iterdir())


def test_damaged_weights_are_refused_in_one_line(tmp_path):
    paths = damaged_files(tmp_path)
    assert len(paths) == 9
    for path in paths:
        with pytest.raises(ModelError, match="holds no plain weights") as caught:
            load_weights(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="weights not found"):
        load_weights(tmp_path / "nowhere.safetensors")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space left on the disk"):
        save_weights(SPECS[0].build(), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []
