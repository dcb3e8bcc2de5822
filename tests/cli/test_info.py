import json
import os
import platform
import sys
from importlib import metadata

import pytest

from impasto import __version__


def test_facts(run_cli, catalog, save_model, data_folder):
    (data_folder / "styles").mkdir(parents=True)
    own = save_model(data_folder / "styles" / "ink.onnx", name="ink")
    code, out, err = run_cli("info", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["impasto"] == __version__
    assert facts["python"] == platform.python_version()
    assert facts["pillow"] == metadata.version("pillow")
    assert facts["device"] in facts["devices"]
    assert facts["onnxruntime"] == metadata.version("onnxruntime")
    assert "CPUExecutionProvider" in facts["providers"]
    assert facts["warnings"] == []
    assert 1 <= facts["cores"] <= os.cpu_count()
    assert facts["data_folder"] == str(data_folder)
    assert [model["name"] for model in facts["models"]] == ["negative", "mirror", "ink"]
    assert facts["models"][2] == {"name": "ink", "origin": "own", "path": str(own)}

    lines = run_cli("info")[1].splitlines()
    names = [line.split("  ")[0] for line in lines]
    assert {"impasto", "onnxruntime", "cores", "data folder", "model ink"} <= set(names)
    assert sum(line.endswith(str(data_folder)) for line in lines) == 1


def test_upscaling_models_are_listed_too(run_cli, upscalers):
    facts = json.loads(run_cli("info", "--json")[1])
    assert facts["models"][2:] == [
        {
            "name": name,
            "origin": "shipped",
            "path": str(upscalers / f"{name}_x{scale}.onnx"),
            "scale": scale,
        }
        for name, scale in [("photo", 4), ("sharp", 4), ("sharp", 8)]
    ]
    lines = run_cli("info")[1].splitlines()
    assert [line.split("  ")[0] for line in lines][-2:] == ["model sharp x4", "model sharp x8"]


def test_extras_are_those_of_the_installation(run_cli, catalog, monkeypatch):
    required = [
        "numpy>=1.26",
        "there>=2; extra == 'train'",
        "also-there; python_version > '3' and extra == 'train'",
        'there; extra == "heic"',
        'missing-package; extra == "heic"',
        "pytest; extra == 'dev'",
    ]
    stated = {"Provides-Extra": ["train", "heic", "dev"]}
    versions = {"there": "2.1", "also-there": "1"}

    class Stated:
        def get_all(self, name):
            return stated[name]

    def version(name):
        if name in versions:
            return versions[name]
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", lambda name: Stated())
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    monkeypatch.setattr(metadata, "version", version)
    facts = json.loads(run_cli("info", "--json")[1])
    assert facts["extras"] == {"train": True, "heic": False}
    assert facts["numpy"] is None
    lines = [" ".join(line.split()) for line in run_cli("info")[1].splitlines()]
    assert "extra train installed" in lines
    assert 'extra heic not installed: pip install ".[heic]"' in lines


def test_builds_of_onnx_runtime_over_one_another_are_told(run_cli, catalog, monkeypatch, tmp_path):
    def install(name, file):
        folder = tmp_path / f"{name}-1.32.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1.32.0\n", encoding="utf-8")
        (folder / "RECORD").write_text(f"{file},,\n", encoding="utf-8")

    monkeypatch.setattr("onnxruntime.__file__", str(tmp_path / "onnxruntime" / "__init__.py"))
    install("onnxruntime", "onnxruntime/__init__.py")
    install("onnxruntime-extensions", "onnxruntime_extensions/__init__.py")
    assert run_cli("info")[2] == ""
    install("onnxruntime-gpu", "onnxruntime/__init__.py")
    (warning,) = json.loads(run_cli("info", "--json")[1])["warnings"]
    assert warning.startswith(f"onnxruntime and onnxruntime-gpu lie over one another in {tmp_path}")
    assert "`pip uninstall -y onnxruntime onnxruntime-gpu`" in warning
    code, _, err = run_cli("info")
    assert (code, err) == (0, f"warning: {warning}\n")


def test_a_source_tree_that_is_not_installed(run_cli, catalog, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", missing)
    assert json.loads(run_cli("info", "--json")[1])["extras"] == {}


def test_where_the_data_folder_is(run_cli, catalog, monkeypatch, tmp_path):
    monkeypatch.delenv("IMPASTO_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    folder = json.loads(run_cli("info", "--json")[1])["data_folder"]
    if sys.platform == "linux":
        assert folder == str(tmp_path / "share" / "impasto")
    assert "impasto" in folder
    for empty, chosen in [("", folder), (str(tmp_path / "own"), str(tmp_path / "own"))]:
        monkeypatch.setenv("IMPASTO_HOME", empty)
        assert json.loads(run_cli("info", "--json")[1])["data_folder"] == chosen


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores are not restricted here")
def test_only_cores_that_may_be_used_are_counted(run_cli, catalog, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert json.loads(run_cli("info", "--json")[1])["cores"] == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert json.loads(run_cli("info", "--json")[1])["cores"] == os.cpu_count()
