"""Silero's voice detector behind the protocol of `stream/vad.py`.

    frames of 320 samples ─▶ buffer ─▶ windows of 512 ─▶ network ─▶ probability
                                                            ▲ │
                                                            └─┘ state

It knows where no weights come from.  onnxruntime is imported here only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.audio import SAMPLE_RATE, Frame, to_float

WINDOW_SAMPLES: Final = 512  # that the network judges at once: 32 ms
CONTEXT_SAMPLES: Final = 64  # from before the window, which it sees as well
STATE_SHAPE: Final = (2, 1, 128)
VOICED_FROM: Final = 0.5
UNVOICED_BELOW: Final = 0.35
"""Between the two it stays as it was: a voice that fades is not cut to pieces.

Source:
    snakers4/silero-vad 6.2.0, utils_vad.py, `VADIterator`: threshold, less 0.15.
"""

State = NDArray[np.float32]
"""What the network remembers of a stream, `STATE_SHAPE`."""
Network = Callable[[NDArray[np.float32], State], tuple[float, State]]
"""Takes a window behind its context, (576,), and the state; returns the probability
that the window holds a voice, and the next state."""


class SileroVoiceDetector:
    """Silero's recurrent network, for one stream.

    A frame is answered at once, with what the last whole window said: a window that
    ends 0 to 28 ms before the frame does, 14 ms on average (docs/adr/0011).
    """

    def __init__(self, network: Network) -> None:
        """Begin a stream.

        Args:
            network: Keeps nothing itself, so detectors may share it.
        """
        self._network = network
        self._samples: NDArray[np.float32]
        """Not judged yet, and the context in front."""
        self._state: State
        self._voiced: bool
        self.reset()

    def is_voiced(self, frame: Frame) -> bool:
        """Return whether the next frame of the stream holds a voice."""
        self._samples = np.concatenate([self._samples, to_float(frame.pcm)])
        whole = CONTEXT_SAMPLES + WINDOW_SAMPLES
        while len(self._samples) >= whole:
            probability, self._state = self._network(self._samples[:whole], self._state)
            # The end of this window is the context of the next.
            self._samples = self._samples[WINDOW_SAMPLES:]
            border = UNVOICED_BELOW if self._voiced else VOICED_FROM
            self._voiced = probability >= border
        return self._voiced

    def reset(self) -> None:
        """Forget what was heard: another stream begins."""
        self._samples = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._state = np.zeros(STATE_SHAPE, np.float32)
        self._voiced = False


def load_network(path: Path) -> Network:
    """Return the network of a file of weights; threads may share it."""
    # Here, not above: a server with the other detector does without it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A window is too small to be shared out, and waiting threads burn time.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    rate = np.array(SAMPLE_RATE, np.int64)

    def network(window: NDArray[np.float32], state: State) -> tuple[float, State]:
        inputs = {"input": window[np.newaxis], "state": state, "sr": rate}
        probability, after = session.run(None, inputs)
        return float(probability[0, 0]), after

    return network
