// What was said, segment by segment, and what sounded between, as events tell it.
// Pure: no page.

import { Sounds, isSound } from "./sounds.js";

export const TRANSCRIBE = "transcribe";

export class Captions {
  segments = new Map();
  #names = new Map(); // speaker → name
  #sounds = new Sounds();

  // Takes an event; returns the segment or the sound that it changed, if any.
  push(event) {
    if (isSound(event)) return this.#sounds.push(event);
    if (event.type === "speech_started") {
      return this.#segment(event.segment, event.start);
    }
    if (event.type === "partial" || event.type === "final") {
      const segment = this.#segment(event.segment, event.start);
      const isFinal = event.type === "final";
      const stable = isFinal ? event.text.length : settledLength(event.text, event.stable);
      segment.texts.set(event.task, { text: event.text, stable, isFinal });
      segment.end = event.end;
      return segment;
    }
    if (event.type === "speakers" && event.complete) {
      const segment = this.#segment(event.segment, event.turns[0].start);
      segment.turns = event.turns.filter(({ text }) => text.trim());
      for (const { speaker, name } of event.turns) if (name) this.#names.set(speaker, name);
      return segment;
    }
    if (event.type === "speaker_named") {
      this.#names.set(event.speaker, event.name);
      return null;
    }
    if (event.type === "error" && event.task === "speakers") return null; // its words came
    if (event.type === "error" && event.segment) {
      const segment = this.#segment(event.segment, 0);
      segment.error = event.message;
      return segment;
    }
    return null;
  }

  // What to call a speaker; "" if it is not known who it is.
  label(speaker) {
    return this.#names.get(speaker) || (speaker ? `speaker ${speaker}` : "");
  }

  // Those whose lines have labels.
  labelled() {
    return [...this.segments.values()].filter(({ turns }) => turns.length);
  }

  // Texts that will not change: [{start, end, lines, speaker}], the transcript's line first.
  // What sounded stands where it began.
  finals() {
    const said = [...this.segments.values()]
      .flatMap((segment) => (segment.turns.length ? this.#turns(segment) : [untold(segment)]))
      .filter(({ lines }) => lines.length);
    return [...said, ...this.#sounds.finals()].sort((one, other) => one.start - other.start);
  }

  // What is not shared out among those who speak stands with the longest turn.
  #turns({ turns, texts }) {
    const length = ({ start, end }) => end - start;
    const longest = turns.reduce((one, other) => (length(other) > length(one) ? other : one));
    const others = linesOf(new Map([...texts].filter(([task]) => task !== TRANSCRIBE)));
    return turns.map((turn) => ({
      start: turn.start,
      end: turn.end,
      speaker: this.label(turn.speaker),
      lines: [bare(turn.text), ...(turn === longest ? others : [])],
    }));
  }

  #segment(number, start) {
    if (!this.segments.has(number)) {
      const empty = { texts: new Map(), turns: [], error: null };
      this.segments.set(number, { number, start, end: start, ...empty });
    }
    return this.segments.get(number);
  }
}

function untold({ start, end, texts }) {
  return { start, end, speaker: "", lines: linesOf(texts) };
}

function bare(text) {
  return text.split(/\s+/).filter(Boolean).join(" ");
}

function linesOf(texts) {
  const told = [...texts].filter(([, { text, isFinal }]) => isFinal && text.trim());
  told.sort(([a], [b]) => (b === TRANSCRIBE) - (a === TRANSCRIBE));
  return told.map(([, { text }]) => bare(text));
}

// The server counts code points; a string's own length counts UTF-16 units.
function settledLength(text, codePoints) {
  return [...text].slice(0, codePoints).join("").length;
}
