"""A table as a page: Markdown with pictures in SVG, and nothing that it would need.

    report.md      every score with its interval, the paper's beside it
    scores.svg     the same as points and lines, one picture a metric
    report.json    everything, answers too

Knows tables only as values (`engine.evaluation.table`).
"""

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from engine.evaluation.metrics import Score
from engine.evaluation.paper import Figure
from engine.evaluation.served import verdicts
from engine.evaluation.table import Result, Table

NOTHING = "–"
OWN = 4
TITLES = {
    1: "Level 1: trained tasks",
    2: "Level 2: untrained tasks of language",
    3: "Level 3: untrained tasks of speech and sound",
    4: "Ours: asked in several wordings",
}
COLOURS = {"offline": "#1f6f8b", "live": "#c8553d"}
PAPER = "#888888"
ROW_PX, LABEL_PX, PLOT_PX, VALUE_PX, MARGIN_PX = 24, 230, 360, 80, 14


def write_report(folder: Path, table: Table, *, notes: Sequence[str] = ()) -> Path:
    """Write page, pictures and data into a folder; return the page.

    Args:
        folder: Made if it is not there.
        table: What to show.
        notes: Lines that say how it came about: command, machine, date.

    Raises:
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(table.as_json(), ensure_ascii=False, indent=1)
    (folder / "report.json").write_text(data + "\n", encoding="utf-8")
    pictures = []
    for metric in dict.fromkeys(m for r in table.results for m in r.metrics):
        if picture := svg(table, metric):
            name = f"{''.join(c if c.isalnum() else '-' for c in metric.lower())}.svg"
            (folder / name).write_text(picture, encoding="utf-8")
            pictures.append((metric, name))
    text = [markdown(table, notes=notes)]
    text += [f"## {m}\n\n![{m} of each set]({name})\n" for m, name in pictures]
    page = folder / "report.md"
    page.write_text("\n".join(text), encoding="utf-8")
    return page


def markdown(table: Table, *, notes: Sequence[str] = ()) -> str:
    """Return the table as Markdown."""
    lines = [f"# Scores of {table.model.name}", ""]
    if table.model.doubt:
        lines += [f"**{table.model.doubt}.**", ""]
    lines += [*notes, ""] if notes else []
    modes = table.modes
    own = ["task", "set", "metric", "n", *modes]
    papers = ["paper", "before activation", "reference"]
    for level, title in TITLES.items():
        heads = own if level == OWN else [*own, *papers]
        results = [r for r in table.results if r.trial.row.level == level]
        if not results:
            continue
        lines += [f"## {title}", "", _line(heads), _line(["---"] * len(heads))]
        lines += [_line(cells) for result in results for cells in _cells(result, modes)]
        lines.append("")
    return "\n".join([*lines, *_footnotes(table)])


def _cells(result: Result, modes: Sequence[str]) -> Iterator[list[str]]:
    trial = result.trial
    by_mode = {cell.mode: cell for cell in result.cells}
    for metric in result.metrics:
        figure = result.figure(metric)
        scores = [by_mode[mode].scores.get(metric) for mode in modes]
        counts = sorted({score.num_clips for score in scores if score})
        cells = [
            trial.row.task,
            trial.set,
            metric,
            ", ".join(map(str, counts)) or NOTHING,
            *(shown(score) for score in scores),
        ]
        is_own = trial.row.level == OWN
        yield cells if is_own else [*cells, *_paper(figure, result)]


def shown(score: Score | None) -> str:
    """Return a score with its interval, in the digits that it deserves."""
    if score is None:
        return NOTHING
    digits = 1 if score.unit == "%" or score.value >= 10 else 3
    text = f"{score.value:.{digits}f}"
    if bounds := score.interval:
        text += f" [{bounds.low:.{digits}f}, {bounds.high:.{digits}f}]"
    return text


def _paper(figure: Figure | None, result: Result) -> list[str]:
    """Return the paper's values: on its own set, or with the set that they are of."""
    if figure is None:
        return [NOTHING] * 3
    values = (figure.activated, figure.without, figure.reference)
    texts = [NOTHING if value is None else f"{value:g}" for value in values]
    if figure.reference is not None and not figure.is_reference_sure:
        texts[2] += "?"
    if not result.trial.is_the_papers and figure.activated is not None:
        texts[0] += f" ({result.trial.row.test or 'a set of its own'})"
    return texts


def _footnotes(table: Table) -> list[str]:
    lines = [
        "n is how many questions were asked, brackets are 95 % intervals over them",
        "(percentile bootstrap). The paper is",
        "arXiv:2310.13289, its 13B model; `?` marks what is remembered, not read;",
        "a set in parentheses is the one that the paper's value is of.",
        "",
    ]
    rows = {(r.trial.row.task, r.trial.row.note) for r in table.results}
    lines += [f"- {task}: {note}" for task, note in sorted(rows) if note]
    lines += [f"- {line}" for line in verdicts(table.results)]
    reasons: dict[str, list[str]] = {}  # what is missing, by why
    for result in table.results:
        for cell in result.cells:
            for name, reason in cell.missing.items():
                task = result.trial.row.task
                what = f"{name} of {task}" if name else f"{task}, {cell.mode}"
                reasons.setdefault(reason, []).append(what)
    for reason, missing in sorted(reasons.items()):
        listed = "; ".join(dict.fromkeys(missing))
        lines.append(f"- not computed: {listed}: {reason}")
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def svg(table: Table, metric: str) -> str:
    """Return a picture of a metric: a line a set, points with their intervals.

    Empty if nothing has the metric.
    """
    rows = [
        (result, cell.mode, score)
        for result in table.results
        for cell in result.cells
        if (score := cell.scores.get(metric))
    ]
    if not rows:
        return ""
    ends = [b.high for _, _, s in rows if (b := s.interval)]
    papers = [
        f.activated for r, _, _ in rows if (f := r.figure(metric)) and f.activated
    ]
    most = max([score.value for _, _, score in rows] + ends + papers) or 1.0
    height = ROW_PX * len(rows) + 3 * MARGIN_PX
    width = LABEL_PX + PLOT_PX + VALUE_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(metric)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (result, mode, score) in enumerate(rows):
        y = MARGIN_PX + ROW_PX * number + ROW_PX / 2
        figure = result.figure(metric) if result.trial.is_the_papers else None
        parts += _bar(
            f"{result.trial.row.task} {result.trial.set}", mode, score, y, most
        )
        if figure and figure.activated is not None:
            x = LABEL_PX + PLOT_PX * figure.activated / most
            parts.append(
                f'<path d="M{x:.1f} {y - 9:.1f}v18" stroke="{PAPER}" stroke-width="2">'
                f"<title>paper: {figure.activated:g}</title></path>"
            )
    legend = " · ".join([*dict.fromkeys(mode for _, mode, _ in rows), "| the paper"])
    parts.append(
        f'<text x="{LABEL_PX}" y="{height - MARGIN_PX / 2:.1f}" fill="{PAPER}">'
        f"{escape(legend)}; from 0 to {most:.3g}</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _bar(name: str, mode: str, score: Score, y: float, most: float) -> Iterator[str]:
    def x(value: float) -> float:
        return LABEL_PX + PLOT_PX * value / most

    colour = COLOURS.get(mode.partition(" ")[0], "#444444")
    label = escape(f"{name} {mode}")
    yield f'<text x="{LABEL_PX - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    if bounds := score.interval:
        length = x(bounds.high) - x(bounds.low)
        yield (
            f'<path d="M{x(bounds.low):.1f} {y:.1f}h{length:.1f}" stroke="{colour}" '
            'stroke-width="3" stroke-opacity="0.4"/>'
        )
    yield f'<circle cx="{x(score.value):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    yield f'<text x="{LABEL_PX + PLOT_PX + 8}" y="{y + 4:.1f}">{score.value:.3g}</text>'
