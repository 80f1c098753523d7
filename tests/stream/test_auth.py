"""Who may connect."""

import pytest

from stream.auth import NOBODY, ForeignOriginError, authorize
from stream.config import AuthConfig
from stream.errors import UnauthorizedError

OPEN = AuthConfig()
LOCKED = AuthConfig(tokens=("first", "second"))


def bearer(token):
    return {"authorization": f"Bearer {token}", "host": "here:1"}


def test_a_server_without_tokens_asks_for_none():
    assert authorize({"host": "here:1"}, OPEN) == NOBODY


def test_each_token_is_an_owner_whose_name_is_not_the_token():
    one, two = (authorize(bearer(token), LOCKED) for token in ("first", "second"))
    assert one != two
    assert "first" not in one


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "first"},
        {"authorization": "Basic first"},
        {"authorization": "Bearer "},
        bearer("third"),
        bearer("firs"),
        bearer("fürst"),
    ],
)
def test_a_missing_or_unknown_token_is_refused_without_repeating_it(headers):
    with pytest.raises(UnauthorizedError) as caught:
        authorize({"host": "here:1", **headers}, LOCKED)
    assert "third" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://here:1", ()),
        ("https://here:1", ()),
        ("https://there", ("https://there",)),
        ("https://there", ("*",)),
    ],
)
def test_pages_of_this_host_and_of_the_list_may_connect(origin, allowed):
    headers = {"host": "here:1", "origin": origin}
    assert authorize(headers, AuthConfig(origins=allowed)) == NOBODY


@pytest.mark.parametrize(
    "origin", ["https://there", "http://here:2", "null", "", "http://["]
)
def test_pages_of_other_sites_may_not(origin):
    with pytest.raises(ForeignOriginError, match="expected this server's own"):
        authorize({"host": "here:1", "origin": origin}, OPEN)


def test_tokens_are_not_shown_with_the_configuration():
    assert "first" not in repr(LOCKED)
