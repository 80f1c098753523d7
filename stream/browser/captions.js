// What was said, segment by segment, as events tell it.  Pure: no page.

export const TRANSCRIBE = "transcribe";

export class Captions {
  segments = new Map();

  // Takes an event; returns the segment that it changed, if any.
  push(event) {
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
    if (event.type === "error" && event.segment) {
      const segment = this.#segment(event.segment, 0);
      segment.error = event.message;
      return segment;
    }
    return null;
  }

  // Texts that will not change: [{start, end, lines}], the transcript's line first.
  finals() {
    return [...this.segments.values()]
      .map(({ start, end, texts }) => ({ start, end, lines: linesOf(texts) }))
      .filter(({ lines }) => lines.length);
  }

  #segment(number, start) {
    if (!this.segments.has(number)) {
      this.segments.set(number, { number, start, end: start, texts: new Map(), error: null });
    }
    return this.segments.get(number);
  }
}

function linesOf(texts) {
  const told = [...texts].filter(([, { text, isFinal }]) => isFinal && text.trim());
  told.sort(([a], [b]) => (b === TRANSCRIBE) - (a === TRANSCRIBE));
  return told.map(([, { text }]) => text.split(/\s+/).filter(Boolean).join(" "));
}

// The server counts code points; a string's own length counts UTF-16 units.
function settledLength(text, codePoints) {
  return [...text].slice(0, codePoints).join("").length;
}
