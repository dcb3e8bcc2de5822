import pytest
import tiny_runs

from impasto.training import TrainingConfig


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with the painting `wave.png` and the folder `photos`."""
    folder = tmp_path_factory.mktemp("pictures")
    tiny_runs.write_painting(folder / "wave.png")
    tiny_runs.write_photos(folder / "photos")
    return folder


@pytest.fixture(scope="session")
def tiny_config(pictures):
    """Settings of a tiny run in a folder."""

    def make(output, **changed):
        paths = {
            "painting": pictures / "wave.png",
            "photos": pictures / "photos",
            "validation_photos": pictures / "photos",
            "output": output,
        }
        return TrainingConfig(**(paths | tiny_runs.SETTINGS | changed))

    return make


@pytest.fixture(scope="module")
def small_previews():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        yield


@pytest.fixture
def no_export(monkeypatch):
    """Leaves out the model file, which takes longer than a tiny run."""
    monkeypatch.setattr("impasto.training.trainer.export_run", lambda folder: folder / "no.onnx")
