"""Several paintings, painting sizes and the identity in one fast network."""

import collections
import json
import signal

import numpy as np
import pytest
import tiny_runs
import torch

from impasto.data import PhotoCrops, open_photos
from impasto.errors import UsageError
from impasto.export import load_weights
from impasto.networks import FastSpec
from impasto.runtime.model_file import read_model_file
from impasto.training import make_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.style_task import StyleTask

pytestmark = pytest.mark.usefixtures("small_previews")

SMALL = FastSpec(width=8, half_width=4, residual_blocks=1)


@pytest.fixture(scope="module")
def many(pictures, tmp_path_factory):
    """Settings of a tiny run of two paintings at two sizes, with identity, growing crops."""
    folder = tmp_path_factory.mktemp("many")
    other = tiny_runs.write_painting(folder / "dunes.png", height=300, width=260)
    settings = tiny_runs.SETTINGS | {
        "style_size_px": (32, 64),
        "crop_px": (32, 40),
        "crop_shares": (0.75, 0.25),
        "batch_size": 2,
        "network": SMALL,
        "identity": True,
    }

    def make(output, **changed):
        return make_config(
            pictures / "wave.png",
            other,
            photos=pictures / "photos",
            validation_photos=pictures / "photos",
            output=output,
            **(settings | changed),
        )

    return make


@pytest.fixture(scope="module")
def trained(many, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "run"
    shapes = []
    terms = StyleTask.terms

    def seen(task, output, images, sets):
        shapes.append((tuple(images.shape), tuple(sets.tolist())))
        return terms(task, output, images, sets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        patch.setattr(StyleTask, "terms", seen)
        model = train(many(folder, steps=20))
    return model, [shape for shape in shapes if shape[0][0] == 2]


def test_the_network_gets_a_set_per_painting_and_size_and_the_identity(many, tmp_path):
    config = many(tmp_path)
    assert config.parameter_sets == config.network.parameter_sets == 5
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_model_names_its_styles(trained):
    metadata = read_model_file(trained[0])[1]
    assert [style.name for style in metadata.styles] == ["wave", "dunes"]
    assert len({style.style_image_sha256 for style in metadata.styles}) == 2
    assert metadata.stroke_sizes == (1.0, 2.0)
    assert metadata.strength == "identity"
    assert metadata.parameter_sets == 5


def test_every_set_is_learned(trained):
    table = load_weights(trained[0].with_suffix(".safetensors")).style_parameters.table
    for number in range(5):
        others = [table[i] for i in range(5) if i != number]
        assert min((table[number] - other).abs().max() for other in others) > 1e-4


def test_crops_grow_as_planned(trained):
    _, batches = trained
    training = [shape[2] for shape, _ in batches[-20:]]
    assert training == [32] * 15 + [40] * 5


def test_batches_mix_sets_evenly(trained):
    _, batches = trained
    counts = collections.Counter(number for _, sets in batches[-20:] for number in sets)
    assert counts == dict.fromkeys(range(5), 8)
    assert len({sets for _, sets in batches[-20:]}) > 5


@pytest.mark.usefixtures("no_export")
def test_a_stopped_run_goes_on_to_the_same_weights(many, trained, tmp_path):
    def stop(report):
        if report.step == 13:
            signal.raise_signal(signal.SIGINT)

    config = many(tmp_path / "run", steps=20)
    train(config, on_step=stop)
    assert load_checkpoint(config.run_folder)[1]["step"] == 14
    train(config, resume=True)
    one, other = (
        load_checkpoint(folder)[0]["network"] for folder in (trained[0].parent, config.run_folder)
    )
    for name, value in one.items():
        assert torch.equal(value, other[name])


@pytest.fixture
def task_and_images(many, tmp_path):
    """The styles' losses, and two photos."""
    config = many(tmp_path / "run")
    photos = open_photos(config.photos)
    crops = PhotoCrops(photos, 32, max_zoom=1.0, seed=0)
    task = StyleTask(config, photos, photos, torch.device("cpu"))
    return task, torch.stack([crops[i][0] for i in range(2)])


def test_the_identity_is_drawn_to_the_photo(task_and_images):
    task, images = task_and_images
    sets = torch.tensor([4, 0])
    terms = task.terms(images, images, sets)
    assert terms["identity"] == 0
    assert terms["content"] == pytest.approx(0, abs=1e-6)
    moved = images + 0.1
    # Half of the batch is identity: 1e-3 * (25.5 levels)^2 / 2.
    assert task.terms(moved, images, sets)["identity"].item() == pytest.approx(0.325, rel=1e-3)
    assert task.terms(moved, images, torch.tensor([0, 1]))["identity"] == 0
    # The identity has no style: alone, its style term is nothing.
    assert task.terms(images, images, torch.tensor([4, 4]))["style"] == 0
    assert task.terms(images, images, torch.tensor([0, 0]))["style"] > 0


def test_each_picture_is_weighed_by_its_style(task_and_images):
    task, images = task_and_images
    alone = [
        task.terms(images[i : i + 1], images[i : i + 1], torch.tensor([i + 1]))["style"]
        for i in range(2)
    ]
    together = task.terms(images, images, torch.tensor([1, 2]))["style"]
    torch.testing.assert_close(together, torch.stack(alone).mean())
    assert not np.isclose(alone[0].item(), alone[1].item())


def test_each_painting_has_its_style_scale(many, task_and_images, tmp_path):
    plain, images = task_and_images
    photos = open_photos(plain.config.photos)
    scaled = StyleTask(many(tmp_path, style_scale=(3.0, 6.0)), photos, photos, torch.device("cpu"))
    for number, factor in enumerate([1, 1, 2, 2]):  # two sizes of each painting
        sets = torch.tensor([number, number])
        before, after = (task.terms(images, images, sets)["style"] for task in (plain, scaled))
        torch.testing.assert_close(after, factor * before)
    with pytest.raises(UsageError, match="one number, or one for each of 2 paintings"):
        many(tmp_path, style_scale=(1.0, 2.0, 3.0))


def test_one_style_networks_refuse_more(pictures, many, tmp_path):
    with pytest.raises(UsageError, match="holds one style; --network fast holds many"):
        many(tmp_path, network="shipped", identity=False)
    with pytest.raises(UsageError, match="two paintings have one name"):
        make_config(pictures / "wave.png", tmp_path / "wave.jpg", network="fast")
