"""A Gemma of some thousand weights, through llama.cpp's file format and back."""

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
)

from engine.convert_gemma import convert
from engine.errors import WeightsError

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
BYTES = tuple(f"<0x{i:02X}>" for i in range(256))
WORDS = ("▁", "h", "i", "▁h", "hi", "▁hi")
TOKENS = SPECIAL + BYTES + WORDS
LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(TOKENS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        max_position_embeddings=64,
        sliding_window=32,
    )
    model = Gemma3ForCausalLM(config)
    for name, weight in model.named_parameters():
        if "norm" in name:  # they begin at zero, where a mistake would not show
            torch.nn.init.uniform_(weight, -0.5, 0.5)
    return model.bfloat16().float().eval()


def write_gguf(path, model):
    config = model.config
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([-float(i) for i in range(len(TOKENS))])
    kinds = [3] * 4 + [6] * 256 + [1] * len(WORDS)  # control, byte, normal
    writer.add_token_types(kinds)
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(3)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    names |= {
        f"model.layers.{i}.{ours}": f"blk.{i}.{theirs}"
        for i in range(config.num_hidden_layers)
        for ours, theirs in LAYER.items()
    }
    state = model.state_dict()
    for ours, theirs in names.items():
        # llama.cpp keeps the norms' scale, transformers what it differs from 1 by.
        offset = 1.0 if "norm" in ours else 0.0
        array = state[f"{ours}.weight"].numpy() + np.float32(offset)
        writer.add_tensor(f"{theirs}.weight", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("ready")
    write_gguf(source / "model.gguf", model)
    convert(source, target)
    return target


def test_weights_come_back_in_bfloat16(model, folder):
    ours, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert ours.dtype == torch.bfloat16
    expected = model.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, weight in ours.state_dict().items():
        # A norm's scale is near 1, where bfloat16 is coarser than near 0.
        tolerance = 2**-7 if "norm" in name else 0.0
        torch.testing.assert_close(
            weight.float(), expected[name], rtol=0, atol=tolerance, msg=name
        )


def test_the_tokenizer_comes_out_of_the_same_file(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("hi hé").input_ids
    assert ids[0] == tokenizer.bos_token_id == 2
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hi hé"


def test_a_file_that_is_no_gguf_is_named(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF? No." * 9)
    with pytest.raises(WeightsError, match=r"cannot convert .*model\.gguf: "):
        convert(tmp_path, tmp_path)
