"""What `salmonn-ask` says: lines for people, a table before loading, JSON for programs.

The fields of the JSON are an interface: add some, rename none.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from engine.api import Prompt
from engine.geometry import SAMPLE_RATE
from engine.skills import Basis

if TYPE_CHECKING:
    from engine.asking import Reply
    from engine.inspection import Inspection
    from engine.recording import Recording

GB = 1e9
CAVEATS = {
    Basis.MEASURED: "not trained for it; its authors measured how well it does",
    Basis.PROMPTED: "the original has a prompt for it, and no figures",
    Basis.UNDECLARED: "nobody has said what this checkpoint was trained for",
}


def label(prompt: Prompt) -> str:
    """Return what a prompt is called."""
    return prompt.task or prompt.text.strip()


def line(
    reply: "Reply", *, file: Path | None, is_part: bool, is_one_of_several: bool
) -> str:
    """Return an answer as people read it, with as much before it as tells it apart."""
    before = []
    if file is not None:
        before.append(str(file))
    if is_part:
        before.append(f"[{seconds(reply.start):.1f}–{seconds(reply.end):.1f}]")
    if is_one_of_several:
        before.append(label(reply.prompt))
    text = reply.text or "(no answer)"
    return f"{' '.join(before)}: {text}" if before else text


def answer_record(file: Path, reply: "Reply", basis: Basis) -> dict[str, Any]:
    """Return an answer as JSON has it."""
    return {
        "file": str(file),
        "task": reply.prompt.task,
        "prompt": reply.question,
        "start_s": seconds(reply.start),
        "end_s": seconds(reply.end),
        "text": reply.text,
        "finish": reply.finish.value,
        "tokens": reply.num_tokens,
        "basis": basis.value,
    }


def file_record(file: Path, recording: "Recording") -> dict[str, Any]:
    """Return a sound file as JSON has it."""
    return {
        "file": str(file),
        "duration_s": round(recording.duration_s, 3),
        "rate": recording.rate,
        "channels": recording.channels,
        "changes": recording.changes,
    }


def inspection_record(inspection: "Inspection") -> dict[str, Any]:
    """Return what was found before loading, as JSON has it."""
    return {
        "preset": inspection.preset,
        "parts": [asdict(finding) for finding in inspection.findings],
        "problems": inspection.problems,
        "memory": {
            "source": "computed",
            "parts": [asdict(row) for row in inspection.memory],
            "size_bytes": sum(row.size_bytes for row in inspection.memory),
        },
    }


def parts_table(inspection: "Inspection") -> Table:
    """Return what the parts are."""
    table = Table("part", "where", "GB", "what it is, or what is wrong with it")
    for finding in inspection.findings:
        size = f"{finding.size_bytes / GB:.2f}" if finding.size_bytes else ""
        told = finding.problem or finding.what
        table.add_row(finding.part, finding.path, size, told)
    return table


def memory_table(inspection: "Inspection") -> Table:
    """Return what the parts need in memory."""
    title = "memory, computed from shapes; activations are not in it"
    table = Table("part", "type", "parameters", "GB", title=title, title_justify="left")
    for row in inspection.memory:
        count = f"{row.parameters / 1e6:,.1f} M" if row.parameters else ""
        table.add_row(row.part, row.dtype, count, f"{row.size_bytes / GB:.2f}")
    whole = sum(row.size_bytes for row in inspection.memory)
    table.add_row("sum", "", "", f"{whole / GB:.2f}")
    return table


def caveats(prompts: Sequence[Prompt], bases: Sequence[Basis]) -> list[str]:
    """Return what a reader should know of answers that nobody can vouch for."""
    told = {
        f"{label(prompt)}: {CAVEATS[basis]}"
        for prompt, basis in zip(prompts, bases, strict=True)
        if basis in CAVEATS
    }
    return sorted(told)


def seconds(samples: int) -> float:
    """Return a position in seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)
