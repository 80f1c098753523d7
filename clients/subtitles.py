"""Finals as a transcript on disk: SubRip (.srt), WebVTT (.vtt) or JSON lines (.jsonl).

Everything is written as it comes, so that a crash loses nothing.  What turns out to be
another speaker's is put right at the end, and cues of sounds, which are known late, get
their place; in JSON lines, a later line does.  Knows no
connection and no screen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from clients.latency import Arrival
from clients.marks import Mark, WaitingMarks
from clients.output import OutputFile
from clients.records import line, mark_record, record
from clients.replay import settled_by
from clients.sounds import cue_of
from clients.speakers import TASK, TRANSCRIBE, Names, spoken
from stream.events import Error, Final, ServerEvent, SpeakerNamed, Speakers
from stream.sound_events import Noticed, Sound
from stream.subtitles import Cue, cut, srt_cue, vtt_cue

SUFFIXES = (".srt", ".vtt", ".jsonl")


Told = Final | Speakers | None
"""What is known of a task; None where nothing will come."""


class Captions:
    """Join the finals of a segment into cues.

    Pure.  Each task's finals come in the order of their segments.
    """

    def __init__(
        self, tasks: Sequence[str], *, speakers: bool = False, keep: bool = False
    ) -> None:
        """Begin.

        Args:
            tasks: What is asked about each segment.
            speakers: Whether who speaks is told, too; a cue then waits for that.
            keep: Whether `all` is wanted, though nobody is told to speak.
        """
        self._keep = keep or speakers
        self._tasks = (*tasks, TASK) if speakers else tuple(tasks)
        self._names = Names()
        self._open: dict[int, dict[str, Told]] = {}
        """By segment and task."""
        self._done: dict[int, dict[str, Told]] = {}
        """Those that were given out, if they may be given out anew."""
        self.is_corrected = False
        """Whether cues that were given out are others by now."""

    def push(self, final: Final) -> list[Cue]:
        """Add a final; return the cues of the segments that are now complete."""
        self._open.setdefault(final.segment, {})[final.task] = final
        return self._complete()

    def miss(self, segment: int, task: str | None) -> list[Cue]:
        """Note that a final will not come, or none of a segment; return as `push`."""
        tasks = self._tasks if task is None else (task,)
        self._open.setdefault(segment, {}).update(dict.fromkeys(tasks))
        return self._complete()

    def recognise(self, event: Speakers | SpeakerNamed) -> list[Cue]:
        """Take who speaks, or what a speaker is called; return as `push`."""
        is_named = self._names.follow(event)
        if isinstance(event, SpeakerNamed) or event.segment in self._done:
            if isinstance(event, Speakers):
                self._done[event.segment][TASK] = event
            self.is_corrected |= is_named or isinstance(event, Speakers)
            return []
        if event.complete:
            self._open.setdefault(event.segment, {})[TASK] = event
        return self._complete()

    def all(self) -> list[Cue]:
        """Return all cues as they are to be by now."""
        return [cue for finals in self._done.values() for cue in self._cues(finals)]

    def _complete(self) -> list[Cue]:
        cues = []
        while self._open:
            segment = min(self._open)
            if len(self._open[segment]) < len(self._tasks):
                break
            cues += self._give_out(segment)
        return cues

    def flush(self) -> list[Cue]:
        """End the stream; return the cues of segments that lack a task."""
        return [
            cue for segment in sorted(self._open) for cue in self._give_out(segment)
        ]

    def _give_out(self, segment: int) -> list[Cue]:
        finals = self._open.pop(segment)
        if self._keep:
            self._done[segment] = finals
        return self._cues(finals)

    def _cues(self, told: dict[str, Told]) -> list[Cue]:
        named = [told.get(task) for task in self._tasks]
        finals = [f for f in named if isinstance(f, Final) and f.text.strip()]
        speakers, transcript = told.get(TASK), told.get(TRANSCRIBE)
        turns = spoken(speakers) if isinstance(speakers, Speakers) else []
        if not turns or not isinstance(transcript, Final):
            return cut(finals)
        # What is not shared out among the turns stands with the longest.
        others = [final for final in finals if final is not transcript]
        longest = max(turns, key=lambda turn: turn.end - turn.start)
        cues: list[Cue] = []
        for turn in turns:
            words = [w for w in transcript.words if turn.start <= w.start < turn.end]
            part = replace(
                transcript,
                text=turn.text,
                start=turn.start,
                end=turn.end,
                words=tuple(words) if len(words) == len(turn.text.split()) else (),
            )
            beside = others if turn is longest else []
            cues += cut([part, *beside], speaker=self._names.label(turn.speaker))
        return cues


class TranscriptFile:
    """A file of finals, in the format of its name's suffix."""

    def __init__(self, path: Path) -> None:
        """Create the file, or empty it.

        Raises:
            OutputError: If it cannot be written.
        """
        assert path.suffix in SUFFIXES, "the command line lets no other through"
        self._suffix = path.suffix
        self._num_cues = 0
        self._output = OutputFile(path)
        self._output.write(self._head)

    @property
    def _head(self) -> str:
        return "WEBVTT\n\n" if self._suffix == ".vtt" else ""

    @property
    def is_timeline(self) -> bool:
        """Whether it shows one stream of audio, and no second one after it."""
        return self._suffix != ".jsonl"

    def write_cues(self, cues: Iterable[Cue]) -> None:
        """Add cues.

        Raises:
            OutputError: If they cannot be written.
        """
        for cue in cues:
            self._num_cues += 1
            self._output.write(self._text(self._num_cues, cue))

    def rewrite_cues(self, cues: Iterable[Cue]) -> None:
        """Have these cues in place of all.

        Raises:
            OutputError: If they cannot be written.
        """
        texts = [self._text(number, cue) for number, cue in enumerate(cues, 1)]
        self._num_cues = len(texts)
        self._output.rewrite(self._head + "".join(texts))

    def _text(self, number: int, cue: Cue) -> str:
        return srt_cue(number, cue) if self._suffix == ".srt" else vtt_cue(cue)

    def write_event(self, event: ServerEvent, *, file: str | None) -> None:
        """Add a final, who speaks, or what sounds, as a line of JSON.

        Raises:
            OutputError: If it cannot be written.
        """
        fields = record(event, file=file)
        assert fields is not None, "it is about a segment, a speaker or a sound"
        self._output.write(line(fields))

    def write_mark(self, mark: Mark, *, file: str | None) -> None:
        """Add a mark as a line of JSON.

        Raises:
            OutputError: If it cannot be written.
        """
        self._output.write(line(mark_record(mark, file=file)))

    def close(self) -> None:
        """Close the file.

        Raises:
            OutputError: If what failed to be written fails again.
        """
        self._output.close()


class TranscriptPrinter:
    """Keep the finals of a session in a file."""

    def __init__(
        self,
        file: TranscriptFile,
        *,
        tasks: Sequence[str],
        name: str | None,
        speakers: bool = False,
        sounds: bool = False,
    ) -> None:
        """Begin a session.

        Args:
            file: Where finals go; it stays open.
            tasks: What is asked about each segment.
            name: What the session hears.
            speakers: Whether who speaks is told.
            sounds: Whether something else that is heard is.
        """
        self._file = file
        self._name = name
        self._captions = Captions(tasks, speakers=speakers, keep=sounds)
        self._marks = WaitingMarks()
        self._marked: list[Cue] = []
        """All marks and sounds: they stay where they are when cues are put right."""
        self._is_mixed = False
        """Whether cues were written that are known only after later ones."""

    def show(self, arrival: Arrival) -> None:
        """Keep an event, if it is a final, or tells who speaks."""
        match arrival.event:
            case Speakers(complete=False):
                pass
            case Final() | Speakers() | SpeakerNamed() as event:
                if not self._file.is_timeline:
                    self._file.write_event(event, file=self._name)
                elif isinstance(event, Final):
                    self._write(self._captions.push(event))
                else:
                    self._write(self._captions.recognise(event))
            case Sound(complete=True) | Noticed(complete=True) as event:
                self._note(event)
            case Error(segment=int(segment), task=task):
                self._write(self._captions.miss(segment, task))
        if (settled := settled_by(arrival.event)) is not None:
            self._file.write_cues(self._marks.settled(settled))

    def _note(self, event: Sound | Noticed) -> None:
        """Keep a sound that is over; it began before cues that were written."""
        if not self._file.is_timeline:
            self._file.write_event(event, file=self._name)
            return
        self._is_mixed = True
        self._marked.append(cue_of(event))
        self._file.write_cues(self._marked[-1:])

    def mark(self, mark: Mark) -> None:
        """Keep a mark, among the cues where it belongs."""
        if self._file.is_timeline:
            self._marks.push(mark)
            self._marked.append(mark.cue())
        else:
            self._file.write_mark(mark, file=self._name)

    def close(self) -> None:
        """Keep what is left, and marks behind it; put right what was wrong."""
        self._write(self._captions.flush())
        self._file.write_cues(self._marks.flush())
        if self._captions.is_corrected or self._is_mixed:
            cues = [*self._marked, *self._captions.all()]
            self._file.rewrite_cues(sorted(cues, key=lambda cue: cue.start_ms))

    def _write(self, cues: Iterable[Cue]) -> None:
        for cue in cues:
            self._file.write_cues([*self._marks.before(cue), cue])
