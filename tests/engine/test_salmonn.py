"""What SALMONN hears, against a plain computation of the same."""

import pytest
import torch

from engine.checkpoint import read, read_beats
from engine.qformer import Bridge
from engine.salmonn import MAX_SAMPLES, AudioTower, fit
from engine.whisper import load_encoder
from tests.engine.plain_salmonn import plain_embeddings
from tests.engine.tiny_salmonn import BRIDGE, write_salmonn


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture(scope="module")
def tower(written):
    bridge = Bridge(BRIDGE).eval()
    bridge.load_state_dict(read(written.ckpt).bridge)
    return AudioTower(
        load_encoder(written.whisper), read_beats(written.beats).model, bridge
    )


@pytest.mark.parametrize("seconds", [0.3, 1.0, 7.77, 30.0, 33.0])
def test_embeddings_are_those_of_a_plain_computation(written, tower, seconds):
    samples = torch.randn(round(seconds * 16_000)) * 0.1
    found = tower(samples.numpy())
    assert found.shape == (88, BRIDGE.llm_width)
    assert torch.allclose(
        found, plain_embeddings(written, samples), atol=1e-4, rtol=1e-4
    )


def test_what_is_heard_matters_to_the_embeddings(tower):
    one, other = (tower((torch.randn(32_000) * 0.1).numpy()) for _ in range(2))
    assert (one[:5] - other[:5]).abs().max() > 0.05


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(0, 16_000), (15_999, 16_000), (20_000, 20_000), (MAX_SAMPLES + 1, MAX_SAMPLES)],
)
def test_a_clip_is_at_least_a_second_and_at_most_thirty(samples, expected):
    clip = torch.arange(samples, dtype=torch.float32)
    fitted = fit(clip)
    assert len(fitted) == expected
    kept = min(samples, expected)
    assert torch.equal(fitted[:kept], clip[:kept])
    assert not fitted[kept:].any()
