"""Painting by draft and refine: steps, tiles, strokes, and files whose parts disagree."""

import base64
import json

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from tiny_models import SPECS, WORKING_PX, exported
from torch.nn import functional as F

from impasto.dials import Painting
from impasto.errors import ModelError
from impasto.images.mapping import is_mapped, mapped
from impasto.images.resize import resized_to
from impasto.runtime import draft_refine
from impasto.runtime.draft_refine import (
    Taps,
    mirrored,
    step_sizes,
    tile_starts,
    working_size_px,
)
from impasto.runtime.metadata import METADATA_KEY, REFINE_KEY
from impasto.runtime.stylizer import StyleModel

HALO_PX = SPECS["draft_refine"].halo_px


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return exported(SPECS["draft_refine"], tmp_path_factory.mktemp("model") / "two.onnx")


@pytest.fixture(scope="module")
def model(path):
    return StyleModel(path, threads=1)


def picture(height, width):
    """A picture that is dark above and bright below, with edges and noise."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, height)[:, None, None] + np.zeros((1, width, 3))
    ramp[height // 4 : height // 2, width // 3 : width // 2] = (230, 20, 120)
    return (ramp + rng.integers(0, 25, ramp.shape)).astype(np.uint8)


def whole_step(model, photo, before, weights):
    """One step in one piece, by PyTorch's enlarging and NumPy's mirroring."""
    height, width = photo.shape[:2]
    small = torch.from_numpy(before.astype(np.float32) / 255).permute(2, 0, 1)[None]
    draft = F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    margins = [(HALO_PX, HALO_PX + height % 2), (HALO_PX, HALO_PX + width % 2), (0, 0)]
    inputs = [
        np.ascontiguousarray(np.pad(x, margins, mode="reflect").transpose(2, 0, 1)[None])
        for x in (photo.astype(np.float32) / np.float32(255), draft[0].permute(1, 2, 0).numpy())
    ]
    result = model._painter._refine.run(*inputs, style_weights=weights)[0]
    return np.rint(255 * result[:, :height, :width].transpose(1, 2, 0).clip(0, 1))


@pytest.mark.parametrize(
    ("height", "width"), [(200, 256), (241, 150), (129, 7), (1, 250), (255, 2)]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_are_exactly_the_whole(path, monkeypatch, height, width, threads):
    monkeypatch.setattr(draft_refine, "_TILE_PX", 64)
    model = StyleModel(path, threads=threads)
    photo, weights = picture(height, width), np.array([0.6, 0.1, 0.3], np.float32)
    shorter = max(1, round(min(height, width) * WORKING_PX / max(height, width)))
    size = (WORKING_PX, shorter) if height >= width else (shorter, WORKING_PX)
    small = resized_to(photo, *size)
    before = model._painter._draft(small, weights)
    found = model._painter.paint(photo, weights, Painting(), lambda _share: None)
    difference = np.abs(found - whole_step(model, photo, before, weights))
    assert difference.max() <= 1
    assert difference.mean() < 0.01
    assert np.abs(found.astype(int) - photo).mean() > 5


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2000), (30, 3000), (2, 129), (17, 33), (128, 128), (257, 259), (333, 512)]
)
def test_any_size_comes_back(model, size):
    photo = picture(*size)
    painted = model.paint(photo)
    assert painted.shape == photo.shape
    assert painted.dtype == np.uint8


def test_a_picture_of_the_working_size_is_its_draft(model):
    photo = picture(WORKING_PX, 100)
    draft = model._painter._draft(photo, np.array([1, 0, 0], np.float32))
    np.testing.assert_array_equal(model.paint(photo), draft)
    assert np.any(model.paint(photo, stroke_size=1.1) != draft)


def seen(model, monkeypatch, stroke_size, photo):
    """The sizes of all that the draft network is given."""
    sizes = []
    run = model._session.run
    monkeypatch.setattr(
        model._session, "run", lambda x, **kw: (sizes.append(x.shape[2:]), run(x, **kw))[1]
    )
    model.paint(photo, stroke_size=stroke_size)
    monkeypatch.undo()
    return sizes


def test_strokes_are_as_large_as_the_draft_is_small(model, monkeypatch):
    photo = picture(200, 400)
    for stroke_size, longer in [(0.5, 256), (0.8, 160), (1, 128), (1.6, 80), (2, 64), (4, 64)]:
        assert seen(model, monkeypatch, stroke_size, photo) == [(longer // 2, longer)]


def test_a_stroke_size_that_is_too_large_is_said(model, path, tmp_path, run_cli, photo):
    assert model.note(2.0) is None
    line = "strokes of size 3 are too large for this model: they are painted at 2, on 64 px"
    assert model.note(3.0) == line
    out = tmp_path / "out.png"
    code, _, err = run_cli("stylize", photo, "-m", path, "--stroke-size", "3", "-o", out)
    assert (code, line in err) == (0, True)


@pytest.mark.parametrize("stroke_size", [0.5, 1, 2.3])
def test_strength_ends_at_the_photo_and_goes_one_way(model, stroke_size):
    photo = picture(150, 220)
    strengths = [0, 0.001, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 1]
    results = [model.paint(photo, strength=s, stroke_size=stroke_size) for s in strengths]
    np.testing.assert_array_equal(results[0], photo)
    distances = [np.abs(result.astype(int) - photo).mean() for result in results]
    assert distances[1] < 1
    assert distances[:6] == sorted(distances[:6])
    beyond = model.paint(photo, strength=1.5, stroke_size=stroke_size)
    assert np.abs(beyond.astype(int) - results[-1]).mean() > 1


def test_a_mapped_picture_is_painted_alike(model, tmp_path):
    photo, shares = picture(300, 201), []
    mask = np.full(photo.shape[:2], 200, np.uint8)
    dials = {"strength": 0.2, "keep_colors": True, "mask": mask}
    expected = model.paint(photo, **dials)
    room = mapped(photo.shape, tmp_path)
    room[:] = photo
    found = model.paint(room, progress=shares.append, **dials)
    assert is_mapped(found)
    np.testing.assert_array_equal(found, expected)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 5


def changed(path, tmp_path, change):
    """Writes the model with its metadata and refine network as `change` returns them."""
    model = onnx.load(path)
    entries = {prop.key: prop.value for prop in model.metadata_props}
    stated = json.loads(entries[METADATA_KEY])
    refine = onnx.load_from_string(base64.b64decode(entries[REFINE_KEY]))
    entries = change(stated, refine)
    helper.set_model_props(model, entries)
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    return other


def packed(refine):
    return base64.b64encode(refine.SerializeToString()).decode()


def without_refine(stated, refine):
    return {METADATA_KEY: json.dumps(stated)}


def no_base64(stated, refine):
    return {METADATA_KEY: json.dumps(stated), REFINE_KEY: "?" + packed(refine)}


def cut(stated, refine):
    text = base64.b64encode(refine.SerializeToString()[:-30]).decode()
    return {METADATA_KEY: json.dumps(stated), REFINE_KEY: text}


def other_halo(stated, refine):
    return {METADATA_KEY: json.dumps(stated | {"halo_px": HALO_PX + 2}), REFINE_KEY: packed(refine)}


def no_halo(stated, refine):
    return {METADATA_KEY: json.dumps(stated | {"halo_px": None}), REFINE_KEY: packed(refine)}


def other_input(stated, refine):
    for value in refine.graph.input:
        value.name = value.name.replace("draft", "sketch")
    for node in refine.graph.node:
        node.input[:] = [name.replace("draft", "sketch") for name in node.input]
    return {METADATA_KEY: json.dumps(stated), REFINE_KEY: packed(refine)}


def fewer_sets(stated, refine):
    value = next(v for v in refine.graph.input if v.name == "style_weights")
    value.type.tensor_type.shape.dim[0].dim_value = 2
    table = next(v for v in refine.graph.initializer if v.name.endswith("table"))
    values = onnx.numpy_helper.to_array(table)[:2]
    table.CopyFrom(onnx.numpy_helper.from_array(values.copy(), table.name))
    return {METADATA_KEY: json.dumps(stated), REFINE_KEY: packed(refine)}


def outside_data(stated, refine):
    refine.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    return {METADATA_KEY: json.dumps(stated), REFINE_KEY: packed(refine)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_refine, "states a working size and holds no refine network"),
        (no_base64, "the model's refine network is damaged"),
        (cut, "the model's refine network is damaged"),
        (other_halo, f"does not have the halo of {HALO_PX + 2} px that the file states"),
        (no_halo, "halo_px must be a whole number"),
        (other_input, "not photo and draft to output"),
        (fewer_sets, "the draft network mixes 3 parameter sets, the refine network 2"),
        (outside_data, "keeps tensors in other files"),
    ],
)
def test_parts_that_disagree_are_told_in_a_line(path, tmp_path, change, message):
    other = changed(path, tmp_path, change)
    with pytest.raises(ModelError, match=message) as caught:
        StyleModel(other, threads=1)
    assert str(caught.value).startswith(str(other))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stroke_size", "expected"), [(0.5, 1024), (1, 512), (1.3, 394), (2, 256), (4, 128)]
)
def test_the_working_size_by_hand(stroke_size, expected):
    assert working_size_px(512, stroke_size) == expected


def test_the_working_size_has_a_least_one():
    assert working_size_px(200, 4) == 64
    assert working_size_px(200, 3) == 67


def test_larger_strokes_never_have_a_larger_draft():
    sizes = [working_size_px(512, f) for f in np.linspace(0.5, 4, 200)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1024
    assert sizes[-1] == 128


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (300, 512, [(300, 512)]),
        (1, 1, [(1, 1)]),
        (512, 513, [(511, 512), (512, 513)]),
        (768, 1024, [(384, 512), (768, 1024)]),
        (1025, 700, [(512, 350), (724, 495), (1025, 700)]),
        (4096, 2048, [(512, 256), (1024, 512), (2048, 1024), (4096, 2048)]),
        (1, 2000, [(1, 512), (1, 1012), (1, 2000)]),
        (3000, 30, [(512, 5), (923, 9), (1664, 17), (3000, 30)]),
    ],
)
def test_steps_by_hand(height, width, expected):
    assert step_sizes(height, width, 512) == expected


def test_steps_are_equal_and_at_most_2():
    for longer in range(513, 20_000, 97):
        sides = [size[0] for size in step_sizes(longer, longer, 512)]
        ratios = np.array(sides[1:]) / sides[:-1]
        assert sides[0] == 512
        assert sides[-1] == longer
        assert ratios.max() <= 2.003  # of whole pixels
        assert ratios.max() / ratios.min() < 1.01


@pytest.mark.parametrize(
    ("size", "tile_px", "expected"),
    [
        (1, 8, ([0], 2)),
        (8, 8, ([0], 8)),
        (9, 8, ([0, 4], 6)),
        (16, 8, ([0, 8], 8)),
        (21, 8, ([0, 8, 14], 8)),
    ],
)
def test_tiles_by_hand(size, tile_px, expected):
    assert tile_starts(size, tile_px) == expected


def test_tiles_cover_a_side_and_start_at_even_pixels():
    for size in range(1, 200):
        starts, length = tile_starts(size, 12)
        covered = {pixel for start in starts for pixel in range(start, start + length)}
        assert covered == set(range(size + size % 2))
        assert all(number % 2 == 0 for number in (*starts, length))
        assert length <= 12


def test_borders_are_mirrored_as_often_as_needed():
    assert mirrored(-3, 6, 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1]
    assert mirrored(-5, 4, 2).tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert mirrored(-2, 3, 1).tolist() == [0] * 5
    for size in (2, 3, 7):
        row = np.pad(np.arange(size), 20, mode="reflect")
        np.testing.assert_array_equal(mirrored(-20, size + 20, size), row)


@pytest.mark.parametrize(("small", "large"), [(5, 10), (7, 12), (1, 2), (3, 3), (50, 77), (2, 9)])
def test_taps_are_those_of_pytorch(small, large):
    row = torch.rand(1, 1, small)
    expected = F.interpolate(row, size=large, mode="linear", align_corners=False)[0, 0]
    taps, values = Taps.of(np.arange(large), large, small), row[0, 0].numpy()
    first, second = values[taps.span][taps.first], values[taps.span][taps.second]
    np.testing.assert_allclose(first + taps.share * (second - first), expected, atol=1e-5)
    part = Taps.of(np.arange(large // 2, large), large, small)
    assert part.first.min() == 0
    np.testing.assert_array_equal(values[part.span][part.second], second[large // 2 :])
