"""The configuration as TOML: complete, explained, and read back as it was."""

import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from engine.config import EngineConfig, PartsConfig, build
from stream.config import AuthConfig, LimitsConfig, ServerConfig
from stream.config_text import config_text, meanings
from stream.segmenter import SegmenterConfig

ODD = 'a "quoted" \\ path\n\t\x00\x1b\x7f é 😀 # no comment'


def read(text):
    return build(ServerConfig, tomllib.loads(text))


def tables(config, path=()):
    """Yield each dataclass of a configuration, and where it stands."""
    yield config, path
    for field in fields(config):
        if is_dataclass(value := getattr(config, field.name)):
            yield from tables(value, (*path, field.name))


def name_of(value):
    return ".".join(value) if isinstance(value, tuple) else type(value).__name__


@pytest.mark.parametrize(
    "config",
    [
        ServerConfig(),
        ServerConfig(
            host=ODD,
            port=0,
            segmenter=SegmenterConfig(hangover_ms=700),
            limits=LimitsConfig(resume_s=1e300, drain_s=float("inf"), ping_timeout_s=3),
            auth=AuthConfig(origins=(ODD, "*"), tls_cert=Path("c"), tls_key=Path(ODD)),
            engine=EngineConfig(
                preset="custom", dtype="int8", parts=PartsConfig(llm=Path("/x/y"))
            ),
        ),
    ],
    ids=["defaults", "others"],
)
def test_what_is_shown_is_read_as_the_same_configuration(config):
    assert read(config_text(config)) == config


@pytest.mark.parametrize(("config", "path"), [*tables(ServerConfig())], ids=name_of)
def test_every_key_is_shown_under_what_it_means(config, path):
    lines = config_text(ServerConfig()).splitlines()
    first = lines.index(f"[{'.'.join(path)}]") + 1 if path else 0
    assert path == () or lines[first - 2].startswith("# "), "the table is explained"
    for field in fields(config):
        if is_dataclass(getattr(config, field.name)):
            continue
        starts = (f"{field.name} = ", f"# {field.name} = ", f"# {field.name}: ")
        at = next(
            i for i, line in enumerate(lines) if i >= first and line.startswith(starts)
        )
        assert meanings(type(config))[field.name], f"{field.name} says nothing"
        assert lines[at - 1].startswith("# ")


def test_the_text_below_a_field_is_its_meaning_and_no_other_is():
    found = meanings(AuthConfig)
    assert found["origins"].startswith("Origins of browser pages besides this host's")
    assert "environment variable SALMONN_TOKENS" in found["tokens"], "in one line"
    assert meanings(EngineConfig)["encoding"] == ""


def test_secrets_are_counted_and_not_shown():
    locked = replace(ServerConfig(), auth=AuthConfig(tokens=("hunter2", "hunter3")))
    text = config_text(locked)
    assert "hunter" not in text
    assert "# tokens: 2 set; not shown\n" in text
    assert read(text).auth.tokens == ()
