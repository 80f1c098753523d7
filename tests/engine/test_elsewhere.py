"""The live engine on a device that is none: everything lies where it should.

What was answered there is compared with what is answered on the CPU, to the letter: the
pretended device computes the same, so a difference would be a branch by device.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from engine.api import Prompt, UtteranceOptions
from engine.config import EncodingConfig, EngineConfig
from engine.convert_whisper import convert
from engine.heads import load_head
from engine.listening import Head
from engine.llm import LanguageModel
from engine.local import LocalEngine
from engine.voices import VoiceEncoder
from engine.whisper import load_whisper
from tests.engine.elsewhere import DEVICE, Elsewhere, Moved
from tests.engine.test_heads import official
from tests.engine.tiny_beats import LOOKS_AHEAD, LOOKS_BACK
from tests.engine.tiny_head import attentive_head
from tests.engine.tiny_salmonn import write_salmonn
from tests.engine.tiny_whisper import random_model, write_source
from tests.engine_contract import finish

pytestmark = pytest.mark.filterwarnings(
    "ignore:PyTorch was compiled without cuDNN:UserWarning"
)

OURS = {"queries": 2, "speech_layers": 2, "context": 4, "running": True}
SETUPS = {
    "official": (
        {"family": "llama", "beats": LOOKS_AHEAD},
        EngineConfig(encoding=EncodingConfig(closing="streaming")),
    ),
    "ours, beams": (
        {"family": "gemma3", "beats": LOOKS_BACK, **OURS},
        EngineConfig(beams=3),
    ),
    "exact": (
        {"family": "llama", "beats": LOOKS_AHEAD},
        EngineConfig(encoding=EncodingConfig(replies="exact")),
    ),
}
AUDIO = np.random.default_rng(1).normal(0, 0.2, 40_000).astype(np.float32)
PIECE = 16_000
QUESTION = Prompt(text="What do you hear?", max_tokens=6)


def head_on(device, family, beats, **options):
    """Return a head of which all parts were moved to a device."""
    head = attentive_head(family, beats=beats, **options)
    return Head(
        head.bridge.to(device),
        None if head.beats is None else head.beats.to(device),
        LanguageModel(head.llm.model.to(device), head.llm.tokenizer),
        head.skills,
    )


def engine_on(device, whisper, setup, dtype=torch.float32):
    parts, config = SETUPS[setup]
    head = head_on(device, **parts)
    head.llm.model.to(dtype)
    head = Head(head.bridge, head.beats, head.llm, head.skills)
    torch.manual_seed(3)
    voices = VoiceEncoder().eval().to(device)
    whisper = whisper.to(torch.device(device))
    return LocalEngine(whisper, config, why="tiny", head=head, voices=voices)


def all_that_is_said(engine):
    """Return what an engine answers to all that it can be asked."""
    said = []
    options = UtteranceOptions(
        tasks=engine.info.tasks, prompted=("describe",), words=True
    )
    utterance = engine.open(options)
    for start in range(0, len(AUDIO), PIECE):
        utterance.push(AUDIO[start : start + PIECE])
        said.append(utterance.partial())
    said.append(utterance.final())
    replies = [
        utterance.ask(prompt)
        for prompt in (
            QUESTION,
            replace(QUESTION, task="translate:zh", text=""),
            replace(QUESTION, temperature=1.0),
        )
    ]
    odds = utterance.weigh(["dog barking", "rain"])
    said.append([round(one, 3) for one in odds])
    utterance.close()
    late = engine.open(UtteranceOptions(tasks=()))
    late.push(AUDIO)
    replies.append(late.ask(QUESTION))
    late.close()
    torch.manual_seed(7)  # of the draw
    finish(engine, *replies)
    said.append([reply.text for reply in replies])
    speakers = engine.open_speakers(2)
    speakers.push(1, AUDIO)
    said.append(speakers.end(1))
    speakers.close()
    return said


@pytest.fixture
def half(tiny_whisper):
    """A Whisper in bfloat16, of its own weights."""
    model = type(tiny_whisper.model)(tiny_whisper.model.config).eval()
    model.load_state_dict(tiny_whisper.model.state_dict())
    return replace(tiny_whisper, model=model.bfloat16().requires_grad_(False))


@pytest.mark.parametrize("setup", SETUPS)
def test_all_that_is_said_elsewhere_is_what_is_said_here(tiny_whisper, believed, setup):
    here = all_that_is_said(engine_on("cpu", tiny_whisper, setup))
    with Elsewhere():
        engine = engine_on(DEVICE, tiny_whisper, setup)
        assert engine.info.description.startswith("whisper-d64 on cuda:0, tiny, ")
        engine.warm_up()
        assert all_that_is_said(engine) == here


def test_in_sixteen_bits_it_is_the_same(half, believed):
    here = all_that_is_said(engine_on("cpu", half, "official", torch.bfloat16))
    with Elsewhere():
        engine = engine_on(DEVICE, half, "official", torch.bfloat16)
        assert all_that_is_said(engine) == here


def test_hearing_waits_for_nothing_and_a_token_of_all_answers_for_one_copy(
    tiny_whisper,
):
    with Elsewhere() as there:
        engine = engine_on(DEVICE, tiny_whisper, "official")
        options = UtteranceOptions(tasks=(), prompted=("describe",))
        utterances = [engine.open(options) for _ in range(3)]
        there.waits.clear()
        for utterance in utterances:
            for start in range(0, len(AUDIO), PIECE):
                utterance.push(AUDIO[start : start + PIECE])
        replies = [utterance.ask(QUESTION) for utterance in utterances]
        assert there.waits == [], "encoded, embedded and read"
        utterances[0].weigh(["dog barking", "rain"])
        assert set(there.waits) == {"tolist"}
        assert len(there.waits) <= 4, "names begun and read on, with audio and without"
        there.waits.clear()
        while going_on := [reply for reply in replies if reply.finish is None]:
            engine.generate(going_on)
            assert there.waits.pop() == "tolist"
            assert there.waits == []


def test_a_token_of_captions_is_waited_for_twice_at_most(tiny_whisper, monkeypatch):
    monkeypatch.setattr("engine.transcriber.misplaced", lambda *_, **__: None)
    with Elsewhere() as there:
        engine = engine_on(DEVICE, tiny_whisper, "official")
        utterance = engine.open(UtteranceOptions(language="en"))
        utterance.push(np.tile(AUDIO, 2))
        there.waits.clear()
        utterance.final()
    found = Counter(there.waits)
    tokens = found["tolist"]  # the end token, or the one that was cut, among them
    assert tokens > 1
    # Where a token was heard: of each that is a word, and of all at the end; and once
    # what the model thought of the start.
    assert set(found) == {"tolist", "cpu"}
    assert found["cpu"] <= tokens + 2


def test_a_head_from_files_lies_where_it_is_to_compute(tmp_path, monkeypatch):
    files = write_salmonn(tmp_path)
    with Elsewhere():
        head = load_head(replace(official(files), llm_dtype="float16"), DEVICE)
        assert head is not None
        modules = [head.bridge, head.beats, head.llm.model]
        tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
        assert tensors
        assert all(isinstance(tensor, Moved) for tensor in tensors)
        assert isinstance(head.opening, Moved)
        assert head.llm.dtype == torch.float16


def test_a_whisper_from_files_lies_where_it_is_to_compute(tmp_path):
    source, folder = write_source(tmp_path / "source", random_model()), tmp_path / "w"
    folder.mkdir()
    convert(source, folder)
    with Elsewhere():
        whisper = load_whisper(folder, "float16", DEVICE)
        assert whisper.device == DEVICE
        assert isinstance(whisper.vocabulary.filters.always, Moved)
        assert whisper.model.proj_out.weight.dtype == torch.float16


MIXED = {
    "sum": lambda there, here: there + here,
    "product": lambda there, here: there @ here.T,
    "joined": lambda there, here: torch.cat([there, here]),
    "stacked": lambda there, here: torch.stack([here, there]),
    "chosen": lambda there, here: torch.where(here > 0, there, there),
    "looked up": lambda there, here: torch.nn.functional.embedding(
        torch.zeros(1, dtype=torch.long), there
    ),
    "filled": lambda there, here: there.index_fill(0, torch.tensor([0]), 0.0),
    "masked": lambda there, here: there.masked_fill(here > 0, 0.0),
}


@pytest.mark.parametrize("mixed", MIXED)
def test_what_is_refused_here_is_what_torch_refuses(mixed):
    with FakeTensorMode(allow_non_fake_inputs=True):
        pair = torch.empty(2, 3, device="cuda"), torch.empty(2, 3)
        with pytest.raises(RuntimeError):
            MIXED[mixed](*pair)
    with Elsewhere():
        pair = torch.ones(2, 3, device="cuda"), torch.ones(2, 3)
        with pytest.raises(RuntimeError, match="found at least two, cuda:0 and cpu"):
            MIXED[mixed](*pair)
        one, same = pair[0], pair[1].to("cuda")
        if mixed not in ("looked up", "filled"):
            assert isinstance(MIXED[mixed](one, same), Moved)


def test_a_tensor_elsewhere_has_no_numpy_and_reading_it_is_noted():
    with Elsewhere() as there:
        tensor = torch.arange(3, device=DEVICE)
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            tensor.numpy()
        assert there.waits == []
        assert (tensor.tolist(), int(tensor[1]), tensor.sum().item()) == (
            [0, 1, 2],
            1,
            3,
        )
        tensor.cpu().numpy()
        torch.ones(2).to(DEVICE, non_blocking=True)
        torch.ones(2).to(DEVICE)
        tensor[[0, 1]]
        tensor[torch.tensor([0])]
        assert there.waits == [
            *("tolist", "__int__", "item", "cpu", "to"),
            *("__getitem__ by an index of the CPU",) * 2,
        ]
