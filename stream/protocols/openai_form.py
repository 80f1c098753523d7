"""The form with which OpenAI's clients send a file: what it asks for, and its audio.

It knows fields and bounds, not what becomes of the file.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from stream.errors import LimitError, ProtocolError, quote
from stream.events import full_task
from stream.protocols.openai_errors import FieldError

UPLOAD_S = 300  # for a form to arrive
MAX_FIELDS = 64
MAX_FIELD_BYTES = 1 << 16
FORM_BYTES = 1 << 20  # of all that is not the file
DIARIZED = "diarized_json"
FORMATS = ("json", "text", "srt", "vtt", "verbose_json", DIARIZED)
GRANULARITIES = ("word", "segment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How the text of a file is wanted."""

    task: str
    format: str
    language: str | None
    words: bool
    segments: bool
    stream: bool

    @property
    def full_task(self) -> str:
        """Its name in a session."""
        return full_task(self.task)


def read_wishes(form: FormData, task: str) -> Wishes:
    """Return what a form asks for.

    Raises:
        FieldError: If a field is not what it should be.
    """
    wanted = _text(form, "response_format") or "json"
    if wanted not in FORMATS:
        expected = ", ".join(FORMATS)
        raise FieldError(
            "response_format", f"is {quote(wanted)}; expected one of {expected}"
        )
    if wanted == DIARIZED and task != "transcribe":
        raise FieldError("response_format", f"{DIARIZED} goes with transcriptions only")
    name = "timestamp_granularities"
    granularities = [*form.getlist(name), *form.getlist(f"{name}[]")]
    for granularity in granularities:
        if granularity not in GRANULARITIES:
            raise FieldError(
                name, f"has {quote(granularity)}; expected word or segment"
            )
    if granularities and wanted != "verbose_json":
        raise FieldError(name, "needs response_format to be verbose_json")
    stream = _text(form, "stream") or "false"
    if stream.lower() not in ("true", "false"):
        raise FieldError("stream", f"is {quote(stream)}; expected true or false")
    if stream.lower() == "true" and wanted not in ("json", "text"):
        raise FieldError("stream", f"goes with json and text only, not with {wanted}")
    return Wishes(
        task=task,
        format=wanted,
        language=_text(form, "language"),
        words="word" in granularities,
        segments="segment" in granularities or not granularities,
        stream=stream.lower() == "true",
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    if isinstance(value, UploadFile):
        raise FieldError(name, "is a file; expected a text")
    return value or None


async def receive(request: Request, most: int) -> tuple[FormData, bytes]:
    """Return the form of a request, and its file.

    Args:
        request: Its body not yet read.
        most: Bytes of a file.

    Raises:
        FieldError: If there is no file.
        ProtocolError: If it is no form, or does not come in time.
        LimitError: If it is too large.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise ProtocolError(
            f"content-type is {quote(kind)}; expected multipart/form-data"
        )
    parser = MultiPartParser(
        request.headers,
        _bounded(request, most),
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    parser.spool_max_size = most + FORM_BYTES  # so that no audio is written to disk
    try:
        async with asyncio.timeout(UPLOAD_S):
            form = await parser.parse()
    except MultiPartException as exc:
        raise ProtocolError(f"not a form: {exc.message}") from exc
    except TimeoutError as exc:
        raise ProtocolError(f"no whole form within {UPLOAD_S} s") from exc
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise FieldError("file", "is missing; expected an audio file")
        return form, await file.read()
    finally:
        await form.close()
        # A file whose part has no end is not in the form, and Starlette forgets it.
        for left in parser._files_to_close_on_error:
            left.close()


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the body; what is too much is read and thrown away, then told.

    To answer at once would reset the connection, and the client never read why.

    Raises:
        LimitError: If there was too much.
    """
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most + FORM_BYTES:
            yield chunk
    if size > most + FORM_BYTES:
        raise LimitError(f"a request of {size} bytes; a file may have {most}")
