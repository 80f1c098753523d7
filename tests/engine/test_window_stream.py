import pytest
import torch
from torch.testing import assert_close

from engine.window_stream import WindowStream
from tests.engine.tiny_beats import WIDTH
from tests.engine.tiny_head import SPEECH_WIDTH, tiny_bridge

OFFICIAL = {}
OURS = {
    "queries": 3,
    "speech_layers": 2,
    "context": 4,
    "positions": True,
    "running": True,
}
OVERLAPPING = {"hop": 8, "queries": 2}
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(params=[OFFICIAL, OURS, OVERLAPPING], ids=["official", "ours", "hop"])
def bridge(request):
    return tiny_bridge(**request.param)


def speech_of(bridge, frames):
    return torch.randn(frames, bridge.config.speech_frame_width)


def offline(bridge, speech, audio):
    with torch.inference_mode():
        return bridge(speech[None], None if audio is None else audio[None])[0]


@pytest.mark.parametrize(
    ("speech_sizes", "audio_sizes"),
    [
        ([120], [112]),
        ([34, 34, 34, 18], [24, 24, 24, 40]),
        ([1] * 120, [8] * 14),
        ([68, 52], [112, 0]),
        ([0, 120], [112, 0]),
    ],
)
def test_streamed_windows_are_those_of_the_whole(bridge, speech_sizes, audio_sizes):
    speech, audio = speech_of(bridge, 120), torch.randn(112, WIDTH)
    pieces = [list(speech.split(speech_sizes)), list(audio.split(audio_sizes))]
    stream, embedded = WindowStream(bridge), []
    while any(pieces):
        new = [
            side.pop(0) if side else whole[:0]
            for side, whole in zip(pieces, (speech, audio), strict=True)
        ]
        embedded.append(stream.push(*new))
    embedded.append(stream.rest(speech[:0], audio[:0]))
    assert_close(torch.cat(embedded), offline(bridge, speech, audio), **CLOSE)


def test_a_guess_leaves_no_trace(bridge):
    speech, audio = speech_of(bridge, 140), torch.randn(140, WIDTH)
    plain, tried = WindowStream(bridge), WindowStream(bridge)
    for at in range(0, 140, 20):
        new = speech[at : at + 20], audio[at : at + 20]
        expected = plain.push(*new)
        assert torch.equal(tried.push(*new), expected)
        guess = tried.rest(speech_of(bridge, 55), torch.randn(31, WIDTH))
        assert len(guess) > 0


def test_the_rest_is_guessed_as_the_whole_would_be(bridge):
    speech, audio = speech_of(bridge, 150), torch.randn(112, WIDTH)
    stream = WindowStream(bridge)
    settled = stream.push(speech[:68], audio[:64])
    rest = stream.rest(speech[68:], audio[64:])
    assert_close(torch.cat([settled, rest]), offline(bridge, speech, audio), **CLOSE)


def test_one_encoder_is_enough():
    bridge = tiny_bridge(has_audio=False)
    speech = torch.randn(75, SPEECH_WIDTH)
    stream = WindowStream(bridge)
    embedded = [stream.push(piece, None) for piece in speech.split(10)]
    embedded.append(stream.rest(speech[:0], None))
    assert_close(torch.cat(embedded), offline(bridge, speech, None), **CLOSE)


def test_a_settled_window_is_embedded_once(bridge):
    stream = WindowStream(bridge)
    frames = speech_of(bridge, 200), torch.randn(200, WIDTH)
    first = stream.push(*frames)
    assert len(first) > 0
    assert len(stream.push(frames[0][:0], frames[1][:0])) == 0
