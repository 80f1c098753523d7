import pytest

from clients.errors import (
    AudioSourceError,
    BrokenServerError,
    BusyError,
    DeviceError,
    DroppedError,
    NothingHeardError,
    OutputError,
    RefusedError,
    ServerError,
    ServerStartError,
    UnreachableError,
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ServerStartError("it ended with exit code 1"),
            "the server did not start: it ended with exit code 1",
        ),
        (
            UnreachableError("ws://a", "connection refused"),
            "no server answers at ws://a: connection refused",
        ),
        (
            RefusedError("ws://a", 401),
            "ws://a refused the connection (HTTP 401): it wants another token",
        ),
        (
            RefusedError("ws://a", 503, reason="all places are taken", retry_s=5),
            "ws://a refused the connection (HTTP 503): "
            "all places are taken; try again in 5 s",
        ),
        (
            RefusedError("ws://a", 418),
            "ws://a refused the connection (HTTP 418): "
            "it expects something else at this address",
        ),
        (
            ServerError("limit", "too long"),
            "the server ended the session (limit): too long",
        ),
        (DroppedError("ws://a", "gone"), "lost the connection to ws://a: gone"),
        (BrokenServerError("a joke"), "the server broke the protocol: a joke"),
        (AudioSourceError("a.txt", "not audio"), "a.txt: not audio"),
        (DeviceError("there is none"), "microphone: there is none"),
        (DeviceError("is busy", device="USB"), "microphone 'USB': is busy"),
        (OutputError("a.srt", "disk full"), "a.srt: cannot be written: disk full"),
        (
            BusyError("USB", 4.6),
            "it is listening to USB already, for another 5 s",
        ),
        (
            NothingHeardError(),
            "nothing was heard yet that the question could be about",
        ),
    ],
)
def test_each_error_is_one_sentence(error, sentence):
    assert str(error) == sentence
