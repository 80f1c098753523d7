"""Sessions that front ends share through a Valkey server; the only file that knows it.

    here:  hub ──▶ memory        there:  salmonn:{NAME}         holder, owner, request,
                     │                                          state, floor
                     └─ note ──▶         salmonn:{NAME}:texts   JSON, oldest first

What a client was told for good is written a moment after it was told, with where the
session stands; nobody waits for it.  A session has one holder, a process: who takes it
over becomes that, and what the one before still writes is refused (docs/adr/0048).

Both keys expire on their own, so a process that dies leaves nothing for longer than a
session waits for its client.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import valkey.asyncio
from valkey.exceptions import AuthenticationError, ResponseError, ValkeyError

from stream.config import LimitsConfig
from stream.live import Stream
from stream.metrics import Metrics
from stream.resume import ForgottenError, MemorySessionStore
from stream.saved import (
    DamagedError,
    SavedSession,
    decode_saved,
    encode_event,
    encode_request,
    encode_state,
    texts,
)
from stream.worker import SHOWN

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 1.0
"""For one answer of the store; a client that resumes waits for it."""
PAUSE_S: Final = 0.05
"""Between two times of writing: what happens meanwhile goes together."""
RETRY_S: Final = 1.0
"""After the store could not be reached."""
MOST_NAME: Final = 64
"""Characters; a longer name is none that a server gave."""

SAVE: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return 'taken' end
if ARGV[3] == 'more' and not holder then return 'gone' end
if ARGV[3] == 'whole' then
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'owner', ARGV[4], 'request', ARGV[5])
end
redis.call('HSET', KEYS[1], 'state', ARGV[6], 'floor', ARGV[7])
for i = 9, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
if ARGV[8] ~= '0' then redis.call('LTRIM', KEYS[2], ARGV[8], -1) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 'kept'
"""
"""holder, milliseconds, `whole` or `more`, owner, request (of `whole`), state, floor,
how many of the oldest texts to drop, and new texts."""
TAKE: Final = """
local held = redis.call(
  'HMGET', KEYS[1], 'holder', 'owner', 'request', 'state', 'floor')
if not held[1] or held[1] == ARGV[1] or held[2] ~= ARGV[3] then return {} end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {held[3], held[4], held[5], redis.call('LRANGE', KEYS[2], 0, -1)}
"""
"""holder, milliseconds, owner."""
FORGET: Final = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1], KEYS[2])
"""
"""holder."""


class StoreError(OSError):
    """Raised when a server is to share its sessions and cannot reach where."""


@dataclass(slots=True)
class _Written:
    """What the store has of a session."""

    is_whole: bool = False
    """False until it was written once, or while nobody knows what of it arrived."""
    seq: int = 0
    """The last event whose text is there, or that has none."""
    floor: int = 0
    state: str = ""
    sizes: deque[tuple[int, int]] = field(default_factory=deque)
    """Event and bytes of each text that is there."""
    num_bytes: int = 0


class ValkeySessionStore(MemorySessionStore[Stream]):
    """Implements `SessionStore` in memory, and for other processes on Valkey."""

    def __init__(self, url: str, limits: LimitsConfig, metrics: Metrics) -> None:
        """Begin empty; `open` connects.

        Args:
            url: Of the server.
            limits: How long sessions wait for their clients, and how much is kept.
            metrics: Told of what went on here, and of what failed.
        """
        super().__init__()
        more: dict[str, Any] = {}
        if url.startswith("valkeys:"):
            more["ssl_check_hostname"] = True
        self._client: Any = valkey.asyncio.Valkey.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            decode_responses=True,
            **more,
        )
        self._shown = _shown(url)
        self._keep_ms = round(1_000 * limits.resume_s)
        self._max_bytes = limits.max_texts_bytes
        self._metrics = metrics
        self._holder = secrets.token_urlsafe(16)
        self._written: dict[str, _Written] = {}
        """Of the sessions that are shared, by name."""
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        self._wake = asyncio.Event()
        self._is_failing = False

    async def open(self) -> None:
        """See whether the store is there.

        Raises:
            StoreError: If it is not.
        """
        try:
            await self._client.ping()
        except (ValkeyError, OSError) as exc:
            if isinstance(exc.__cause__ or exc, AuthenticationError | ResponseError):
                problem = f"{self._shown} refuses the name or the password"
            else:
                problem = f"no Valkey server answers at {self._shown}"
            raise StoreError(f"sessions.valkey: {problem}") from exc

    def note(self, session: Stream) -> None:
        """Write, in a moment, what is new of a session."""
        if self.named(session.name) is session:
            self._written.setdefault(session.name, _Written())
            self._removed.discard(session.name)
            self._mark(session.name)

    def remove(self, session: Stream) -> bool:
        """Forget a session, here and there; return whether it was still here."""
        if not super().remove(session):
            return False
        if self._written.pop(session.name, None) is not None:
            self._changed.discard(session.name)
            self._removed.add(session.name)
            self._wake.set()
        return True

    def detach(self, session: Stream, now: float) -> None:
        """Note that the connection of a session has gone; it expires there, too."""
        super().detach(session, now)
        self._mark(session.name)

    def expire(self, now: float, *, keep_s: float) -> list[Stream]:
        """Forget who has waited for so long; let others be kept for longer there."""
        late = super().expire(now, keep_s=keep_s)
        self._keep_ms = round(1_000 * keep_s)
        for name in self._written:
            if self._kept[name].since is None:
                self._mark(name)
        return late

    async def recall(self, name: str, owner: str) -> SavedSession | None:
        """Return the session of a client that another process has, and hold it."""
        if not 0 < len(name) <= MOST_NAME:
            return None
        try:
            found = await self._client.eval(
                TAKE, 2, *_keys(name), self._holder, self._keep_ms, owner
            )
        except (ValkeyError, OSError):
            self._fail()
            return None
        if not found:
            return None
        request, state, floor, told = found
        try:
            saved = decode_saved(
                name, owner, request=request, state=state, floor=floor, events=told
            )
        except DamagedError:
            about = {"session": name[:SHOWN]}
            logger.warning("what was kept of it is of another version", extra=about)
            return None
        self._metrics.recalled.inc()
        return saved

    async def run(self, give_up: Callable[[Stream], None]) -> None:
        """Write what was noted, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write(give_up)
                pause_s = PAUSE_S
            except (ValkeyError, OSError):
                self._fail()
                pause_s = RETRY_S
            except Exception:  # sessions go on, whatever is wrong with their copies
                logger.exception("failed on writing sessions down")
                pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Write what is left, and leave."""
        try:
            await self._write(lambda stream: None)
        except (ValkeyError, OSError):
            self._fail()
        await self._client.aclose()

    def _mark(self, name: str) -> None:
        if name in self._written:
            self._changed.add(name)
            self._wake.set()

    async def _write(self, give_up: Callable[[Stream], None]) -> None:
        """Write all that was noted.

        Raises:
            ValkeyError: If the store refuses something; all is noted still.
            OSError: If it cannot be reached; likewise.
        """
        names, removed = [*self._changed], [*self._removed]
        self._changed.clear()
        self._removed.clear()
        if not names and not removed:
            return
        saved = {name: self._kept[name].session for name in names}
        pipe = self._client.pipeline(transaction=False)
        try:
            for name in removed:
                pipe.eval(FORGET, 2, *_keys(name), self._holder)
            for name in names:
                pipe.eval(SAVE, 2, *_keys(name), *self._save(saved[name]))
            answers = await pipe.execute()
        except BaseException:  # what of it arrived is not known
            for name in names:
                if name in self._written:
                    self._written[name] = _Written()
                    self._mark(name)
            self._removed.update(name for name in removed if name not in self._written)
            self._wake.set()
            raise
        if self._is_failing:
            self._is_failing = False
            logger.info("the store of the sessions is there again")
        told = zip(saved.values(), answers[len(removed) :], strict=True)
        for stream, answer in told:
            self._follow(stream, answer, give_up)

    def _follow(
        self, stream: Stream, answer: str, give_up: Callable[[Stream], None]
    ) -> None:
        """Do what an answer to `SAVE` wants, if it is about the session that is here.

        It is about another one where the client came back meanwhile.
        """
        name = stream.name
        if self.named(name) is not stream:
            return
        if answer == "taken":
            logger.info("it goes on elsewhere", extra={"session": name[:SHOWN]})
            give_up(stream)
        elif answer == "gone" and self._kept[name].since is None:
            # The store lost its memory.
            self._written[name] = _Written()
            self._mark(name)

    def _save(self, stream: Stream) -> list[str | int]:
        """Return what is to be written of a stream, and take it as written."""
        written = self._written[stream.name]
        try:
            events = stream.log.lasting_after(written.seq)
        except ForgottenError:
            written = _Written()
        how = "more" if written.is_whole else "whole"
        if not written.is_whole:
            written = _Written(True, floor=stream.log.floor)
            self._written[stream.name] = written
            events = stream.log.lasting_after(stream.log.floor)
        told = [(event.seq, encode_event(event)) for event in texts(events)]
        written.sizes += [(seq, len(text)) for seq, text in told]
        written.num_bytes += sum(len(text) for _, text in told)
        written.seq = stream.session.seq
        num_dropped = 0
        while written.num_bytes > self._max_bytes:
            written.floor, size = written.sizes.popleft()
            written.num_bytes -= size
            num_dropped += 1
        return [
            *(self._holder, self._keep_ms, how, stream.owner),
            encode_request(stream.session.request) if how == "whole" else "",
            encode_state(stream.session.state),
            *(written.floor, num_dropped),
            *(text for _, text in told),
        ]

    def _fail(self) -> None:
        self._metrics.store_failures.inc()
        if not self._is_failing:
            self._is_failing = True
            logger.warning(
                "the store of the sessions cannot be used; they go on, and are resumed "
                "here alone until it can"
            )


def _keys(name: str) -> tuple[str, str]:
    """Return the names of a session's two values; in a cluster they lie together."""
    return f"salmonn:{{{name}}}", f"salmonn:{{{name}}}:texts"


def _shown(url: str) -> str:
    """Return an address without a name and a password."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path
