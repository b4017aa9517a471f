"""Does an address that a visitor types lead to the public internet only? Tried at the socket."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from errors import UserError
from hub.spacefile import read_spacefile
from tests.conftest import ROOT
from ui import web

IMAGE = (ROOT / "examples" / "portrait.jpg").read_bytes()
SPACE = replace(read_spacefile(environ={}), max_upload_mb=1)
INSIDE = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
)  # fmt: skip


class Site:
    """A server on loopback that counts who connects; its answers are set by path."""

    def __init__(self):
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append((self.path, dict(self.headers)))
                status, headers, body = site.answers[self.path]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def site():
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def names(monkeypatch, site):
    """A table of names in place of the name service; the site's port stands for port 80."""
    table: dict[str, list[str]] = {}

    def getaddrinfo(host, port, **_):
        if host not in table:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in table[host]]

    dialled: list[str] = []

    def dial(address, timeout):
        dialled.append(address[0])
        line = socket.socket()
        line.settimeout(timeout)
        line.connect(("127.0.0.1", site.port))
        return line

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", dial)
    table["dialled"] = dialled
    return table


@pytest.fixture
def public(monkeypatch):
    """The loopback address at the other end of a dialled line counts as public; names do not."""
    before = web.is_public
    monkeypatch.setattr(
        web, "is_public", lambda text: text in ("203.0.113.5", "127.0.0.1") or before(text)
    )


def refused(url: str, tmp_path) -> str:
    with pytest.raises(UserError) as data:
        web.fetch(url, SPACE, tmp_path)
    return data.value.code


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_of_this_network_is_public(address):
    assert not web.is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"]
)
def test_addresses_of_the_internet_are_public(address):
    assert web.is_public(address)


@pytest.mark.parametrize("address", [a for a in INSIDE if ":" not in a])
def test_a_name_that_leads_inside_is_refused_before_anybody_is_dialled(
    address, names, site, tmp_path
):
    names["harmless.example"] = [address]
    assert refused("http://harmless.example/a.jpg", tmp_path) == "url_refused"
    assert names["dialled"] == [] and site.asked == []


def test_one_address_inside_among_public_ones_is_enough_to_refuse(names, site, tmp_path):
    names["mixed.example"] = ["93.184.216.34", "10.0.0.1"]
    assert refused("http://mixed.example/a.jpg", tmp_path) == "url_refused"
    assert names["dialled"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg", "http://localhost/a.jpg", "http://[::1]/a.jpg",
        "http://2130706433/a.jpg", "http://0x7f.1/a.jpg", "http://[::ffff:127.0.0.1]/a.jpg",
    ],
)  # fmt: skip
def test_spellings_of_this_machine_are_refused_by_the_systems_own_resolver(url, tmp_path):
    assert refused(url, tmp_path) in ("url_refused", "url_failed")


def test_the_line_goes_to_the_address_that_was_checked(names, site, public, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    site.answers["/a%20b.jpg"] = (200, {"Content-Type": "image/jpeg"}, IMAGE)
    fetched = web.fetch(" http://site.example/a%20b.jpg ", SPACE, tmp_path)
    assert names["dialled"] == ["203.0.113.5"]
    assert fetched.path.name == "a b.jpg" and fetched.path.read_bytes() == IMAGE
    ((_, headers),) = site.asked
    assert headers["Host"] == "site.example"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


def test_a_line_that_ends_inside_is_dropped_without_a_word(names, site, monkeypatch, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    before = web.is_public
    monkeypatch.setattr(web, "is_public", lambda text: text == "203.0.113.5" or before(text))
    assert refused("http://site.example/a.jpg", tmp_path) == "url_refused"
    assert site.asked == []


@pytest.mark.parametrize(
    "where", ["http://inside.example/a.jpg", "http://127.0.0.9/a.jpg", "http://[fe80::1]/a.jpg"]
)
def test_a_redirect_is_checked_like_the_first_address(where, names, site, public, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    names["inside.example"] = ["192.168.0.1"]
    names["127.0.0.9"], names["fe80::1"] = ["127.0.0.9"], ["fe80::1"]
    site.answers["/a.jpg"] = (302, {"Location": where}, b"")
    assert refused("http://site.example/a.jpg", tmp_path) == "url_refused"
    assert names["dialled"] == ["203.0.113.5"]


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "ftp://site.example/a", "gopher://x/1", ""]
)
def test_a_redirect_to_another_kind_of_address_ends(where, names, site, public, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    site.answers["/a.jpg"] = (302, {"Location": where}, b"")
    assert refused("http://site.example/a.jpg", tmp_path) in ("bad_url", "url_failed")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "bad_url"), ("nonsense", "bad_url"), ("file:///etc/passwd", "bad_url"),
        ("http://", "bad_url"), ("http://[", "bad_url"), ("http://x:99999/a", "bad_url"),
        ("http://" + "a" * 3000, "bad_url"), ("http://site.example:22/a", "url_refused"),
        ("http://me:secret@site.example/a", "url_refused"), ("http://no.example/a", "url_failed"),
        ("http://" + "a" * 70 + ".example/", "url_failed"),
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_file_is_said_at_once(url, code, names, tmp_path):
    assert refused(url, tmp_path) == code
    assert names["dialled"] == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((404, {}, b""), "url_failed"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), "url_refused"),
        ((200, {"Content-Type": "image/jpeg", "Content-Length": "9000000"}, b""), "too_large"),
        ((200, {"Content-Type": "image/jpeg"}, IMAGE[:1000] * 1100), "too_large"),
        ((200, {"Content-Type": "image/jpeg"}, b"#EXTM3U\nhttp://10.0.0.1/"), "decode_failed"),
        ((200, {"Content-Type": "image/jpeg"}, b""), "decode_failed"),
    ],
)
def test_size_and_kind_have_limits(answer, code, names, site, public, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    site.answers["/a.jpg"] = answer
    assert refused("http://site.example/a.jpg", tmp_path) == code


def test_no_file_name_leaves_its_folder(names, site, public, tmp_path):
    names["site.example"] = ["203.0.113.5"]
    folder = tmp_path / "here"
    folder.mkdir()
    for path in ("/%2e%2e%2f%2e%2e%2fevil.jpg", "/..%5cevil.jpg", "/", "/%00", "/..."):
        site.answers[path] = (200, {"Content-Type": "image/jpeg"}, IMAGE)
        fetched = web.fetch(f"http://site.example{path}", SPACE, folder)
        assert fetched.path.parent == folder
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_space_fetches_nothing_unless_its_spacefile_says_so(monkeypatch):
    assert web.allowed(SPACE)
    monkeypatch.setenv("SPACE_ID", "owner/space")
    assert not web.allowed(SPACE)
    assert web.allowed(replace(SPACE, urls=True))
    assert not read_spacefile(environ={}).urls
