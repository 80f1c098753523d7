"""How samples, frames and windows line up, as whole numbers.

    samples -160-> mel frames -2-> encoder frames -17-> windows
    16 kHz         100 Hz          50 Hz                2.94 Hz

Letters of tensor shapes, everywhere in `engine`:
    B batch, S samples, M mel frames, T encoder frames, N tokens,
    D model width, H heads, K width of a head, V vocabulary
"""

from typing import Final

SAMPLE_RATE: Final = 16_000  # Hz
N_FFT: Final = 400  # samples in an analysis window, 25 ms
HOP: Final = 160  # samples between mel frames
N_MELS: Final = 80  # mel bins of Whisper up to large-v2

ENCODER_STRIDE: Final = 2  # mel frames to an encoder frame (Whisper's conv2)
FRAME_SAMPLES: Final = HOP * ENCODER_STRIDE  # samples to an encoder frame, 20 ms
ENCODER_RATE: Final = SAMPLE_RATE // FRAME_SAMPLES  # 50 encoder frames a second
MAX_FRAMES: Final = 30 * ENCODER_RATE  # Whisper's positions, 1500

WINDOW: Final = 17  # encoder frames; SALMONN's 0.333333 s, rounded: 340 ms
WINDOW_SAMPLES: Final = WINDOW * FRAME_SAMPLES


def window_count(encoder_frames: int, *, size: int = WINDOW, hop: int = WINDOW) -> int:
    """Return how many whole windows fit; a last, partial one is not counted."""
    return max(0, (encoder_frames - size) // hop + 1)


def frames_of(samples: int) -> int:
    """Return how many encoder frames it takes to cover so many samples."""
    return -(-samples // FRAME_SAMPLES)


def samples_of(seconds: float) -> int:
    """Return the whole number of samples nearest to a duration."""
    return round(seconds * SAMPLE_RATE)
