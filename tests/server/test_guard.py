"""Who is answered. The page has no endpoints but these, so what is attacked here is the page's."""

import asyncio
import time

import pytest
from server_helpers import problem

from impasto.errors import UsageError
from impasto.server.guard import host_of

TOKEN = "a-token-of-sufficient-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WITHOUT_TOKEN = ("/healthz", "/readyz", "/sign-in", "/style.css", "/icon.svg")
WITH_TOKEN = (
    "/", "/index.html", "/app.js", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/metrics",
    "/v1/styles", "/v1/limits", "/v1/example", "/v1/styles/negative/thumbnail", "/nothing",
)  # fmt: skip


@pytest.fixture
def guarded(make_client):
    return make_client(token=TOKEN)


@pytest.fixture
def picture(photo):
    return photo.read_bytes()


@pytest.mark.parametrize("path", WITH_TOKEN)
def test_everything_asks_for_the_token(guarded, path):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Cookie": "impasto_session=" + TOKEN},
        {"Authorization": b"Bearer \xff"},
    ):
        response = guarded.get(path, headers=headers)
        problem(response, 401, "no-token")
        assert response.headers["www-authenticate"] == "Bearer"
    assert guarded.get(path, headers=BEARER).status_code == (404 if path == "/nothing" else 200)


def test_painting_asks_for_the_token_before_it_reads_the_picture(guarded, picture):
    read = []

    async def body():
        read.append(True)
        yield picture

    for path in ("/v1/stylize", "/v1/upscale"):
        problem(guarded.post(path, content=body()), 401, "no-token")
    assert read == []
    assert guarded.post("/v1/stylize", content=picture, headers=BEARER).status_code == 200


@pytest.mark.parametrize("path", WITHOUT_TOKEN)
def test_health_and_the_sign_in_page_do_not(guarded, path):
    assert guarded.get(path).status_code in (200, 503)


def test_a_browser_signs_in_once(guarded, picture):
    asked = guarded.get("/docs", headers={"Accept": "text/html,*/*"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in")

    wrong = guarded.post("/sign-in", data={"token": "guess"})
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    assert "set-cookie" not in wrong.headers

    right = guarded.post("/sign-in", data={"token": TOKEN})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie

    # The client keeps it, as a browser does.
    assert guarded.get("/v1/styles").status_code == 200
    assert guarded.post("/v1/stylize", content=picture).status_code == 200


def test_the_sign_in_form_has_a_limit(guarded):
    problem(guarded.post("/sign-in", data={"token": "x" * 20_000}), 413, "too-large")


def test_the_sign_in_form_has_a_limit_of_time(guarded, monkeypatch):
    monkeypatch.setattr("impasto.server.routes._FORM_TIME_LIMIT_S", 0.2)

    async def slow():
        yield b"token="
        await asyncio.sleep(30)

    start = time.monotonic()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    told = problem(guarded.post("/sign-in", content=slow(), headers=headers), 504, "time-limit")
    assert told.startswith("the form took longer than the limit of 0.2 s")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
def test_other_names_are_not_answered(client, picture, host):
    headers = {"Host": host}
    problem(client.get("/", headers=headers), 421, "unknown-host")
    problem(client.post("/v1/stylize", content=picture, headers=headers), 421, "unknown-host")
    assert client.get("/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "127.0.0.1", "PAINT.example:443"])
def test_loopback_and_allowed_names_are_answered(make_client, host):
    client = make_client(allowed_hosts=("paint.example",))
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_the_name_in_a_host_header():
    assert [host_of(h) for h in ("A.b:80", "a.b", "[::1]:80", "[::1]", "a:b")] == [
        "a.b", "a.b", "[::1]", "[::1]", "a:b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://[127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_cannot_post(client, picture, headers):
    for path in ("/v1/stylize", "/v1/upscale", "/sign-in"):
        problem(client.post(path, content=picture, headers=headers), 403, "foreign-origin")


def test_the_page_itself_can(client, picture):
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    response = client.post("/v1/stylize", content=picture, headers=headers)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


def test_cross_origin_requests_only_for_origins_that_were_named(make_client, picture):
    client = make_client(cors_origins=("https://studio.example",), token=TOKEN)
    ours = {"Origin": "https://studio.example", **BEARER}
    response = client.post("/v1/stylize", content=picture, headers=ours)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://studio.example"
    assert "access-control-allow-credentials" not in response.headers
    foreign = client.post(
        "/v1/stylize", content=picture, headers={"Origin": "https://evil.example", **BEARER}
    )
    problem(foreign, 403, "foreign-origin")
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/styles", "/nothing", "/metrics"])
def test_every_answer_keeps_the_browser_to_this_server(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"host": "0.0.0.0"}, "--no-auth"),
        ({"host": "example.org"}, "--no-auth"),
        ({"host": "::"}, "--no-auth"),
        ({"token": "short"}, "shorter than 16"),
        ({"token": TOKEN, "no_auth": True}, "contradict"),
        ({"cors_origins": ("*",)}, "--cors-origin"),
        ({"allowed_hosts": ("a.example", "https://b.example")}, "--allow-host .* 'https://b.exam"),
        ({"allowed_hosts": ("b.example:8443",)}, "--allow-host .* without https:// and port"),
        ({"port": 70_000}, "--port"),
        ({"workers": 0}, "--workers"),
        ({"queue": -1}, "--queue"),
        ({"max_upload_bytes": 0}, "--max-upload"),
        ({"max_pixels": 0}, "--max-pixels"),
        ({"time_limit_s": float("nan")}, "--time-limit"),
    ],
)
def test_settings_that_are_refused(make_settings, changes, told):
    with pytest.raises(UsageError, match=told):
        make_settings(**changes).check()


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "0.0.0.0", "token": TOKEN},
        {"host": "0.0.0.0", "no_auth": True},
        {"host": "::1"},
        {"host": "::1", "allowed_hosts": ("[fe80::1]", "b.example")},
        {"host": "localhost"},
        {"host": "127.8.8.8"},
    ],
)
def test_settings_that_are_taken(make_settings, changes):
    make_settings(**changes).check()
