"""A language model in eight bits: what is made small, what stays, how it is loaded."""

import pytest
import torch

from engine.cache import Cache
from engine.eight_bits import load_as_stored, to_int8
from engine.errors import WeightsError
from engine.llm import stored_dtype
from engine.quantise import Int8Linear
from engine.salmonn import load
from engine.salmonn_files import SalmonnFiles
from tests.engine.tiny_salmonn import write_salmonn


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


def test_it_is_loaded_as_it_is_stored(files):
    assert stored_dtype(files.llm) == "float16"
    assert load_as_stored(files.llm).dtype == torch.float16


def test_a_folder_without_a_language_model_is_told(tmp_path):
    with pytest.raises(WeightsError, match="holds no language model"):
        stored_dtype(tmp_path)


def test_linear_layers_and_head_are_int8_and_the_rest_is_float32(files):
    llm, exact = load_as_stored(files.llm), load_as_stored(files.llm)
    to_int8(llm)
    exact.model.float()
    kinds = [type(module) for module in llm.model.modules()]
    assert kinds.count(Int8Linear) == 7 * llm.model.config.num_hidden_layers + 1
    assert torch.nn.Linear not in kinds
    assert {p.dtype for p in llm.model.parameters()} == {torch.float32}
    piece = torch.randn(9, llm.width)
    (found,), (expected,) = (m.extend([piece], [Cache()]) for m in (llm, exact))
    assert not torch.equal(found, expected)
    assert (found - expected).norm() < 0.2 * expected.norm()


def test_a_whole_salmonn_answers_in_eight_bits(files):
    parts = SalmonnFiles.of(files.parts, "custom")
    model = load(parts, "custom", dtype="8bit")
    audio = model.embed_audio(torch.randn(16_000).numpy())
    assert model.answer(audio, "Who is it?").num_tokens > 0
