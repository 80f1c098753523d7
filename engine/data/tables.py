"""Rows of the tables that sets come with: CSV and TSV, by names of columns."""

import csv
from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError

Row = dict[str, str]


class Tabs(csv.excel_tab):
    """Columns between tabs, where a quote is a character like any other."""

    quoting = csv.QUOTE_NONE


def rows_of(file: Path, *, tabs: bool = False) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a table, each with the number of its line.

    Args:
        file: The table; its first line has the names of the columns.
        tabs: Whether tabs separate columns (and quotes mean nothing), not commas.

    Raises:
        ManifestError: If it is not text in UTF-8.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, dialect=Tabs if tabs else csv.excel)
            for row in reader:
                full = {k: v for k, v in row.items() if k and isinstance(v, str)}
                yield reader.line_num, full
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ManifestError(f"cannot read {file}: {exc}") from exc
