"""The server's configuration: read, checked, and named where it is wrong."""

import pytest

from engine.api import EngineInfo
from stream.config import ServerConfig, read_config
from stream.config_text import config_text


def read(tmp_path, text, environment=None):
    path = tmp_path / "server.toml"
    path.write_text(text)
    return read_config(path, environment or {})


def test_no_file_means_the_defaults():
    assert read_config(None, {}) == ServerConfig()


def test_every_table_is_read(tmp_path):
    config = read(
        tmp_path,
        """
        host = "0.0.0.0"
        port = 0
        [vad]
        detector = "silero"
        mode = 3
        [segmenter]
        hangover_ms = 700
        [limits]
        max_sessions = 4
        resume_s = 5
        [auth]
        tokens = ["secret"]
        origins = ["https://page"]
        [wyoming]
        port = 10300
        [engine]
        dtype = "float32"
        [engine.encoding]
        block_windows = 2
        """,
    )
    assert (config.host, config.port, config.vad.mode) == ("0.0.0.0", 0, 3)
    assert config.vad.detector == "silero"
    assert config.segmenter.hangover_ms == 700
    assert (config.limits.max_sessions, config.limits.resume_s) == (4, 5.0)
    assert config.auth.tokens == ("secret",)
    assert (config.wyoming.host, config.wyoming.port) == ("127.0.0.1", 10_300)
    assert config.engine.encoding.block_windows == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "unknown key prot"),
        ("[limits]\nmax_session = 1", "unknown key limits.max_session"),
        ("[limits]\nmax_sessions = 0", "limits.max_sessions is 0; it must be above 0"),
        ("[limits]\nresume_s = 'x'", "limits.resume_s is 'x'; expected a number"),
        (
            "[engine]\nlora_alpha = -1",
            "lora_alpha is -1.0; it must not be below 0",
        ),
        ("[vad]\nmode = 4", "vad.mode is 4; it must be 0 to 3"),
        (
            "[vad]\ndetector = 'ear'",
            "vad.detector is 'ear'; expected 'webrtc' or 'silero'",
        ),
        ("[segmenter]\ntail_ms = 5", "segmenter.tail_ms is 5"),
        ("port = 65536", "port is 65536; it must be 0 to 65535"),
        ("[wyoming]\nport = -1", "wyoming.port is -1; it must be 0 to 65535"),
        ("[auth]\ntls_cert = 'c'", "auth.tls_cert and auth.tls_key go together"),
        ("[auth]\ntokens = ['']", "auth.tokens has an empty token"),
        ("[limits]\nresume_s = nan", "limits.resume_s is nan; it must be above 0"),
        (f"[limits]\nresume_s = {10**400}", "limits.resume_s is 1000"),
        ("[limits]\nmax_sessions = true", "limits.max_sessions is True; expected a"),
        ("engine = 3", "engine is 3; expected a table"),
        ("[limits]\n[limits]", "Cannot declare ('limits',) twice"),
        ("host = '\x00'", "invalid character"),
        ("[engine]\nthreads = 100_000", "threads is 100000; it must be 0 to 256"),
        (
            "[engine.ray]\nmin_replicas = 2",
            "ray.min_replicas is 2 and ray.max_replicas 1; they must be 1 or more",
        ),
        (
            "[engine.ray]\ntarget_utterances = 9",
            "ray.target_utterances is 9; it must be above 0 and at most "
            "ray.max_utterances, 8",
        ),
        ("[engine.ray]\ngpus = -0.5", "ray.gpus is -0.5; it must not be below 0"),
        ("[engine.ray]\nfull_after_s = 0", "ray.full_after_s is 0; it must be above"),
        ("a = " + "[" * 10_000, "nested too deeply"),
        ("port = ", "Invalid value"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path, text, message):
    with pytest.raises(ValueError, match=r"server\.toml: ") as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("'hunter2'", "auth.tokens is a text; expected a list, each a text"),
        ("[['hunter2']]", "auth.tokens[0] is a list; expected a text"),
        ("{hunter2 = 'hunter2'}", "auth.tokens is a table; expected a list"),
        ("2024-01-01", "auth.tokens is another type; expected a list"),
    ],
)
def test_a_secret_of_the_wrong_type_is_not_repeated(tmp_path, value, problem):
    with pytest.raises(ValueError, match=r"server\.toml: ") as caught:
        read(tmp_path, f"[auth]\ntokens = {value}")
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_environment_says_where_sessions_are_shared_and_nothing_shows_it(tmp_path):
    environment = {"SALMONN_VALKEY": "valkey://:hunter2@there"}
    config = read(tmp_path, '[sessions]\nvalkey = "valkey://here"', environment)
    assert config.sessions.valkey == "valkey://:hunter2@there"
    assert "hunter2" not in repr(config)
    text = config_text(config)
    assert "# valkey: 1 set; not shown" in text
    assert "hunter2" not in text
    assert "# valkey: 0 set; not shown" in config_text(read(tmp_path, ""))


def test_tokens_of_the_environment_are_added(tmp_path):
    environment = {"SALMONN_TOKENS": "two, three,"}
    config = read(tmp_path, '[auth]\ntokens = ["one"]', environment)
    assert config.auth.tokens == ("one", "two", "three")


def info(max_samples):
    return EngineInfo(
        model="m", tasks=(), languages=(), max_samples=max_samples, description=""
    )


def test_segments_must_fit_the_engine():
    config = ServerConfig()
    longest = config.segmenter.max_segment_ms * 16
    config.check_engine(info(longest))
    with pytest.raises(ValueError, match=r"max_segment_ms is 28000; m hears"):
        config.check_engine(info(longest - 1))
