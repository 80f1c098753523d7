// The page: what the user does → a session; what the session tells → the page.

import { Captions, TRANSCRIBE } from "./captions.js";
import { RATE } from "./resampler.js";
import { Session } from "./session.js";
import { isSound } from "./sounds.js";
import { Recording, pieces, readFile } from "./sources.js";
import { toSrt, toText, toVtt } from "./subtitles.js";
import { AnswerView, CaptionView } from "./view.js";
import { WatchBox } from "./watching.js";

const AHEAD_S = 20; // of a file, that the server has not settled
const SILENT_DB = -60;
const MOST_SPEAKERS = 8;
const MOST_NAME = 64; // characters
const STATES = {
  connecting: "Connecting …",
  live: "Listening",
  heard: "The file was heard. Ask about it, or stop.",
  refused: "The server cannot be reached, or asks for a token; trying again …",
  reconnecting: "The connection was lost; connecting again …",
  ended: "Ready",
};
const FORMATS = { srt: toSrt, vtt: toVtt, txt: toText };

const $ = (id) => document.getElementById(id);
const captionView = new CaptionView($("captions"), $("spoken"), {
  label: (speaker) => captions.label(speaker),
  onName: nameSpeaker,
});
const answerView = new AnswerView($("answers"));
const watchBox = new WatchBox({
  form: $("watch"),
  text: $("watch-text"),
  add: $("watch-add"),
  notify: $("notify"),
  list: $("watches"),
  problem: $("watch-problem"),
  onAdd: (watch) => session?.isOver || session?.watch(watch),
  onRemove: (id) => session?.isOver || session?.unwatch(id),
});
let captions = new Captions();
let session = null;
let recording = null;
let mostSpeakers = 0; // that the server tells apart
let latencies = [];
let isHeard = false; // whether a file was, to its end

async function begin() {
  const found = await (await fetch("/health")).json();
  $("model").textContent = found.model;
  const names = new Intl.DisplayNames([navigator.language], { type: "language" });
  const languages = found.languages.map((code) => new Option(nameOf(names, code), code));
  languages.sort((a, b) => a.text.localeCompare(b.text));
  $("language").append(...languages);
  const tasks = [...found.tasks, ...found.prompted_tasks].filter((task) => task !== TRANSCRIBE);
  for (const task of tasks.filter((name) => name.startsWith("translate:"))) {
    $("translation").append(new Option(nameOf(names, task.slice("translate:".length)), task));
    $("translation-label").hidden = $("wishes").hidden = false;
  }
  for (const task of found.prompted_tasks.filter((name) => !name.startsWith("translate:"))) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: task });
    label.append(box, ` ${task.replaceAll("_", " ")}`);
    $("standing").append(label);
    $("standing").hidden = $("wishes").hidden = false;
  }
  $("asking").hidden = !found.answers_questions;
  $("sounds-label").hidden = !found.sounds.length;
  $("watching").hidden = !found.max_watches;
  watchBox.allow(found.max_watches);
  mostSpeakers = Math.min(MOST_SPEAKERS, found.max_speakers);
  $("speakers-label").hidden = !mostSpeakers;
  show(found.status === "ready" ? "Ready" : `The server is ${found.status}`);
  $("start").disabled = false;
}

function nameOf(names, code) {
  try {
    return names.of(code);
  } catch {
    return code; // no code that the browser knows
  }
}

async function start() {
  const source = new FormData($("controls")).get("source");
  const [file] = $("file").files;
  if (source === "file" && !file) return show("Choose a sound file first", true);
  reset();
  enable(true);
  try {
    if (source === "file") {
      show("Reading the file …");
      const samples = await readFile(file);
      open();
      return await feed(samples, session);
    }
    // Asked for before connecting: a session should not wait for the user.
    const record = source === "screen" ? Recording.screen : Recording.microphone;
    const waiting = [];
    recording = await record((piece) => (session ? hear(piece) : waiting.push(piece)), stop);
    open();
    waiting.forEach(hear);
  } catch (error) {
    enable(false);
    show(`That cannot be heard: ${error.message || error.name}`, true);
  }
}

function open() {
  const address = new URL("/v1/stream", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  $("captions").classList.remove("translated");
  session = new Session({
    url: address.href,
    protocols: protocolsOf($("token").value),
    request: {
      rate: RATE,
      tasks: tasksOf(),
      language: $("language").value || null,
      ...($("speakers").checked ? { speakers: mostSpeakers } : {}),
      sounds: $("sounds").checked,
    },
    watches: watchBox.watches,
    onEvent: take,
    onState: follow,
  });
  session.open();
}

// What is wanted of each segment; translations have their column from then on.
function tasksOf() {
  const translation = $("translation").value;
  const standing = [...$("standing").querySelectorAll(":checked")].map((box) => box.value);
  if (translation) $("captions").classList.add("translated");
  return [TRANSCRIBE, ...(translation ? [translation] : []), ...standing];
}

// A page cannot send headers with a WebSocket: a token travels as a subprotocol.
function protocolsOf(token) {
  if (!token) return [];
  const bytes = new TextEncoder().encode(token);
  const encoded = btoa(String.fromCharCode(...bytes));
  return ["salmonn", `salmonn.bearer.${encoded.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`];
}

async function feed(samples, into) {
  for (const piece of pieces(samples)) {
    await into.room(AHEAD_S);
    if (!into.push(piece)) return; // stopped
    level(piece);
  }
  $("level").value = SILENT_DB;
  if ($("asking").hidden) return into.end();
  into.push(new Int16Array(RATE / 10)); // the last frame is whole, and nothing is cut off
  into.flush();
  isHeard = true;
  if (into.isBegun) follow("live");
}

function hear(piece) {
  level(piece);
  if (!session.push(piece) && !session.isOver) show("The server is far behind; some is not heard", true);
}

// Asks for what is left; asked again, does not wait for it.
async function stop() {
  const stopping = recording;
  recording = null;
  await stopping?.stop();
  if (session?.isEnding || !session?.isBegun) session?.close();
  else session.end();
}

function nameSpeaker(speaker) {
  const name = prompt(`Who is ${captions.label(speaker)}?`, captions.label(speaker));
  if (name !== null) session?.nameSpeaker(speaker, name.trim().slice(0, MOST_NAME));
}

function take(event, latency) {
  watchBox.push(event);
  const changed = captions.push(event);
  if (event.type === "speaker_named") captions.labelled().forEach((one) => captionView.show(one));
  if (changed && isSound(event)) {
    if (captionView.showSound(changed)) captionView.say(changed.text, null);
  } else if (changed) captionView.show(changed);
  if (changed) $("empty").hidden = true;
  if (event.type === "final" && event.text) {
    captionView.say(event.text, event.task === TRANSCRIBE ? event.language : null);
  }
  if ((event.type === "final" && event.text) || (isSound(event) && event.complete)) allowDownloads(true);
  if (event.type === "error" && event.task === "sounds") show(`No sounds for now: ${event.message}`, true);
  if (latency !== null) {
    latencies = [...latencies.slice(-20), latency];
    const median = [...latencies].sort((a, b) => a - b)[Math.floor(latencies.length / 2)];
    $("latency").textContent = `Text comes ${(median / 1_000).toFixed(1)} s after the sound`;
  }
  answerView.push(event);
}

function follow(state, why) {
  const shown = state === "live" && isHeard ? "heard" : state;
  show(why ? `It ended: ${why}` : STATES[shown], ["failed", "refused", "reconnecting"].includes(state));
  const isOver = state === "ended" || state === "failed";
  $("ask-now").disabled = isOver;
  if (!isOver) return;
  recording?.stop();
  recording = null;
  enable(false);
}

function reset() {
  captions = new Captions();
  latencies = [];
  isHeard = false;
  session = null;
  captionView.clear();
  answerView.clear();
  watchBox.clear();
  $("empty").hidden = false;
  $("latency").textContent = "";
  allowDownloads(false);
}

function allowDownloads(isAllowed) {
  for (const button of document.querySelectorAll("[data-download]")) button.disabled = !isAllowed;
}

function enable(isRunning) {
  $("choices").disabled = isRunning;
  $("start").disabled = isRunning;
  $("stop").disabled = !isRunning;
  if (!isRunning) $("level").value = SILENT_DB;
}

function level(piece) {
  const power = piece.reduce((sum, sample) => sum + (sample / 32_768) ** 2, 0) / (piece.length || 1);
  $("level").value = Math.max(SILENT_DB, 10 * Math.log10(power));
}

function showChoice() {
  $("file-label").hidden = new FormData($("controls")).get("source") !== "file";
}

function show(text, isWrong = false) {
  // Said again, it would be read again.
  if ($("status").textContent !== text) $("status").textContent = text;
  $("status").classList.toggle("wrong", isWrong);
}

function download(kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([FORMATS[kind](captions.finals())], { type: "text/plain" }));
  link.download = `captions.${kind}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

$("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
$("stop").addEventListener("click", stop);
$("controls").addEventListener("change", showChoice);
$("wishes").addEventListener("change", () => {
  // A file that was heard to its end has no further segments.
  if (session && !session.isOver && !isHeard) session.change({ tasks: tasksOf() });
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || session === null || session.isOver) return;
  answerView.ask(session.ask(question, Number($("seconds").value)), question);
  $("question").value = "";
});
for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", () => download(button.dataset.download));
}
showChoice(); // a browser may restore what was chosen before
begin().catch((error) => show(`The server does not answer: ${error.message}`, true));
