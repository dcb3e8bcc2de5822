from pathlib import Path

from PIL import Image

import impasto

PHONE = Path(__file__).parents[1] / "images" / "data" / "phone.heic"


def test_a_phones_photo_becomes_a_jpeg(run_cli, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("phone.heic").write_bytes(PHONE.read_bytes())
    code, out, err = run_cli("stylize", "phone.heic", "-m", tiny_model)
    assert (code, out, err) == (0, "phone.negative.jpg\n", "")
    picture = Image.open("phone.negative.jpg")
    assert picture.format == "JPEG"
    assert picture.info["icc_profile"]
    assert run_cli("stylize", "phone.heic", "-m", tiny_model, "--format", "png")[0] == 0
    assert Image.open("phone.negative.png").size == picture.size


def test_bytes_of_a_phones_photo_become_a_jpeg(tiny_model):
    painted = impasto.load_model(tiny_model)(PHONE.read_bytes())
    assert painted.startswith(b"\xff\xd8\xff")
