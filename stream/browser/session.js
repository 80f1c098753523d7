// One session with the server, across dropped connections: docs/protocol.md, no page.
//
//   idle ─open─▶ connecting ─started─▶ live ─end─▶ … ─▶ ended, or failed
//                    ▲  dropped          │
//                    └───────────────────┘
//
// With other wishes it ends on the server, which tells its last finals, and goes on as
// another one there; to the page it is one.

import { RATE } from "./resampler.js";
import { SoundReceipts, isRefusal, isSound } from "./sounds.js";

const MOST_HELD = 120 * RATE; // samples without their finals; more are not recorded
const RETRY_MS = [300, 1_000, 2_000, 4_000, 8_000];
const PASSING = new Set(["overloaded", "shutdown", "internal"]);

export class Session {
  #socket = null;
  #name = null;
  #seq = 0;
  #settled = 0;
  #complete = 0; // the last segment that has all its finals
  #told = new Map(); // segment → tasks that have theirs
  #lastEnd = new Map(); // task → end of its last final
  #tasks = [];
  #pieces = []; // of audio from `settled` on: {start, samples, at}
  #end = 0; // of the audio, in samples
  #sent = 0;
  #asks = []; // all of this server's session
  #open = new Set(); // ids without answers
  #numAsked = 0;
  #numSaid = 0; // … of them, what the server was asked
  #names = new Map(); // speaker → name, as long as the server knows the voices
  #mostSpeaker = 0; // the highest number so far
  #speakersBefore = 0; // … when the server began to count from 1
  #watches = new Map(); // id → what is listened for
  #saidWatches = new Map(); // … of those, what the server was told
  #receipts = new SoundReceipts();
  #attempts = 0;
  #isLive = false;
  #isFlushed = false;
  #isEnding = false;
  #isOver = false;
  #waiting = [];
  #next = null; // the wishes with which it goes on
  #heardUntil = Infinity; // audio from there on waits for them

  // request: fields of `start`, without `watches`; onEvent(event, latencyMs or null);
  // onState(name, why).
  constructor({ url, protocols = [], request, watches = [], onEvent, onState }) {
    Object.assign(this, { url, protocols, request, onEvent, onState });
    for (const watch of watches) this.#watches.set(watch.id, watch);
  }

  get isOver() {
    return this.#isOver;
  }

  // Whether the server has ever answered.
  get isBegun() {
    return this.#name !== null;
  }

  get isEnding() {
    return this.#isEnding;
  }

  open() {
    if (!this.#attempts && this.#name === null) this.onState("connecting");
    const socket = new WebSocket(this.url, this.protocols);
    this.#socket = socket;
    socket.onopen = () => {
      this.#saidWatches = new Map(this.#watches);
      const watches = [...this.#watches.values()];
      this.#say({ type: "start", ...this.request, watches, ...this.#resume() });
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => this.#dropped();
  }

  // Takes audio; returns whether there was room for it.
  push(samples) {
    if (this.#isOver || this.#isEnding || this.#end - this.#settled > MOST_HELD) return false;
    this.#pieces.push({ start: this.#end, samples, at: performance.now() });
    this.#end += samples.length;
    this.#send();
    return true;
  }

  // Waits until less than `seconds` of audio is unsettled, or the session is over.
  async room(seconds) {
    while (!this.#isOver && this.#end - this.#settled > seconds * RATE) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  // Goes on with other wishes from the next audio on: fields of `start` that change.
  change(wishes) {
    if (this.#isOver || this.#isEnding) return;
    const isFirst = this.#next === null;
    this.#next = { ...this.request, ...this.#next, ...wishes };
    this.#heardUntil = Math.min(this.#heardUntil, this.#end);
    if (isFirst && this.#isLive) this.#say({ type: "end" });
  }

  ask(text, seconds) {
    const ask = { type: "ask", id: `q${++this.#numAsked}`, text, about: "recent", seconds };
    this.#asks.push(ask);
    this.#open.add(ask.id);
    if (this.#hears) this.#sayAsk(ask);
    return ask.id;
  }

  nameSpeaker(speaker, name) {
    const isKnown = speaker > this.#speakersBefore;
    if (!isKnown) this.onEvent({ type: "speaker_named", speaker, name }, null);
    else {
      this.#names.set(speaker, name);
      if (this.#isLive) this.#sayName(speaker, name);
    }
  }

  watch(watch) {
    this.#watches.set(watch.id, watch);
    if (this.#hears) this.#sayWatches();
  }

  unwatch(id) {
    this.#watches.delete(id);
    if (this.#hears) this.#sayWatches();
  }

  // Ends the segment: what is said is all, for now.
  flush() {
    this.#isFlushed = true;
    if (this.#hears) this.#say({ type: "flush" });
  }

  end() {
    this.#isEnding = true;
    if (this.#hears) this.#say({ type: "end" });
  }

  close() {
    this.#finish("ended");
    this.#socket?.close();
  }

  // Whether the server hears more of the session that it has.
  get #hears() {
    return this.#isLive && this.#next === null;
  }

  #resume() {
    if (this.#name === null) return {};
    return {
      resume: {
        session: this.#name,
        seq: this.#seq,
        settled: this.#settled,
        segment: this.#complete,
      },
    };
  }

  #take(event) {
    const latency = this.#latency(event); // before its audio is forgotten
    this.#countOn(event);
    if (event.type === "started") this.#begin(event);
    else {
      this.#seq = Math.max(this.#seq, event.seq);
      if (!this.#isNew(event)) return;
      if (event.settled !== undefined) this.#settle(event.settled);
      if (event.type === "answer") this.#open.delete(event.id);
      if (event.type === "error" && event.question) this.#open.delete(event.question);
      if (isRefusal(event)) this.#watches.delete(event.watch); // not to be said again
    }
    if (event.type === "ended" && this.#next) return this.#goOn();
    this.onEvent(event, latency);
    if (event.type === "ended") this.#finish("ended");
    const isAbout = event.segment || event.question || event.watch || event.task;
    const isLast = event.type === "error" && !isAbout;
    if (isLast && !PASSING.has(event.code)) this.#finish("failed", event.message);
  }

  // Begins another session where the last one, all of which was told, has ended.
  #goOn() {
    this.request = this.#next;
    this.#next = null;
    this.#heardUntil = Infinity;
    this.#name = ""; // what is begun is none that the server has
    this.#asks = this.#asks.slice(this.#numSaid);
    this.#isLive = false;
    this.#socket.onclose = () => this.#isOver || this.open(); // the place is free then
    this.#socket.close();
  }

  // Speakers are counted from 1 by each session of the server; here they go on.
  #countOn(event) {
    const told = event.type === "speaker_named" ? [event] : event.type === "speakers" ? event.turns : [];
    for (const one of told) {
      one.speaker += this.#speakersBefore;
      this.#mostSpeaker = Math.max(this.#mostSpeaker, one.speaker);
    }
  }

  #begin(event) {
    if (!event.resumed && this.#name !== null) {
      if (this.#name) this.#lose();
      this.#names.clear(); // another session counts speakers anew
      this.#speakersBefore = this.#mostSpeaker;
    }
    this.#name = event.session;
    this.#tasks = event.tasks;
    this.#sent = event.accepted;
    this.#attempts = 0;
    this.#isLive = true;
    this.onState("live");
    this.#send(); // before the questions, which are about it
    for (const [speaker, name] of this.#names) this.#sayName(speaker, name);
    this.#numSaid = event.asked;
    for (const ask of this.#asks.slice(event.asked)) this.#sayAsk(ask);
    this.#sayWatches();
    if (this.#isFlushed) this.#say({ type: "flush" });
    if (this.#isEnding || this.#next) this.#say({ type: "end" });
  }

  // Tells that questions will have no answers: the server knows nothing of them.
  #lose() {
    for (const id of this.#open) {
      this.onEvent({ type: "error", question: id, message: "lost with the connection" }, null);
    }
    this.#open.clear();
    this.#asks = [];
  }

  #sayAsk(ask) {
    this.#numSaid += 1;
    this.#say(ask);
  }

  #sayName(speaker, name) {
    this.#say({ type: "name_speaker", speaker: speaker - this.#speakersBefore, name });
  }

  // Says what has changed of what is listened for.
  #sayWatches() {
    if (this.#isEnding) return; // it listens for nothing more
    for (const id of this.#saidWatches.keys()) {
      if (!this.#watches.has(id)) this.#say({ type: "unwatch", id });
    }
    for (const watch of this.#watches.values()) {
      if (!this.#saidWatches.has(watch.id)) this.#say({ type: "watch", ...watch });
    }
    this.#saidWatches = new Map(this.#watches);
  }

  // Counts finals; returns false for one that another process has repeated.
  #isNew(event) {
    if (isSound(event)) return this.#receipts.isNew(event);
    const isFinal = event.type === "final";
    if (!isFinal && !(event.type === "error" && event.segment)) return true;
    const told = this.#told.get(event.segment) ?? new Set();
    if (event.task && !this.#tasks.includes(event.task)) return true; // who speaks
    for (const task of event.task ? [event.task] : this.#tasks) told.add(task);
    this.#told.set(event.segment, told);
    if (told.size === this.#tasks.length) {
      this.#complete = Math.max(this.#complete, event.segment);
      this.#told.delete(event.segment);
    }
    if (!isFinal) return true;
    const isRepeated = event.end <= (this.#lastEnd.get(event.task) ?? -1);
    if (!isRepeated) this.#lastEnd.set(event.task, event.end);
    return !isRepeated;
  }

  #settle(settled) {
    this.#settled = Math.max(this.#settled, settled);
    const isDone = ({ start, samples }) => start + samples.length <= this.#settled;
    const first = this.#pieces.findIndex((piece) => !isDone(piece));
    this.#pieces.splice(0, first < 0 ? this.#pieces.length : first);
    this.#wake();
  }

  #send() {
    if (!this.#isLive) return;
    for (const { start, samples } of this.#pieces) {
      if (start >= this.#heardUntil) break;
      if (start + samples.length <= this.#sent) continue;
      this.#socket.send(samples.slice(Math.max(0, this.#sent - start)));
      this.#sent = start + samples.length;
    }
  }

  // From recording what an event's last sample belongs to, to now.
  #latency(event) {
    if (event.type !== "partial" && event.type !== "final") return null;
    const piece = this.#pieces.find(({ start, samples }) => start + samples.length >= event.end);
    return piece ? performance.now() - piece.at : null;
  }

  #dropped() {
    this.#isLive = false;
    if (this.#isOver) return;
    const wait = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)];
    this.#attempts += 1;
    this.onState(this.#name === null ? "refused" : "reconnecting");
    setTimeout(() => this.#isOver || this.open(), wait);
  }

  #finish(state, why) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wake();
    this.onState(state, why);
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #say(event) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }
}
