"""A text file that is written as results come; what fails is told in our words.

Knows no format.
"""

from pathlib import Path

from clients.errors import OutputError


class OutputFile:
    """A file of results, readable up to its last write while it grows."""

    def __init__(self, path: Path) -> None:
        """Create the file, or empty it.

        Raises:
            OutputError: If it cannot be written.
        """
        self._path = path
        try:
            self._stream = path.open("w", encoding="utf-8", newline="\n")
        except OSError as exc:
            raise self._error(exc) from exc

    def write(self, text: str) -> None:
        """Add text.

        Raises:
            OutputError: If it cannot be written.
        """
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as exc:
            raise self._error(exc) from exc

    def rewrite(self, text: str) -> None:
        """Have the file hold this text instead; there is no moment without either.

        Raises:
            OutputError: If it cannot be written.
        """
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_text(text, encoding="utf-8", newline="\n")
            self._stream.close()
            beside.replace(self._path)
            self._stream = self._path.open("a", encoding="utf-8", newline="\n")
        except OSError as exc:
            raise self._error(exc) from exc

    def flush(self) -> None:
        """Do nothing: every text is out."""

    def close(self) -> None:
        """Close the file.

        Raises:
            OutputError: If what failed to be written fails again.
        """
        try:
            self._stream.close()
        except OSError as exc:
            raise self._error(exc) from exc

    def _error(self, exc: OSError) -> OutputError:
        return OutputError(str(self._path), exc.strerror or str(exc))
