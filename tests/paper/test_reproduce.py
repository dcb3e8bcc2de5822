"""The whole report, scaled down to seconds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from impasto.catalog import Style, Upscaler
from impasto.errors import DataError, ImageError, ModelError, OutputError, ResumeError, UsageError
from impasto.images.reading import read_image
from impasto.losses import STYLE_LAYERS
from impasto.paper import prepared_loss_network
from impasto.paper.inputs import ObjectiveSize, StyleModelFile, read_photo
from impasto.paper.reproduction import DETAIL_PX, Sizes, _middle, gather_inputs, reproduce
from impasto.paper.tables import read_original
from impasto.training import export_style_targets, make_config, train

TINY = Sizes(
    speed_px=(64,),
    speed_iterations=2,
    objective=(ObjectiveSize(48, 2, 6),),
    superres_pictures=1,
    superres_px=64,
    figure_px=64,
    figure_iterations=2,
    cut="A tiny report.",
)


def rows_of(folder, section, number=0):
    """The rows of a section's table."""
    stated = json.loads((folder / section / "section.json").read_text(encoding="utf-8"))
    return stated["tables"][number]["rows"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A painting, photos, a test set, and a style of the painting."""
    folder = tmp_path_factory.mktemp("data")
    painting = tiny_runs.write_painting(folder / "wave.png", 80, 90)
    tiny_runs.write_photos(folder / "photos", count=3)
    (folder / "sr" / "Set5").mkdir(parents=True)
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
    small.resize((160, 144), Image.Resampling.BICUBIC).save(folder / "sr" / "Set5" / "baby.png")
    settings = tiny_runs.SETTINGS | tiny_runs.NETWORK
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        train(
            make_config(
                painting, photos=folder / "photos", output=folder / "run", steps=2, **settings
            )
        )
    return folder


@pytest.fixture(autouse=True)
def _small_previews(monkeypatch):
    monkeypatch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)


@pytest.fixture
def inputs(data):
    return gather_inputs(
        data / "photos", data / "wave.png", data / "sr", [data / "run" / "wave.onnx"]
    )


@pytest.fixture
def with_upscalers(save_upscaler, tmp_path, monkeypatch):
    rows = tuple(
        Upscaler("sharp", scale, "Sharp", "Apache-2.0", path)
        for scale in (4, 8)
        for path in [save_upscaler(tmp_path / f"x{scale}.onnx", scale=scale)]
    )
    for module in ("inputs", "tables"):
        monkeypatch.setattr(f"impasto.paper.{module}.list_upscalers", lambda: rows)


@pytest.mark.usefixtures("with_upscalers")
def test_the_whole_report(inputs, tmp_path):
    folder, said = tmp_path / "report", []
    markdown = reproduce("all", folder, inputs, sizes=TINY, threads=1, progress=said.append)
    written = set(tiny_runs.files(folder))
    assert {
        "speed/speed.png",
        "speed/speed.svg",
        "speed/measurements.json",
        "objective/objective.png",
        "superres/superres.svg",
        "figures/features.jpg",
        "figures/style.jpg",
        "figures/results.jpg",
        "figures/superres_x4.jpg",
        "figures/superres_x8.jpg",
        "report.md",
    } <= written
    assert not {name for name in written if name.endswith((".csv", ".html"))}
    text = markdown.read_text(encoding="utf-8")
    for heading in ("## Speed", "## Objective", "## Super-resolution", "## Figures"):
        assert heading in text
    assert "A tiny report." in text
    assert "Content images: photos." in text
    assert "threads" in text
    for name in (n for n in written if n.endswith((".png", ".jpg"))):
        assert f"({name})" in text
        assert read_image(folder / name).rgb.std() > 5
    rows = rows_of(folder, "superres")
    names = [row[0] for row in rows]
    assert "Set5, paper: bicubic" in names
    assert "Set5, bicubic: sharp" in names
    assert ["Set5, the paper's SRCNN", "30.48", "0.8628", "", ""] in rows
    values = json.loads((folder / "objective" / "measurements.json").read_text())["values"]
    curves = next(iter(values.values()))
    assert len(curves["baseline"]["noise"]) == 6
    assert min(curves["baseline"]["photo"]) < curves["content"]
    assert curves["baseline"]["photo"][0] == pytest.approx(curves["content"], rel=1e-4)
    assert any("the baseline at 64 px" in line for line in said)
    before = {name: (folder / name).stat().st_mtime_ns for name in written}
    said.clear()
    reproduce("all", folder, inputs, sizes=TINY, threads=1)
    kept = [name for name in written if name.startswith("figures/") and name.endswith(".jpg")]
    assert all((folder / name).stat().st_mtime_ns == before[name] for name in kept)
    assert json.loads((folder / "objective" / "measurements.json").read_text())["values"] == values


def test_one_section_alone(inputs, tmp_path):
    markdown = reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=1)
    text = markdown.read_text(encoding="utf-8")
    assert "## Speed" in text
    assert "## Objective" not in text
    rows = rows_of(tmp_path / "r", "speed")
    by_name = {row[0]: row for row in rows}
    torch_row = by_name["64 px, wave in PyTorch"]
    assert float(torch_row[3]) == pytest.approx(5 * float(torch_row[1]), rel=0.7)
    assert float(torch_row[5].replace(",", "")) > 1
    assert "64 px, the paper" not in by_name
    (passes,) = rows_of(tmp_path / "r", "speed", 1)
    assert passes[0] == "64 px"
    assert float(passes[1]) > 0.5


def test_more_iterations_are_timed_anew(inputs, tmp_path):
    said = []
    reproduce("speed", tmp_path, inputs, sizes=TINY, threads=1)
    more = replace(TINY, speed_iterations=3, cut="")
    markdown = reproduce("speed", tmp_path, inputs, sizes=more, threads=1, progress=said.append)
    values = json.loads((tmp_path / "speed" / "measurements.json").read_text())["values"]
    assert {"baseline 64, 2 iterations", "baseline 64, 3 iterations"} <= values.keys()
    text = markdown.read_text(encoding="utf-8")
    assert "timed for 3 iterations" in text
    assert "A tiny report." not in text


@pytest.mark.usefixtures("with_upscalers")
def test_figures_of_other_sizes_or_inputs_are_not_kept(data, inputs, tmp_path):
    reproduce("figures", tmp_path, inputs, sizes=TINY, threads=1)
    before = read_image(tmp_path / "figures" / "features.jpg").rgb
    reproduce("figures", tmp_path, inputs, sizes=replace(TINY, figure_px=80), threads=1)
    after = read_image(tmp_path / "figures" / "features.jpg").rgb
    assert before.shape != after.shape
    other = replace(inputs, photos=inputs.photos[:1])
    with pytest.raises(ResumeError, match="holds measurements with other photos"):
        reproduce("figures", tmp_path, other, sizes=TINY, threads=1)


def test_a_style_is_painted_that_is_not_the_first_of_its_file(save_gallery, tmp_path, inputs, rgb):
    path = save_gallery(tmp_path / "two.onnx", {"dark": 20, "light": 230})
    model = StyleModelFile("light", "light", path, inputs.models[0].weights)
    assert np.all(model.load().paint(rgb) == 230)


def test_two_models_of_one_style_have_two_names(data, tmp_path):
    (tmp_path / "again").mkdir()
    models = [data / "run" / "wave.onnx", tmp_path / "again" / "wave.onnx"]
    shutil.copyfile(models[0], models[1])
    shutil.copyfile(models[0].with_suffix(".safetensors"), models[1].with_suffix(".safetensors"))
    given = data / "photos", data / "wave.png", data / "sr"
    inputs = gather_inputs(*given, models)
    assert [model.name for model in inputs.models] == [str(model) for model in models]
    assert len(inputs.painted_from()["models"]) == 2
    reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=1)
    rows = rows_of(tmp_path / "r", "speed")
    assert [row[0] for row in rows[::2]] == [f"64 px, {model} in PyTorch" for model in models]
    with pytest.raises(UsageError, match="names one file twice"):
        gather_inputs(*given, [models[0], models[0]])


def test_any_number_of_models_can_be_drawn(inputs, tmp_path):
    several = tuple(replace(inputs.models[0], name=f"m{number}") for number in range(6))
    sizes = replace(TINY, objective=(ObjectiveSize(48, 1, 2),))
    for part in ("speed", "objective"):
        reproduce(part, tmp_path, replace(inputs, models=several), sizes=sizes, threads=1)
    assert rows_of(tmp_path, "objective")[-1][0] == "m5, 48 px"


def test_a_report_of_other_inputs_is_not_mixed(data, inputs, tmp_path):
    reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=1)
    other = gather_inputs(
        data / "sr" / "Set5", data / "wave.png", data / "sr", [inputs.models[0].path]
    )
    with pytest.raises(ResumeError, match="holds measurements with other photos"):
        reproduce("speed", tmp_path / "r", other, sizes=TINY, threads=1)


def test_an_unknown_section_is_named(inputs, tmp_path):
    with pytest.raises(UsageError, match="cannot reproduce 'tables'; allowed are speed, objective"):
        reproduce("tables", tmp_path, inputs, sizes=TINY)


def test_a_painting_must_be_the_models(data, tmp_path):
    other = tiny_runs.write_painting(tmp_path / "dunes.png", 100, 90)
    with pytest.raises(ModelError, match="is not the painting that wave was trained on"):
        gather_inputs(data / "photos", other, None, [data / "run" / "wave.onnx"])


def test_without_targets_a_painting_is_needed(data):
    with pytest.raises(ModelError, match="has no style targets beside it: give --painting"):
        gather_inputs(None, None, None, [data / "run" / "wave.onnx"])


@pytest.fixture
def shipped(data, monkeypatch):
    """Puts other rows in the catalogue's place: name and model file of each."""

    def ship(**files):
        rows = tuple(
            Style(name, name, "", "", "", "", path, "", {}) for name, path in files.items()
        )
        monkeypatch.setattr("impasto.paper.inputs.shipped_styles", lambda: rows)

    return ship


def test_the_shipped_models_need_one_file_of_targets(data, shipped, tmp_path):
    """One painting has another name and another size in each of them."""
    names = ("great_wave", "paper_great_wave")
    paintings = {name: shutil.copy(data / "wave.png", tmp_path / f"{name}.png") for name in names}
    files = {}
    for size, (name, painting) in zip((48, 64), paintings.items(), strict=True):
        settings = tiny_runs.SETTINGS | tiny_runs.NETWORK | {"style_size_px": size, "steps": 1}
        config = make_config(painting, photos=data / "photos", output=tmp_path / name, **settings)
        files[name] = train(config)
    shipped(**files)
    with pytest.raises(
        ModelError, match=r"paper_great_wave\.onnx has no style targets beside it: give"
    ):
        gather_inputs(None, None, None)
    for name, first, second in (("paper_great_wave", 64, 48), ("great_wave", 48, 64)):
        targets = export_style_targets(tmp_path / name, files[name])
        inputs = gather_inputs(None, None, None)
        assert [model.weights.style_size_px for model in inputs.models] == [first, second]
        assert inputs.models[0].style == name
        assert inputs.notes[1] == f"Style image: the style targets of {inputs.models[0].name}."
        assert set(inputs.grams(prepared_loss_network())) == set(STYLE_LAYERS)
        targets.unlink()
    with_picture = gather_inputs(None, data / "wave.png", None, [files["paper_great_wave"]])
    assert with_picture.models[0].weights.style_size_px == 64


def test_of_a_model_file_the_painting_s_style_is_taken(data, tmp_path):
    (tmp_path / "run").mkdir()
    first = tiny_runs.write_painting(tmp_path / "dunes.png", 100, 90)
    settings = tiny_runs.SETTINGS | {"network": "draft_refine", "width": 8, "refine_share": 0.0}
    model = train(
        make_config(
            first,
            data / "wave.png",
            photos=data / "photos",
            output=tmp_path / "run",
            steps=1,
            **settings,
        )
    )
    inputs = gather_inputs(data / "photos", data / "wave.png", None, [model])
    assert inputs.models[0].style == "wave"


def test_a_folder_without_pictures_is_named(data, tmp_path):
    with pytest.raises(DataError, match="no pictures in"):
        gather_inputs(tmp_path, data / "wave.png", None, [data / "run" / "wave.onnx"])


def test_super_resolution_needs_a_folder_of_pictures(data, tmp_path):
    given = data / "photos", data / "wave.png"
    models = [data / "run" / "wave.onnx"]
    for wrong in (tmp_path / "none", data / "wave.png"):
        with pytest.raises(DataError, match=r"--sr-data takes a folder, and .* is none"):
            gather_inputs(*given, wrong, models)
    (tmp_path / "empty" / "notes").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no pictures in .*: give another --sr-data"):
        gather_inputs(*given, tmp_path / "empty", models)
    shutil.copytree(data / "sr" / "Set5", tmp_path / "empty" / "Set5")
    inputs = gather_inputs(*given, tmp_path / "empty", models)
    assert list(inputs.test_sets) == ["Set5"]
    inputs = gather_inputs(*given, tmp_path / "empty" / "Set5", models)
    assert inputs.test_sets == {"Set5": tmp_path / "empty" / "Set5"}


def test_a_changed_picture_is_another_input(data, tmp_path):
    shutil.copytree(data / "photos", tmp_path / "photos")
    given = tmp_path / "photos", data / "wave.png", tmp_path / "photos"
    inputs = gather_inputs(*given, [data / "run" / "wave.onnx"])
    before = inputs.painted_from(), inputs.enlarged_from()
    Image.new("RGB", (48, 40)).save(inputs.photos[0])
    after = inputs.painted_from(), inputs.enlarged_from()
    changed = [
        {name for name in old if old[name] != new[name]}
        for old, new in zip(before, after, strict=True)
    ]
    assert changed == [{"photos"}, {"test sets"}]


def test_an_upscaler_is_no_style(data, tiny_upscaler):
    with pytest.raises(ModelError, match="holds no style"):
        gather_inputs(data / "photos", data / "wave.png", None, [tiny_upscaler])


def test_a_narrow_photo_is_named(tmp_path):
    Image.new("RGB", (300, 8)).save(tmp_path / "strip.png")
    with pytest.raises(ImageError, match=r"strip.png is 256x7 px at that size; both sides must"):
        read_photo(tmp_path / "strip.png", 256)


def test_a_report_without_networks_says_so(inputs, tmp_path, monkeypatch):
    for module in ("inputs", "tables"):
        monkeypatch.setattr(f"impasto.paper.{module}.list_upscalers", tuple)
    markdown = reproduce("superres", tmp_path, inputs, sizes=TINY, threads=1)
    assert "ships no super-resolution network" in markdown.read_text(encoding="utf-8")


def test_test_pictures_are_made_smaller_and_never_larger(tmp_path):
    Image.new("RGB", (100, 90)).save(tmp_path / "a.png")
    assert read_original(tmp_path / "a.png", 4, 64).shape == (56, 64, 3)
    assert read_original(tmp_path / "a.png", 4, 256).shape == (88, 100, 3)


def test_the_detail_of_a_small_picture_keeps_its_middle():
    rgb = np.full((100, 90, 3), 200, np.uint8)
    detail = _middle(rgb)
    assert detail.shape == (DETAIL_PX, DETAIL_PX, 3)
    assert (detail == 200).all(axis=-1).sum() == 100 * 90


def test_what_cannot_be_begun_is_told_at_once(inputs, tmp_path, monkeypatch):
    monkeypatch.setitem(
        reproduce.__globals__["_MEASURES"], "speed", lambda *_: pytest.fail("it has begun")
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file"):
        reproduce("all", tmp_path / "file", inputs, sizes=TINY)
    for threads in (0, -1, 4096):
        with pytest.raises(UsageError, match="--threads must lie between 1 and 1024"):
            reproduce("speed", tmp_path / "r", inputs, sizes=TINY, threads=threads)


def test_what_is_not_given_is_shipped(data):
    inputs = gather_inputs(None, data / "wave.png", None, [data / "run" / "wave.onnx"])
    assert list(inputs.test_sets) == ["examples"]
    assert len(inputs.photos) >= 10
    assert inputs.notes[0] == "Content images: the example photos (--photos names others)."


def test_the_command_says_where_the_report_is(data, run_cli, monkeypatch, tmp_path):
    monkeypatch.setattr("impasto.paper.reproduction.QUICK", TINY)
    line = ["reproduce", "speed", "-o", tmp_path / "r", "--quick", "--threads", "1"]
    given = ["--photos", data / "photos", "--painting", data / "wave.png"]
    given += ["--model", data / "run" / "wave.onnx"]
    code, out, err = run_cli(*line, *given)
    assert code == 0, err
    assert out == f"{tmp_path / 'r' / 'report.md'}\n"
    assert "speed: the baseline at 64 px" in err
    code, _, err = run_cli("reproduce", "tables", "-o", tmp_path / "r", *given)
    assert code == 2
    assert err.startswith("impasto: cannot reproduce 'tables'")
