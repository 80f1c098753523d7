import pytest
import torch

from engine.config import EncodingConfig
from engine.encoding import StreamingEncoder
from engine.whisper_encoder import BlockEncoder


def heard(encoder, samples, size):
    stream = StreamingEncoder(encoder, EncodingConfig())
    settled = [stream.push(piece) for piece in samples.split(size)]
    return torch.cat(settled), stream.rest(1.0)


@pytest.mark.parametrize("size", [320, 5_440, 7_777])
def test_frames_do_not_depend_on_how_samples_were_cut(tiny_model, noise, size):
    """Nor on how much later, louder sound was pushed along with them."""
    growing = noise * torch.linspace(0.01, 1.0, len(noise))
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=750)
    at_once = heard(encoder, growing, len(growing))
    for cut, whole in zip(heard(encoder, growing, size), at_once, strict=True):
        assert torch.equal(cut, whole)
