"""Fixtures that several test folders share: small models, pictures, the command line."""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.runtime.metadata import METADATA_KEY, ModelMetadata, StyleEntry, Tiling

pytest_plugins = ["requirements_plugin"]

# A suite that is started in the background inherits an ignored Ctrl-C, and so would the
# processes that its tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

CATALOG_ROW = """
[[style]]
name = "{name}"
file = "{name}.onnx"
title = "Title of {name}"
artist = "Nobody"
year = 1900
source = "made by a test"
licence = "Apache-2.0"
recipe = "{name}.toml"
scores = {{ correlation = 0.5, photos = 15 }}
"""

UPSCALER_ROW = """
[[upscaler]]
name = "{name}"
scale = {scale}
file = "{name}_x{scale}.onnx"
title = "Title of {name}"
licence = "Apache-2.0"
recipe = "{name}_x{scale}.toml"
scores = {{ psnr = 30.5 }}
"""


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    """A data folder of the test's own, so that the styles of whoever runs it play no part."""
    folder = tmp_path / "data folder"
    monkeypatch.setenv("IMPASTO_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors gain nothing from more threads and lose time to their coordination."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def metadata():
    """What `tiny_model` states about itself."""
    return ModelMetadata(
        styles=(StyleEntry("negative", "Negative", "ab" * 32),),
        min_size_px=5,
        network={"kind": "none"},
        weights_sha256="cd" * 32,
        recipe={"steps": 0},
    )


@pytest.fixture
def save_model(metadata):
    """Writes a model that inverts colours; `nodes` and `meta` replace its parts."""
    import onnx
    from onnx import helper

    def save(path, *, nodes=None, meta=None, name=None):
        size = ["N", 3, "H", "W"]
        graph = helper.make_graph(
            nodes or [helper.make_node("Sub", ["one", "image"], ["output"])],
            "tiny",
            [helper.make_tensor_value_info("image", 1, size)],
            [helper.make_tensor_value_info("output", 1, None)],
            [helper.make_tensor("one", 1, [], [1.0])],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        stated = metadata if meta is None else meta
        if name is not None:
            stated = dataclasses.replace(metadata, styles=(StyleEntry(name, name),))
        if stated is not False:
            text = stated if isinstance(stated, str) else stated.to_json()
            helper.set_model_props(model, {METADATA_KEY: text})
        onnx.save(model, path)
        return Path(path)

    return save


@pytest.fixture
def save_gallery(metadata):
    """Writes a model of several styles: each paints one even grey, given by name."""
    import onnx
    from onnx import helper

    def save(path, greys, *, weights_sha256=""):
        size = ["N", 3, "H", "W"]
        levels = [grey / 255 for grey in greys.values()]
        graph = helper.make_graph(
            [
                helper.make_node("Sub", ["image", "image"], ["black"]),
                helper.make_node("MatMul", ["style_weights", "levels"], ["level"]),
                helper.make_node("Add", ["black", "level"], ["output"]),
            ],
            "gallery",
            [
                helper.make_tensor_value_info("image", 1, size),
                helper.make_tensor_value_info("style_weights", 1, [len(levels)]),
            ],
            [helper.make_tensor_value_info("output", 1, None)],
            [helper.make_tensor("levels", 1, [len(levels)], levels)],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        styles = tuple(StyleEntry(name, name.title()) for name in greys)
        stated = dataclasses.replace(metadata, styles=styles, weights_sha256=weights_sha256)
        helper.set_model_props(model, {METADATA_KEY: stated.to_json()})
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path

    return save


@pytest.fixture
def save_upscaler(metadata):
    """Writes a small network that enlarges; `meta` replaces what it states.

    The plain one repeats each pixel. With `see_px` it is two convolutions of fixed random
    weights, which see that far, 2 pixels.
    """
    import onnx
    from onnx import helper, numpy_helper

    def save(path, *, scale=4, see_px=0, **meta):
        outputs = 3 * scale**2
        if see_px == 0:
            weights = {"last": np.eye(3).repeat(scale**2, axis=0)[..., None, None]}
        else:
            rng = np.random.default_rng(0)
            weights = {
                "first": rng.normal(size=(8, 3, 3, 3)) / 2,
                "last": rng.normal(size=(outputs, 8, 3, 3)) / 20,
            }
        nodes, made = [], "image"
        for name, weight in weights.items():
            pads = [weight.shape[2] // 2] * 4
            nodes.append(helper.make_node("Conv", [made, name], [f"{name} out"], pads=pads))
            made = f"{name} out"
            if name == "first":
                nodes.append(helper.make_node("Relu", [made], ["seen"]))
                made = "seen"
        shuffle = {"blocksize": scale, "mode": "CRD"}
        nodes.append(helper.make_node("DepthToSpace", [made], ["output"], **shuffle))
        graph = helper.make_graph(
            nodes,
            "upscaler",
            [helper.make_tensor_value_info("image", 1, ["N", 3, "H", "W"])],
            [helper.make_tensor_value_info("output", 1, None)],
            [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        stated = {"styles": (), "kind": "upscale", "scale": scale, "min_size_px": 1}
        stated |= {"tiling": Tiling(True, see_px)} | meta
        text = dataclasses.replace(metadata, **stated).to_json()
        helper.set_model_props(model, {METADATA_KEY: text})
        onnx.save(model, path)
        return Path(path)

    return save


@pytest.fixture
def tiny_upscaler(save_upscaler, tmp_path):
    """A model file that repeats each pixel 4x4 times."""
    return save_upscaler(tmp_path / "nearest.onnx")


@pytest.fixture
def tiny_model(save_model, tmp_path):
    """A model file of the style `negative`: output = 1 - image."""
    folder = tmp_path / "models"
    folder.mkdir()
    return save_model(folder / "negative.onnx")


@pytest.fixture
def catalog(save_model, tmp_path, monkeypatch):
    """A catalogue of two styles, `negative` (the default) and `mirror`, instead of ours."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    rows = [CATALOG_ROW.format(name=name) for name in ("negative", "mirror")]
    (folder / "catalog.toml").write_text("".join(rows), encoding="utf-8")
    for name in ("negative", "mirror"):
        save_model(folder / f"{name}.onnx", name=name)
    monkeypatch.setattr("impasto.catalog.CATALOG_FOLDER", folder)
    return folder


@pytest.fixture
def upscalers(catalog, save_upscaler):
    """The catalogue with networks that repeat pixels: `photo` x4, `sharp` x4 and x8."""
    rows = [("photo", 4), ("sharp", 4), ("sharp", 8)]
    with (catalog / "catalog.toml").open("a", encoding="utf-8") as file:
        file.writelines(UPSCALER_ROW.format(name=name, scale=scale) for name, scale in rows)
    for name, scale in rows:
        save_upscaler(catalog / f"{name}_x{scale}.onnx", scale=scale)
    return catalog


@pytest.fixture
def rgb():
    """A small picture with every channel different, (31, 40, 3) uint8."""
    rows, columns = np.mgrid[0:31, 0:40]
    return np.stack([rows * 8, columns * 6, (rows + columns) * 3], axis=-1).astype(np.uint8)


@pytest.fixture
def photo(rgb, tmp_path):
    """`rgb` as a PNG file."""
    path = tmp_path / "photo.png"
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture
def run_cli(capfd):
    """Runs a command line in this process: returns exit code, stdout, stderr."""
    from impasto.cli.app import main

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return caught.value.code or 0, out, err

    return run


@pytest.fixture
def no_export(monkeypatch):
    """Leaves out a run's model file, which takes longer than a tiny run."""
    monkeypatch.setattr("impasto.training.trainer.export_run", lambda folder: folder / "no.onnx")
