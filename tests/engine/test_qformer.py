from dataclasses import replace

import pytest
import torch

from engine.qformer import Bridge, BridgeConfig
from engine.running import RunningStatistics
from engine.windows import cut_windows

OFFICIAL = BridgeConfig(
    speech_width=8, audio_width=4, width=16, heads=2, ffn_width=32, llm_width=12
)
MINI = replace(
    OFFICIAL,
    audio_width=0,
    queries=3,
    speech_layers=2,
    context=4,
    positions=True,
    running=True,
    output_rms=1.0,
)


def bridge_of(config):
    torch.manual_seed(1)
    bridge = Bridge(config).eval()
    for parameter in bridge.parameters():  # some begin at zero, and would not matter
        parameter.data.normal_(0, 0.3)
    return bridge


def speech_of(config, frames=60):
    return torch.randn(2, frames, config.speech_frame_width)


def test_official_checkpoints_leave_all_options_off():
    names = set(Bridge(OFFICIAL).state_dict())
    added = set(Bridge(MINI).state_dict()) - names
    assert {name.split(".")[0] for name in added} == {
        "speech_layers",
        "speech_positions",
        "speech_running",
        "speech_llama_norm",
    }
    assert not [name for name in names if name.split(".")[0] in added]


def test_a_bridge_without_a_second_encoder_hears_one():
    bridge = bridge_of(replace(OFFICIAL, audio_width=0))
    assert not [name for name in bridge.state_dict() if "ln_audio" in name]
    assert bridge(torch.randn(2, 40, 8)).shape == (2, 2, 12)


def test_a_bridge_with_two_encoders_needs_both():
    with pytest.raises(AssertionError):
        bridge_of(OFFICIAL)(torch.randn(2, 40, 8))


def test_each_window_has_several_embeddings():
    assert bridge_of(MINI)(speech_of(MINI)).shape == (2, 3 * 3, 12)


def test_windows_that_are_pushed_one_by_one_are_embedded_as_the_whole():
    bridge, speech = bridge_of(MINI), speech_of(MINI)
    heard = bridge.standardise(speech)
    seen = cut_windows(bridge.fuse(heard), context=MINI.context)
    so_far, pieces = RunningStatistics(), []
    for w, window in enumerate(cut_windows(heard).split(1, 1)):
        told = bridge.told(window, so_far)
        pieces.append(bridge.embed(seen[:, w : w + 1], told))
    assert torch.allclose(torch.cat(pieces, 1), bridge(speech), atol=1e-5)


def test_audio_that_comes_later_changes_no_window_that_does_not_see_it():
    bridge, speech = bridge_of(MINI), speech_of(MINI)
    changed = speech.clone()
    changed[:, 34 + 4 :] = 7.0  # from two windows and their context on
    before, after = bridge(speech), bridge(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_statistics_tell_a_window_what_came_long_before():
    speech = speech_of(MINI)
    changed = speech.clone()
    changed[:, :10] += 3.0  # far from the third window
    for config, is_told in ((MINI, True), (replace(MINI, running=False), False)):
        bridge = bridge_of(config)
        third = [bridge(x)[:, 6:] for x in (speech, changed)]
        assert torch.equal(*third) is not is_told


def test_positions_tell_the_order_of_frames():
    speech = torch.randn(1, 17, 16)
    turned = speech.flip(1)
    plain = replace(MINI, context=0, running=False, positions=False)
    for config, differs in ((plain, False), (replace(plain, positions=True), True)):
        bridge = bridge_of(config)
        same = torch.allclose(bridge(speech), bridge(turned), atol=1e-5)
        assert same is not differs


def test_embeddings_begin_as_large_as_was_asked():
    torch.manual_seed(0)
    config = replace(MINI, output_rms=1.03)
    rms = Bridge(config).eval()(speech_of(config)).square().mean(-1).sqrt()
    assert torch.allclose(rms, torch.full_like(rms, 1.03), atol=1e-3)


def test_statistics_need_windows_without_overlap():
    with pytest.raises(ValueError, match="needs windows without overlap; hop is 9"):
        replace(MINI, hop=9)
