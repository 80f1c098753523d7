"""When nobody has spoken for so long after an answer that the model speaks again.

Pure.  Time is the audio that a client has sent: without any, none passes.
"""


class Idle:
    """Counts the silence behind the answers of one conversation."""

    def __init__(self) -> None:
        """Begin without an answer."""
        self._is_answered = False
        """Whether nobody has spoken since the last answer."""
        self._start: int | None = None
        """Where that answer was over."""

    def push(
        self, now: int, *, answering: bool, speaking: bool, most: int | None
    ) -> int | None:
        """Take how things stand; return where a silence began that is too long.

        Args:
            now: How far the client's audio has come, in samples.
            answering: Whether the model answers.
            speaking: Whether the user speaks.
            most: The longest silence, in samples; None, if it may last.
        """
        if answering or speaking:
            self._is_answered, self._start = answering, None
        if answering or not self._is_answered:
            return None
        start = self._start = now if self._start is None else self._start
        if most is None or now - start < most:
            return None
        self._is_answered, self._start = False, None
        return start
