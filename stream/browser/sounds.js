// Sounds, and what watches notice, as captions have them: `[dog barking]`.  Pure.

const KINDS = new Set(["sound", "noticed"]);
const LASTING = new Set(["engine", "internal"]); // it is listened for all the same

export function isSound(event) {
  return KINDS.has(event.type);
}

// Whether an event says that a watch is not listened for.
export function isRefusal(event) {
  return event.type === "error" && Boolean(event.watch) && !LASTING.has(event.code);
}

export function bracketed(text) {
  return `[${text.split(/\s+/).filter(Boolean).join(" ")}]`;
}

// Which sounds were told, so that none is told twice: a server that does not know the
// session may tell again what has begun, and what is over.
export class SoundReceipts {
  #isOpen = new Map();
  #ends = new Map(); // where each was last over

  // Takes an event; returns whether it says something new.
  isNew(event) {
    const key = nameOf(event);
    if (event.end <= (this.#ends.get(key) ?? 0)) return false;
    const wasOpen = this.#isOpen.get(key) ?? false;
    this.#isOpen.set(key, !event.complete);
    if (event.complete) this.#ends.set(key, event.end);
    return event.complete || !wasOpen;
  }
}

// Those of one session, in the order in which they were told.
export class Sounds {
  all = [];
  #open = new Map();

  // Takes an event; returns the sound that it is about.
  push(event) {
    const key = nameOf(event);
    let sound = this.#open.get(key);
    if (!sound) {
      sound = { start: event.start, text: bracketed(event.text) };
      this.all.push(sound);
    }
    Object.assign(sound, { end: event.end, isOver: event.complete });
    if (event.complete) this.#open.delete(key);
    else this.#open.set(key, sound);
    return sound;
  }

  // Those that are over, as captions for files.
  finals() {
    return this.all
      .filter(({ isOver }) => isOver)
      .map(({ start, end, text }) => ({ start, end, lines: [text], speaker: "" }));
  }
}

function nameOf(event) {
  return `${event.type} ${event.type === "sound" ? event.label : event.id}`;
}
