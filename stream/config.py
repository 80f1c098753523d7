"""How the server is set up: one TOML file, every default written once.

host, port, log_level, log_format
[vad]        [segmenter]        where segments begin and end
[limits]     [auth]             who may connect, and how much of it
[watches]                       what is listened for all the time
[sessions]                      where other front ends find them
[wyoming]                       a port for Home Assistant
[engine]     [engine.encoding]  engine/config.py
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from engine.api import EngineInfo
from engine.config import EngineConfig, read_toml
from stream.audio import SAMPLE_RATE
from stream.recent import MAX_SECONDS
from stream.segmenter import SegmenterConfig
from stream.vad import DEFAULT_MODE

TOKENS_VARIABLE = "SALMONN_TOKENS"
VALKEY_VARIABLE = "SALMONN_VALKEY"
VALKEY_SCHEMES = ("valkey", "valkeys", "unix")


@dataclass(frozen=True, slots=True, kw_only=True)
class VadConfig:
    """How voiced frames are told from others."""

    detector: Literal["webrtc", "silero"] = "webrtc"
    """Silero takes less noise and music for speech; it costs more (docs/adr/0011)."""
    mode: int = DEFAULT_MODE
    """0 to 3: how readily WebRTC's detector calls a frame unvoiced."""

    def __post_init__(self) -> None:
        if not 0 <= self.mode <= 3:
            raise ValueError(f"vad.mode is {self.mode}; it must be 0 to 3")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """How much of everything."""

    max_sessions: int = 32
    """Connections; the next one is refused."""
    max_sessions_per_token: int = 8
    """Connections of one owner."""
    max_message_bytes: int = 2**18
    """8 s of s16le at 16 kHz.  A message is heard in one go, and no other client
    meanwhile; the longest, 32 s of G.711, takes 60 ms."""
    max_upload_bytes: int = 25 * 2**20
    """Of a file that comes over HTTP; it is held in memory while it is heard."""
    max_session_s: float = 6 * 3600.0
    """Audio in one session."""
    max_backlog_s: float = 30.0
    """Un-encoded audio of a session: from there on reading waits; at twice that the
    connection ends."""
    max_questions: int = 8
    """Open questions of a session; the next one is refused."""
    max_wait_s: float = 3.0
    """How long work may wait for the engine before new sessions, and new questions, are
    refused."""
    start_timeout_s: float = 10.0
    """From the handshake to `start`."""
    ping_interval_s: float = 20.0
    """Between two pings of a connection."""
    ping_timeout_s: float = 20.0
    """How long a pong may take before the connection is taken for lost."""
    send_timeout_s: float = 20.0
    """How long a client may not read before it is cut off; its session waits."""
    max_texts_bytes: int = 2**22
    """Of finals, answers and who spoke, as they go over the wire: what a session keeps
    beyond its last events, for a client that comes back to its beginning.  When it is
    full, the earliest are forgotten."""
    resume_s: float = 60.0
    """How long a session waits for a client that was cut off."""
    drain_s: float = 20.0
    """How long finals may take after the server was told to stop."""

    def __post_init__(self) -> None:
        for declared in fields(self):
            value = getattr(self, declared.name)
            if not value > 0:  # nan is not, either
                raise ValueError(
                    f"limits.{declared.name} is {value}; it must be above 0"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Who may connect."""

    tokens: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens; none means that none is asked for.  The environment variable
    SALMONN_TOKENS adds more, separated by commas."""
    origins: tuple[str, ...] = ()
    """Origins of browser pages besides this host's own; `*` lets all in."""
    tls_cert: Path | None = None
    """A PEM file, the server's certificate first; with it, only TLS is spoken."""
    tls_key: Path | None = None
    """The certificate's key, a PEM file."""

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(
                "auth.tls_cert and auth.tls_key go together; one is missing"
            )
        if not all(self.tokens):
            raise ValueError("auth.tokens has an empty token")


@dataclass(frozen=True, slots=True, kw_only=True)
class WyomingConfig:
    """A port of its own for the Wyoming protocol, which knows no tokens and no TLS."""

    port: int | None = None
    """None opens none, 0 takes a free one; 10300 is what others expect."""
    host: str = "127.0.0.1"
    """Whoever reaches it is heard: name an address that only friends reach."""

    def __post_init__(self) -> None:
        if self.port is not None:
            _check_port("wyoming.port", self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchesConfig:
    """What is listened for all the time: how often, and when it counts as heard."""

    max_per_session: int = 16
    """Watches; the next one is refused."""
    hop_s: float = 2.0
    """The last seconds are weighed so often, as far as the engine has time."""
    window_s: float = 5.0
    """How many seconds that is; at least as many as lie between two."""
    threshold: float = 0.7
    """Score, 0 to 1, from which something counts as heard."""
    hysteresis: float = 0.2
    """It counts as over once its score is by so much below the threshold, or half of
    that."""
    min_s: float = 0.0
    """For so long it must be heard before it is told."""
    cooldown_s: float = 5.0
    """For so long after its end nothing new is told of it."""

    def __post_init__(self) -> None:
        if self.max_per_session < 0:
            raise ValueError(
                f"watches.max_per_session is {self.max_per_session}; "
                "it must not be below 0"
            )
        if not 0.1 <= self.hop_s <= self.window_s <= MAX_SECONDS:
            raise ValueError(
                f"watches.hop_s is {self.hop_s:g} and watches.window_s "
                f"{self.window_s:g}; they must be 0.1 to {MAX_SECONDS}, and the hop "
                "at most the window"
            )
        if not 0 < self.threshold < 1:
            raise ValueError(
                f"watches.threshold is {self.threshold:g}; it must be between 0 and 1"
            )
        for name in ("hysteresis", "min_s", "cooldown_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"watches.{name} is {getattr(self, name):g}; it must not be below 0"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsConfig:
    """Where sessions are kept, beside the memory of this process (docs/adr/0048)."""

    valkey: str | None = field(default=None, repr=False)
    """A Valkey server that front ends share, so that a client that loses one of them
    resumes at another with all its texts: `valkey://NAME:PASSWORD@HOST:6379/0`,
    `valkeys://` with TLS, `unix:///PATH`; or the environment variable SALMONN_VALKEY.
    It needs the extra `valkey`."""

    def __post_init__(self) -> None:
        scheme = (self.valkey or "valkey:").partition(":")[0]
        if scheme not in VALKEY_SCHEMES:
            expected = ", ".join(f"{name}://" for name in VALKEY_SCHEMES)
            raise ValueError(
                f"sessions.valkey is no address of a Valkey server; expected {expected}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """A server, its engine included."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every one."""
    port: int = 8_765
    """0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which on the log is written; no level has sound or text of speech."""
    log_format: Literal["text", "json"] = "text"
    """Of the log: sentences for people, or one JSON object a line for programs."""
    vad: VadConfig = field(default_factory=VadConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    wyoming: WyomingConfig = field(default_factory=WyomingConfig)
    watches: WatchesConfig = field(default_factory=WatchesConfig)
    sessions: SessionsConfig = field(default_factory=SessionsConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        _check_port("port", self.port)

    def check_engine(self, info: EngineInfo) -> None:
        """Check what only a loaded engine can tell.

        Raises:
            ValueError: If a segment may be longer than an utterance, or what is weighed
                is.
        """
        if self.watches.window_s * SAMPLE_RATE > info.max_samples:
            raise ValueError(
                f"watches.window_s is {self.watches.window_s:g}; "
                f"{info.model} hears at most {info.max_samples / SAMPLE_RATE:g} s "
                "at once"
            )
        longest = self.segmenter.max_segment_ms * 16  # samples
        if longest > info.max_samples:
            raise ValueError(
                f"segmenter.max_segment_ms is {self.segmenter.max_segment_ms}; "
                f"{info.model} hears at most {info.max_samples // 16} ms at once"
            )


def _check_port(key: str, port: int) -> None:
    if not 0 <= port < 65_536:
        raise ValueError(f"{key} is {port}; it must be 0 to 65535")


def read_config(path: Path | None, environment: Mapping[str, str]) -> ServerConfig:
    """Return the configuration of a file, or the defaults; add the secrets.

    Raises:
        ValueError: If the file is not what it should be; it names the key.
        OSError: If it cannot be read.
    """
    config = ServerConfig() if path is None else read_toml(ServerConfig, path)
    secrets = environment.get(TOKENS_VARIABLE, "").split(",")
    tokens = tuple(token.strip() for token in secrets if token.strip())
    valkey = environment.get(VALKEY_VARIABLE) or config.sessions.valkey
    return replace(
        config,
        auth=replace(config.auth, tokens=config.auth.tokens + tokens),
        sessions=SessionsConfig(valkey=valkey),
    )
