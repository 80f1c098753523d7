// Where audio comes from: the microphone, a tab or the system, or a file.
// Each gives Int16Array pieces at 16 kHz; none knows what becomes of them.

import { RATE, toPcm } from "./resampler.js";

const PIECE = RATE / 10;

// Of shared sound: what a browser does to voices in calls would change it.
const AS_IT_IS = { autoGainControl: false, echoCancellation: false, noiseSuppression: false };

// Records until `stop`, or until the user ends the sharing: then `onEnd` is called.
export class Recording {
  static async microphone(onPiece, onEnd) {
    const media = needed(navigator.mediaDevices);
    const audio = { echoCancellation: false, noiseSuppression: false };
    return Recording.#of(await media.getUserMedia({ audio }), onPiece, onEnd);
  }

  static async screen(onPiece, onEnd) {
    const media = needed(navigator.mediaDevices);
    const audio = { ...AS_IT_IS, suppressLocalAudioPlayback: false };
    const shared = await media.getDisplayMedia({ video: true, audio, systemAudio: "include" });
    if (shared.getAudioTracks().length) return Recording.#of(shared, onPiece, onEnd);
    stopAll(shared);
    throw new Error("That source has no sound. Share a tab, and switch on “Share tab audio”.");
  }

  static async #of(media, onPiece, onEnd) {
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    context.createMediaStreamSource(media).connect(recorder);
    await context.resume();
    return new Recording(media, context, recorder, onPiece, onEnd);
  }

  constructor(media, context, recorder, onPiece, onEnd) {
    Object.assign(this, { media, context, recorder });
    this.ended = new Promise((resolve) => {
      recorder.port.onmessage = ({ data }) => (data === null ? resolve() : onPiece(data));
    });
    for (const track of media.getAudioTracks()) track.onended = onEnd;
  }

  async stop() {
    this.recorder.port.postMessage("stop");
    await this.ended;
    stopAll(this.media);
    await this.context.close();
  }
}

// Decodes a file that the browser can read.
export async function readFile(file) {
  const decoder = new OfflineAudioContext(1, 1, RATE);
  const audio = await decoder.decodeAudioData(await file.arrayBuffer());
  const mono = new Float32Array(audio.length);
  for (let i = 0; i < audio.numberOfChannels; i++) {
    audio.getChannelData(i).forEach((sample, at) => {
      mono[at] += sample / audio.numberOfChannels;
    });
  }
  return toPcm(mono);
}

export function* pieces(samples) {
  for (let at = 0; at < samples.length; at += PIECE) yield samples.slice(at, at + PIECE);
}

function needed(media) {
  if (media) return media;
  throw new Error("The browser records only on pages from this machine or over https.");
}

function stopAll(media) {
  for (const track of media.getTracks()) track.stop();
}
