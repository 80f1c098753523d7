import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stream.audio import (
    ENCODINGS,
    FRAME_BYTES,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Frame,
    Framer,
    PcmFormat,
    PcmReader,
    power,
    to_float,
    to_pcm,
)
from stream.errors import AudioFormatError

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000]


def cut(data, sizes, unit=1):
    """Cut `data` into pieces of the given sizes, in units; the last takes the rest."""
    pieces, position = [], 0
    for size in sizes:
        pieces.append(data[position : position + size * unit])
        position += size * unit
    return [*pieces, data[position:]]


def read(format, messages):
    reader = PcmReader(format)
    frames = [frame for message in messages for frame in reader.push(message)]
    return frames + reader.flush()


def noise(count, seed=0, scale=0.1):
    return scale * np.random.default_rng(seed).standard_normal(count)


def encode(samples, encoding):
    """Write floats with libsndfile, which knows all our encodings."""
    subtype = {
        "s16le": "PCM_16",
        "u8": "PCM_U8",
        "s24le": "PCM_24",
        "s32le": "PCM_32",
        "f32le": "FLOAT",
        "mulaw": "ULAW",
        "alaw": "ALAW",
    }[encoding]
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, subtype, endian="LITTLE", format="RAW")
    return file.getvalue()


def pcm(frames):
    return b"".join(frame.pcm for frame in frames)


# Frames.


@given(data=st.binary(max_size=5 * FRAME_BYTES), sizes=st.lists(st.integers(0, 2_000)))
def test_frames_do_not_depend_on_how_the_stream_was_cut(data, sizes):
    whole, pieces = Framer(), Framer()
    expected = whole.push(data) + whole.flush()
    actual = [f for piece in cut(data, sizes) for f in pieces.push(piece)]
    assert actual + pieces.flush() == expected


def test_a_frame_is_given_out_with_its_last_byte():
    framer = Framer()
    assert framer.push(bytes(FRAME_BYTES - 1)) == []
    assert framer.push(bytes(1)) == [Frame(0, bytes(FRAME_BYTES))]
    assert framer.flush() == []


def test_the_last_frame_is_filled_up_with_silence():
    framer = Framer(start=7)
    framer.push(b"\1\2")
    (frame,) = framer.flush()
    assert frame == Frame(7, b"\1\2" + bytes(FRAME_BYTES - 2))
    assert frame.end == 7 + FRAME_SAMPLES


# Reading: the same frames however the messages were cut.


@given(data=st.binary(max_size=4 * FRAME_BYTES).filter(lambda d: len(d) % 2 == 0))
def test_mono_s16le_at_16_khz_passes_through_bit_by_bit(data):
    assert pcm(read(PcmFormat(), [data]))[: len(data)] == data


@given(
    rate=st.sampled_from(RATES) | st.integers(8_000, 192_000),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    channels=st.integers(1, 8),
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(0, 3_000), max_size=20),
)
def test_cut_anywhere_is_read_as_in_one_piece(rate, encoding, channels, seed, sizes):
    format = PcmFormat(rate=rate, encoding=encoding, channels=channels)
    data = encode(noise(6_000 * channels, seed), encoding)
    assert read(format, cut(data, sizes, format.sample_bytes)) == read(format, [data])


@given(
    rate=st.sampled_from(RATES) | st.integers(8_000, 192_000),
    count=st.integers(0, 20_000),
)
def test_the_duration_is_kept_to_a_frame(rate, count):
    frames = read(PcmFormat(rate=rate), [bytes(2 * count)])
    expected = count * SAMPLE_RATE / rate
    assert expected - 1 < len(frames) * FRAME_SAMPLES < expected + FRAME_SAMPLES + 1
    assert [f.start for f in frames] == [i * FRAME_SAMPLES for i in range(len(frames))]


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_its_level_and_its_place(rate):
    wave = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate)
    data = encode(wave, "f32le")
    frames = read(PcmFormat(rate=rate, encoding="f32le"), cut(data, [100] * 99, 4))
    heard = to_float(pcm(frames))
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(len(heard)) / SAMPLE_RATE)
    inner = slice(2_000, 14_000)  # the ends ring, as the audio begins and stops there
    np.testing.assert_allclose(heard[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_resampler_holds_back_at_most_40_ms_of_a_live_stream(rate):
    reader, heard = PcmReader(PcmFormat(rate=rate)), 0
    for message in range(1, 100):
        heard += len(reader.push(bytes(2 * rate // 50))) * FRAME_SAMPLES
        assert message * FRAME_SAMPLES - heard <= 0.060 * SAMPLE_RATE  # and 20 ms begun


# Encodings.


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_all_codes_of_g711_are_read_as_libsndfile_reads_them(encoding, subtype):
    codes = bytes(range(256))
    reference, _ = soundfile.read(
        io.BytesIO(codes),
        dtype="int16",
        samplerate=8_000,
        channels=1,
        subtype=subtype,
        format="RAW",
    )
    values = ENCODINGS[encoding].decode(codes)
    np.testing.assert_array_equal(values * 32_768, reference)


@pytest.mark.parametrize(
    ("encoding", "code", "value"),
    [  # from the tables of ITU-T G.711, at the scale of 16 bits
        ("mulaw", 0xFF, 0),
        ("mulaw", 0x7F, 0),
        ("mulaw", 0x80, 32_124),
        ("mulaw", 0x00, -32_124),
        ("mulaw", 0xFE, 8),
        ("alaw", 0xD5, 8),
        ("alaw", 0x55, -8),
        ("alaw", 0xAA, 32_256),
        ("alaw", 0x2A, -32_256),
    ],
)
def test_codes_of_g711_stand_for_their_values(encoding, code, value):
    assert ENCODINGS[encoding].decode(bytes([code]))[0] * 32_768 == value


@pytest.mark.parametrize(
    ("encoding", "tolerance"),
    [
        ("s16le", 2**-14),
        ("u8", 2**-7),
        ("s24le", 2**-23),
        ("s32le", 2**-23),
        ("f32le", 0),
        ("mulaw", 0.02),
        ("alaw", 0.02),
    ],
)
def test_each_encoding_keeps_the_samples(encoding, tolerance):
    wave = noise(2_000).astype(np.float32)
    values = ENCODINGS[encoding].decode(encode(wave, encoding))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, wave, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("s16le", b"\x00\x80"),
        ("u8", b"\x00"),
        ("s24le", b"\x00\x00\x80"),
        ("s32le", b"\x00\x00\x00\x80"),
        ("f32le", struct.pack("<f", -1)),
    ],
)
def test_the_lowest_sample_is_minus_one(encoding, data):
    assert ENCODINGS[encoding].decode(data).tolist() == [-1.0]


def test_floats_out_of_range_are_clipped():
    data = struct.pack("<4f", 2.0, -3e38, 1.0, 0.5)
    frames = read(PcmFormat(encoding="f32le"), [data])
    assert struct.unpack("<4h", pcm(frames)[:8]) == (32_767, -32_768, 32_767, 16_384)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_sample_that_is_no_finite_number_is_refused(value):
    data = struct.pack("<3f", 0, float(value), 0)
    with pytest.raises(AudioFormatError) as error:
        PcmReader(PcmFormat(encoding="f32le")).push(data)
    assert str(error.value) == f"a sample is {value}; expected finite numbers"


def test_channels_are_mixed_to_their_mean():
    data = struct.pack("<6h", 100, 300, -8, 8, 1_000, 0)
    frames = read(PcmFormat(channels=2), [data])
    assert struct.unpack("<3h", pcm(frames)[:6]) == (200, 0, 500)


# Counting.


def test_received_counts_the_clients_own_samples_of_each_channel():
    reader = PcmReader(PcmFormat(rate=48_000, channels=2))
    reader.push(bytes(4 * 7))
    assert reader.received == 7
    reader.push(b"")
    reader.push(bytes(4 * 48_000))
    assert reader.received == 48_007


def test_a_stream_that_goes_on_elsewhere_keeps_its_positions():
    reader = PcmReader(PcmFormat(rate=48_000), received=48_001)
    frames = reader.push(bytes(2 * 48_000))
    assert frames[0].start == 16_000
    assert reader.received == 96_001


# Refusals.


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"rate": 7_999}, "rate is 7999; expected 8000 to 192000 Hz"),
        ({"rate": 192_001}, "rate is 192001; expected 8000 to 192000 Hz"),
        ({"channels": 0}, "channels is 0; expected 1 to 8"),
        ({"channels": 9}, "channels is 9; expected 1 to 8"),
        (
            {"encoding": "mp3"},
            "encoding is 'mp3'; expected one of "
            "s16le, u8, s24le, s32le, f32le, mulaw, alaw",
        ),
    ],
)
def test_a_format_that_we_do_not_know_is_refused(declared, message):
    with pytest.raises(AudioFormatError) as error:
        PcmFormat(**declared)
    assert str(error.value) == message


def test_a_message_that_is_not_whole_samples_is_refused():
    reader = PcmReader(PcmFormat(encoding="s24le", channels=2))
    with pytest.raises(AudioFormatError) as error:
        reader.push(bytes(13))
    assert str(error.value) == (
        "a message of 13 bytes; expected whole samples of 6 bytes (s24le, channels: 2)"
    )
    assert reader.received == 0


# Floats.


@given(st.binary(max_size=2_000).filter(lambda d: len(d) % 2 == 0))
def test_s16_survives_the_way_to_floats_and_back(data):
    samples = to_float(data)
    assert samples.dtype == np.float32
    assert to_pcm(samples) == data
    assert bool(np.all((samples >= -1) & (samples < 1)))


def test_power_is_the_mean_square():
    assert power(bytes(FRAME_BYTES)) == 0
    assert power(struct.pack("<4h", *[-32_768] * 4)) == 1
    assert power(struct.pack("<4h", 16_384, 0, -16_384, 0)) == 0.125
