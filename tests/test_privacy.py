"""docs/privacy.md says of each thing how much is kept: as much as the code keeps."""

import configparser
import re

from clients.conversation import MAX_HELD_S
from clients.mcp.heard import MAX_SEGMENTS
from clients.voices import MOST_S
from engine.speaker_turns import HOP_SAMPLES
from engine.speakers import MAX_RECENT
from engine.weights import cache_folder
from stream.audio import SAMPLE_RATE
from stream.clips import MOST_KEPT
from stream.config import LimitsConfig, ServerConfig, WatchesConfig
from stream.errors import MAX_QUOTED
from stream.hub import MOST_UNTOLD_S
from stream.protocols.wyoming import MOST_HEARD
from stream.recent import MAX_SECONDS
from stream.resume import MOST_CLIPS, MOST_EVENTS
from tests.checkout import ROOT

TEXT = (ROOT / "docs" / "privacy.md").read_text("utf-8")
NUMBERS = {8: "eight"}


def test_how_much_is_kept_is_what_the_code_keeps():
    limits = LimitsConfig()
    minutes = MAX_RECENT * HOP_SAMPLES / SAMPLE_RATE / 60
    assert (NUMBERS[MOST_CLIPS], NUMBERS[MOST_KEPT]) == ("eight", "eight")
    for line in (
        f"memory, {limits.max_backlog_s:g} s (`limits.max_backlog_s`) to "
        f"{2 * limits.max_backlog_s:g} s; {2 * MOST_UNTOLD_S:g} s where speakers",
        f"the last {WatchesConfig().window_s:g} s of all sound (`watches.window_s`)",
        f"the last {MAX_SECONDS} s of all sound, where the model answers",
        f"the last {MOST_EVENTS:,} events",
        f"`limits.max_texts_bytes` ({limits.max_texts_bytes >> 20} MiB)",
        "the last eight clips",
        "memory, eight clips at most",
        f"memory, {NUMBERS[MOST_HEARD]} of each address",
        f"memory, {limits.max_upload_bytes >> 20} MiB at most",
        f"`limits.resume_s` ({limits.resume_s:g} s) after its last connection",
        f"repeats up to {MAX_QUOTED} characters of its message",
        f"memory, {MAX_HELD_S:g} s at most",
        f"memory, {MOST_S:g} s of each",
        f"the text of the last {MAX_SEGMENTS:,} segments",
    ):
        assert line in TEXT, line
    assert minutes == 10
    assert "numbers of the last ten minutes of speech" in TEXT


def test_what_is_kept_on_disk_lies_where_the_page_says():
    folder = cache_folder({})
    assert folder.parts[-2:] == (".cache", "salmonn-live")
    assert str(cache_folder({"SALMONN_CACHE": "/srv/weights"})) == "/srv/weights"


def test_the_unit_forbids_core_dumps_as_the_page_says():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(ROOT / "deploy" / "salmonn-live.service")
    assert unit["Service"]["LimitCORE"] == "0"


def test_the_settings_that_the_page_names_exist_and_may_be_set_so():
    named = set(re.findall(r"`(\w+\.\w+)`", TEXT))
    named |= set(re.findall(r"`(\w+\.\w+) = ", TEXT))
    config = ServerConfig()
    settings = {name for name in named if hasattr(config, name.partition(".")[0])}
    assert len(settings) >= 5
    for name in settings:
        table, _, field = name.partition(".")
        assert hasattr(getattr(config, table), field), name
    assert LimitsConfig(resume_s=1, max_texts_bytes=1).resume_s == 1
