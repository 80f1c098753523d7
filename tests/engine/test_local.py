import numpy as np
import pytest
import soundfile
import torch

from engine.api import Mode, Prompt, UtteranceOptions, by_task
from engine.config import EncodingConfig, EngineConfig
from engine.geometry import ENCODER_RATE, SAMPLE_RATE, WINDOW, WINDOW_SAMPLES
from engine.local import LocalEngine
from engine.voices import VoiceEncoder
from engine.whisper_encoder import BlockEncoder
from tests.engine.tiny_beats import LOOKS_AHEAD, LOOKS_BACK
from tests.engine.tiny_head import attentive_head, tiny_head
from tests.engine_contract import EngineContract, PromptContract, SpeakersContract
from tests.weights import require_weights

SPEECH = "demo/jfk.ogg"
SPOKEN = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)


def bare(text):
    """Return text without marks and capitals, which may differ."""
    kept = (c for c in text.lower() if c.isalnum() or c == " ")
    return "".join(kept)


@pytest.fixture
def encoded(monkeypatch):
    """Yield how many frames of features were encoded since a number was added."""
    counts, encode = [0], BlockEncoder.encode

    def counting(self, features, *state, **keep):
        counts[-1] += len(features)
        return encode(self, features, *state, **keep)

    monkeypatch.setattr(BlockEncoder, "encode", counting)
    return counts


def test_blocks_are_encoded_when_a_partial_reads_them(tiny_whisper, encoded):
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
    utterance = engine.open(UtteranceOptions())
    utterance.push(np.zeros(5 * SAMPLE_RATE, np.float32))
    assert encoded == [0]
    utterance.partial()
    blocks = encoded[-1]
    assert blocks > 500
    utterance.partial()  # what has settled is not encoded again, its end is
    assert encoded[-1] - blocks < 0.5 * blocks
    utterance.close()


def test_where_nobody_reads_along_a_segment_is_encoded_once(tiny_whisper, encoded):
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
    utterance = engine.open(UtteranceOptions())
    for _ in range(5):
        utterance.push(np.zeros(SAMPLE_RATE, np.float32))
    utterance.final()
    assert encoded == [800], "5 s, and 3 s of silence behind them"
    utterance.close()


def test_audio_that_is_only_asked_about_is_encoded_once_for_all_questions(
    tiny_whisper, encoded
):
    config = EngineConfig(encoding=EncodingConfig(closing="streaming"))
    head = tiny_head("gemma3", beats=None)
    engine = LocalEngine(tiny_whisper, config, why="tiny", head=head)
    utterance = engine.open(UtteranceOptions(tasks=()))
    for _ in range(5):
        utterance.push(np.zeros(SAMPLE_RATE, np.float32))
    for text in ("What is it?", "How loud?"):
        reply = utterance.ask(Prompt(text=text))
        assert reply.mode is Mode.EXACT
        reply.close()
    assert encoded == [600], "5 s, and 1 s of silence behind them"
    utterance.close()


def left_when_asked(engine, encoded, utterance):
    """Return how many frames are encoded, and positions read in how many passes."""
    passes, run = [], engine._head.llm.extend

    def counted(pieces, caches):
        passes.append(sum(map(len, pieces)))
        return run(pieces, caches)

    engine._head.llm.extend = counted
    encoded.append(0)
    reply = utterance.ask(Prompt(text="What is it?"))
    engine._head.llm.extend = run
    assert reply.mode is Mode.STREAMING
    reply.close()
    return encoded[-1], sum(passes), len(passes)


def push_seconds(utterance, seconds):
    for _ in range(2 * seconds):
        utterance.push(np.zeros(SAMPLE_RATE // 2, np.float32))


# A block and its right context, the start of the next block, a second of silence.
MOST_FRAMES = 2 * (3 * 2 * WINDOW) + 100 + 2
MOST_WINDOWS = 15  # as a prompt that was announced leaves (docs/adr/0034)


@pytest.mark.parametrize("tasks", [("transcribe",), ()])
def test_after_a_question_the_next_one_costs_no_more_in_a_longer_segment(
    tiny_whisper, encoded, tasks
):
    head = tiny_head("gemma3", beats=None, queries=2)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    for seconds in (3, 20):
        utterance = engine.open(UtteranceOptions(tasks=tasks))
        push_seconds(utterance, seconds)
        utterance.ask(Prompt(text="What is it?")).close()
        push_seconds(utterance, 3)
        frames, positions, passes = left_when_asked(engine, encoded, utterance)
        utterance.close()
        assert frames <= MOST_FRAMES
        assert (positions <= MOST_WINDOWS * 2, passes) == (True, 1)


def test_where_questions_are_likely_the_first_costs_no_more_in_a_longer_segment(
    tiny_whisper, encoded
):
    head = tiny_head("gemma3", beats=None, queries=2)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    for seconds in (3, 20):
        utterance = engine.open(UtteranceOptions(tasks=(), questions=True))
        push_seconds(utterance, seconds)
        frames, positions, passes = left_when_asked(engine, encoded, utterance)
        utterance.close()
        assert frames <= MOST_FRAMES
        assert (positions <= MOST_WINDOWS * 2, passes) == (True, 1)


def test_a_first_question_that_nobody_expected_reads_all_windows_in_one_pass(
    tiny_whisper, encoded
):
    head = tiny_head("gemma3", beats=None, queries=2)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    utterance = engine.open(UtteranceOptions())
    push_seconds(utterance, 20)
    utterance.partial()  # whose blocks the question shares
    frames, positions, passes = left_when_asked(engine, encoded, utterance)
    windows = (21 * ENCODER_RATE) // WINDOW  # of 20 s, and the second of silence
    assert frames <= MOST_FRAMES
    assert (positions, passes) == (len(head.opening) + 2 * windows, 1)
    utterance.close()


class TestTinyEngine(EngineContract):
    """A random model finds words in noise; all else must hold for it, too."""

    @pytest.fixture(params=["exact", "streaming"])
    def engine(self, tiny_whisper, request, believed):
        encoding = EncodingConfig(closing=request.param)
        return LocalEngine(tiny_whisper, EngineConfig(encoding=encoding), why="tiny")

    @pytest.fixture
    def audio(self):
        return np.random.default_rng(1).normal(0, 0.2, 96_000).astype(np.float32)

    @pytest.fixture
    def other_audio(self):
        time = np.arange(128_000, dtype=np.float32) / SAMPLE_RATE
        return np.sin(3_000 * time**2)

    # A random model has no idea of silence.
    test_silence_has_no_words = None
    test_an_utterance_of_nothing_has_no_words = None


class TestTinySpeakers(SpeakersContract):
    """A random encoder of voices finds some in noise."""

    @pytest.fixture
    def engine(self, tiny_whisper):
        torch.manual_seed(3)
        voices = VoiceEncoder().eval()
        return LocalEngine(tiny_whisper, EngineConfig(), why="tiny", voices=voices)

    @pytest.fixture
    def audio(self):
        return np.random.default_rng(1).normal(0, 0.2, 70_000).astype(np.float32)

    @pytest.fixture
    def other_audio(self):
        time = np.arange(80_000, dtype=np.float32) / SAMPLE_RATE
        return np.sin(3_000 * time**2)

    def test_its_info_says_how_many_it_tells_apart(self, engine, tiny_whisper):
        assert engine.info.max_speakers == 16
        without = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
        assert without.info.max_speakers == 0


OURS = {"queries": 2, "speech_layers": 2, "context": 4, "running": True}


class TestTinySalmonn(TestTinyEngine, PromptContract):
    """The same with a random language model behind the encoder."""

    @pytest.fixture(params=["llama and official BEATs", "gemma3 and ours", "exact"])
    def engine(self, tiny_whisper, request, believed):
        head, encoding = {
            "llama and official BEATs": (
                attentive_head("llama", beats=LOOKS_AHEAD),
                EncodingConfig(closing="streaming"),
            ),
            "gemma3 and ours": (
                attentive_head("gemma3", beats=LOOKS_BACK, **OURS),
                EncodingConfig(),
            ),
            "exact": (
                attentive_head("llama", beats=None),
                EncodingConfig(replies="exact"),
            ),
        }[request.param]
        config = EngineConfig(encoding=encoding)
        return LocalEngine(tiny_whisper, config, why="tiny", head=head)


@pytest.fixture(scope="module")
def real_engine():
    require_weights()
    threads = torch.get_num_threads()
    engine = LocalEngine.load(EngineConfig(dtype="float32", captions_only=True))
    yield engine
    engine.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def speech():
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


@pytest.mark.end_to_end
class TestRealEngine(EngineContract):
    """Whisper itself, on a recorded voice."""

    @pytest.fixture
    def engine(self, real_engine):
        return real_engine

    @pytest.fixture
    def audio(self, speech):
        return speech[: 4 * SAMPLE_RATE]

    @pytest.fixture
    def other_audio(self, speech):
        return speech[5 * SAMPLE_RATE :]

    def test_a_whole_clip_is_heard_as_officially(self, engine, speech):
        (hypothesis,) = engine.hear(speech, UtteranceOptions())
        assert bare(hypothesis.text) == SPOKEN
        assert hypothesis.language == "en"
        assert hypothesis.mode is Mode.EXACT

    def test_a_live_final_is_nearly_what_the_whole_clip_gives(self, engine, speech):
        utterance = engine.open(UtteranceOptions(words=True))
        for start in range(0, len(speech), WINDOW_SAMPLES):
            utterance.push(speech[start : start + WINDOW_SAMPLES])
            utterance.partial()
        (final,) = utterance.final()
        assert bare(final.text) == SPOKEN
        starts = {bare(word.text): word.start / SAMPLE_RATE for word in final.words}
        assert starts["americans"] == pytest.approx(1.6, abs=0.7)

    def test_music_is_not_words(self, engine):
        samples, _ = soundfile.read("demo/guitar.ogg", dtype="float32")
        (hypothesis,) = engine.hear(samples, UtteranceOptions())
        assert hypothesis.text == ""

    def test_english_is_not_changed_by_translating_it(self, engine, speech):
        answers = by_task(
            engine.hear(speech, UtteranceOptions(tasks=engine.info.tasks))
        )
        assert "ask not" in answers["translate:en"].text

    def test_an_engine_says_what_it_computes_in(self, engine):
        assert "float32" in engine.info.description
