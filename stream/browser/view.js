// The page's captions and answers, as elements.  It knows no session.

import { TRANSCRIBE } from "./captions.js";
import { clock } from "./subtitles.js";

const PER_MS = 16; // samples

export class CaptionView {
  #items = new Map(); // of segments, by their numbers
  #sounds = new Map(); // sound → its element

  // list: what is seen; ears: what a screen reader says, finals alone; label(speaker):
  // what to call one; onName(speaker): somebody wants to call one otherwise.
  constructor(list, ears, { label = () => "", onName = () => {} } = {}) {
    Object.assign(this, { list, ears, label, onName });
  }

  clear() {
    this.#items.clear();
    this.#sounds.clear();
    this.list.replaceChildren();
    this.ears.replaceChildren();
  }

  show(segment) {
    const isAtEnd = this.#isAtEnd();
    let item = this.#items.get(segment.number);
    if (!item) {
      item = document.createElement("li");
      this.#items.set(segment.number, item);
      this.list.append(item);
    }
    item.dataset.start = segment.start;
    item.replaceChildren(timeOf(segment), ...parts(segment));
    if (segment.turns.length) {
      const line = item.querySelector(`[data-task=${TRANSCRIBE}]`);
      line?.replaceChildren(...segment.turns.map((turn) => this.#turn(turn)));
    }
    // A segment without words takes no room.
    item.hidden = !segment.error && [...segment.texts.values()].every(({ text }) => !text);
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  // Shows what sounds, where it began: that is known only some seconds later.
  // Returns whether it was not there before.
  showSound(sound) {
    if (this.#sounds.has(sound)) return false;
    const isAtEnd = this.#isAtEnd();
    const item = element("li", "", "sound");
    item.dataset.start = sound.start;
    item.append(timeOf(sound), element("p", sound.text));
    this.#sounds.set(sound, item);
    const later = [...this.list.children].find(({ dataset }) => Number(dataset.start) > sound.start);
    this.list.insertBefore(item, later ?? null);
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight;
    return true;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    return scrollHeight - scrollTop - clientHeight < 80;
  }

  #turn({ speaker, text }) {
    const turn = element("span", "", "turn");
    const label = this.label(speaker);
    if (label) {
      const button = element("button", label, "speaker");
      Object.assign(button, { type: "button", title: "Give a name" });
      button.addEventListener("click", () => this.onName(speaker));
      turn.append(button, " ");
    }
    turn.append(element("span", text, "settled"));
    return turn;
  }

  say(text, language) {
    const said = element("p", text);
    if (language) said.lang = language;
    this.ears.append(said);
    while (this.ears.childElementCount > 5) this.ears.firstChild.remove();
  }
}

function timeOf({ start }) {
  return element("time", clock(Math.floor(start / PER_MS), ".").slice(0, 8));
}

function* parts({ texts, error }) {
  const tasks = [...texts.keys()].sort((a, b) => order(a) - order(b));
  if (!texts.has(TRANSCRIBE)) yield element("p", "");
  for (const task of tasks) {
    const { text, stable } = texts.get(task);
    const line = element("p", "");
    if (order(task) === 2) {
      line.className = "more";
      line.append(element("span", `${task.replaceAll("_", " ")}: `, "task"));
    }
    line.dataset.task = task;
    line.append(element("span", text.slice(0, stable), "settled"));
    if (stable < text.length) line.append(element("span", text.slice(stable), "unsettled"));
    yield line;
  }
  if (error) yield element("p", error, "failed more");
}

function order(task) {
  if (task === TRANSCRIBE) return 0;
  return task.startsWith("translate:") ? 1 : 2;
}

export class AnswerView {
  #answers = new Map();

  constructor(list) {
    this.list = list;
  }

  clear() {
    this.#answers.clear();
    this.list.replaceChildren();
  }

  ask(id, question) {
    const item = document.createElement("li");
    const answer = element("p", "…", "unsettled");
    item.append(element("p", question, "task"), answer);
    this.#answers.set(id, answer);
    this.list.prepend(item);
  }

  push(event) {
    const answer = this.#answers.get(event.type === "error" ? event.question : event.id);
    if (!answer) return;
    if (event.type === "answer_partial" || event.type === "answer") answer.textContent = event.text;
    if (event.type === "answer") answer.className = "settled";
    if (event.type === "error") {
      answer.textContent = event.message;
      answer.className = "failed";
    }
  }
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
