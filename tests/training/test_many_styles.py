"""Several paintings and the identity in one network that drafts and refines."""

import collections
import dataclasses
import itertools
import json
import math
import signal

import numpy as np
import pytest
import tiny_runs
import torch
from tiny_models import SPECS

from impasto.data import open_photos
from impasto.data.choices import RATIOS
from impasto.data.crops import RefineSample, collate
from impasto.errors import UsageError
from impasto.export import load_weights
from impasto.losses import STYLE_LAYERS, gram_matrix
from impasto.runtime.model_file import read_model_file
from impasto.training import make_config, train
from impasto.training.checkpoints import load_checkpoint
from impasto.training.style_task import StyleTask

pytestmark = pytest.mark.usefixtures("small_previews")


@pytest.fixture(scope="module")
def many(pictures, tmp_path_factory):
    """Settings of a tiny run of two paintings, with identity and growing crops."""
    folder = tmp_path_factory.mktemp("many")
    other = tiny_runs.write_painting(folder / "dunes.png", height=300, width=260)
    photos = tiny_runs.write_photos(folder / "photos", height=220, width=240)
    settings = tiny_runs.SETTINGS | {
        "crop_px": (32, 40),
        "crop_shares": (0.75, 0.25),
        "refine_share": 0.2,
        "batch_size": 2,
        "network": SPECS["draft_refine"],
        "identity": True,
    }

    def make(output, **changed):
        return make_config(
            pictures / "wave.png",
            other,
            photos=photos,
            validation_photos=photos,
            output=output,
            **(settings | changed),
        )

    return make


@pytest.fixture(scope="module")
def trained(many, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "run"
    steps = []
    step = StyleTask.step

    def seen(task, network, batch, first):
        refines = not isinstance(batch, torch.Tensor)
        side = batch[2].shape[-1] if refines else batch.shape[-1]
        sets = task.sets_of(range(first, first + 2))
        steps.append((refines, side, () if refines else tuple(sets.tolist())))
        return step(task, network, batch, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        patch.setattr("impasto.training.style_task.REFERENCE_CROPS", 2)
        patch.setattr(StyleTask, "step", seen)
        model = train(many(folder, steps=20))
    return model, steps[-20:]


def test_the_network_gets_a_set_per_painting_and_the_identity(many, tmp_path):
    config = many(tmp_path)
    assert config.parameter_sets == config.network.parameter_sets == 3
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_model_names_its_styles(trained):
    metadata = read_model_file(trained[0])[1]
    assert [style.name for style in metadata.styles] == ["wave", "dunes"]
    assert len({style.style_image_sha256 for style in metadata.styles}) == 2
    assert (metadata.working_px, metadata.halo_px) == (512, 8)
    assert metadata.strength == "identity"
    assert metadata.parameter_sets == 3
    assert metadata.recipe["scales"] == [2.0, 2.0]  # so few steps are not steered


def test_every_set_is_learned_in_both_parts(trained):
    network = load_weights(trained[0].with_suffix(".safetensors"))
    for part in (network.draft, network.refine):
        table = part.style_parameters.table
        for number in range(3):
            others = [table[i] for i in range(3) if i != number]
            assert min((table[number] - other).abs().max() for other in others) > 1e-4


def test_crops_grow_and_the_refine_network_comes_last(trained):
    _, steps = trained
    window = 160 + 2 * 8
    assert [side for _, side, _ in steps] == [32] * 12 + [40] * 4 + [window] * 4
    assert [refines for refines, _, _ in steps] == [False] * 16 + [True] * 4


def test_each_part_trains_its_own_weights(many, tmp_path):
    config = many(tmp_path / "run", steps=4, refine_share=0.5)
    seen = []

    def watch(report):
        tensors = load_checkpoint(config.run_folder)[0]["network"]
        seen.append({name: value.clone() for name, value in tensors.items()})

    settings = {"checkpoint_every_s": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.style_task.REFERENCE_CROPS", 2)
        patch.setattr("impasto.training.trainer.export_run", lambda folder: folder)
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        patch.setattr("time.perf_counter", ticking())
        train(dataclasses.replace(config, **settings), on_step=watch)

    def changed(before, after):
        return {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}

    assert changed(seen[0], seen[1]) == {"draft"}
    assert changed(seen[1], seen[3]) == {"refine"}


def ticking():
    """A clock that goes on by two seconds whenever it is read."""
    ticks = itertools.count(step=2)
    return lambda: float(next(ticks))


def test_batches_mix_sets_evenly(trained):
    _, steps = trained
    counts = collections.Counter(number for _, _, sets in steps for number in sets)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len({sets for _, _, sets in steps}) > 3


def test_textures_are_compared_as_a_mean_over_the_batch(make_task):
    """Two windows whose Gram matrices lie on both sides of the target cost nothing together."""
    task = make_task(refine_share=0.5)
    sample = RefineSample(*collate([task.samples[-1][i] for i in range(2)])[0])
    sample = sample._replace(place=sample.place[:1].expand(2, -1))
    number = int(sample.place[0, 0])
    inner = task.refining.inner(sample.window)
    grams = {
        layer: gram_matrix(features)
        for layer, features in task.loss.loss_network(inner, STYLE_LAYERS).items()
    }
    level = task.refining.levels[number]
    means = {
        layer: target.index_copy(0, torch.tensor([0]), grams[layer].mean(0, keepdim=True))
        for layer, target in level.targets.items()
    }
    task.refining.levels[number] = level._replace(targets=means)
    sets = torch.zeros(2, dtype=torch.long)
    assert task.refining.terms(inner, sample, sample.window, sets)["style"] < 1e-6
    alone = sample._replace(**{k: v[:1] for k, v in sample._asdict().items()})
    terms = task.refining.terms(inner[:1], alone, alone.window, sets[:1])
    assert terms["style"] > 1e-4


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("stopped_at", [13, 17])
def test_a_stopped_run_goes_on_to_the_same_weights(
    many, trained, tmp_path, monkeypatch, stopped_at
):
    monkeypatch.setattr("impasto.training.style_task.REFERENCE_CROPS", 2)

    def stop(report):
        if report.step == stopped_at:
            signal.raise_signal(signal.SIGINT)

    config = many(tmp_path / "run", steps=20)
    train(config, on_step=stop)
    assert load_checkpoint(config.run_folder)[1]["step"] == stopped_at + 1
    train(config, resume=True)
    one, other = (
        load_checkpoint(folder)[0]["network"] for folder in (trained[0].parent, config.run_folder)
    )
    for name, value in one.items():
        assert torch.equal(value, other[name])


@pytest.fixture
def make_task(many, tmp_path, monkeypatch):
    """Makes the styles' losses."""
    monkeypatch.setattr("impasto.training.style_task.REFERENCE_CROPS", 2)

    def make(saved=None, **changed):
        config = many(tmp_path / "run", **changed)
        photos = open_photos(config.photos)
        return StyleTask(config, photos, photos, torch.device("cpu"), saved=saved)

    return make


@pytest.fixture
def task_and_images(make_task):
    """The styles' losses, and two photos."""
    task = make_task()
    return task, torch.stack([task.samples[0][i][0] for i in range(2)])


def test_the_identity_is_drawn_to_the_photo(task_and_images):
    task, images = task_and_images
    sets = torch.tensor([2, 0])
    terms, kept = task.terms(images, images, sets)
    assert terms["identity"] == 0
    assert terms["content"] == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(kept, torch.ones(2))
    moved = images + 0.1
    # Half of the batch is identity: 1e-3 * (25.5 levels)^2 / 2.
    assert task.terms(moved, images, sets)[0]["identity"].item() == pytest.approx(0.325, rel=1e-3)
    assert task.terms(moved, images, torch.tensor([0, 1]))[0]["identity"] == 0
    # The identity has no style: alone, its style term is nothing.
    assert task.terms(images, images, torch.tensor([2, 2]))[0]["style"] == 0
    assert task.terms(images, images, torch.tensor([0, 0]))[0]["style"] > 0


def test_each_picture_is_weighed_by_its_style(task_and_images):
    task, images = task_and_images
    alone = [
        task.terms(1 - images[i : i + 1], images[i : i + 1], torch.tensor([i]))[0]["style"]
        for i in range(2)
    ]
    together = task.terms(1 - images, images, torch.tensor([0, 1]))[0]["style"]
    torch.testing.assert_close(together, torch.stack(alone).mean())
    assert not np.isclose(alone[0].item(), alone[1].item())


def test_untouched_photos_have_one_style_loss_however_near_to_the_painting(task_and_images):
    task, images = task_and_images
    for number in range(2):
        losses = [
            task.terms(image[None], image[None], torch.tensor([number]))[0]["style"]
            for image in images
        ]
        torch.testing.assert_close(losses[0], losses[1])
        assert losses[0].item() == pytest.approx(task.config.style_scales[number], rel=1e-4)


def test_each_painting_has_its_style_scale(many, make_task, task_and_images, tmp_path):
    _, images = task_and_images
    plain, scaled = make_task(), make_task(style_scale=(2.0, 6.0))
    for number, factor in enumerate([1, 3]):
        sets = torch.tensor([number, number])
        before, after = (task.terms(images, images, sets)[0]["style"] for task in (plain, scaled))
        torch.testing.assert_close(after, factor * before)
    with pytest.raises(UsageError, match="one number, or one for each of 2 paintings"):
        many(tmp_path, style_scale=(1.0, 2.0, 3.0))


def test_refining_finds_its_references_again_beside_weights_that_were_given(make_task):
    task = make_task(style_weight=5.0, refine_share=0.5)
    saved = task.saved() | {"config": task.config.to_dict()}
    assert len(saved["references"]) == len(RATIOS)
    photos = open_photos(task.config.photos)
    again = StyleTask(task.config, photos, photos, torch.device("cpu"), saved=saved)
    assert again.saved()["references"] == saved["references"]


def test_octaves_halve_result_photo_and_painting(make_task):
    """With one more octave the loss is that of the halved pictures beside the full size's."""
    one, two = (
        make_task(crop_px=32, crop_shares=None),
        make_task(crop_px=32, crop_shares=None, octaves=2),
    )
    images = torch.stack([one.samples[0][i][0] for i in range(2)])
    output, sets = images.flip(3), torch.tensor([0, 1])
    assert [level.targets["relu1_2"].shape for level in two.octaves.levels] == [(3, 64, 64)] * 2
    halves = [torch.nn.functional.avg_pool2d(x, 2) for x in (output, images)]
    level = two.octaves.levels[1]
    coarse = two.loss.compare(
        *halves,
        {layer: gram[sets] for layer, gram in level.targets.items()},
        {layer: 2.0 * weight[sets] for layer, weight in level.weights.items()},
        content_weight=level.content_weight,
        references={layer: usual[sets] for layer, usual in level.usual.items()},
    )
    fine = one.terms(output, images, sets)[0]
    both = two.terms(output, images, sets)[0]
    torch.testing.assert_close(both["style"], fine["style"] + coarse.style)
    torch.testing.assert_close(both["content"], fine["content"])  # not at the smallest size
    assert coarse.content == 0


def test_a_window_of_each_crop_is_compared_at_full_size(make_task):
    task = make_task(window_px=32, crop_px=48, crop_shares=None)
    images = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    spoilt = images.clone()
    spoilt[:, :, :16, :] = 0
    losses = {
        float(task.terms(spoilt, images, torch.tensor([0]), number=n)[0]["content"])
        for n in range(12)
    }
    assert len(losses) > 3  # windows lie at different places
    again = [task.terms(spoilt, images, torch.tensor([0]), number=5)[0]["content"] for _ in "ab"]
    assert again[0] == again[1]


def test_strength_is_steered_to_what_is_kept(make_task):
    task = make_task(keep=0.5)
    task._steer(torch.tensor([0, 1, 2]), torch.tensor([1.0, 0.25, 0.0]))
    expected = [2 * math.exp(0.02 * 0.5), 2 * math.exp(-0.02 * 0.25)]
    assert task.scales.tolist() == pytest.approx(expected)
    assert task.saved()["scales"] == task.scales.tolist()


def test_a_resumed_run_keeps_the_strengths_it_has_steered_to(make_task):
    task = make_task(style_scale=(2.0, 6.0))
    task._steer(torch.tensor([0, 1]), torch.tensor([1.0, 0.25]))
    saved = json.loads(json.dumps({"config": task.config.to_dict(), **task.saved()}))
    again = make_task(saved, style_scale=(2.0, 6.0))
    assert again.scales.tolist() == task.scales.tolist() != [2, 6]
    assert make_task(saved, style_scale=(2.0, 5.0)).scales.tolist() == [2, 5]


def test_refined_windows_must_look_like_their_draft_when_halved(make_task):
    task = make_task(refine_share=0.5)
    sample = RefineSample(*collate([task.samples[-1][i] for i in range(2)])[0])
    h, sets = task.refining.halo_px, torch.tensor([0, 1])
    drafts = sample.window
    same = task.refining.terms(task.refining.inner(drafts), sample, drafts, sets)
    assert same["follow"] == 0
    assert same["content"] == pytest.approx(0, abs=1e-6)
    lighter = task.refining.terms(task.refining.inner(drafts) + 0.1, sample, drafts, sets)
    assert lighter["follow"].item() == pytest.approx(400 * 0.1**2, rel=1e-4)
    # A checkerboard is gone when halved.
    board = 0.1 * (-1.0) ** torch.arange(sample.window.shape[-1] - 2 * h)
    fine = task.refining.terms(task.refining.inner(drafts) + board, sample, drafts, sets)
    assert fine["follow"].item() == pytest.approx(0, abs=1e-6)


def test_drafts_are_enlarged_to_the_place_of_the_window(make_task):
    task = make_task(refine_share=0.5)
    h = task.refining.halo_px
    sample = RefineSample(*collate([task.samples[-1][i] for i in range(6)])[0])
    assert {1, 2} >= set(sample.place[:, 3].tolist())

    def as_it_is(photos, enlarged):
        return enlarged[:, :, h:-h, h:-h]

    found = task.refining.drafts(sample, sample.low, as_it_is)
    assert found.shape == sample.window.shape
    # The photo at the draft's size, enlarged, is the window without its detail.
    assert (found - sample.window).abs().mean() < 0.02


def test_one_style_networks_refuse_more(pictures, many, tmp_path):
    with pytest.raises(UsageError, match="holds one style; --network draft_refine holds many"):
        many(tmp_path, network="shipped", identity=False)
    with pytest.raises(UsageError, match="two paintings have one name"):
        make_config(pictures / "wave.png", tmp_path / "wave.jpg", network="draft_refine")
