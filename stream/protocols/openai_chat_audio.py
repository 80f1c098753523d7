"""The files of a chat completion → one clip.

It knows no request; decoding is work for a thread.
"""

from collections.abc import Sequence
from typing import Final

from stream.audio import SAMPLE_RATE, PcmReader
from stream.errors import AudioFormatError, LimitError
from stream.protocols.openai_chat_form import CONTAINERS, AudioPart
from stream.uploads import Upload

BETWEEN: Final = bytes(2 * SAMPLE_RATE // 10)
"""0.1 s of silence between two files, as in training."""


def decode(parts: Sequence[AudioPart], most_s: float) -> bytes:
    """Return what files sound like, one behind the other: s16le samples at 16 kHz.

    Raises:
        FieldError: If one is not base64.
        AudioFormatError: If one is no audio, or not of the format that it names.
        LimitError: If all last too long.
    """
    most, found = int(most_s * SAMPLE_RATE) * 2, bytearray()
    for part in parts:
        if found:
            found += BETWEEN
        upload = Upload(part.decode())
        if upload.container not in CONTAINERS[part.format]:
            raise AudioFormatError(
                f"{part.where}.format is {part.format!r}, but the file is "
                f"{upload.container}"
            )
        reader = PcmReader(upload.format)
        while piece := upload.read():
            for frame in reader.push(piece):
                found += frame.pcm
            if len(found) > most:
                raise LimitError(
                    f"{part.where} goes on after {most_s:g} s, the most that is heard "
                    "at once; /v1/audio/transcriptions takes longer files"
                )
        for frame in reader.flush():
            found += frame.pcm
    if not found:
        raise AudioFormatError(f"{parts[0].where} has no samples")
    # Frames of 20 ms may end a little behind the last sample.
    return bytes(found[:most])
