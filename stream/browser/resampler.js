// Audio of any rate → 16 kHz, piece by piece, by a windowed sinc.
// Pure; used inside the worklet.  The result does not depend on how pieces were cut.

export const RATE = 16_000;
const CROSSINGS = 16; // of zero, on each side of the filter's middle
const PASSED = 0.94; // of the lower Nyquist frequency; above it the filter falls off

export class Resampler {
  constructor(rate) {
    const divisor = gcd(rate, RATE);
    this.up = RATE / divisor; // output samples …
    this.down = rate / divisor; // … for so many input samples
    const cutoff = Math.min(1, RATE / rate) * PASSED; // of the input's Nyquist
    this.half = Math.ceil(CROSSINGS / cutoff);
    this.phases = Array.from({ length: this.up }, (_, i) =>
      taps(i / this.up, this.half, cutoff),
    );
    this.held = new Float32Array(this.half); // silence before the first sample
    this.at = 0; // of the next output sample, in input samples behind `held`'s middle
    this.phase = 0;
  }

  push(samples) {
    if (this.up === this.down) return samples.slice();
    const input = new Float32Array(this.held.length + samples.length);
    input.set(this.held);
    input.set(samples, this.held.length);
    const output = [];
    const width = 2 * this.half;
    while (this.at + width <= input.length) {
      const filter = this.phases[this.phase];
      let sum = 0;
      for (let k = 0; k < width; k++) sum += input[this.at + k] * filter[k];
      output.push(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    const done = Math.min(this.at, input.length);
    this.held = input.slice(done);
    this.at -= done;
    return Float32Array.from(output);
  }
}

// The filter for an output sample that lies `offset` behind an input sample.
function taps(offset, half, cutoff) {
  const filter = new Float32Array(2 * half);
  let sum = 0;
  for (let k = 0; k < filter.length; k++) {
    const distance = k - half - offset;
    const x = distance * cutoff;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    const inside = Math.abs(distance) < half;
    filter[k] = inside ? sinc * Math.cos((Math.PI * distance) / (2 * half)) ** 2 : 0;
    sum += filter[k];
  }
  return filter.map((tap) => tap / sum);
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

export function toPcm(samples) {
  return Int16Array.from(samples, (sample) =>
    Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_768))),
  );
}
