import pytest
import torch
from torch.testing import assert_close

from engine import lora
from engine.cache import Cache
from engine.checkpoint_sizes import Lora
from engine.errors import WeightsError
from tests.engine.tiny_llm import WIDTH, tiny_llm

PREFIX = "llama_model.base_model.model.model.layers"
TARGETS = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.v_proj": (WIDTH, WIDTH // 2)}
OFFICIAL = Lora(rank=2, alpha=8.0, layers=3, targets=TARGETS)


def state(shape=OFFICIAL, seed=0):
    """Return a random adapter as an official checkpoint holds it."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(shape.layers):
        for target, (width, out) in shape.targets.items():
            name = f"{PREFIX}.{layer}.{target}"
            for half, size in (("A", (shape.rank, width)), ("B", (out, shape.rank))):
                tensor = 0.3 * torch.randn(size, generator=generator)
                tensors[f"{name}.lora_{half}.default.weight"] = tensor
    return tensors


def logits(llm):
    piece = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(1))
    return llm.prefill(piece, Cache())


@pytest.fixture
def adapted():
    llm = tiny_llm("llama")
    lora.add_adapter(llm.model, OFFICIAL)
    lora.load_adapter(llm.model, state())
    return llm


def test_official_names_land_in_the_right_modules(adapted):
    plain = tiny_llm("llama")
    for key, b in state().items():
        if ".lora_B." not in key:
            continue
        a = state()[key.replace(".lora_B.", ".lora_A.")]
        path = key.removeprefix("llama_model.base_model.model.").split(".lora_B")[0]
        plain.model.get_submodule(path).weight += OFFICIAL.scale * (b @ a)
    assert_close(logits(adapted), logits(plain), atol=1e-4, rtol=1e-4)


def test_a_new_adapter_changes_nothing():
    llm = tiny_llm("llama")
    expected = logits(llm)
    lora.add_adapter(llm.model, OFFICIAL)
    assert torch.equal(logits(llm), expected)


def test_factor_zero_and_no_adapter_are_the_base_model(adapted):
    expected = logits(tiny_llm("llama"))
    assert not torch.allclose(logits(adapted), expected, atol=0.1)
    lora.use_adapter(adapted.model, "default", factor=0.0)
    assert torch.equal(logits(adapted), expected)
    lora.use_adapter(adapted.model, None)
    assert torch.equal(logits(adapted), expected)


def test_the_factor_is_of_the_trained_scale(adapted):
    full = logits(adapted)
    for factor in (0.5, 1.0):
        llm = tiny_llm("llama")
        halved = Lora(rank=2, alpha=8.0 * factor, layers=3, targets=OFFICIAL.targets)
        lora.add_adapter(llm.model, halved)
        lora.load_adapter(llm.model, state())
        lora.use_adapter(adapted.model, "default", factor=factor)
        assert torch.equal(logits(adapted), logits(llm))
    assert torch.equal(logits(adapted), full)


def test_two_adapters_take_turns(adapted):
    first = logits(adapted)
    text = Lora(rank=4, alpha=4.0, layers=3, targets={"mlp.up_proj": (WIDTH, 48)})
    lora.add_adapter(adapted.model, text, name="text")
    lora.load_adapter(adapted.model, state(text, seed=7), name="text")
    second = logits(adapted)
    assert not torch.allclose(first, second, atol=0.1)
    lora.use_adapter(adapted.model, "default")
    assert torch.equal(logits(adapted), first)
    lora.use_adapter(adapted.model, "text")
    assert torch.equal(logits(adapted), second)
    assert lora.adapters(adapted.model) == ("default", "text")


def test_what_is_loaded_is_what_is_saved(adapted):
    saved = lora.adapter_state(adapted.model)
    assert saved.keys() == state().keys()
    assert all(torch.equal(saved[key], tensor) for key, tensor in state().items())


def test_adapters_are_float32_beside_weights_of_16_bits():
    llm = tiny_llm("llama")
    llm.model.bfloat16()
    lora.add_adapter(llm.model, OFFICIAL)
    lora.load_adapter(llm.model, state())
    saved = lora.adapter_state(llm.model)
    assert all(torch.equal(saved[key], tensor) for key, tensor in state().items())
    assert logits(llm).dtype == torch.float32


def test_a_fresh_adapter_can_be_trained_and_nothing_else():
    llm = tiny_llm("gemma3")
    targets = {"self_attn.q_proj": (WIDTH, 64), "mlp.down_proj": (48, WIDTH)}
    lora.add_adapter(
        llm.model, Lora(rank=2, alpha=4.0, layers=3, targets=targets), dropout=0.1
    )
    trained = {n for n, p in llm.model.named_parameters() if p.requires_grad}
    assert len(trained) == 12
    assert all(".lora_" in name for name in trained)
    piece = torch.randn(2, 7, WIDTH)
    labels = torch.randint(0, 9, (2, 7))
    llm.model(inputs_embeds=piece, labels=labels).loss.backward()
    grads = [p.grad for p in llm.model.parameters() if p.requires_grad]
    assert all(grad is not None for grad in grads)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, key: s.pop(key), r"1 missing \(.*layers.1.self_attn.q_proj"),
        (lambda s, key: s.update(other=s[key]), r"1 unknown \(other\)"),
        (lambda s, key: s.update({key: s[key].T}), r"1 misshaped \(.*expected"),
    ],
)
def test_a_wrong_tensor_is_named(adapted, change, message):
    wrong = state()
    change(wrong, f"{PREFIX}.1.self_attn.q_proj.lora_A.default.weight")
    with pytest.raises(WeightsError, match=message):
        lora.load_adapter(adapted.model, wrong)


def test_targets_that_the_model_does_not_have_are_refused():
    llm = tiny_llm("llama")
    odd = Lora(rank=2, alpha=8.0, layers=3, targets={"self_attn.qkv": (WIDTH, WIDTH)})
    with pytest.raises(WeightsError, match=r"no layers self_attn\.qkv"):
        lora.add_adapter(llm.model, odd)
