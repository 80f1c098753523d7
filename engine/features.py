"""Log-mel features as Whisper defines them, computed as audio arrives.

It knows neither Whisper's weights nor when speech ends.  Normalisation is apart,
because Whisper's depends on the loudest moment of the clip, which a stream does not
know yet: see `normalise`.
"""

from functools import cache

import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from engine.geometry import HOP, N_FFT, N_MELS, SAMPLE_RATE

FLOOR = 1e-10  # the least power whose logarithm is taken
RANGE = 8.0  # decades below the loudest moment that are kept


class LogMel:
    """Turn samples into log-mel frames, however the samples were cut.

    Frame m is centred at sample 160·m.  The stream is mirrored at its start, as
    Whisper mirrors a clip.

    Source:
        openai/whisper, audio.py, `log_mel_spectrogram`, before its normalisation.
    """

    def __init__(self) -> None:
        self._window = torch.hann_window(N_FFT)
        self._filters = mel_filters()
        self._pending = torch.empty(0)  # from where the next frame's window begins
        self._begun = False

    def push(self, samples: Tensor) -> Tensor:
        """Add samples, (S,); return the log10 power of the frames they complete.

        Returns:
            Frames, (M, 80).
        """
        self._pending = torch.cat([self._pending, samples])
        if not self._begun:
            if len(self._pending) <= N_FFT // 2:
                return torch.empty(0, N_MELS)
            self._pending = _mirrored(self._pending)
            self._begun = True
        frames = self._frames(self._pending)
        self._pending = self._pending[len(frames) * HOP :]
        return frames

    def closing(self, silence: int) -> Tensor:
        """Return the frames that would follow if `silence` zeros came and no more.

        Frames centred in what was pushed or in the zeros, (M, 80); the stream
        itself is not changed.
        """
        ahead = torch.zeros(silence + N_FFT // 2)
        pending = torch.cat([self._pending, ahead])
        return self._frames(pending if self._begun else _mirrored(pending))

    def _frames(self, samples: Tensor) -> Tensor:
        if len(samples) < N_FFT:
            return torch.empty(0, N_MELS)
        windows = samples.unfold(0, N_FFT, HOP) * self._window
        power = torch.fft.rfft(windows).abs().square()
        # Frame by frame: a product of many rows rounds differently with their number.
        bins = torch.stack([frame @ self._filters for frame in power])
        return bins.clamp(min=FLOOR).log10()


def of_clip(samples: Tensor) -> Tensor:
    """Return the features of a whole clip, mirrored at both ends as Whisper has it.

    Args:
        samples: (S,), S a multiple of `HOP`.

    Returns:
        Normalised log-mel, (S / HOP, 80).
    """
    spectrum = torch.stft(
        samples, N_FFT, HOP, window=torch.hann_window(N_FFT), return_complex=True
    )
    power = spectrum[:, :-1].abs().square()
    log_mel = (power.T @ mel_filters()).clamp(min=FLOOR).log10()
    return normalise(log_mel, float(log_mel.max()))


def normalise(log_mel: Tensor, peak: float) -> Tensor:
    """Return features as the encoder expects them, about [-1, 1], (…, 80).

    Args:
        log_mel: Log10 power.
        peak: The largest log10 power of the clip; of a stream, so far.
    """
    return (log_mel.clamp(min=peak - RANGE) + 4.0) / 4.0


def _mirrored(samples: Tensor) -> Tensor:
    """Return samples with the first 12.5 ms mirrored before them."""
    return torch.cat([samples[1 : N_FFT // 2 + 1].flip(0), samples])


@cache
def mel_filters(num_bins: int = N_MELS) -> Tensor:
    """Return the Slaney filter bank, (201, num_bins)."""
    filters = mel_filter_bank(
        num_frequency_bins=N_FFT // 2 + 1,
        num_mel_filters=num_bins,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE / 2,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters).float()
