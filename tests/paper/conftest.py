import pytest
import torch

from impasto.paper import ObjectiveValues


class Bowl:
    """An objective with a known minimum: ``sum(curvature * (image - centre)^2) / 2``."""

    def __init__(self, centre, curvature=1.0):
        self.centre = centre
        self.curvature = torch.as_tensor(curvature)
        self.seen = []

    def gradient(self, image):
        self.seen.append(image.clone())
        away = image - self.centre
        total = (self.curvature * away.square()).sum().item() / 2
        return ObjectiveValues(total, total, 0.0, 0.0), self.curvature * away


@pytest.fixture
def bowl():
    """A bowl of 3x4x5 pixels, a hundred times as steep in some directions as in others."""
    generator = torch.Generator().manual_seed(1)
    centre = 0.3 + 0.4 * torch.rand(1, 3, 4, 5, generator=generator)
    return Bowl(centre, 10 ** (2 * torch.rand(1, 3, 4, 5, generator=generator)))


@pytest.fixture
def make_bowl():
    return Bowl


@pytest.fixture(scope="session")
def vgg():
    from impasto.losses import LossNetwork

    return LossNetwork()


@pytest.fixture(scope="session")
def pictures():
    """A photo and a painting, ``(1, 3, H, W)``: smooth waves, and stripes."""
    rows, columns = torch.meshgrid(torch.arange(32) / 32, torch.arange(40) / 40, indexing="ij")
    photo = torch.stack([torch.sin(4 * rows + c) + torch.cos(5 * columns - c) for c in range(3)])
    stripes = (torch.arange(36)[:, None] + torch.arange(48)[None]) // 5 % 3
    colours = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.2, 0.8], [0.9, 0.9, 0.4]])
    return ((photo + 2) / 4)[None], colours[stripes].permute(2, 0, 1)[None].contiguous()
