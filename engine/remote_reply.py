"""A reply that is generated elsewhere, and begun again where its replica is lost."""

from engine.api import Finish, Mode, Prompt, Samples, Source, UtteranceOptions
from engine.errors import EngineError
from engine.hosting import GENERATE, Asked, Call, Grown
from engine.lines import Dial, Lease, Line, new_lease


class Repeat:
    """Where a reply goes on, and how it is begun again elsewhere."""

    def __init__(
        self,
        dial: Dial,
        options: UtteranceOptions,
        audio: tuple[Samples, ...],
        prompt: Prompt,
        where: Lease,
        number: int,
    ) -> None:
        """Share a lease.

        Args:
            dial: Opens lines.
            options: Of the utterance.
            audio: What was heard of it when it was asked.
            prompt: What was asked.
            where: Where it was asked.
            number: Which reply it is there.
        """
        self._dial, self._options, self._audio = dial, options, audio
        self._prompt = prompt
        self._lease, self._number = where.share(), number

    @property
    def line(self) -> Line:
        """Where it goes on."""
        return self._lease.line

    @property
    def key(self) -> tuple[str, int]:
        """Which reply it is there."""
        return self._lease.line.ticket, self._number

    def begin_again(self, num_tokens: int) -> Grown:
        """Let another replica generate so many tokens; return what it says by then.

        Raises:
            LostError: If that one is lost, too.
        """
        self._lease.release()
        self._lease = new_lease(self._dial, self._options, self._audio)
        self._number = 0
        self.line.post(Call("ask", (0, self._prompt)))
        self.line.answer()
        grown = Grown("", 0, None)
        while grown.num_tokens < num_tokens and grown.finish is None:
            self.line.post(Call(GENERATE, ((self.key,),)))
            (grown,) = self.line.answer()
        return grown

    def close(self) -> None:
        """Give it up."""
        self.line.post(Call("close_reply", (self._number,)))
        self._lease.release()


class RemoteReply:
    """Implements `engine.api.Reply`."""

    def __init__(self, asked: Asked, repeat: Repeat) -> None:
        self._asked, self.repeat = asked, repeat
        self.grown = Grown("", 0, None)

    @property
    def text(self) -> str:
        """The answer so far."""
        return self.grown.text

    @property
    def num_prompt_tokens(self) -> int:
        """How many positions stand before the answer."""
        return self._asked.num_prompt_tokens

    @property
    def num_tokens(self) -> int:
        """How many tokens were generated."""
        return self.grown.num_tokens

    @property
    def finish(self) -> Finish | None:
        """Why it ended; None while it goes on."""
        return self.grown.finish

    @property
    def source(self) -> Source:
        """What it is made from."""
        return self._asked.source

    @property
    def mode(self) -> Mode:
        """How the audio was encoded that it is made from."""
        return self._asked.mode

    def begin_again(self) -> None:
        """Go on elsewhere, from where it was.

        Raises:
            EngineError: If it says something else there, as one that is drawn does.
            LostError: If that replica is lost, too.
        """
        grown = self.repeat.begin_again(self.num_tokens)
        if not grown.text.startswith(self.text):
            raise EngineError("the replica is gone that was in the middle of a reply")
        self.grown = grown

    def close(self) -> None:
        """Free its memory."""
        self.repeat.close()
