"""A head made of files: what it is made of, and when there is none."""

import json
from dataclasses import replace

import pytest
import torch

from engine import checkpoint
from engine.answering import advance
from engine.api import Prompt, UtteranceOptions
from engine.cache import Cache
from engine.config import EngineConfig
from engine.errors import (
    UnloadedError,
    UnsupportedError,
    UntrainedError,
    WeightsError,
)
from engine.heads import load_head, skills_of
from engine.listening import Ear
from engine.llm import load_llm
from engine.local import LocalEngine
from engine.salmonn_files import speech_shapes
from engine.skills import ANYTHING, RELEASED, Skills
from tests.engine.tiny_salmonn import write_salmonn

SKILLS = Skills(
    tasks=("describe", "translate:zh"),
    from_transcript=("translate:zh",),
    sounds=("dog bark", "rain"),
    languages=("en",),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture
def ours(files, tmp_path):
    """Return what makes a configuration of these parts, in our format."""

    def configured(skills, preset="custom"):
        path = tmp_path / "ckpt.safetensors"
        trained = checkpoint.read(files.ckpt)
        checkpoint.write(replace(trained, skills=skills), path)
        parts = replace(files.parts, ckpt=path)
        return EngineConfig(preset=preset, parts=parts, dtype="float32", threads=1)

    return configured


def official(files, **parts):
    parts = replace(files.parts, **parts)
    return EngineConfig(preset="custom", parts=parts, dtype="float32", threads=1)


def test_without_a_checkpoint_there_is_no_head(files):
    assert load_head(EngineConfig(captions_only=True)) is None
    assert load_head(official(files, ckpt=None)) is None


def test_a_checkpoint_says_what_it_was_trained_for(ours):
    head = load_head(ours(SKILLS))
    assert head is not None
    assert head.skills == SKILLS


def test_of_custom_weights_that_do_not_say_everything_is_asked(files):
    head = load_head(official(files))
    assert head is not None
    assert head.skills is ANYTHING


def test_an_adapter_of_the_mini_that_does_not_say_is_not_served(ours):
    with pytest.raises(WeightsError, match="does not say what it was trained for"):
        load_head(ours(None, preset="mini"))


def test_the_released_ones_were_trained_for_what_their_paper_says(files):
    trained = checkpoint.read(files.ckpt)
    assert skills_of("salmonn-7b", trained, files.ckpt) is RELEASED


def test_all_weights_of_a_head_are_counted(files):
    head = load_head(official(files))
    assert head is not None
    trained = checkpoint.read(files.ckpt)
    llm = head.llm.model
    bare = sum(p.numel() for n, p in llm.named_parameters() if "lora_" not in n)
    learned = [*trained.bridge.values(), *trained.lora.values()]
    hearing = sum(p.numel() for p in head.beats.parameters())
    expected = bare + hearing + sum(tensor.numel() for tensor in learned)
    # The original keeps a copy of one table in each further layer.
    assert head.num_parameters == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoder_layers": 0}, "has 0 layers in its encoder; the bridge reads 2"),
        ({"d_model": 14}, "has d_model 14; the checkpoint was trained with a Whisper"),
    ],
)
def test_a_whisper_that_does_not_fit_the_bridge_is_refused(
    files, tmp_path, change, reason
):
    config = json.loads((files.whisper / "config.json").read_text())
    folder = tmp_path / "whisper"
    folder.mkdir()
    for file in files.whisper.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "config.json").write_text(json.dumps(config | change))
    deeper = checkpoint.read(files.ckpt)
    mixed = replace(deeper.sizes.bridge, speech_layers=2)
    sizes = replace(deeper.sizes, bridge=mixed)
    with pytest.raises(WeightsError, match=reason):
        speech_shapes(folder, replace(deeper, sizes=sizes))


@pytest.fixture
def engines(ours, tiny_whisper, monkeypatch):
    """Load an engine with a tiny Whisper as wide as these parts are not."""
    monkeypatch.setattr("engine.local._load", lambda *_: (tiny_whisper, "tiny"))
    threads = torch.get_num_threads()
    loaded = []

    def load(config):
        loaded.append(LocalEngine.load(config))
        return loaded[-1]

    yield load
    for engine in loaded:
        engine.close()
    torch.set_num_threads(threads)


def test_the_engine_has_the_head_beside_captions(ours, engines):
    config = ours(SKILLS)
    engine = engines(config)
    info = engine.info
    assert info.prompted_tasks == SKILLS.tasks
    assert not info.answers_questions
    assert info.sounds == (), "what answers no questions is asked for no sounds"
    assert info.model == "custom"
    assert "questions answered by llama" in info.description
    bare = engines(replace(config, parts=replace(config.parts, ckpt=None)))
    head = load_head(config)
    assert info.parameters == bare.info.parameters + head.num_parameters
    with pytest.raises(UntrainedError, match="custom was not trained for questions"):
        engine.check_prompt(Prompt(text="Who?"))


def test_the_user_can_have_the_language_model_transcribe(ours, engines):
    config = ours(replace(SKILLS, tasks=("transcribe", *SKILLS.tasks)))
    usual, asked = engines(config), engines(replace(config, transcriber="salmonn"))
    heard = UtteranceOptions(tasks=("transcribe",))
    prompted = UtteranceOptions(tasks=(), prompted=("transcribe",))
    assert usual.info.tasks == ("transcribe", "translate:en")
    assert asked.info.tasks == ("translate:en",)
    assert "transcribe" in asked.info.prompted_tasks
    assert "captions and questions answered by llama" in asked.info.description
    usual.check(heard)
    asked.check(prompted)
    with pytest.raises(UnsupportedError, match="no task 'transcribe'; there are tra"):
        asked.check(heard)


def test_a_language_model_that_was_not_taught_to_transcribe_is_not_asked_to(
    ours, engines
):
    config = replace(ours(SKILLS), transcriber="salmonn")
    with pytest.raises(UntrainedError, match="not trained for task 'transcribe'; mini"):
        engines(config)
    nobody = replace(config, parts=replace(config.parts, ckpt=None))
    with pytest.raises(UnloadedError, match="that answer task 'transcribe'"):
        engines(nobody)


def test_an_engine_tells_the_sounds_that_its_checkpoint_says_it_was_taught(
    ours, engines
):
    engine = engines(ours(replace(SKILLS, questions=True)))
    captions = [sound.caption for sound in engine.info.sounds]
    assert captions == ["dog barking", "rain"]


def test_an_engine_without_a_head_says_so_at_the_start_and_when_asked(ours, engines):
    config = ours(SKILLS)
    bare = engines(replace(config, parts=replace(config.parts, ckpt=None)))
    assert bare.info.prompted_tasks == ()
    assert not bare.info.answers_questions
    assert bare.info.description.endswith(
        "no questions answered: engine.parts.ckpt names no trained weights"
    )
    with pytest.raises(UnloadedError, match="custom has no trained weights here"):
        bare.check_prompt(Prompt(task="describe"))


def test_what_was_loaded_answers(ours):
    head = load_head(ours(SKILLS))
    assert head is not None
    ear = Ear(head, eager=True)
    frames = torch.randn(100, head.bridge.config.speech_width)
    ear.push(torch.randn(32_000), frames)
    reply = ear.ask(Prompt(task="describe", max_tokens=3), frames[:50])
    while reply.finish is None:
        advance(head.llm, [reply.answer])
    assert 0 < reply.num_tokens <= 3


def test_the_strength_of_the_adapter_is_a_setting(ours):
    config = ours(SKILLS)
    piece = torch.randn(9, 16)

    def heard(alpha):
        head = load_head(replace(config, lora_alpha=alpha))
        assert head is not None
        (hidden,) = head.llm.extend([piece], [Cache()])
        return hidden

    usual = heard(None)
    assert torch.equal(heard(32.0), usual)  # of its training
    assert not torch.allclose(heard(16.0), usual, atol=1e-3)
    bare = load_llm(config.parts.llm, "float32")
    (without,) = bare.extend([piece], [Cache()])
    assert torch.allclose(heard(0.0), without, atol=1e-6)


def test_words_of_other_languages_are_left_out_and_nothing_else_is_lost(ours):
    english = Skills(tasks=("describe",), languages=("en",))
    whole = load_head(ours(replace(english, languages=None)))
    fewer = load_head(ours(english))
    assert whole is not None
    assert fewer is not None
    kept, known = fewer.llm.model.get_output_embeddings().size
    assert 0 < kept < known
    assert f"writes {kept:,} of {known:,} words" in fewer.description
    assert "words" not in whole.description
    words = fewer.llm.model.get_output_embeddings().words
    hidden = torch.randn(50, whole.llm.width)
    expected, found = whole.llm.logits(hidden), fewer.llm.logits(hidden)
    assert torch.equal(found[:, words], expected[:, words])
    assert torch.equal(found.argmax(-1), words[expected[:, words].argmax(-1)])
    assert set(fewer.llm.stop) <= set(words.tolist())


def test_eight_bits_are_chosen_by_a_setting_and_leave_adapters_as_they_are(ours):
    config = ours(SKILLS)
    plain, small = load_head(config), load_head(replace(config, llm_dtype="int8"))
    assert plain is not None
    assert small is not None
    assert small.num_parameters == plain.num_parameters
    assert ", int8, writes" in small.description
    kinds = {type(m).__name__ for m in small.llm.model.modules()}
    adapters = [n for n, _ in small.llm.model.named_parameters() if "lora_" in n]
    assert "Int8Linear" in kinds
    assert len(adapters) == len(
        [n for n in plain.llm.model.state_dict() if "lora_" in n]
    )
    piece = torch.randn(9, plain.llm.width)
    (exact,), (near,) = (h.llm.extend([piece], [Cache()]) for h in (plain, small))
    assert not torch.equal(near, exact)
    assert (near - exact).norm() < 0.2 * exact.norm()
