"""A new network takes a spec, the network that it builds, and a line in the registry."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import tiny_runs
import torch
from torch import nn
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.export import load_weights
from impasto.networks import NETWORKS, Network, StyleSpec
from impasto.networks.blocks import NearestConv, StyleParameters, conditional_instance_norm
from impasto.networks.specs import ARCHITECTURES
from impasto.runtime.model_file import read_model_file
from impasto.runtime.stylizer import StyleModel
from impasto.training import train

pytestmark = pytest.mark.usefixtures("small_previews")


@dataclass(frozen=True, kw_only=True)
class TintSpec(StyleSpec):
    architecture: ClassVar[str] = "tint"
    holds_many: ClassVar[bool] = True

    width: int = 4
    parameter_sets: int = 1

    @property
    def min_size_px(self):
        return 6

    def build(self):
        return TintNetwork(self)


class TintNetwork(Network):
    def __init__(self, spec):
        super().__init__(spec)
        self.first = nn.Conv2d(3, spec.width, 2, 2, bias=False)
        self.last = NearestConv(spec.width, 3, bias=True)
        self.style_parameters = StyleParameters(spec.parameter_sets, [spec.width])

    def forward(self, images, style_weights):
        ((scale, shift),) = self.style_parameters(style_weights)
        height, width = images.shape[-2:]
        even = F.pad(images, (0, width % 2, 0, height % 2), mode="reflect")
        features = F.relu(conditional_instance_norm(self.first(even), scale, shift))
        return torch.sigmoid(self.last(features))[:, :, :height, :width]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tint", TintSpec())
    monkeypatch.setitem(ARCHITECTURES, "tint", TintSpec)


def test_it_learns_many_styles_and_is_added_to(tiny_config, pictures, tmp_path):
    dunes, sky = (tiny_runs.write_painting(tmp_path / f"{name}.png") for name in ("dunes", "sky"))
    paintings = [pictures / "wave.png", dunes]
    chosen = {"network": "tint", "width": 5, "identity": True}
    config = tiny_config(tmp_path / "two", paintings=paintings, steps=3, **chosen)
    assert config.network == TintSpec(width=5, parameter_sets=3)
    assert config.shares == (1.0,)  # there is nothing to refine
    model = train(config)
    assert load_weights(model.with_suffix(".safetensors")).spec == config.network
    metadata = read_model_file(model)[1]
    assert metadata.network == {"architecture": "tint", "width": 5, "parameter_sets": 3}
    assert (metadata.working_px, metadata.halo_px) == (None, None)

    settings = {k: v for k, v in tiny_runs.SETTINGS.items() if k != "style_size_px"}
    more = tiny_config(
        tmp_path / "three", paintings=[sky], network=None, add_to=model, steps=1, **settings
    )
    photo = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    before, after = StyleModel(model, threads=1), StyleModel(train(more), threads=1)
    assert [style.name for style in after.metadata.styles] == ["sky", "wave", "dunes"]
    for name in ("wave", "dunes"):
        results = [m.with_blend({name: 1.0}).paint(photo) for m in (before, after)]
        np.testing.assert_array_equal(*results)


def test_what_it_does_not_have_is_refused(tiny_config, tmp_path):
    with pytest.raises(UsageError, match="--norm does not belong to this network: leave it out"):
        tiny_config(tmp_path, network="tint", norm="batch")
