import contextlib
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from clients.webhook import SIGNATURE, TIMESTAMP, Webhook, checked_address, signature

RECORD = {"type": "noticed", "text": "a crying baby — 婴儿", "score": 0.9}
SECRET = "s3cret"


@contextlib.contextmanager
def receiving(*, status=204, location=None):
    """Yield an address on this machine, and the requests that come there."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers), body))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def do_GET(self):
            requests.append((self.path, {}, b""))

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?x=1", requests
        finally:
            server.shutdown()
            thread.join()


async def test_it_is_sent_signed():
    with receiving() as (address, requests):
        webhook = Webhook(address, SECRET, clock=lambda: 1_700_000_000.9)
        assert await webhook(RECORD) == ""
    ((path, headers, body),) = requests
    assert path == "/hook?x=1"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == RECORD
    assert headers[TIMESTAMP] == "1700000000"
    expected = hmac.new(SECRET.encode(), b"1700000000." + body, hashlib.sha256)
    assert headers[SIGNATURE] == f"sha256={expected.hexdigest()}"


def test_a_signature_depends_on_secret_time_and_body():
    found = {
        signature(secret, at, body)
        for secret in ("a", "b")
        for at in ("1", "2")
        for body in (b"x", b"y")
    }
    assert len(found) == 8


@pytest.mark.parametrize("status", [404, 500])
async def test_a_refusal_is_told(status):
    with receiving(status=status) as (address, requests):
        told = await Webhook(address, SECRET)(RECORD)
    assert told == f"webhook 127.0.0.1: HTTP {status}"
    assert len(requests) == 1


async def test_no_redirection_is_followed():
    with receiving(status=302, location="/elsewhere") as (address, requests):
        assert await Webhook(address, SECRET)(RECORD) == "webhook 127.0.0.1: HTTP 302"
    assert len(requests) == 1


async def test_nobody_there_is_told():
    with receiving() as (address, _):
        pass
    told = await Webhook(address, SECRET)(RECORD)
    assert told.startswith("webhook 127.0.0.1: ")
    assert "refused" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/hook",
        "http://127.0.0.1:8000/",
        "http://[::1]/x",
        "http://localhost/x",
    ],
)
def test_addresses_that_may_be_told(address):
    assert checked_address(address) == address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://example.org/hook", "would send what was heard unencrypted"),
        ("http://127.0.0.1.example.org/", "unencrypted"),
        ("http://10.0.0.1/", "unencrypted"),
        ("ftp://example.org/", "is no address"),
        ("https:///hook", "is no address"),
        ("https://user:word@example.org/", "no user and no password"),
        ("https://example.org:99999/", "ort"),
        ("https://example.org/böse", "%-escapes"),
        ("https://example.org/?ü", "%-escapes"),
    ],
)
def test_addresses_that_may_not(address, reason):
    with pytest.raises(ValueError, match=reason):
        checked_address(address)


def test_unencrypted_only_if_somebody_says_so():
    address = "http://example.org/hook"
    assert checked_address(address, insecure=True) == address
