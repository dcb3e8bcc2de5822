import json


def test_table_and_json(run_cli, catalog):
    code, out, err = run_cli("styles")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "negative  Title of negative, Nobody, 1900",
        "mirror    Title of mirror, Nobody, 1900",
    ]
    rows = [json.loads(line) for line in run_cli("styles", "--json")[1].splitlines()]
    assert [row["name"] for row in rows] == ["negative", "mirror"]
    assert rows[0]["path"] == str(catalog / "negative.onnx")


def test_without_styles(run_cli, catalog):
    (catalog / "catalog.toml").write_text("")
    code, out, err = run_cli("styles")
    assert (code, out) == (0, "")
    assert "no styles are shipped" in err
