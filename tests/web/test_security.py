"""What stands between this machine's browser and everybody else's pages."""

import re
import stat
import sys
from pathlib import Path

import pytest

import web
from tests.web.still_engine import jpeg
from vidsearch.errors import UsageError
from web import create_app
from web.security import POLICY, is_loopback, secret_key
from web.server import make_server

TEMPLATES = sorted((Path(web.__file__).parent / "templates").rglob("*.html"))


@pytest.mark.parametrize(
    "url", ["/", "/people/", "/timeline.json", "/static/style.css", "/static/js/page.js", "/nothing", "/people/99"]
)
def test_every_answer_has_the_headers(client, url):
    headers = client.get(url).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_the_policy_allows_nothing_inline_or_foreign():
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert POLICY.startswith("default-src 'none'")


def test_a_fault_has_the_headers_too_and_tells_nothing(app, flask, client, monkeypatch, caplog):
    monkeypatch.setattr(app.timeline, "people", lambda _: 1 / 0)
    answer = client.get("/people/")
    assert answer.status_code == 500
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "ZeroDivisionError" not in answer.get_data(as_text=True)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("127.0.0.1", 200),
        ("127.8.9.1:80", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.localhost", 403),
        ("127.0.0.1@evil.example", 403),
        ("127.0.0.1:80:80", 403),
        ("[::1]x", 403),
        ("192.168.1.5", 403),
        ("0.0.0.0", 403),
        ("", 403),
    ],
)
def test_only_names_of_this_machine_are_answered(client, host, status):
    assert client.get("/people/", headers={"Host": host}).status_code == status


def test_the_name_listened_on_is_answered(app):
    client = create_app(app, host="cctv.internal").test_client()
    assert client.get("/people/", headers={"Host": "CCTV.internal:8080"}).status_code == 200
    assert client.get("/people/", headers={"Host": "other.internal:8080"}).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org", "127.0.0.1.nip.io", "128.0.0.1"])
def test_listening_elsewhere_is_refused(flask, host):
    with pytest.raises(UsageError, match="this machine only"):
        make_server(flask, host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_listening_here_works_and_a_taken_port_is_said(flask, host):
    server = make_server(flask, host, 0)
    try:
        assert server.effective_host == "127.0.0.1"
        with pytest.raises(UsageError, match="cannot listen"):
            make_server(flask, "127.0.0.1", int(server.effective_port))
    finally:
        server.close()


@pytest.mark.parametrize(("name", "here"), [("::1", True), ("[::1]", True), ("localhost.", True), ("127.1", False)])
def test_is_loopback(name, here):
    assert is_loopback(name) is here


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:8081"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_posts_of_other_pages_are_refused(client, headers, status):
    assert client.post("/search", headers=headers).status_code == status


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_a_post_without_the_token_is_refused(client, app, token):
    data = {"name": "Ann", "photos": (__import__("io").BytesIO(jpeg()), "a.jpg")}
    if token is not None:
        data["csrf_token"] = token
    assert client.flask.post("/people/", data=data).status_code == 400
    assert app.timeline.people("default") == []


def test_every_form_that_posts_carries_the_token():
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.S):
            assert "csrf()" in form or "csrf_token()" in form, path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    ],
)
def test_other_pages_may_link_here_and_not_read(client, headers, status):
    assert client.get("/people/", headers=headers).status_code == status


def test_templates_have_nothing_inline_and_nothing_foreign():
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<[^>]+\sstyle=", text), path
        assert not re.search(r"<[^>]+\son[a-z]+=", text), path
        assert "<style" not in text, path
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), path
        assert "| safe" not in text, path
        assert "autoescape" not in text, path


def test_the_key_is_kept_for_its_owner_only(tmp_path):
    key = secret_key(tmp_path / "data")
    assert len(key) == 64
    assert secret_key(tmp_path / "data") == key
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "data" / "web.key").stat().st_mode) == 0o600
    (tmp_path / "file").write_text("")
    assert secret_key(tmp_path / "file") != secret_key(tmp_path / "file")


def test_cookies_cannot_be_read_by_scripts(client):
    cookie = client.get("/people/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_too_much_at_once_is_said(client, monkeypatch, flask):
    monkeypatch.setitem(flask.config, "MAX_CONTENT_LENGTH", 2000)
    answer = client.post("/people/", {"name": "Ann", "photos": (__import__("io").BytesIO(b"x" * 5000), "a.jpg")})
    assert answer.status_code == 413
    assert "100 MB" in answer.get_data(as_text=True)
