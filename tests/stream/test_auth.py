"""Who may connect."""

import pytest

from stream.auth import (
    MOST_SECRETS,
    NOBODY,
    ClientSecrets,
    ForeignOriginError,
    authorize,
)
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


def test_a_client_secret_holds_for_its_time_and_names_its_owner():
    issued = ClientSecrets()
    secret = issued.issue("ann", {"id": 1}, lasts_s=60, now=1000.5)
    assert secret.expires_at == 1060
    assert issued.find(secret.value, now=1059.9) == secret
    assert (secret.owner, secret.settings) == ("ann", {"id": 1})
    assert issued.find(secret.value, now=1060.0) is None
    assert issued.find("ek_other", now=1001.0) is None
    assert issued.find(None, now=1001.0) is None


def test_with_too_many_secrets_the_oldest_is_given_up():
    issued = ClientSecrets()
    made = [
        issued.issue("ann", {}, lasts_s=60, now=0.0) for _ in range(MOST_SECRETS + 1)
    ]
    assert issued.find(made[0].value, now=1.0) is None
    assert issued.find(made[1].value, now=1.0) == made[1]
    assert len({secret.value for secret in made}) == MOST_SECRETS + 1
