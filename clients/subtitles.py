"""Finals as a transcript on disk: SubRip (.srt), WebVTT (.vtt) or JSON lines (.jsonl).

Everything is written as it comes, so that a crash loses nothing.  Knows no connection
and no screen.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from clients.latency import Arrival
from clients.marks import Mark, WaitingMarks
from clients.output import OutputFile
from clients.records import line, mark_record, record
from clients.replay import settled_by
from stream.events import Error, Final
from stream.subtitles import Cue, cut, srt_cue, vtt_cue

SUFFIXES = (".srt", ".vtt", ".jsonl")


class Captions:
    """Join the finals of a segment into cues.

    Pure.  Each task's finals come in the order of their segments.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self._tasks = tuple(tasks)
        self._open: dict[int, dict[str, Final | None]] = {}
        """By segment and task; None where a final will not come."""

    def push(self, final: Final) -> list[Cue]:
        """Add a final; return the cues of the segments that are now complete."""
        self._open.setdefault(final.segment, {})[final.task] = final
        return self._complete()

    def miss(self, segment: int, task: str | None) -> list[Cue]:
        """Note that a final will not come, or none of a segment; return as `push`."""
        tasks = self._tasks if task is None else (task,)
        self._open.setdefault(segment, {}).update(dict.fromkeys(tasks))
        return self._complete()

    def _complete(self) -> list[Cue]:
        cues = []
        while self._open:
            segment = min(self._open)
            if len(self._open[segment]) < len(self._tasks):
                break
            cues += self._cues(self._open.pop(segment))
        return cues

    def flush(self) -> list[Cue]:
        """End the stream; return the cues of segments that lack a task."""
        left = [self._open[segment] for segment in sorted(self._open)]
        self._open.clear()
        return [cue for finals in left for cue in self._cues(finals)]

    def _cues(self, finals: dict[str, Final | None]) -> list[Cue]:
        named = [finals.get(task) for task in self._tasks]
        return cut([final for final in named if final and final.text.strip()])


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
        if path.suffix == ".vtt":
            self._output.write("WEBVTT\n\n")

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
            is_srt = self._suffix == ".srt"
            text = srt_cue(self._num_cues, cue) if is_srt else vtt_cue(cue)
            self._output.write(text)

    def write_final(self, final: Final, *, file: str | None) -> None:
        """Add a final as a line of JSON.

        Raises:
            OutputError: If it cannot be written.
        """
        fields = record(final, file=file)
        assert fields is not None, "a final is about a segment"
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
        self, file: TranscriptFile, *, tasks: Sequence[str], name: str | None
    ) -> None:
        """Begin a session.

        Args:
            file: Where finals go; it stays open.
            tasks: What is asked about each segment.
            name: What the session hears.
        """
        self._file = file
        self._name = name
        self._captions = Captions(tasks)
        self._marks = WaitingMarks()

    def show(self, arrival: Arrival) -> None:
        """Keep an event, if it is a final."""
        match arrival.event:
            case Final() as final if self._file.is_timeline:
                self._write(self._captions.push(final))
            case Final() as final:
                self._file.write_final(final, file=self._name)
            case Error(segment=int(segment), task=task):
                self._write(self._captions.miss(segment, task))
        if (settled := settled_by(arrival.event)) is not None:
            self._file.write_cues(self._marks.settled(settled))

    def mark(self, mark: Mark) -> None:
        """Keep a mark, among the cues where it belongs."""
        if self._file.is_timeline:
            self._marks.push(mark)
        else:
            self._file.write_mark(mark, file=self._name)

    def close(self) -> None:
        """Keep what is left of segments that lack a task, and marks behind them."""
        self._write(self._captions.flush())
        self._file.write_cues(self._marks.flush())

    def _write(self, cues: Iterable[Cue]) -> None:
        for cue in cues:
            self._file.write_cues([*self._marks.before(cue), cue])
