"""Whole recordings and many prompts, behind the one protocol of both models."""

import numpy as np
import pytest

from engine.api import Finish, Prompt, UtteranceOptions
from engine.asking import EngineAnswerer, Reply, ask
from engine.beams import beam_search
from engine.config import EngineConfig
from engine.errors import UnsupportedError, UntrainedError
from engine.geometry import SAMPLE_RATE
from engine.local import LocalEngine
from engine.recording import MAX_SAMPLES
from engine.tasks import TEST_PROMPTS, find_written
from tests.engine.tiny_beats import LOOKS_BACK
from tests.engine.tiny_head import attentive_head, tiny_head


class Echo:
    """Answers with the prompt and the length of what it heard."""

    max_samples = MAX_SAMPLES

    def check(self, prompts):
        pass

    def answer(self, samples, prompts):
        for prompt in prompts:
            yield Reply(
                prompt=prompt,
                question=prompt.text,
                start=0,
                end=len(samples),
                text=f"{prompt.text} {len(samples)}",
                finish=Finish.STOP,
                num_tokens=2,
            )


@pytest.fixture
def whisper(tiny_whisper, believed):
    return EngineAnswerer(LocalEngine(tiny_whisper, EngineConfig(), why="tiny"))


def test_each_part_is_asked_everything_in_order():
    samples = np.ones(70 * SAMPLE_RATE, np.float32)
    prompts = [Prompt(text="Who?"), Prompt(text="What?")]
    replies = list(ask(Echo(), samples, prompts))
    assert len(replies) == 6
    assert [reply.prompt for reply in replies] == prompts * 3
    assert replies[0].start == 0
    assert replies[-1].end == len(samples)
    for one, other in zip(replies[1::2], replies[2::2], strict=False):
        assert one.end == other.start
    for reply in replies:
        assert reply.text == f"{reply.prompt.text} {reply.end - reply.start}"


def test_whisper_writes_down_and_translates(whisper, noise):
    prompts = [Prompt(task="transcribe"), Prompt(task="translate")]
    whisper.check(prompts)
    written, translated = whisper.answer(noise.numpy(), prompts)
    assert written.prompt.task == "transcribe"
    assert written.text
    assert written.question is None
    (english,) = whisper.answer(noise.numpy(), [Prompt(task="translate:en")])
    assert translated.text == english.text


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(text="Who?"),
        Prompt(task="describe"),
        Prompt(task="transcribe", language="xx"),
    ],
)
def test_whisper_refuses_what_it_does_not_know(whisper, prompt):
    with pytest.raises(UnsupportedError):
        whisper.check([prompt])


def test_a_language_model_behind_whisper_answers_the_rest(tiny_whisper, noise):
    head = tiny_head("gemma3", beats=LOOKS_BACK)
    config = EngineConfig(preset="custom")
    answerer = EngineAnswerer(LocalEngine(tiny_whisper, config, why="tiny", head=head))
    prompts = [
        Prompt(task="describe", max_tokens=3),
        Prompt(text="Who?", max_tokens=3),
        Prompt(task="transcribe"),
    ]
    answerer.check(prompts)
    described, answered, written = answerer.answer(noise.numpy(), prompts)
    assert described.question == TEST_PROMPTS["audiocaption"]
    assert answered.question == "Who?"
    assert written.question is None
    assert all(reply.num_tokens in range(4) for reply in (described, answered))
    with pytest.raises(UntrainedError, match="custom was not trained for task 'trans"):
        answerer.check([Prompt(task="translate:de")])


def test_what_is_answered_live_can_be_searched_with_beams(tiny_whisper, noise):
    head = attentive_head("llama", beats=LOOKS_BACK)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    prompts = [Prompt(task="describe", max_tokens=9)]
    (greedy,) = EngineAnswerer(engine).answer(noise.numpy(), prompts)
    (one,) = EngineAnswerer(engine, beams=1).answer(noise.numpy(), prompts)
    (four,) = EngineAnswerer(engine, beams=4).answer(noise.numpy(), prompts)
    assert one == greedy
    assert four.text != greedy.text
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(noise.numpy())
    answer = utterance.ask(prompts[0]).answer
    expected = beam_search(
        head.llm, answer.piece(head.llm), answer.cache, beams=4, max_tokens=9
    )
    assert four.text == head.llm.text(expected)


def test_a_searched_translation_reads_the_transcript(tiny_whisper, noise, believed):
    head = tiny_head("llama", beats=LOOKS_BACK)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    prompts = [Prompt(task="translate:zh", max_tokens=3)]
    (reply,) = EngineAnswerer(engine, beams=2).answer(noise.numpy(), prompts)
    assert reply.question == find_written("translate:zh")
    assert reply.num_tokens in range(4)
