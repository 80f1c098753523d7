import json

import numpy as np
import pytest
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoTokenizer,
    WhisperForConditionalGeneration,
)

from engine.convert_whisper import convert, model_config, to_transformers
from engine.ctranslate2 import Container
from engine.errors import WeightsError
from tests.engine.tiny_whisper import (
    ALIASES,
    LANGUAGES,
    random_model,
    variables_of,
    write_source,
)


def container(**changes):
    variables = {k: np.asarray(v) for k, v in variables_of(random_model()).items()}
    variables |= {k: v for k, v in changes.items() if v is not None}
    for name in (k for k, v in changes.items() if v is None):
        del variables[name]
    return Container(
        specification="WhisperSpec", revision=3, variables=variables, aliases=ALIASES
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = write_source(tmp_path_factory.mktemp("source"), random_model())
    target = tmp_path_factory.mktemp("ready")
    convert(source, target)
    return target


@pytest.mark.parametrize("seed", range(3))
def test_names_and_values_come_back_exactly(seed):
    model = random_model(seed)
    expected = model.state_dict()
    found = to_transformers(
        Container(
            specification="WhisperSpec",
            revision=3,
            variables={k: np.asarray(v) for k, v in variables_of(model).items()},
            aliases=ALIASES,
        )
    )
    assert found.keys() == expected.keys() - {"proj_out.weight"}
    for name, array in found.items():
        assert torch.equal(torch.tensor(array), expected[name]), name


def test_transformers_loads_the_folder_and_computes_the_same(folder):
    ours, info = WhisperForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(info.values())
    theirs = random_model().float().eval()
    inputs = torch.randn(1, 8, 40)
    tokens = torch.tensor([[257, 258, 261, 263]])
    with torch.no_grad():
        expected = theirs(inputs, decoder_input_ids=tokens).logits
        assert torch.equal(ours(inputs, decoder_input_ids=tokens).logits, expected)


def test_the_shape_of_the_model_is_read_off_its_weights(folder):
    assert json.loads((folder / "config.json").read_text()) == {
        **model_config(container().variables),
        "bos_token_id": 256,
        "eos_token_id": 256,
        "pad_token_id": 256,
        "decoder_start_token_id": 257,
    }
    ours = WhisperForConditionalGeneration.from_pretrained(folder).config.to_dict()
    theirs = random_model().config.to_dict()
    differ = {key for key in theirs if ours.get(key) != theirs[key]}
    assert differ <= {"_name_or_path", "architectures", "dtype"}


def test_decoding_knows_languages_tasks_and_suppressed_tokens(folder):
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    config = model.generation_config
    assert config.lang_to_id == LANGUAGES
    assert config.task_to_id == {"transcribe": 261, "translate": 260}
    assert config.task == "transcribe"
    assert config.no_timestamps_token_id == 263
    assert config.prev_sot_token_id == 262
    assert config.suppress_tokens == [1, 2, 257]
    assert config.begin_suppress_tokens == [32, 256]
    assert config.alignment_heads == [[1, 0], [2, 3]]
    assert config.max_length == 12


def test_the_tokenizer_loads_and_text_comes_back(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = " Hello, wörld 你好!"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 256
    assert tokenizer.convert_tokens_to_ids("<|de|>") == 259
    # Timestamps begin after the last special token.
    assert tokenizer.all_special_ids[-1] == 263


def test_the_feature_extractor_has_as_many_bins_as_the_encoder(folder):
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    assert extractor.feature_size == 8
    features = extractor(np.zeros(16_000, np.float32), sampling_rate=16_000)
    assert np.shape(features["input_features"]) == (1, 8, 3000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder/conv2/bias": None}, "lacks the weight 'encoder/conv2/bias'"),
        ({"encoder/conv3/bias": np.zeros(2)}, "'encoder/conv3/bias' that Whisper has"),
        ({"decoder/activation": np.int8(0)}, "decoder/activation is 0; expected 3"),
        ({"decoder/pre_norm": None}, "lacks the setting 'decoder/pre_norm'"),
        (
            {"decoder/layer_0/attention/linear_1/bias": np.ones(32, np.float16)},
            "has a bias for the keys; Whisper has none",
        ),
        (
            {"decoder/layer_0/attention/linear_1/bias": np.zeros(31, np.float16)},
            "has 31 rows; expected a multiple of 2",
        ),
    ],
)
def test_weights_that_are_not_whispers_are_refused_by_name(changes, message):
    with pytest.raises(WeightsError, match=message):
        to_transformers(container(**changes))


def test_another_kind_of_model_is_refused():
    other = Container(specification="Llama", revision=1, variables={}, aliases={})
    with pytest.raises(WeightsError, match=r"the model is a \('Llama', 1\); expected"):
        to_transformers(other)


def test_an_output_projection_of_its_own_is_refused():
    whisper = container()
    untied = Container(
        specification="WhisperSpec",
        revision=3,
        variables=whisper.variables,
        aliases={},
    )
    with pytest.raises(
        WeightsError, match=r"the aliases of the model are \{\}; expected"
    ):
        to_transformers(untied)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", "config.json is not JSON"),
        ("config.json", b"[]", "config.json is not a JSON object"),
        ("config.json", b"{}", "have no 'alignment_heads'"),
        ("tokenizer.json", b"{}", "tokenizer.json has no list of added tokens"),
        (
            "tokenizer.json",
            b'{"added_tokens": [{"id": 1, "content": "<|endoftext|>"}]}',
            "tokenizer.json lacks the token '<|startoftranscript|>'",
        ),
    ],
)
def test_a_damaged_file_beside_the_weights_is_named(tmp_path, name, content, message):
    source = write_source(tmp_path / "source", random_model())
    (source / name).write_bytes(content)
    (tmp_path / "ready").mkdir()
    with pytest.raises(WeightsError) as error:
        convert(source, tmp_path / "ready")
    assert message in str(error.value)
