// The box "Tell me when you hear …": what is listened for, and what became of each.
// It knows no session; a browser's notifications are asked for by its switch alone.

import { isRefusal } from "./sounds.js";
import { clock } from "./subtitles.js";

const PER_MS = 16; // samples

export class WatchBox {
  #items = new Map(); // id → {watch, line, state, isRefused}
  #numMade = 0;
  #most = 0;

  // form: with a text, a button and a switch `notify`; list: of watches; problem: where
  // a sentence goes; onAdd(watch), onRemove(id): somebody wants it so.
  constructor({ form, text, add, notify, list, problem, onAdd, onRemove }) {
    Object.assign(this, { form, text, add, notify, list, problem, onAdd, onRemove });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make(text.value.trim());
    });
    notify.addEventListener("change", () => this.#mayNotify());
    notify.checked = false; // whatever a browser restores: consent is given by hand
  }

  // Those that were not refused.
  get watches() {
    return [...this.#items.values()].filter((one) => !one.isRefused).map((one) => one.watch);
  }

  allow(most) {
    this.#most = most;
    this.#enable();
  }

  // A session begins: nothing was heard in it.
  clear() {
    for (const item of this.#items.values()) if (!item.isRefused) tell(item, "", "");
  }

  // Takes an event of a session.
  push(event) {
    const item = this.#items.get(event.type === "error" ? event.watch : event.id);
    if (!item) return;
    if (event.type === "error") {
      item.isRefused = isRefusal(event);
      tell(item, event.message, "failed");
      this.#enable();
    }
    if (event.type !== "noticed") return;
    const at = clock(Math.floor(event.start / PER_MS), ".").slice(0, 8);
    const how = event.complete ? "Heard at" : "Hears it since";
    tell(item, `${how} ${at} (${event.score.toFixed(2)})`, event.complete ? "" : "settled");
    if (!event.complete && this.notify.checked) this.#notify(event.text, at);
  }

  #make(text) {
    if (!text || this.watches.length >= this.#most) return;
    const watch = { id: `w${++this.#numMade}`, text };
    const line = document.createElement("li");
    const state = document.createElement("p");
    const button = document.createElement("button");
    const name = document.createElement("span");
    name.textContent = text;
    Object.assign(button, { type: "button", textContent: "Remove" });
    button.setAttribute("aria-label", `Remove: ${text}`);
    button.addEventListener("click", () => this.#remove(watch.id));
    line.append(name, button, state);
    this.list.append(line);
    this.#items.set(watch.id, { watch, line, state, isRefused: false });
    this.text.value = "";
    this.#enable();
    this.onAdd(watch);
  }

  #remove(id) {
    this.#items.get(id).line.remove();
    this.#items.delete(id);
    this.#enable();
    this.text.focus(); // what had the focus is gone
    this.onRemove(id);
  }

  #enable() {
    const isFull = this.watches.length >= this.#most;
    this.add.disabled = isFull;
    this.problem.textContent = isFull ? `This server listens for ${this.#most} things at most.` : "";
  }

  async #mayNotify() {
    if (!this.notify.checked) return;
    const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
    if (answer === "granted") return;
    this.notify.checked = false;
    this.problem.textContent = "The browser lets this page show no notifications.";
  }

  #notify(text, at) {
    try {
      new Notification(text, { body: `Hears it since ${at}`, tag: `salmonn ${text}` });
    } catch {
      // Some browsers of phones have the class and refuse to construct it.
      this.notify.checked = false;
      this.problem.textContent = "The browser shows no notifications of pages.";
    }
  }
}

function tell({ state }, text, className) {
  Object.assign(state, { textContent: text, className });
}
