"""Operations and bytes of known shapes, as time on machines that are not here."""

import pytest

from engine.benchmarks.floor import EncoderShape
from engine.benchmarks.roofline import (
    BYTES,
    DECODER,
    ENCODER,
    GPUS,
    HIDDEN,
    LAYERS,
    WIDTH,
    Assumptions,
    Roofline,
    Transformer,
    hearing,
    language_model,
    memory_mb,
    position_rate,
    replies,
)
from engine.config import EncodingConfig
from engine.geometry import ENCODER_RATE, WINDOW
from engine.official import bridge_config

IDEAL = Assumptions(compute=1.0, memory=1.0, launch_s=0.0, piece_s=0.0)


def line(gpu="h100", assumed=IDEAL):
    return Roofline(gpu=GPUS[gpu], assumed=assumed)


def test_a_token_of_a_large_model_waits_for_its_weights():
    llm = language_model("salmonn-7b")
    assert llm.weights + llm.head == pytest.approx(6.6e9, rel=0.02)
    taken_s = line().pass_s(llm, 1)
    assert taken_s == pytest.approx(BYTES * (llm.weights + llm.head) / 3350e9)


def test_many_rows_wait_for_operations():
    llm = language_model("salmonn-13b")
    taken_s = line().pass_s(llm, 4_096)
    assert taken_s == pytest.approx(2 * 4_096 * llm.weights / 989e12, rel=0.01)


def test_the_cache_of_each_sequence_is_read_too():
    llm = language_model("salmonn-7b")
    alone, eight = (line().pass_s(llm, 1, attended=500, batch=n) for n in (1, 8))
    assert llm.cache.size_bytes(500, BYTES) == 500 * 2 * 32 * 4096 * 2
    assert eight - alone == pytest.approx(7 * llm.cache.size_bytes(500, BYTES) / 3350e9)


def test_launches_are_added_whatever_else_is_done():
    small = Transformer(layers=10, width=8, weights=100.0)
    assumed = Assumptions(launch_s=1e-5, launches=20)
    assert line(assumed=assumed).pass_s(small, 1) == pytest.approx(10 * 20e-5, rel=0.01)


def test_the_encoder_multiplies_as_much_as_its_floor_says():
    encoding = EncodingConfig()
    shape = EncoderShape(layers=LAYERS, width=WIDTH, hidden=HIDDEN, mels=80)
    known = 2 * shape.multiply_adds(encoding, at_s=28.0)
    rows = (encoding.block_windows + encoding.right_windows) * WINDOW
    left = encoding.left_context_s * ENCODER_RATE
    ours = 2 * rows * ENCODER.weights + 4 * rows * (left + rows) * WIDTH * LAYERS
    ours *= ENCODER_RATE / (encoding.block_windows * WINDOW)
    assert ours == pytest.approx(known, rel=0.02)  # the floor has convolutions, too


def test_faster_machines_take_less_time_and_larger_models_more():
    slow, fast = (hearing(line(gpu), EncodingConfig()) for gpu in ("l4", "h100"))
    assert all(s >= f for s, f in zip(slow.partial, fast.partial, strict=True))
    small, large = (replies(line(), preset) for preset in ("salmonn-7b", "salmonn-13b"))
    assert large.step_s > 1.8 * small.step_s
    assert large.prompt_s > small.prompt_s


def test_a_longer_segment_makes_only_finals_cost_more():
    found = hearing(line(), EncodingConfig())
    assert found.partial[1] == 0.0
    assert found.final[1] > 0.0


def test_a_window_is_a_position_in_the_released_bridge():
    assert position_rate(bridge_config("salmonn-7b")) == pytest.approx(50 / 17)


def test_what_is_loaded_is_the_weights_and_a_session_its_caches():
    loaded, session = memory_mb("salmonn-7b")
    assert loaded > 2 * (6.6e3 + DECODER.weights / 1e6)
    assert 300 < session < 600


def test_all_assumptions_are_said():
    told = " ".join(Assumptions().sentences(GPUS["h100"]))
    for name in Assumptions.__dataclass_fields__:
        assert name in told
    assert "3350 GB/s" in told
