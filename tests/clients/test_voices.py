"""Voices from files: read as the server takes them, known on every connection."""

import numpy as np
import pytest
import soundfile

from clients.client import connect
from clients.errors import AudioSourceError
from clients.file import make_parser
from clients.options import read_options
from clients.voices import read_voice
from stream.audio import to_float
from stream.events import SpeakerNamed, Speakers
from tests.clients.cutting_proxy import Cut, CuttingProxy
from tests.fakes.engine import speak
from tests.fakes.server import pieces, running

ANNA = speak(21, 22, samples=16_000)
TALK = speak(1, 2, 0, 0, 23, 24, 0, 0, 3, 0, 0)


def write(path, pcm, *, rate=16_000, channels=1):
    samples = to_float(pcm)
    soundfile.write(path, np.repeat(samples[:, None], channels, axis=1), rate)
    return path


def test_a_voice_is_read_bit_by_bit_and_not_beyond_what_is_taken(tmp_path):
    assert read_voice(write(tmp_path / "a.wav", ANNA)) == ANNA
    long = read_voice(write(tmp_path / "b.wav", 5 * ANNA))
    assert long == (5 * ANNA)[: 6 * 32_000]


def test_another_rate_and_two_channels_are_made_one_of_16_khz(tmp_path):
    path = write(tmp_path / "a.wav", 3 * ANNA, rate=48_000, channels=2)
    assert len(read_voice(path)) / 32_000 == pytest.approx(2.0, abs=0.05)


def test_what_is_too_short_or_no_audio_is_refused_in_words(tmp_path):
    with pytest.raises(AudioSourceError, match=r"0\.3 s; a voice is known by 1\.6 s"):
        read_voice(write(tmp_path / "a.wav", speak(1)))
    (tmp_path / "b.wav").write_bytes(b"no audio")
    with pytest.raises(AudioSourceError, match="not audio"):
        read_voice(tmp_path / "b.wav")


def options_of(*flags):
    parser = make_parser()
    return read_options(parser, parser.parse_args(["talk.wav", *map(str, flags)]))


def test_the_command_line_names_voices_and_asks_for_speakers(tmp_path):
    anna = write(tmp_path / "a.wav", ANNA)
    options = options_of("--speaker", f"Anna={anna}", "--max-speakers", 3)
    assert (options.speakers, dict(options.voices)) == (3, {"Anna": ANNA})
    assert options_of().speakers == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--speaker", "Anna"], "'Anna' is not NAME=FILE"),
        (["--speaker", "=a.wav"], "'=a.wav' is not NAME=FILE"),
        (["--speaker", "Anna=none.wav"], "none.wav: No such file"),
        (["--speaker", "Anna={a}", "--speaker", "Anna={a}"], "a name comes twice"),
        (
            ["--speaker", "A={a}", "--speaker", "B={a}", "--max-speakers", "1"],
            "2 voices; --max-speakers is 1",
        ),
    ],
)
def test_wrong_usage_is_told(flags, message, tmp_path, capsys):
    anna = write(tmp_path / "a.wav", ANNA)
    with pytest.raises(SystemExit) as caught:
        options_of(*(flag.format(a=anna) for flag in flags))
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


async def who_spoke(url, **wishes):
    """Return the names that were told, and who spoke at last in each segment."""
    named, turns = [], {}
    async with connect(url, speakers=4, **wishes) as client:
        for piece in pieces(TALK):
            await client.send(piece)
        await client.end()
        async for event in client:
            if isinstance(event, SpeakerNamed):
                named.append(event.name)
            if isinstance(event, Speakers) and event.complete:
                told = [(turn.name, turn.text) for turn in event.turns]
                turns[event.segment] = told
    return named, [told for _, told in sorted(turns.items())]


async def test_a_voice_that_was_brought_has_its_name_from_its_first_segment_on():
    async with running() as server:
        url = f"ws://127.0.0.1:{server.port}"
        named, turns = await who_spoke(url, voices={"Anna": ANNA})
    assert named == ["Anna"]
    assert turns == [[("", "1 2")], [("Anna", "23 24")], [("", "3")]]
    assert server.engine.num_listeners == 0


async def test_another_server_is_told_the_voice_again():
    async with running() as first, running() as second:
        ports = (first.port, second.port)
        cuts = [Cut(len(TALK) // 3, upwards=True)]
        async with CuttingProxy(ports, cuts) as proxy:
            named, turns = await who_spoke(proxy.url, voices={"Anna": ANNA})
    assert set(named) == {"Anna"}
    assert ("Anna", "23 24") in [turn for told in turns for turn in told]
