"""What a model hears where nobody speaks: silence, noise, music.

Any word is an invented one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.benchmarks.report import Row, Setup
from engine.benchmarks.server import measured_server
from engine.benchmarks.sounds import silence, white_noise, write_wav
from engine.benchmarks.timing import words_of
from engine.data.audio import read_clip
from engine.evaluation import live

LENGTH_S = 60.0  # of silence and of noise
NOISE_DBFS = (-20, -40)
MUSIC = "music"


@dataclass(frozen=True, slots=True)
class Invented:
    """What was heard in a recording without speech."""

    name: str
    kind: str
    """`silence`, `noise at … dBFS` or `music`."""
    segments: int
    """How often the voice detector was deceived."""
    final_words: int
    partial_words: int
    """Of the longest partial of each segment."""
    finals: list[str]
    partials: list[str]
    """The longest of each segment."""


@dataclass(frozen=True, slots=True)
class QuietFigures:
    """What was found; shares in percent of the recordings of a kind."""

    engine: str
    kinds: dict[str, dict[str, float]]
    """`recordings`, `final_words`, `partial_words`, `with_final_words`,
    `with_partial_words` of each kind."""
    details: list[Invented]
    """Recordings in which anything was heard."""

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = []
        for kind, found in self.kinds.items():
            words = f"{found['final_words']:.0f} in finals, "
            words += f"{found['partial_words']:.0f} in partials"
            is_music = kind == MUSIC
            rows.append(Row(f"{kind}: words", words, "" if is_music else "0"))
            if is_music:
                share = f"{found['with_final_words']:.1f} % in a final, "
                share += f"{found['with_partial_words']:.1f} % in a partial"
                rows.append(
                    Row(f"  of {found['recordings']:.0f} clips", share, "≤ 5 %")
                )
        for heard in self.details:
            texts = [f"“{text}”" for text in heard.finals]
            texts += [f"“{text}” (partial)" for text in heard.partials]
            rows.append(Row(f"    {heard.name}", ", ".join(texts)))
        return rows


def run(setup: Setup) -> QuietFigures:
    """Stream silence, noise and the clips; count what is heard.

    Raises:
        EngineError: If a clip is no audio, or the server or its client fails.
    """
    sounds = {"silence": silence(LENGTH_S)}
    for dbfs in NOISE_DBFS:
        sounds[f"noise at {dbfs} dBFS"] = white_noise(LENGTH_S, dbfs=dbfs)
    with TemporaryDirectory() as folder, measured_server(setup.config) as server:
        names = [(kind, kind) for kind in sounds]
        names += [(clip.path, MUSIC) for clip in setup.clips]
        recordings = [*sounds.values(), *(read_clip(c.file) for c in setup.clips)]
        files = [
            write_wav(Path(folder, f"{index}.wav"), samples)
            for index, samples in enumerate(recordings)
        ]
        with setup.steps("quiet: recordings", len(files)) as advance:
            events = live.hear(server.url, files, "--fast", report=advance)
        return figures(
            server.engine,
            [
                invented(name, kind, of_file)
                for (name, kind), of_file in zip(names, events, strict=True)
            ],
        )


def invented(name: str, kind: str, events: Sequence[live.Event]) -> Invented:
    """Return what was heard in a recording."""
    partials = defaultdict[int, list[str]](list)
    for event in events:
        if event["type"] == "partial":
            partials[event["segment"]].append(event["text"])
    longest = [
        max(texts, key=lambda text: len(words_of(text))) for texts in partials.values()
    ]
    heard_finals = [f["text"] for f in live.finals(events) if words_of(f["text"])]
    heard_partials = [text for text in longest if words_of(text)]
    return Invented(
        name=name,
        kind=kind,
        segments=len({event["segment"] for event in events}),
        final_words=sum(len(words_of(text)) for text in heard_finals),
        partial_words=sum(len(words_of(text)) for text in heard_partials),
        finals=heard_finals,
        partials=heard_partials,
    )


def figures(engine: str, heard: Sequence[Invented]) -> QuietFigures:
    """Return the figures of all recordings."""
    kinds = {}
    for kind in dict.fromkeys(one.kind for one in heard):
        of_kind = [one for one in heard if one.kind == kind]
        percent = 100.0 / len(of_kind)
        kinds[kind] = {
            "recordings": len(of_kind),
            "final_words": sum(one.final_words for one in of_kind),
            "partial_words": sum(one.partial_words for one in of_kind),
            "with_final_words": percent * sum(bool(one.finals) for one in of_kind),
            "with_partial_words": percent * sum(bool(one.partials) for one in of_kind),
        }
    return QuietFigures(
        engine, kinds, [one for one in heard if one.finals or one.partials]
    )
