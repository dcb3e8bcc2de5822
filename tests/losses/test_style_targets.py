import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import DataError, UsageError
from impasto.losses import StyleTarget, gram_matrix, load_style_targets, save_style_targets


def grams(size):
    """Gram matrices whose entries span what VGG-16's features give."""
    torch.manual_seed(size)
    return {
        "relu1_2": gram_matrix(torch.rand(1, 6, 5, 5) * 300),
        "relu4_3": gram_matrix(torch.rand(1, 9, 3, 3) * 90_000),
    }


@pytest.fixture
def targets():
    return {
        "wave": StyleTarget("5a" * 32, {384: grams(384), 768: grams(768)}),
        "dunes": StyleTarget("6b" * 32, {384: grams(1)}),
    }


@pytest.fixture
def file(targets, tmp_path):
    path = tmp_path / "two.targets.safetensors"
    save_style_targets(targets, path)
    return path


def test_what_is_saved_comes_back(file, targets):
    found = load_style_targets(file)
    assert list(found) == ["wave", "dunes"]
    for name, target in targets.items():
        assert found[name].sha256 == target.sha256
        assert list(found[name].grams) == list(target.grams)
        for size, by_layer in target.grams.items():
            assert list(found[name].at(size)) == list(by_layer)
            for layer, gram in by_layer.items():
                rebuilt = found[name].at(size)[layer]
                assert torch.equal(rebuilt, rebuilt.mT)
                # Half precision: 11 bits of every entry.
                torch.testing.assert_close(rebuilt, gram, rtol=2**-11, atol=0)


def test_the_file_is_half_the_triangle(file):
    entries = 3 * (6 * 7 // 2 + 9 * 10 // 2)
    header = int.from_bytes(file.read_bytes()[:8], "little")
    assert file.stat().st_size == 8 + header + 2 * entries + 4 * 6


def test_a_picture_of_one_black_stays_finite(tmp_path):
    path = tmp_path / "black.targets.safetensors"
    save_style_targets({"black": StyleTarget("", {64: {"relu1_2": torch.zeros(1, 3, 3)}})}, path)
    assert torch.equal(load_style_targets(path)["black"].at(64)["relu1_2"], torch.zeros(1, 3, 3))


def test_a_size_that_is_not_there(targets):
    with pytest.raises(UsageError, match="is 512; the style targets are there at 384,768"):
        targets["wave"].at(512)


def test_files_that_hold_none(file, tmp_path):
    with pytest.raises(DataError, match="style targets not found"):
        load_style_targets(tmp_path / "none.safetensors")
    damaged = shutil.copy(file, tmp_path / "damaged.safetensors")
    damaged.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="holds no style targets, or damaged ones"):
        load_style_targets(damaged)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, other)
    with pytest.raises(DataError, match="holds no style targets"):
        load_style_targets(other)
    stated = {"format_version": 1, "styles": {"a": ""}}
    triangle = {"a/64/relu1_2": torch.zeros(5).half(), "a/64/relu1_2/largest": torch.ones(1)}
    save_file(triangle, other, {"style_targets": json.dumps(stated)})
    with pytest.raises(DataError, match="damaged"):
        load_style_targets(other)
    save_file(triangle, other, {"style_targets": json.dumps(stated | {"format_version": 2})})
    with pytest.raises(DataError, match="made by a newer impasto"):
        load_style_targets(other)
