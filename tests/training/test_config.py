import json
from dataclasses import replace
from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.losses import STYLE_LAYERS
from impasto.networks import PAPER, RELEASED, DraftRefineSpec
from impasto.training.config import TrainingConfig, default_run_folder, style_name
from impasto.training.recipes import make_config, read_recipe
from impasto.training.run_config import flag, save_config

PAINTING = Path("wave.jpg")


def refusal(**settings):
    with pytest.raises(UsageError) as caught:
        make_config(PAINTING, **({} if "recipe" in settings else {"network": "shipped"}) | settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_train_draft_and_refine_with_balanced_weights():
    config = make_config(PAINTING, from_scratch=True)
    assert config == TrainingConfig(paintings=(PAINTING,))
    assert config.network == DraftRefineSpec()
    assert config.style_weight == "auto"
    assert config.steers
    assert config.shares == (0.7, 0.3)
    # Three octaves, then the ratios of refining.
    assert config.style_sizes_px == (384, 192, 96, 461, 543, 653, 768, 1044)
    assert config.style_layers == STYLE_LAYERS
    assert config.steps is config.max_time_s is None
    assert config.run_folder == Path("runs/wave")
    assert make_config(PAINTING, output=Path("here")).run_folder == Path("here")


def test_the_paper_preset():
    config = make_config(PAINTING, preset="paper")
    assert config.network == PAPER
    assert (config.steps, config.batch_size, config.crop_px) == (40_000, 4, (256,))
    assert (config.learning_rate, config.schedule, config.averaging) == (1e-3, "constant", 0)
    assert config.style_layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert config.style_reduction == "sum"
    assert 1e-6 <= config.tv_weight <= 1e-4
    assert (config.lattice_weight, config.max_zoom, config.style_size_px) == (0, 1, 256)
    assert (config.octaves, config.window_px, config.clip_gradients) == (1, None, None)
    assert config.shares == (1.0,)
    assert not config.steers


def test_the_released_preset():
    config = make_config(PAINTING, preset="released")
    assert config.network == RELEASED
    assert (config.steps, config.batch_size, config.learning_rate) == (40_000, 4, 1e-3)
    assert (config.content_layer, config.content_weight) == ("relu3_3", 1)
    assert (config.style_weight, config.style_reduction) == (5, "mean")
    # A strength of 1e-6 on a sum over the batch of four is 4e-6 on our mean.
    assert config.tv_weight == pytest.approx(4e-6)
    assert (config.style_size_px, config.lattice_weight) == (384, 0)


def test_what_is_given_overrides_a_preset():
    config = make_config(PAINTING, preset="paper", steps=7, width=8, style_weight=3.0, norm=None)
    assert (config.steps, config.style_weight) == (7, 3)
    assert config.network == replace(PAPER, width=8)


def test_a_time_replaces_the_steps_of_a_preset():
    config = make_config(PAINTING, preset="paper", max_time_s=60.0)
    assert (config.steps, config.max_time_s) == (None, 60)


@pytest.mark.parametrize("given", [{"style_scale": 2.0}, {"style_weight": "auto"}])
def test_balancing_replaces_the_style_weight_of_a_preset(given):
    assert make_config(PAINTING, preset="released", **given).style_weight == "auto"


def test_two_lengths_are_refused():
    message = refusal(steps=10, max_time_s=60.0)
    assert "--steps" in message
    assert "--max-time" in message


def test_a_number_and_a_scale_are_refused():
    message = refusal(style_weight=5.0, style_scale=2.0)
    assert "--style-scale" in message
    assert "--style-weight 5" in message


def test_crops_must_fit_the_network_and_the_loss_network():
    assert "--crop-px is 40; this network needs at least 41" in refusal(
        crop_px=40, padding="reflection_start", octaves=1
    )
    assert "--crop-px is 40, 10 px at the smallest of --octaves 3" in refusal(crop_px=40)
    assert make_config(PAINTING, from_scratch=True, crop_px=64).crop_px == (64,)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("width", 0, "--width is 0; allowed are whole numbers from 1 to 1024"),
        ("width", 8.5, "--width is 8.5; allowed are whole numbers"),
        ("residual_blocks", 0, "--residual-blocks is 0; allowed are whole numbers from 1 to 1024"),
        ("content_weight", -1.0, "--content-weight is -1; allowed is 0 or more"),
        ("style_weight", -0.5, "--style-weight is -0.5; allowed is 0 or more"),
        ("style_weight", "much", "--style-weight is 'much'; allowed is a number"),
        ("style_scale", float("nan"), "--style-scale is nan; allowed is 0 or more"),
        ("tv_weight", float("inf"), "--tv-weight is inf; allowed is 0 or more"),
        ("lattice_weight", -1.0, "--lattice-weight is -1; allowed is 0 or more"),
        ("style_size_px", 8, "--style-size-px is 8; allowed is 32 to 8192"),
        ("crop_px", 31, "--crop-px is 31; allowed is 32 to 8192"),
        ("crop_px", "big", "--crop-px is 'big'; allowed is a whole number"),
        ("max_zoom", 0.5, "--max-zoom is 0.5; allowed is 1 to 16"),
        ("min_zoom", 3.0, "--min-zoom is 3 and --max-zoom 1.2; the first must not be above the"),
        ("batch_size", 0, "--batch-size is 0; allowed is 1 to 1024"),
        ("batch_size", True, "--batch-size is True; allowed is a whole number"),
        ("learning_rate", 0.0, "--learning-rate is 0; allowed is 1e-09 to 1"),
        ("averaging", 1.0, "--averaging is 1; allowed is 0 to 0.999999"),
        ("steps", 0, "--steps is 0; allowed is 1 to 1e+09"),
        ("steps", "auto", "--steps is 'auto'; allowed is a whole number"),
        ("max_time_s", 0.5, "--max-time is 0.5; allowed is 1 to 1e+08"),
        ("seed", -1, "--seed is -1; allowed is 0 to 9.22337e+18"),
        ("workers", -1, "--workers is -1; allowed is 0 to 256"),
        ("threads", 0, "--threads is 0; allowed is 1 to 1024"),
        ("preview_every_s", 0.0, "--preview-every is 0; allowed is 1 to 1e+08"),
        ("norm", "layer", "--norm is 'layer'; allowed are batch, instance"),
        ("output_scaling", "relu", "--output-scaling is 'relu'; allowed are tanh_0_255, tanh_150"),
        ("schedule", "linear", "--schedule is 'linear'; allowed are cosine, wsd, constant"),
        ("preset", "best", "--preset is 'best'; allowed are paper, released"),
        ("device", "tpu", "--device is 'tpu'; allowed are auto, cpu, cuda, mps"),
        ("style_layers", (), "--style-layers is empty"),
    ],
)
def test_a_bad_value_is_named_by_its_flag(name, value, shown):
    if name == "preset":
        with pytest.raises(UsageError, match="--preset is 'best'; allowed are paper, released"):
            TrainingConfig(paintings=(PAINTING,), preset=value)
        return
    assert shown in refusal(**{name: value})


def test_flags():
    assert flag("max_time_s") == "--max-time"
    assert flag("style_size_px") == "--style-size-px"
    assert flag("steps") == "--steps"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"preset": "paper"},
        {"preset": "released", "max_time_s": 90.0},
        {
            "photos": Path("a") / "b",
            "output": Path("out"),
            "loss_network": Path("vgg.pth"),
            "validation_photos": Path("val"),
            "style_layers": ("relu2_2",),
            "style_scale": 3.0,
            "workers": 0,
        },
    ],
)
def test_a_config_survives_json(given):
    config = make_config(PAINTING, **given)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_settings_are_refused():
    with pytest.raises(UsageError, match="dropout are not known to this version"):
        TrainingConfig.from_dict({"paintings": ["wave.jpg"], "dropout": 0.5})


def test_the_saved_config_is_read_back(tmp_path):
    config = make_config(PAINTING, steps=3)
    save_config(config, {"content": 2.0, "relu1_2": 0.5}, tmp_path / "config.json")
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert TrainingConfig.from_dict(saved["config"]) == config
    assert saved["references"] == {"content": 2.0, "relu1_2": 0.5}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def recipe(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_stands_between_preset_and_flags(tmp_path):
    path = recipe(
        tmp_path,
        """
        [settings]
        preset = "released"
        width = 24
        batch_size = 2
        steps = 100
        style_layers = ["relu1_2", "relu2_2"]
        """,
    )
    config = make_config(PAINTING, recipe=read_recipe(path), batch_size=3)
    assert (config.network.width, config.batch_size, config.steps) == (24, 3, 100)
    assert config.style_layers == ("relu1_2", "relu2_2")
    assert (config.network.padding, config.crop_px) == ("reflection_start", (256,))
    timed = make_config(PAINTING, recipe=read_recipe(path), max_time_s=60.0)
    assert (timed.steps, timed.max_time_s) == (None, 60)


def test_a_flag_takes_the_place_of_a_recipes_other_strength(tmp_path):
    weighed = read_recipe(recipe(tmp_path, "[settings]\nstyle_weight = 3e-5"))
    assert make_config(PAINTING, recipe=weighed).style_weight == 3e-5
    config = make_config(PAINTING, recipe=weighed, style_scale=2.0)
    assert (config.style_weight, config.style_scale) == ("auto", (2,))
    scaled = read_recipe(recipe(tmp_path, "[settings]\nstyle_scale = [2]"))
    config = make_config(PAINTING, recipe=scaled, style_weight=3.0)
    assert (config.style_weight, config.style_scale) == (3, None)
    assert make_config(PAINTING, recipe=scaled, style_weight="auto").style_scale == (2,)
    with pytest.raises(UsageError, match="belongs to --style-weight auto"):
        make_config(PAINTING, recipe=scaled, style_scale=2.0, style_weight=3.0)


def test_crop_sizes_take_the_place_of_a_recipes_with_their_shares(tmp_path):
    text = "[settings]\ncrop_px = [128, 256]\ncrop_shares = [0.75, 0.25]"
    grown = read_recipe(recipe(tmp_path, text))
    config = make_config(PAINTING, recipe=grown, crop_px=(256,))
    assert (config.crop_px, config.crop_shares) == ((256,), None)
    config = make_config(PAINTING, recipe=grown, crop_px=(96, 192), crop_shares=(0.5, 0.5))
    assert (config.crop_px, config.crop_shares) == ((96, 192), (0.5, 0.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[settings", "cannot be read"),
        ("width = 3", r"has no \[settings\]"),
        ("settings = 3", r"has no \[settings\]"),
        ("[settings]\nstyle_layers = 'relu1_2'", "must give style_layers as a list"),
        ("[settings]\npainting = 'a.jpg'\nheads = 2", "unknown settings: heads, painting"),
    ],
)
def test_bad_recipes_are_refused(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_recipe(recipe(tmp_path, text))
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(tmp_path / "missing.toml")


def test_a_recipe_s_values_are_checked(tmp_path):
    settings = read_recipe(recipe(tmp_path, '[settings]\nsteps = "many"'))
    assert "--steps is 'many'; allowed is a whole number" in refusal(recipe=settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss_network = 5", "--loss-network is 5; allowed is a path"),
        ("validation_photos = 5", "--validation-photos is 5; allowed is a path"),
        ('identity = "yes"', "--identity is 'yes'; allowed is true or false"),
        ("content_layer = 3", "--content-layer is 3; allowed is a word"),
        ("style_layers = [1, 2]", "--style-layers is (1, 2); allowed is a word"),
        ('kept_styles = ["a"]', "--kept-styles is ('a',); allowed is StyleEntry"),
        ("network = 5", "--network is 5; allowed are paper, released, shipped"),
        ("network = {a = 1}", "--network is {'a': 1}; allowed are paper, released, shipped"),
    ],
)
def test_a_recipe_s_kinds_are_checked(tmp_path, text, message):
    settings = read_recipe(recipe(tmp_path, f"[settings]\n{text}"))
    assert message in refusal(recipe=settings)


def test_a_recipe_s_paths_are_paths(tmp_path):
    settings = read_recipe(recipe(tmp_path, "[settings]\nloss_network = 'vgg.pth'"))
    assert make_config(PAINTING, recipe=settings).loss_network == Path("vgg.pth")


def test_a_layer_counts_once():
    said = refusal(style_layers=("relu1_2", "relu2_2", "relu1_2"))
    assert "--style-layers is relu1_2,relu2_2,relu1_2; name each once" in said


def test_names_that_become_one_are_refused():
    with pytest.raises(UsageError, match="two paintings have one name: a_b, a_b; rename one"):
        make_config(Path("a+b.png"), Path("a,b.png"), network="draft_refine")


def test_a_style_s_name_is_one_that_a_model_file_takes():
    assert style_name(Path("x" * 79 + " y.png")) == "x" * 79
    assert style_name(Path("mr. bean.png")) == "mr. bean"
    assert style_name(Path("...png")) == "style"
    targets = Path("all.targets.safetensors")
    assert style_name(targets / "mr. bean") == "mr. bean"
    assert default_run_folder([targets / "mr. bean"]) == Path("runs/mr. bean")
