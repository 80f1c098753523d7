import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from engine.answering import advance
from engine.api import Finish, Mode, Prompt, Source, UtteranceOptions
from engine.beats_streaming import BlockBeats, StreamingBeats
from engine.cache import Cache
from engine.config import EncodingConfig, EngineConfig
from engine.encoding import StreamingEncoder
from engine.errors import ContextFullError, UnsupportedError
from engine.listening import READ_WINDOWS, TOLD_TOKENS, Ear
from engine.local import LocalEngine
from engine.prompt import beside
from engine.whisper_encoder import BlockEncoder
from tests.engine.tiny_beats import LOOKS_AHEAD, LOOKS_BACK
from tests.engine.tiny_head import attentive_head, tiny_head
from tests.engine_contract import finish

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
SETUPS = {
    "official": ("llama", LOOKS_AHEAD, {}),
    "ours": ("gemma3", LOOKS_BACK, {"queries": 4, "context": 4, "running": True}),
    "one encoder": ("gemma3", None, {"queries": 2}),
}
QUESTION = Prompt(text="What is it?", max_tokens=8)


@pytest.fixture(params=SETUPS)
def head(request):
    family, beats, options = SETUPS[request.param]
    return tiny_head(family, beats=beats, **options)


@pytest.fixture
def encoder(tiny_model):
    return BlockEncoder(tiny_model.model.encoder, left_frames=750)


def listen(head, encoder, samples, *, eager, size=4_000):
    """Return an ear that has heard samples, and the frames that have not settled."""
    stream = StreamingEncoder(encoder, EncodingConfig())
    ear = Ear(head, eager=eager)
    for piece in samples.split(size):
        ear.push(piece, stream.push(piece))
    return ear, stream.rest(1.0)


def reference(head, encoder, samples):
    """Return what is before the question, computed at the end and in one pass."""
    stream = StreamingEncoder(encoder, EncodingConfig())
    speech = torch.cat([stream.push(samples), stream.rest(1.0)])
    audio = None
    if head.beats is not None:
        beats = StreamingBeats(BlockBeats(head.beats))
        audio = torch.cat([beats.push(samples), beats.rest()])[None]
    with torch.inference_mode():
        embeddings = head.bridge(speech[None], audio)[0]
    cache = Cache()
    head.llm.extend([torch.cat([head.opening, embeddings])], [cache])
    return cache


def keys(cache):
    return torch.stack([k[:, : len(cache)] for k, _ in cache._storage.layers])


@pytest.mark.parametrize("eager", [True, False])
def test_heard_as_it_comes_is_heard_at_the_end(head, encoder, noise, eager):
    ear, rest = listen(head, encoder, noise, eager=eager)
    reply = ear.ask(QUESTION, rest)
    expected = reference(head, encoder, noise)
    assert len(reply.answer.cache) == len(expected)
    assert_close(keys(reply.answer.cache), keys(expected), **CLOSE)


def test_a_question_leaves_no_trace(head, encoder, noise):
    asked, rest = listen(head, encoder, noise[:40_000], eager=True)
    advance(head.llm, [asked.ask(QUESTION, rest).answer])
    plain, _ = listen(head, encoder, noise[:40_000], eager=True)
    for ear in (asked, plain):
        ear.push(noise[40_000:], torch.ones(85, head.bridge.config.speech_frame_width))
    replies = [ear.ask(QUESTION, rest) for ear in (asked, plain)]
    assert_close(*(keys(reply.answer.cache) for reply in replies), **CLOSE)


def test_windows_are_run_while_they_are_heard_or_when_asked(head, encoder, noise):
    passes = []
    run = head.llm.extend

    def counted(pieces, caches):
        passes.append(sum(map(len, pieces)))
        return run(pieces, caches)

    head.llm.extend = counted
    ear, rest = listen(head, encoder, noise, eager=True)
    fewest = READ_WINDOWS * head.bridge.config.queries
    assert len(passes) > 1
    assert min(passes) >= fewest
    assert max(passes) < len(head.opening) + 3 * fewest
    settled = sum(passes)
    assert len(ear._cache) == settled
    passes.clear()
    ear.ask(QUESTION, rest)
    assert len(passes) == 1, "what was not read yet goes with what is guessed"
    passes.clear()
    ear, rest = listen(head, encoder, noise, eager=False)
    assert passes == []
    ear.ask(QUESTION, rest)
    first = list(passes)
    ear.ask(QUESTION, rest)
    assert passes == first, "the second question finds the audio there"
    assert len(first) == 1


def test_what_is_left_when_asked_does_not_grow_with_the_audio(head, encoder):
    left = []
    for seconds in (4, 24):
        ear, rest = listen(
            head, encoder, torch.randn(seconds * 16_000), eager=True, size=16_000
        )
        heard = len(ear._cache)
        left.append(len(ear.ask(QUESTION, rest).answer.cache) - heard)
    queries = head.bridge.config.queries
    # At most two blocks of BEATs, or of Whisper, a second of silence, and what a pass
    # of the language model waits for.
    assert max(left) < (11 + READ_WINDOWS) * queries


def test_questions_share_one_prefix(head, encoder, noise):
    ear, rest = listen(head, encoder, noise, eager=True)
    first, second = (ear.ask(QUESTION, rest).answer.cache for _ in range(2))
    assert first._storage is second._storage


def test_a_reply_that_is_closed_leaves_nothing(head, encoder, noise):
    ear, rest = listen(head, encoder, noise, eager=False)
    reply = ear.ask(QUESTION, rest)
    advance(head.llm, [reply.answer])
    cache = weakref.ref(reply.answer.cache._storage)
    reply.close()
    del ear, reply
    gc.collect()
    assert cache() is None


def test_a_question_longer_than_the_model_is_refused(head, encoder, noise):
    ear, rest = listen(head, encoder, noise, eager=True)
    with pytest.raises(ContextFullError):
        ear.ask(Prompt(text="why " * 300), rest)
    almost = Prompt(text="x" * 900, max_tokens=500)
    reply = ear.ask(almost, rest)
    while reply.finish is None:
        advance(head.llm, [reply.answer])
    assert reply.num_tokens < 500


def engine_of(tiny_whisper, head, **encoding):
    config = EngineConfig(encoding=EncodingConfig(**encoding))
    return LocalEngine(tiny_whisper, config, why="tiny", head=head)


def asked(engine, samples, prompt, options):
    utterance = engine.open(options)
    utterance.push(samples)
    reply = utterance.ask(prompt)
    finish(engine, reply)
    return reply


def test_a_task_may_be_answered_from_the_transcript(tiny_whisper, noise):
    engine = engine_of(tiny_whisper, tiny_head("llama", beats=None))
    prompt = Prompt(task="translate:zh", max_tokens=9)
    samples = noise.numpy()
    replies = [
        asked(engine, samples, prompt, UtteranceOptions(tasks=tasks))
        for tasks in (("transcribe",), (), ("translate:en",))
    ]
    assert [r.source for r in replies] == [Source.TRANSCRIPT] * 3
    assert [r.mode for r in replies] == [Mode.EXACT] * 3
    assert len({r.text for r in replies}) == 1
    audio = asked(engine, samples, QUESTION, UtteranceOptions())
    assert (audio.source, audio.mode) == (Source.AUDIO, Mode.STREAMING)


def test_a_text_that_is_read_is_answered_as_a_transcript_of_its_words(
    tiny_whisper, noise, believed
):
    engine = engine_of(tiny_whisper, attentive_head("llama", beats=None))
    utterance = engine.open(UtteranceOptions())
    utterance.push(noise.numpy())
    (final,) = utterance.final()
    prompt = Prompt(task="translate:zh", max_tokens=9)
    heard, read = utterance.ask(prompt), engine.read(final.text, prompt)
    finish(engine, heard)
    finish(engine, read)
    assert read.source is Source.TRANSCRIPT
    assert read.text == heard.text
    with pytest.raises(UnsupportedError):
        engine.read(final.text, Prompt(task="translate:fr"))


def test_who_is_told_the_words_is_asked_as_if_they_stood_in_the_question(
    tiny_whisper, noise, believed
):
    head = attentive_head("llama", beats=None)
    engine, options = engine_of(tiny_whisper, head), UtteranceOptions()
    utterance = engine.open(options)
    utterance.push(noise.numpy())
    (final,) = utterance.final()
    assert final.text
    written = Prompt(text=beside(QUESTION.text, final.text), max_tokens=9)
    question = replace(written, text=QUESTION.text)
    plain, expected = (
        asked(engine, noise.numpy(), prompt, options) for prompt in (question, written)
    )
    head.skills = replace(head.skills, told_words=True)
    told = asked(engine, noise.numpy(), question, options)
    assert told.source is Source.AUDIO
    assert told.num_prompt_tokens == expected.num_prompt_tokens
    assert told.text == expected.text != plain.text


def test_the_words_are_the_askers_and_decoded_only_where_none_are_given(
    tiny_whisper, noise, believed
):
    head = attentive_head("llama", beats=None)
    engine = engine_of(tiny_whisper, head)
    decoded = []
    answer = engine._transcriber.answer
    engine._transcriber.answer = lambda q: decoded.append(q.task) or answer(q)

    def ask(text, said, *, told=True, tasks=("transcribe",), closed=False):
        head.skills = replace(head.skills, told_words=told)
        utterance = engine.open(UtteranceOptions(tasks=tasks))
        utterance.push(noise.numpy())
        final = utterance.final() if closed else []
        decoded.clear()
        reply = utterance.ask(Prompt(text=text, said=said, max_tokens=9))
        count = len(decoded)
        finish(engine, reply)
        return reply.text, reply.num_prompt_tokens, count, final

    def written(said, **options):
        return ask(beside("Who?", said), None, told=False, **options)[:2]

    for tasks in ((), ("transcribe",)):
        for said in ("", "Hm, well."):
            text, length, count, _ = ask("Who?", said, tasks=tasks)
            assert (text, length) == written(said, tasks=tasks)
            assert count == 0
    assert ask("Who?", None, tasks=())[2] == 1
    text, length, count, (final,) = ask("Who?", None, closed=True)
    assert (text, length) == written(final.text, closed=True)
    assert count == 0
    assert ask("Who?", "Hm, well.", closed=True)[:2] == written(
        "Hm, well.", closed=True
    )


def test_of_many_words_the_last_are_told(tiny_whisper, noise):
    head = attentive_head("llama", beats=None)
    head.skills = replace(head.skills, told_words=True)
    engine = engine_of(tiny_whisper, head)
    lengths = []
    for count in (1, 8, 80):
        utterance = engine.open(UtteranceOptions())
        utterance.push(noise.numpy())
        reply = utterance.ask(replace(QUESTION, said="ab " * count))
        lengths.append(reply.num_prompt_tokens)
    few, some, many = lengths
    assert few < some
    assert many - few <= TOLD_TOKENS


def test_who_is_told_the_words_hears_only_where_there_are_none(tiny_whisper, noise):
    head = attentive_head("llama", beats=None)
    engine = engine_of(tiny_whisper, head)
    for tasks in (("transcribe",), ()):
        options = UtteranceOptions(tasks=tasks)
        plain, told = None, None
        for told_words in (False, True):
            head.skills = replace(head.skills, told_words=told_words)
            plain, told = told, asked(engine, noise.numpy(), QUESTION, options)
        assert told.num_prompt_tokens == plain.num_prompt_tokens
        assert told.text == plain.text


def test_an_answer_from_the_transcript_depends_on_its_words_alone(
    tiny_whisper, noise, believed
):
    engine = engine_of(tiny_whisper, attentive_head("llama", beats=None))
    prompt = Prompt(task="translate:zh", max_tokens=9)
    chirp = torch.sin(3_000 * (torch.arange(128_000) / 16_000) ** 2)
    replies = {}
    for samples in (noise.repeat(2), chirp):
        utterance = engine.open(UtteranceOptions())
        utterance.push(samples.numpy())
        (final,) = utterance.final()
        reply = utterance.ask(prompt)
        finish(engine, reply)
        replies[final.text] = reply.text
    assert len(replies) == len(set(replies.values())) == 2


def test_where_nothing_was_said_nothing_is_translated(tiny_whisper, noise, monkeypatch):
    engine = engine_of(tiny_whisper, tiny_head("llama", beats=None))
    monkeypatch.setattr("engine.transcriber.Transcriber._is_speech", lambda *_: False)
    prompt = Prompt(task="translate:zh")
    reply = asked(engine, noise.numpy(), prompt, UtteranceOptions(tasks=()))
    assert (reply.text, reply.finish, reply.num_tokens) == ("", Finish.STOP, 0)
    reply.close()


def test_an_exact_reply_hears_thirty_seconds_in_one_pass(tiny_whisper, noise):
    head = tiny_head("llama", beats=LOOKS_AHEAD)
    engine = engine_of(tiny_whisper, head, replies="exact")
    utterance = engine.open(UtteranceOptions(tasks=(), prompted=("describe",)))
    utterance.push(noise.numpy())
    reply = utterance.ask(Prompt(task="describe"))
    assert reply.mode is Mode.EXACT
    assert len(reply.answer.cache) == len(head.opening) + 88


@pytest.mark.parametrize("prompted", [(), ("describe",)])
@pytest.mark.parametrize("short", [0, 159])
def test_thirty_seconds_are_heard_whole(tiny_whisper, prompted, short):
    head = tiny_head("llama", beats=LOOKS_AHEAD)
    engine = engine_of(tiny_whisper, head)
    assert engine.info.max_samples == 30 * 16_000
    utterance = engine.open(UtteranceOptions(tasks=(), prompted=prompted))
    utterance.push(torch.randn(30 * 16_000 - short).numpy() / 10)
    reply = utterance.ask(Prompt(task="describe"))
    # With the silence that there is room for, all that the original has.
    assert len(reply.answer.cache) == len(head.opening) + 88


def test_what_is_to_be_asked_about_is_heard_at_once(tiny_whisper, noise):
    head = tiny_head("llama", beats=LOOKS_BACK)
    engine = engine_of(tiny_whisper, head)
    for prompted, is_heard in (
        ((), False),
        (("describe",), True),
        (("translate:zh",), False),  # answered from the transcript
    ):
        utterance = engine.open(UtteranceOptions(prompted=prompted))
        utterance.push(noise.numpy())
        heard = len(utterance._ear._cache) > 0
        assert heard is is_heard, prompted


def test_a_language_model_that_transcribes_hears_along_and_warms_up(
    tiny_whisper, noise
):
    head = tiny_head("llama", beats=LOOKS_BACK)
    config = EngineConfig(transcriber="salmonn")
    engine = LocalEngine(tiny_whisper, config, why="tiny", head=head)
    engine.warm_up()
    utterance = engine.open(UtteranceOptions(tasks=(), prompted=("transcribe",)))
    utterance.push(noise.numpy())
    assert utterance.final() == []
    assert len(utterance._ear._cache) > 0
    reply = utterance.ask(Prompt(task="transcribe", max_tokens=3))
    assert (reply.source, reply.mode) == (Source.AUDIO, Mode.STREAMING)
    finish(engine, reply)
    assert reply.num_tokens in range(4)


def test_an_engine_without_weights_for_it_answers_no_prompt(tiny_whisper, noise):
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
    assert engine.info.prompted_tasks == ()
    assert not engine.info.answers_questions
    utterance = engine.open(UtteranceOptions())
    with pytest.raises(UnsupportedError, match="this model knows none"):
        utterance.ask(Prompt(task="describe"))


def test_a_warm_up_asks_a_question(tiny_whisper):
    head = tiny_head("llama", beats=None)
    engine = engine_of(tiny_whisper, head)
    steps = []
    logits = head.llm.logits
    head.llm.logits = lambda *some: steps.append(1) or logits(*some)
    engine.warm_up()
    assert steps


def test_a_reply_reaches_its_limit(tiny_whisper, noise):
    engine = engine_of(tiny_whisper, tiny_head("gemma3", beats=None))
    reply = asked(
        engine, noise.numpy(), Prompt(text="x", max_tokens=1), UtteranceOptions()
    )
    assert reply.finish in (Finish.LENGTH, Finish.STOP)
    assert reply.num_tokens <= 1
