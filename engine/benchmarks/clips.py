"""Which clips a benchmark hears: a manifest's, or the demo's."""

from dataclasses import dataclass
from pathlib import Path

import soundfile

from engine.data.manifest import Clip, ManifestError, read_manifest

DEMO = Path(__file__).parents[2] / "demo"
JFK = (
    "And so, my fellow Americans: ask not what your country can do for you; "
    "ask what you can do for your country."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The clips that a benchmark is about where nobody says others."""

    set: str
    split: str | None
    demo: str
    """A file of `demo/`, where there is no manifest."""
    with_text: bool


SPEECH = Wanted("librispeech_devclean20", "dev", "jfk.ogg", with_text=True)
MUSIC = Wanted("instruments", None, "guitar.ogg", with_text=False)


def choose_clips(
    wanted: Wanted,
    manifest: Path | None,
    *,
    sets: tuple[str, ...] = (),
    split: str | None = None,
    limit: int | None = None,
) -> list[Clip]:
    """Return the clips that were asked for; a manifest without sets is taken whole.

    Args:
        wanted: The default set, its split, and the demo's clip.
        manifest: None means the demo's clip.
        sets: In place of the default set, which comes with its own split.
        split: In place of the default split.
        limit: The most clips, evenly spread.

    Raises:
        ManifestError: If there is no manifest and no demo, or a manifest has no
            such clip.
    """
    if manifest is None:
        return [_demo_clip(wanted.demo)]
    if not sets and any("set" in clip.facts for clip in read_manifest(manifest)):
        sets, split = (wanted.set,), split or wanted.split
    clips = read_manifest(manifest, sets=sets, split=split, limit=limit)
    if wanted.with_text:
        clips = [clip for clip in clips if clip.facts.get("text")]
    if not clips:
        raise ManifestError(f"{manifest}: none of the clips has a text")
    return clips


def _demo_clip(name: str) -> Clip:
    file = DEMO / name
    if not file.is_file():
        raise ManifestError(f"{file} is missing; name clips of yours with --manifest")
    facts = {"text": JFK} if name == SPEECH.demo else {}
    return Clip(name, file, soundfile.info(file).duration, facts)
