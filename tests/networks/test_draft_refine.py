import dataclasses

import pytest
import torch
from tiny_models import SPECS
from torch.nn import functional as F

from impasto.errors import UsageError
from impasto.networks import spec_from_dict

TINY = SPECS["draft_refine"]


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = TINY.build().eval()
    for part in (made.draft, made.refine):
        torch.nn.init.normal_(part.style_parameters.table, 1.0, 0.5)
    torch.nn.init.normal_(made.refine.last.weight, 0.0, 0.1)
    return made


def test_a_draft_of_any_size_comes_back_in_the_range_of_pictures(network):
    smallest = TINY.min_size_px
    for height, width in [(smallest, smallest), (smallest + 1, 45), (40, smallest + 7)]:
        with torch.no_grad():
            draft = network(torch.rand(2, 3, height, width), torch.ones(3) / 3)
        assert draft.shape == (2, 3, height, width)
        assert -0.1 <= draft.min() <= draft.max() <= 1.1
    with pytest.raises((RuntimeError, ValueError)):
        network(torch.rand(1, 3, smallest // 2, smallest // 2), torch.ones(3) / 3)


def test_one_mixture_for_all_equals_one_for_each(network):
    photos, mixture = torch.rand(2, 3, 40, 32), torch.tensor([0.2, 0.5, 0.3])
    for part in (network.draft, lambda x, w: network.refine(x, x.flip(0), w)):
        together = part(photos, mixture)
        torch.testing.assert_close(part(photos, mixture.expand(2, 3)), together)
        assert (part(photos, mixture.flip(0)) - together).abs().max() > 1e-4


def test_a_batch_mixes_styles(network):
    photos = torch.rand(3, 3, 32, 40)
    for part in (network.draft, lambda x, w: network.refine(x, x.flip(3), w)):
        mixed = part(photos, torch.eye(3))
        for number in range(3):
            alone = part(photos[number : number + 1], torch.eye(3)[number])
            torch.testing.assert_close(mixed[number : number + 1], alone)


def test_a_style_learns_only_from_its_own_pictures(network):
    photos = torch.rand(2, 3, 40, 32)
    for part in (network.draft, lambda x, w: network.refine(x, x.flip(0), w)):
        part(photos, torch.eye(3)[[0, 2]]).square().sum().backward()
    for part in (network.draft, network.refine):
        gradient = part.style_parameters.table.grad
        assert gradient[1].abs().max() == 0
        assert (gradient[[0, 2]].abs().max(dim=1).values > 0).all()


def test_padding_at_the_end_mirrors(network):
    photo, weights = torch.rand(1, 3, 30, 35), torch.tensor([0.2, 0.5, 0.3])
    full = F.pad(photo, (0, 5, 0, 2), mode="reflect")
    drafts = [network.draft(photos, weights) for photos in (photo, full)]
    torch.testing.assert_close(drafts[0], drafts[1][:, :, :30, :35])


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_refining_takes_off_the_halo_and_sees_no_further(blocks):
    spec = dataclasses.replace(TINY, refine_blocks=blocks)
    refine = spec.build().refine
    halo, weights = spec.halo_px, torch.ones(3) / 3
    photos, drafts = torch.rand(2, 1, 3, 32 + 2 * halo, 48 + 2 * halo)
    with torch.no_grad():
        whole = refine(photos, drafts, weights)
        assert whole.shape == (1, 3, 32, 48)
        rows, columns = slice(8, 24 + 2 * halo), slice(20, 40 + 2 * halo)
        tile = refine(photos[..., rows, columns], drafts[..., rows, columns], weights)
    torch.testing.assert_close(tile, whole[..., 8:24, 20:40])


def test_a_fresh_network_leaves_the_draft_nearly_as_it_is(network):
    fresh, halo = TINY.build().refine, TINY.halo_px
    photos, drafts = torch.rand(2, 1, 3, 40, 40)
    change = fresh(photos, drafts, torch.ones(3) / 3) - drafts[..., halo:-halo, halo:-halo]
    assert 0 < change.abs().mean() < 0.2


def test_the_spec_survives_json():
    values = TINY.to_dict()
    assert values["architecture"] == "draft_refine"
    assert spec_from_dict(values) == TINY


@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 0), ("refine_width", 2.5), ("refine_blocks", 0), ("blocks", 0)],
)
def test_a_bad_value_is_named_with_what_is_allowed(name, value):
    with pytest.raises(UsageError, match=f"^{name} (is|are) .* allowed are whole numbers from 1"):
        spec_from_dict(TINY.to_dict() | {name: value})
