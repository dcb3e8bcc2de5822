import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from impasto.errors import DataError, UsageError
from impasto.losses import LAYERS, LossNetwork
from impasto.losses.layers import CONVOLUTIONS
from impasto.losses.loss_network import TORCHVISION_INDEX, shipped_weights

UP_TO_RELU4_3 = LAYERS[:10]


def caffe_state(last="2_2"):
    """Random weights of the true shapes, named and scaled as in the Caffe release."""
    torch.manual_seed(1)
    state = {}
    for name, (in_channels, out_channels) in CONVOLUTIONS.items():
        spread = (2 / (9 * in_channels)) ** 0.5
        state[f"conv{name}.weight"] = torch.randn(out_channels, in_channels, 3, 3) * spread
        state[f"conv{name}.bias"] = torch.randn(out_channels)
        if name == last:
            break
    return state


def as_torchvision(state):
    """The same network for RGB, divided by 255 and normalised."""
    mean = torch.tensor([0.485, 0.456, 0.406]) * 255
    std = torch.tensor([0.229, 0.224, 0.225]) * 255
    caffe_mean = torch.tensor([123.68, 116.779, 103.939])
    result = {}
    for name, index in TORCHVISION_INDEX.items():
        if f"conv{name}.weight" not in state:
            break
        weight, bias = state[f"conv{name}.weight"], state[f"conv{name}.bias"]
        if name == "1_1":
            weight = weight.flip(1)
            shift = (weight.sum(dim=(2, 3)) * (mean - caffe_mean)).sum(dim=1)
            weight, bias = weight * std.view(1, 3, 1, 1), bias + shift
        result[f"features.{index}.weight"] = weight.contiguous()
        result[f"features.{index}.bias"] = bias
    return result


@pytest.fixture
def photo():
    """RGB gradients that differ per channel, (1, 3, 48, 64)."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    return torch.stack([4 * x, 5 * y, 2 * (x + y)])[None] / 255


def test_the_shipped_weights_are_half_precision_and_say_whose_they_are():
    state = load_file(shipped_weights())
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert set(state) == {
        f"conv{name.removeprefix('relu')}.{part}"
        for name in UP_TO_RELU4_3
        for part in ("weight", "bias")
    }
    assert shipped_weights().stat().st_size < 16e6
    notice = (Path(__file__).resolve().parents[2] / "NOTICE").read_text(encoding="utf-8")
    assert "Visual Geometry Group" in notice


def test_the_shipped_weights_reproduce_the_original_release(vgg, photo):
    # Mean and deviation of each map, computed from the float32 originals with BGR input.
    expected = {
        "relu1_1": (26.0826, 51.7273),
        "relu1_2": (128.672, 273.834),
        "relu2_2": (192.484, 393.717),
        "relu3_3": (203.497, 506.274),
        "relu4_3": (25.0919, 94.5570),
    }
    features = vgg(photo, expected)
    for layer, (mean, deviation) in expected.items():
        assert features[layer].mean().item() == pytest.approx(mean, rel=2e-3)
        assert features[layer].std().item() == pytest.approx(deviation, rel=2e-3)


def test_layers_have_the_shapes_of_vgg16(vgg, photo):
    assert vgg.layers == UP_TO_RELU4_3
    shapes = {layer: tuple(x.shape) for layer, x in vgg(photo, UP_TO_RELU4_3).items()}
    assert shapes["relu1_1"] == shapes["relu1_2"] == (1, 64, 48, 64)
    assert shapes["relu2_1"] == shapes["relu2_2"] == (1, 128, 24, 32)
    assert shapes["relu3_1"] == shapes["relu3_2"] == shapes["relu3_3"] == (1, 256, 12, 16)
    assert shapes["relu4_1"] == shapes["relu4_2"] == shapes["relu4_3"] == (1, 512, 6, 8)


def test_only_what_is_asked_for_is_computed(vgg, photo):
    called = []
    hooks = [
        conv.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, conv in vgg.convolutions.items()
    ]
    features = vgg(photo, ["relu2_1", "relu1_1"])
    for hook in hooks:
        hook.remove()
    assert called == ["1_1", "1_2", "2_1"]
    assert set(features) == {"relu1_1", "relu2_1"}
    assert all(x.min() == 0 for x in features.values())


def test_gradients_reach_the_picture_and_no_weight(vgg, photo):
    photo.requires_grad_()
    vgg(photo, ["relu2_2"])["relu2_2"].sum().backward()
    assert photo.grad.abs().max() > 0
    assert all(not p.requires_grad and p.grad is None for p in vgg.parameters())
    assert not vgg.training


def test_an_unknown_layer_is_refused_with_those_there_are(vgg, photo):
    with pytest.raises(UsageError) as caught:
        vgg(photo, ["relu2_2", "relu5_1"])
    assert "no layer 'relu5_1'" in str(caught.value)
    assert ", ".join(UP_TO_RELU4_3) in str(caught.value)


def test_both_layouts_give_the_same_features(tmp_path, photo):
    state = caffe_state()
    save_file(state, tmp_path / "caffe.safetensors")
    torch.save(as_torchvision(state), tmp_path / "torchvision.pth")
    save_file(as_torchvision(state), tmp_path / "torchvision.safetensors")
    torch.save(state, tmp_path / "caffe.pth")
    reference = LossNetwork(tmp_path / "caffe.safetensors")
    assert reference.layers == ("relu1_1", "relu1_2", "relu2_1", "relu2_2")
    expected = reference(photo, reference.layers)
    for name in ("torchvision.pth", "torchvision.safetensors", "caffe.pth"):
        network = LossNetwork(str(tmp_path / name))
        assert network.layers == reference.layers
        found = network(photo, network.layers)
        for layer, features in expected.items():
            # Zero padding stands for a slightly different colour in each layout.
            difference = (found[layer] - features)[:, :, 4:-4, 4:-4]
            assert difference.abs().max() < 1e-5 * features.max(), (name, layer)


def test_caffe_weights_see_blue_first(tmp_path):
    state = caffe_state("1_1")
    state["conv1_1.weight"].zero_()
    state["conv1_1.weight"][0, 0, 1, 1] = 1  # the first channel: blue
    state["conv1_1.bias"].zero_()
    save_file(state, tmp_path / "blue.safetensors")
    colour = torch.tensor([0.1, 0.2, 0.9]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    features = LossNetwork(tmp_path / "blue.safetensors")(colour, ["relu1_1"])["relu1_1"]
    assert torch.allclose(features[0, 0], torch.full((4, 4), 0.9 * 255 - 103.939))
    assert features[0, 1:].abs().max() == 0


def test_weights_may_reach_relu5_3(tmp_path):
    state = {name: value.half() for name, value in as_torchvision(caffe_state("5_3")).items()}
    state["classifier.0.weight"] = torch.zeros(2, 2)  # a complete VGG-16 has more
    torch.save(state, tmp_path / "vgg16.pth")
    network = LossNetwork(tmp_path / "vgg16.pth")
    assert network.layers == LAYERS
    features = network(torch.rand(1, 3, 32, 32), ["relu5_3", "relu4_3"])
    assert features["relu5_3"].shape == (1, 512, 2, 2)
    assert features["relu5_3"].dtype == torch.float32
    assert features["relu5_3"].max() > 0


class Malicious:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_pth_file_is_refused_and_not_run(tmp_path):
    path = tmp_path / "vgg16.pth"
    torch.save({"features.0.weight": Malicious(tmp_path / "ran")}, path)
    with pytest.raises(DataError) as caught:
        LossNetwork(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02K\x01.", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, suffix, content):
    path = tmp_path / f"vgg{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        LossNetwork(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path):
    for suffix, save in ((".safetensors", save_file), (".pth", torch.save)):
        path = tmp_path / f"vgg{suffix}"
        save(caffe_state("1_2"), path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(DataError):
            LossNetwork(path)


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(DataError, match=r"conv1_1\.weight .* features\.0\.weight"):
        LossNetwork(path)
    torch.save({"conv1_1.weight": torch.zeros(32, 3, 3, 3), "conv1_1.bias": torch.zeros(32)}, path)
    with pytest.raises(DataError, match=r"shape \(32, 3, 3, 3\): not VGG-16's"):
        LossNetwork(path)
    torch.save([torch.zeros(3)], path)
    with pytest.raises(DataError, match="no weights by name"):
        LossNetwork(path)
    torch.save({"conv1_1.weight": 3}, path)
    with pytest.raises(DataError, match="no weights by name"):
        LossNetwork(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"not found: .*nowhere\.pth"):
        LossNetwork(tmp_path / "nowhere.pth")
