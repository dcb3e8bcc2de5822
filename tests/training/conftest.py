import pytest
import tiny_runs

from impasto.training import make_config


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
            "photos": pictures / "photos",
            "validation_photos": pictures / "photos",
            "output": output,
        }
        settings = paths | tiny_runs.SETTINGS | changed
        if "network" not in settings:
            settings = tiny_runs.NETWORK | settings
        return make_config(*settings.pop("paintings", [pictures / "wave.png"]), **settings)

    return make


@pytest.fixture(scope="module")
def small_previews():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.training.pictures.PREVIEW_PX", tiny_runs.PREVIEW_PX)
        yield
