// The audio thread's part: what a microphone gives → pieces of 100 ms, s16, 16 kHz.

import { RATE, Resampler, toPcm } from "./resampler.js";

const PIECE = RATE / 10;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate);
    this.samples = [];
    this.isOn = true;
    this.port.onmessage = () => {
      this.send(this.samples.length);
      this.isOn = false;
      this.port.postMessage(null); // nothing follows
    };
  }

  process([channels]) {
    if (channels.length) {
      this.samples.push(...this.resampler.push(mixed(channels)));
      while (this.samples.length >= PIECE) this.send(PIECE);
    }
    return this.isOn;
  }

  send(count) {
    const piece = toPcm(this.samples.splice(0, count));
    this.port.postMessage(piece, [piece.buffer]);
  }
}

function mixed(channels) {
  return channels[0].map(
    (_, i) => channels.reduce((sum, one) => sum + one[i], 0) / channels.length,
  );
}

registerProcessor("recorder", Recorder);
