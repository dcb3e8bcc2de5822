import io
import json
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from server_helpers import decoded, encoded, problem

from impasto.errors import TemporarySpaceError
from impasto.server import create_app


@pytest.fixture
def picture(photo):
    return photo.read_bytes()


def test_a_raw_body_comes_back_painted_with_its_times(client, picture, rgb):
    response = client.post("/v1/stylize", content=picture)

    painted = decoded(response)
    assert (painted.format, response.headers["content-type"]) == ("PNG", "image/png")
    assert (np.asarray(painted) == 255 - rgb).all()
    stages = re.findall(r"(\w+);dur=[\d.]+", response.headers["server-timing"])
    assert stages == ["queue", "decode", "paint", "encode"]


def test_parameters_come_in_the_query_or_in_the_form_which_goes_first(client, picture, rgb):
    halfway = np.full(rgb.shape, 127.5)

    query = client.post("/v1/stylize?strength=0.5&format=webp", content=picture)
    assert decoded(query).format == "WEBP"

    form = client.post(
        "/v1/stylize?strength=1&format=bmp",
        files={"anything": ("../../etc/passwd.svg", picture, "text/html")},
        data={"strength": "0.5", "style": "mirror", "keep_colors": "false"},
    )
    painted = decoded(form)
    assert painted.format == "BMP"
    assert np.abs(np.asarray(painted) - halfway).max() <= 1


def test_a_mask_says_where_a_photo_is_painted(client, picture, rgb):
    mask, middle = np.zeros(rgb.shape[:2], np.uint8), rgb.shape[1] // 2
    mask[:, middle:] = 255
    files = {"mask": encoded(Image.fromarray(mask)), "image": picture}
    half = np.asarray(decoded(client.post("/v1/stylize", files=files)))
    np.testing.assert_array_equal(half[:, :middle], rgb[:, :middle])
    np.testing.assert_array_equal(half[:, middle:], 255 - rgb[:, middle:])


@pytest.mark.parametrize(
    ("request_", "status", "code", "detail"),
    [
        ({"params": {"mask": "a.png"}}, 422, "bad-parameter", "mask must be a file of multipart"),
        ({"data": {"mask": "a.png"}}, 422, "bad-parameter", "mask must be a file of multipart"),
        ({"files": {"mask": b"no picture"}}, 422, "not-a-picture", "the mask"),
        (
            {"files": {"mask": encoded(Image.new("L", (9, 90)))}},
            422,
            "bad-parameter",
            "the mask is 9x90",
        ),
    ],
)
def test_a_mask_that_cannot_be_used(client, picture, request_, status, code, detail):
    files = {"image": picture} | request_.pop("files", {})
    answer = client.post("/v1/stylize", files=files, **request_)
    assert detail in problem(answer, status, code)


def test_max_size_shrinks_before_painting(client, picture):
    assert decoded(client.post("/v1/stylize?max_size=20", content=picture)).size == (20, 16)


def test_quality_makes_jpeg_smaller(client, picture):
    sizes = [
        len(client.post(f"/v1/stylize?format=jpeg&quality={q}", content=picture).content)
        for q in (20, 95)
    ]
    assert sizes[0] < sizes[1]


def test_styles_of_the_catalogue_and_of_given_files_are_listed(make_client, save_gallery, tmp_path):
    path = save_gallery(tmp_path / "sky.onnx", {"dusk": 50, "dawn": 150, "mirror": 77})
    client = make_client(models=(path,))

    styles = client.get("/v1/styles").json()["styles"]

    assert [style["name"] for style in styles] == ["dusk", "dawn", "mirror", "negative"]
    assert styles[0]["title"] == "Dusk"
    assert styles[0]["blends_with"] == ["dawn", "mirror"]
    assert styles[3] | {"thumbnail": ""} == {
        "name": "negative",
        "title": "Title of negative",
        "artist": "Nobody",
        "year": "1900",
        "licence": "Apache-2.0",
        "thumbnail": "",
        "blends_with": [],
    }


def test_own_styles_are_served_and_a_damaged_one_is_left_out(
    make_client, save_gallery, data_folder, picture
):
    save_gallery(data_folder / "styles" / "dusk.onnx", {"dusk": 50, "dawn": 150})
    (data_folder / "styles" / "torn.onnx").write_bytes(b"no model")
    client = make_client()

    names = [style["name"] for style in client.get("/v1/styles").json()["styles"]]

    assert names == ["negative", "mirror", "dusk", "dawn"]
    assert decoded(client.post("/v1/stylize?style=dawn", content=picture)).getpixel((0, 0)) == (
        (150,) * 3
    )


def test_styles_of_one_file_blend_and_others_do_not(make_client, save_gallery, tmp_path, picture):
    client = make_client(models=(save_gallery(tmp_path / "sky.onnx", {"dusk": 50, "dawn": 150}),))

    blended = client.post("/v1/stylize?style=dusk:3,dawn:1", content=picture)
    assert decoded(blended).getpixel((0, 0)) == (75, 75, 75)

    refused = client.post("/v1/stylize?style=dusk:0.5,mirror:0.5", content=picture)
    assert "only styles of one file blend" in problem(refused, 422, "bad-parameter")


@pytest.mark.parametrize("style", ["monet", "/etc/passwd", "negative:1,monet:1"])
def test_unknown_styles_are_told_with_the_known_ones(client, picture, style):
    response = client.post("/v1/stylize", params={"style": style}, content=picture)
    assert "known are negative, mirror" in problem(response, 422, "unknown-style")


def test_a_full_disk_is_not_the_fault_of_what_was_sent(client, picture, monkeypatch):
    def full(*_args, **_settings):
        raise TemporarySpaceError("cannot write temporary files")

    monkeypatch.setattr("impasto.runtime.stylizer.StyleModel.paint_with", full)
    response = client.post("/v1/stylize", content=picture)
    assert problem(response, 500, "failed") == "cannot write temporary files"


def test_a_path_is_never_taken_for_a_style(client, picture, tiny_model):
    response = client.post("/v1/stylize", params={"style": str(tiny_model)}, content=picture)
    problem(response, 422, "unknown-style")


def test_every_style_has_a_thumbnail_of_the_example_photo(client, rgb):
    for name in ("negative", "mirror"):
        thumbnail = decoded(client.get(f"/v1/styles/{name}/thumbnail"))
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (40, 31))
        assert np.abs(np.asarray(thumbnail).mean() - (255 - rgb).mean()) < 3
    assert client.get("/readyz").json() == {"status": "ready"}
    problem(client.get("/v1/styles/monet/thumbnail"), 404, "unknown-style")


def test_the_example_photo_is_there_to_try(client, rgb):
    assert (np.asarray(decoded(client.get("/v1/example"))) == rgb).all()


def test_upscaling_by_name_and_scale(make_client, upscalers, picture, rgb):
    client = make_client()
    assert client.get("/v1/limits").json()["upscalers"] == [
        {"name": "photo", "scales": [2, 4]},
        {"name": "sharp", "scales": [2, 4, 8]},
    ]

    enlarged = decoded(client.post("/v1/upscale?scale=4", content=picture))
    assert (np.asarray(enlarged) == rgb.repeat(4, 0).repeat(4, 1)).all()
    assert decoded(client.post("/v1/upscale?scale=8", content=picture)).size == (320, 248)

    missing = client.post("/v1/upscale?scale=8&model=photo", content=picture)
    assert problem(missing, 422, "bad-parameter").endswith(
        "there is photo x2, photo x4, sharp x2, sharp x4, sharp x8"
    )


def test_an_upscaler_in_a_file(make_client, tiny_upscaler, picture):
    client = make_client(models=(tiny_upscaler,))
    assert decoded(client.post("/v1/upscale?model=nearest", content=picture)).size == (80, 62)


def test_without_an_upscaler_the_answer_names_what_is_missing(client, picture):
    assert client.get("/v1/limits").json()["upscalers"] == []
    response = client.post("/v1/upscale", content=picture)
    assert "no upscaling model" in problem(response, 501, "no-upscaler")


def test_the_result_of_upscaling_has_the_limit_of_pixels_too(make_client, upscalers, picture):
    client = make_client(max_pixels=4000)
    response = client.post("/v1/upscale?scale=2", content=picture)
    assert "80x62, above the limit of 4,000" in problem(response, 413, "too-large")


def test_a_parameter_that_there_is_not_is_told_in_one_line(client, picture):
    told = "there is no parameter 'stregth': /docs lists them"
    query = client.post("/v1/stylize?stregth=1", content=picture)
    assert problem(query, 422, "bad-parameter") == told
    form = client.post("/v1/stylize", files={"image": picture}, data={"stregth": "1"})
    assert problem(form, 422, "bad-parameter") == told


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\r" + header + checksum + bytes(4) + b"IDAT" + bytes(4)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "no-picture"),
        (b"not a picture", 422, "not-a-picture"),
        (SVG, 422, "not-a-picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", 422, "not-a-picture"),
        (png_header(60_000, 60_000), 413, "too-large"),
    ],
)
def test_bodies_that_are_no_usable_picture(client, body, status, code):
    headers = {"Content-Type": "image/png"}
    problem(client.post("/v1/stylize", content=body, headers=headers), status, code)


def test_truncated_pictures_are_refused(client, picture):
    whole = encoded(Image.linear_gradient("L"), "JPEG")
    for data in (whole[: len(whole) // 2], picture[:-40]):
        assert "truncated" in problem(
            client.post("/v1/stylize", content=data), 422, "not-a-picture"
        )


def test_what_a_phone_writes_behind_the_picture_is_left_out(client):
    still = encoded(Image.new("RGB", (32, 24), (200, 30, 10)), "JPEG")
    motion_photo = still + b"\x00\x00\x00\x18ftypmp42" + bytes(1000)
    mpo = encoded(
        Image.new("RGB", (32, 24)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    for data in (motion_photo, mpo):
        painted = client.post("/v1/stylize", content=data)
        assert decoded(painted).format == "JPEG"
        assert b"ftyp" not in painted.content
        assert painted.content.endswith(b"\xff\xd9")
        assert painted.content.count(b"\xff\xd8\xff") == 1


def test_orientation_and_transparency_are_kept(client, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = client.post("/v1/stylize", content=encoded(Image.fromarray(rgb), exif=exif))
    assert decoded(turned).size == (31, 40)
    clear = client.post("/v1/stylize", content=encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 4))))
    assert decoded(clear).getpixel((4, 4)) == (254, 253, 252, 4)


def test_bodies_above_the_limit_are_refused_whether_stated_or_not(make_client, picture):
    client = make_client(max_upload_bytes=len(picture))
    assert client.post("/v1/stylize", content=picture).status_code == 200

    async def in_parts():
        yield picture
        yield b"more"

    for body in (picture + b"x", in_parts()):
        problem(client.post("/v1/stylize", content=body), 413, "too-large")
    problem(client.post("/v1/stylize", files={"image": picture}), 413, "too-large")


def test_odd_forms_are_refused(client, picture):
    two = [("a", picture), ("b", picture)]
    problem(client.post("/v1/stylize", files=two), 400, "bad-request")
    twice = [("image", picture), ("image", picture)]
    problem(client.post("/v1/stylize", files=twice), 400, "bad-request")
    none = client.post("/v1/stylize", files={"strength": (None, "1")})
    problem(none, 400, "no-picture")
    torn = client.post(
        "/v1/stylize", content=b"--x", headers={"Content-Type": "multipart/form-data"}
    )
    problem(torn, 400, "bad-request")
    many = client.post("/v1/stylize", files={f"f{n}": (None, "1") for n in range(30)})
    problem(many, 400, "bad-request")


@pytest.mark.parametrize("path", ["/v1/stylize", "/sign-in"])
def test_a_form_of_a_charset_that_cannot_be_read(client, path):
    part = b'--x\r\nContent-Disposition: form-data; name="style"\r\n\r\nmirror\r\n--x--\r\n'
    stated = {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}
    told = problem(client.post(path, content=part, headers=stated), 400, "bad-request")
    assert told == "the form's charset cannot be read: send it as utf-8"


def test_the_description_names_only_places_that_there_are(client):
    description = client.get("/openapi.json").json()
    named = set(re.findall(r"/v1/\w+", json.dumps(description)))
    assert named and named <= {
        re.match(r"/v1/\w+", path)[0] for path in description["paths"] if path.startswith("/v1/")
    }


def test_unknown_places_and_methods_are_problems_too(client):
    problem(client.get("/v1/nothing"), 404, "not-found")
    problem(client.get("/v1/stylize"), 405, "bad-request")
    problem(client.get("/../pyproject.toml"), 404, "not-found")
    problem(client.get("/docs/..%2f..%2fcore.py"), 404, "not-found")


def test_errors_of_ours_are_told_without_their_inside(client, monkeypatch, picture):
    def fail(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("impasto.server.pictures.change", fail)
    detail = problem(client.post("/v1/stylize", content=picture), 500, "failed")
    assert "secret" not in detail


def test_metrics_count_requests_and_stages(client, picture):
    client.post("/v1/stylize", content=picture)
    client.post("/v1/stylize", content=b"x")
    text = client.get("/metrics").text
    assert 'impasto_requests_total{method="POST",route="/v1/stylize",status="200"} 1.0' in text
    assert 'impasto_requests_total{method="POST",route="/v1/stylize",status="422"} 1.0' in text
    assert 'impasto_stage_seconds_count{stage="paint"} 1.0' in text
    assert "impasto_places_taken 0.0" in text
    assert "impasto_places 34.0" in text


def test_the_log_has_ids_and_sizes_and_nothing_of_a_picture(client, picture, caplog):
    with caplog.at_level("INFO", "impasto.server"):
        client.post(
            "/v1/stylize?style=mirror", content=picture, headers={"X-Request-ID": "from-a-proxy"}
        )
        client.post("/v1/stylize", content=b"x", headers={"X-Request-ID": "bad\tid"})
    fields, other = (record.fields for record in caplog.records if record.message == "request")
    assert fields["request_id"] == "from-a-proxy"
    assert (fields["path"], fields["status"]) == ("/v1/stylize", 200)
    assert (fields["width"], fields["height"], fields["bytes_in"]) == (40, 31, len(picture))
    assert len(json.dumps(fields)) < 500
    assert re.fullmatch("[0-9a-f]{32}", other["request_id"])


def test_the_description_knows_bodies_parameters_and_answers(client):
    description = client.get("/openapi.json").json()
    stylize = description["paths"]["/v1/stylize"]["post"]
    assert set(stylize["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {item["name"] for item in stylize["parameters"]} == {
        "style",
        "strength",
        "stroke_size",
        "keep_colors",
        "max_size",
        "format",
        "quality",
    }
    assert {"200", "413", "422", "503", "504"} <= set(stylize["responses"])


def test_nothing_of_fastapi_reports_anywhere(make_settings, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    app = create_app(make_settings())
    assert not app._native_telemetry.enabled()


def test_pictures_of_many_formats_go_in_and_out(client, rgb):
    for name in ("jpeg", "png", "webp", "tiff", "avif", "bmp"):
        data = encoded(Image.fromarray(rgb), name)
        back = decoded(client.post("/v1/stylize", content=data))
        assert (back.format, back.size) == (name.upper(), (40, 31))


def test_the_thumbnail_of_a_style_with_a_long_name(make_client, save_model, tmp_path):
    client = make_client(models=(save_model(tmp_path / "m.onnx", name="sea & 雪 (1831)"),))
    response = client.get("/v1/styles/sea%20%26%20%E9%9B%AA%20(1831)/thumbnail")
    assert decoded(response).format == "JPEG"
    assert io.BytesIO(response.content).read(2) == b"\xff\xd8"
