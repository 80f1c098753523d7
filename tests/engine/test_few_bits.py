"""Eight and four bits by bitsandbytes, on the CPU, which is where tests run."""

import pytest
import torch
from torch import nn

from engine import few_bits
from engine.cache import Cache
from engine.checkpoint_sizes import Lora
from engine.errors import PackageError, WeightsError
from engine.few_bits import computed_in, load_in
from engine.llm import load_llm
from engine.lora import add_adapter
from engine.salmonn import load
from engine.salmonn_files import SalmonnFiles
from tests.engine.tiny_salmonn import write_salmonn


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


def read(llm):
    """Return what a model makes of some positions."""
    piece = torch.randn(9, llm.width, generator=torch.Generator().manual_seed(0))
    (hidden,) = llm.extend([piece], [Cache()])
    return hidden.float()


@pytest.mark.parametrize(
    ("bits", "kind", "far"),
    [("8bit", "Linear8bitLt", 0.1), ("4bit", "Linear4bit", 0.5)],
)
def test_linear_layers_shrink_and_head_and_table_stay(files, bits, kind, far):
    small, whole = load_in(bits, files.llm, device="cpu"), load_llm(files.llm)
    kinds = [type(module).__name__ for module in small.model.modules()]
    assert kinds.count(kind) == 7 * whole.model.config.num_hidden_layers
    assert type(small.model.get_output_embeddings()) is nn.Linear
    assert small.dtype == torch.bfloat16
    found, expected = read(small), read(whole)
    assert 0 < (found - expected).norm() < far * expected.norm()


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_an_adapter_stands_beside_small_weights(files, bits):
    llm = load_in(bits, files.llm, device="cpu")
    before = read(llm)
    widths = {"self_attn.q_proj": (llm.width, llm.width)}
    add_adapter(llm.model, Lora(rank=2, alpha=4.0, layers=2, targets=widths))
    assert torch.equal(read(llm), before)
    for name, parameter in llm.model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
            assert parameter.dtype == torch.float32
    assert not torch.equal(read(llm), before)


def test_many_answers_in_one_pass_are_as_each_alone(files):
    llm = load_in("4bit", files.llm, device="cpu")
    pieces = [torch.randn(n, llm.width).bfloat16() for n in (5, 9)]
    together = llm.extend(pieces, [Cache(), Cache()])
    for piece, found in zip(pieces, together, strict=True):
        (alone,) = llm.extend([piece], [Cache()])
        assert torch.allclose(found, alone, atol=0.05)


def test_a_whole_salmonn_answers_in_four_bits(files):
    model = load(SalmonnFiles.of(files.parts, "custom"), "custom", dtype="4bit")
    audio = model.embed_audio(torch.randn(16_000).numpy())
    assert model.answer(audio, "Who is it?").num_tokens > 0


def test_the_package_is_named_where_it_is_missing(files, monkeypatch):
    monkeypatch.setattr(few_bits, "PACKAGE", "no_such_package")
    with pytest.raises(PackageError) as raised:
        load_in("4bit", files.llm, device="cuda")
    assert str(raised.value) == (
        "four bits on cuda: no_such_package is not installed "
        "(pip install 'salmonn-live[bits]')"
    )


def test_a_folder_without_a_language_model_is_told(tmp_path):
    with pytest.raises(WeightsError, match="holds no language model"):
        load_in("4bit", tmp_path, device="cpu")


def test_a_gpu_computes_in_the_originals_type():
    assert (computed_in("cuda"), computed_in("cpu")) == ("float16", "bfloat16")
