"""Every dial of a request, with values that it does not take."""

from dial_cases import bad_texts, cases
from server_helpers import problem

from impasto.server.pictures import (
    StylizeParameters,
    UpscaleParameters,
    offered,
    picture_names,
)

KINDS = {"/v1/stylize": StylizeParameters, "/v1/upscale": UpscaleParameters}


def test_every_dial_of_a_request_is_checked_in_the_same_words(client):
    for path, kind in KINDS.items():
        tried = set()
        for name, text, told in cases(kind, bad_texts):
            unknown = f"there is no parameter {name!r}: /docs lists them"
            wanted = f"{name} {told}" if name in offered(kind) else unknown
            if name in picture_names(kind):
                wanted = f"{name} must be a file of multipart/form-data, not a text"
            tried.add(name)
            query = client.post(path, params={name: text}, content=b"x")
            assert problem(query, 422, "bad-parameter") == wanted
            form = client.post(path, files={"image": b"x"}, data={name: text})
            assert problem(form, 422, "bad-parameter") == wanted
        assert len(tried) >= 5


def test_the_description_states_the_ranges(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path, kind in KINDS.items():
        described = {item["name"]: item["schema"] for item in paths[path]["post"]["parameters"]}
        form = paths[path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        pictures = picture_names(kind)
        assert form["properties"].keys() == {"image", *described, *pictures}
        assert not described.keys() & set(pictures)
        for name, dial in offered(kind).items():
            schema = form["properties"][name]
            assert described.get(name, schema) == schema
            assert schema["description"].startswith(dial.help)
            assert schema.get("default") == dial.default
            if getattr(dial, "most", None) is not None:
                assert (schema["minimum"], schema["maximum"]) == (dial.least, dial.most)


def test_the_page_is_told_of_every_dial_that_has_a_position(client):
    dials = client.get("/v1/limits").json()["dials"]
    assert dials == [
        {"name": "strength", "default": 1.0, "least": 0, "most": 1.5, "by_factors": False},
        {"name": "stroke_size", "default": 1.0, "least": 0.5, "most": 4, "by_factors": True},
        {"name": "keep_colors", "default": False, "least": None, "most": None, "by_factors": False},
    ]
