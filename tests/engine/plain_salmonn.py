"""SALMONN's audio half computed plainly, in the order of the original's description."""

import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor, WhisperModel

from engine.checkpoint import read, read_beats
from engine.fbank import fbank
from engine.qformer import Bridge
from tests.engine.tiny_salmonn import BRIDGE, Files


def plain_embeddings(files: Files, samples: Tensor) -> Tensor:
    """Return the embeddings of a clip, (88, D): windows one by one, nothing shared."""
    padded = torch.cat([samples, torch.zeros(max(0, 16_000 - len(samples)))])[:480_000]
    features = WhisperFeatureExtractor()(
        padded.numpy(), sampling_rate=16_000, return_tensors="pt"
    ).input_features
    whisper = WhisperModel.from_pretrained(files.whisper).eval()
    bridge = Bridge(BRIDGE).eval()
    bridge.load_state_dict(read(files.ckpt).bridge)
    beats = read_beats(files.beats).model
    with torch.no_grad():
        speech = bridge.ln_speech(whisper.encoder(features).last_hidden_state[0])
        audio = bridge.ln_audio(beats(fbank(padded)[None])[0][0])
        zeros = torch.zeros(1500 - len(audio), audio.shape[1])
        frames = torch.cat([speech, torch.cat([audio, zeros])], 1)
        rows = []
        for window in range(88):
            cut = frames[17 * window : 17 * window + 17][None]
            query = bridge.speech_Qformer["bert"](bridge.speech_query_tokens, cut)
            rows.append(bridge.speech_llama_proj(query)[0, 0])
    return torch.stack(rows)
