"""An utterance as the language model hears it: audio into its KV cache, then questions.

    samples ─ BEATs ─┐
                     ├─ windows ─▶ embeddings ─▶ KV cache: opening, audio …
    speech frames ───┘                             │ fork, the unsettled rest behind it
                                                   ├─ fork ─▶ closing, answer
                                                   ├─ fork ─▶ closing, answer
                                                   └─ fork ─▶ names, each weighed

The audio stands before the question, so each settled window is embedded and run through
the language model once, some windows in a pass, and all questions share it.  What has
not settled is guessed when a question comes, behind a fork, and leaves no trace.  So
the work that is left then is bounded, however long the utterance is (docs/adr/0014).

An `Ear` belongs to one utterance; a `Head` is what all of a process share.  How speech
frames are computed, and what a task is, others know.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine import prompt as prompts
from engine.answering import Answer, Sampling
from engine.api import Finish, Mode, Prompt, Source
from engine.beats import Beats
from engine.beats_streaming import BlockBeats, StreamingBeats
from engine.cache import Cache
from engine.device import send
from engine.errors import ContextFullError
from engine.fbank import fbank
from engine.geometry import SAMPLE_RATE
from engine.llm import LanguageModel
from engine.qformer import Bridge
from engine.quantise import Int8Linear
from engine.skills import Skills, question
from engine.vocabulary import PrunedHead
from engine.weighing import Weigher
from engine.window_stream import WindowStream

READ_WINDOWS = 4
"""That the language model reads in a pass while audio comes, at least: it reads all its
weights for each, and 1.4 s of audio cost it little more than 0.7 (docs/adr/0034)."""
TOLD_TOKENS = 32
"""Of what was said, some 24 words: as many as 19 of 20 lessons of the mini told it, and
what is read after the last sample does not grow with a segment (docs/adr/0050)."""


class LiveReply:
    """Implements `engine.api.Reply`."""

    def __init__(
        self,
        answer: Answer | None,
        source: Source,
        mode: Mode,
        *,
        num_prompt_tokens: int = 0,
    ) -> None:
        self.answer = answer
        """What `engine.answering.advance` goes on with; None if nothing can be said."""
        self._source, self._mode = source, mode
        self._num_prompt_tokens = num_prompt_tokens

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.answer.text if self.answer else ""

    @property
    def num_prompt_tokens(self) -> int:
        """How many positions stand before the answer."""
        return self._num_prompt_tokens

    @property
    def num_tokens(self) -> int:
        """How many tokens were generated."""
        return len(self.answer.tokens) if self.answer else 0

    @property
    def finish(self) -> Finish | None:
        """Why it ended; None while it goes on."""
        return self.answer.finish if self.answer else Finish.STOP

    @property
    def source(self) -> Source:
        """What it is made from."""
        return self._source

    @property
    def mode(self) -> Mode:
        """How the audio was encoded that it is made from."""
        return self._mode

    def close(self) -> None:
        """Free its memory."""
        if self.answer:
            self.answer.close()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, to be asked about without its audio."""

    text: str
    mode: Mode


class Head:
    """SALMONN behind the speech encoder: what answers prompts.

    Args:
        bridge: From both encoders' frames to embeddings.
        beats: The encoder of sounds; None where the bridge takes none.
        llm: The language model, its adapter put in.
        skills: What they were trained for.
    """

    def __init__(
        self, bridge: Bridge, beats: Beats | None, llm: LanguageModel, skills: Skills
    ) -> None:
        assert (beats is None) == (bridge.config.audio_width == 0), "BEATs or none"
        self.bridge, self.beats, self.llm, self.skills = bridge, beats, llm, skills
        self.weigher: Weigher | None = None
        """What weighs names; None where no questions are answered."""
        if skills.questions:
            self.weigher = Weigher(llm, skills.calibration)
        self.opening = llm.embed(prompts.opening(llm.tokenizer))
        """Embeddings of what stands before the audio, (N, D)."""
        modules = [bridge, llm.model, *([beats] if beats else [])]
        self.num_parameters = sum(p.numel() for m in modules for p in m.parameters())
        """How many weights there are, before any are left out or kept in less."""

    @property
    def description(self) -> str:
        """What answers, in a few words for the log."""
        kind, dtype = self.llm.model.config.model_type, str(self.llm.dtype)
        if any(isinstance(module, Int8Linear) for module in self.llm.model.modules()):
            dtype = "int8"
        dtype = self.llm.bits or dtype
        size = f"{self.num_parameters / 1e6:,.0f} M weights"
        words = ""
        if isinstance(head := self.llm.model.get_output_embeddings(), PrunedHead):
            words = ", writes {:,} of {:,} words".format(*head.size)
        return f"{kind}, {size}, {dtype.removeprefix('torch.')}{words}"

    def no_speech(self) -> Tensor:
        """Return speech frames of nothing, (0, speech_frame_width)."""
        weight: Tensor = self.bridge.speech_query_tokens
        return weight.new_empty(0, self.bridge.config.speech_frame_width)

    def answer(
        self, prompt: Prompt, said: str, mode: Mode, *, about: Cache
    ) -> LiveReply:
        """Begin an answer about audio that a cache holds; the cache is left to it.

        Args:
            prompt: What is asked.
            said: The words, of which the last are told; empty for none.
            mode: How the audio was encoded.
            about: Holds it.

        Raises:
            ContextFullError: If the model has no room for the question.
        """
        said = prompts.latest(self.llm.tokenizer, said, TOLD_TOKENS)
        asked = prompts.beside(question(prompt, Source.AUDIO), said)
        ids = prompts.closing(self.llm.tokenizer, asked)
        return self._begin(prompt, ids, about, Source.AUDIO, mode)

    def answer_text(self, prompt: Prompt, transcript: Transcript) -> LiveReply:
        """Begin an answer about what was said, read in place of the audio.

        Where nothing was said, nothing is answered.

        Raises:
            ContextFullError: If the model has no room for it.
        """
        source = Source.TRANSCRIPT
        if not transcript.text:
            return LiveReply(None, source, transcript.mode)
        asked = question(prompt, source)
        ids = prompts.written(self.llm.tokenizer, asked, transcript.text)
        return self._begin(prompt, ids, Cache(), source, transcript.mode)

    def _begin(
        self,
        prompt: Prompt,
        ids: tuple[int, ...],
        cache: Cache,
        source: Source,
        mode: Mode,
    ) -> LiveReply:
        llm = self.llm
        asked = len(cache) + len(ids)
        room = llm.max_positions - asked
        if room < 1:
            raise ContextFullError(asked + 1, llm.max_positions)
        sampling = Sampling(
            max_tokens=min(prompt.max_tokens, room), temperature=prompt.temperature
        )
        answer = Answer(
            llm.embed(ids), cache, text=llm.text, stop=llm.stop, sampling=sampling
        )
        return LiveReply(answer, source, mode, num_prompt_tokens=asked)


class Ear:
    """What the language model has heard of one utterance.

    Args:
        head: What it is heard with.
        eager: Whether the work is done as audio arrives, or only once it is asked for.
    """

    def __init__(self, head: Head, *, eager: bool = False) -> None:
        self._head, self.is_eager = head, eager
        self._queries = head.bridge.config.queries
        self._cache = Cache()
        self._windows = WindowStream(head.bridge)
        self._beats: StreamingBeats | None = None
        if head.beats is not None:
            self._beats = StreamingBeats(BlockBeats(head.beats))
        self._samples: list[Tensor] = []  # of the utterance, 2 MB for 30 s
        self._speech: list[Tensor] = []  # frames that wait to be heard
        self._num_heard = 0  # of the pieces of samples
        self._unread: list[Tensor] = []  # embeddings for the language model's next pass
        self._tail: Cache | None = None  # everything so far, until more comes

    def push(self, samples: Tensor, speech: Tensor) -> None:
        """Add audio (S,), on the CPU, and the speech frames (T, D) settled with it."""
        self._samples.append(samples)
        self._speech.append(speech)
        self._tail = None
        if self.is_eager:
            self._unread.append(self._heard())
            if sum(map(len, self._unread)) >= READ_WINDOWS * self._queries:
                self._extend(self._cache, torch.cat(self._unread))
                self._unread = []

    def ask(
        self,
        prompt: Prompt,
        rest: Tensor,
        *,
        said: str = "",
        mode: Mode = Mode.STREAMING,
    ) -> LiveReply:
        """Begin an answer about all audio so far.

        Args:
            prompt: A prompt that is answered from audio.
            rest: The speech frames that have not settled, (T, D), with the silence
                behind them.
            said: The words that the model is told beside the audio.
            mode: How all of them were encoded.

        Raises:
            ContextFullError: If the model has no room for audio and question.
        """
        about = self._all(rest).fork()
        return self._head.answer(prompt, said, mode, about=about)

    def weigh(self, names: Sequence[str], rest: Tensor) -> list[float]:
        """Return how likely each thing is heard; see `engine.api.Utterance`.

        Args:
            names: Of what may be heard in all audio so far.
            rest: As for `ask`.

        Raises:
            ContextFullError: As `ask` does.
        """
        return self._weigher.weigh(names, self._all(rest))

    def ask_exact(self, prompt: Prompt, speech: Tensor, *, said: str = "") -> LiveReply:
        """Begin an answer about all audio, encoded anew in one pass.

        Args:
            prompt: As for `ask`.
            speech: All speech frames, (T, D), of a pass over 30 s as the official code
                makes it.
            said: As for `ask`.

        Raises:
            ContextFullError: As `ask` does.
        """
        about = self._all_exact(speech)
        return self._head.answer(prompt, said, Mode.EXACT, about=about)

    def weigh_exact(self, names: Sequence[str], speech: Tensor) -> list[float]:
        """Weigh names over all audio, encoded anew in one pass, as `ask_exact`.

        Raises:
            ContextFullError: As `ask` does.
        """
        return self._weigher.weigh(names, self._all_exact(speech))

    @property
    def _weigher(self) -> Weigher:
        assert self._head.weigher, "a model that answers no questions"
        return self._head.weigher

    def _all(self, rest: Tensor) -> Cache:
        """Return a cache of everything so far, with what has not settled guessed."""
        if self._tail is None:
            settled = [*self._unread, self._heard()]
            audio = self._beats.rest() if self._beats else None
            guessed = self._windows.rest(rest, audio)
            # All in one pass: each reads all weights.
            self._extend(self._cache, torch.cat([*settled, guessed]))
            self._unread = []
            self._tail = self._cache.fork()
            self._cache.crop(len(self._cache) - len(guessed))
        return self._tail

    def _all_exact(self, speech: Tensor) -> Cache:
        cache = Cache()
        self._extend(cache, self._embed(speech))
        return cache

    @torch.inference_mode()
    def _embed(self, speech: Tensor) -> Tensor:
        bridge, beats = self._head.bridge, self._head.beats
        dtype = bridge.speech_query_tokens.dtype
        audio = None
        if beats is not None:
            samples = torch.cat(self._samples)
            # The original continues what is shorter with zeros.
            samples = F.pad(samples, (0, max(0, SAMPLE_RATE - len(samples))))
            weight = beats.post_extract_proj.weight
            audio = beats(send(fbank(samples)[None], weight.device))[0].to(dtype)
        embeddings: Tensor = bridge(speech[None].to(dtype), audio)[0]
        return embeddings

    def _heard(self) -> Tensor:
        """Return the embeddings of what has settled since the last time, (N, D)."""
        speech, audio = self._head.no_speech(), None
        if self._speech:
            speech = torch.cat(self._speech)
        if self._beats:
            new = [torch.empty(0), *self._samples[self._num_heard :]]
            audio = self._beats.push(torch.cat(new))
        self._speech, self._num_heard = [], len(self._samples)
        return self._windows.push(speech, audio)

    def _extend(self, cache: Cache, embeddings: Tensor) -> None:
        """Let the language model read embeddings, with the opening if it has not."""
        if not len(embeddings):
            return
        if not len(cache):
            embeddings = torch.cat([self._head.opening.to(embeddings), embeddings])
        self._head.llm.extend([embeddings], [cache])
