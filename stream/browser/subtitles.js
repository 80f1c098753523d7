// Finals as files: SubRip, WebVTT, text.  Pure.
// What is too long to read at once is cut, as stream/subtitles.py does it.

const PER_MS = 16; // samples
const MOST = 84; // characters of a cue's line

export function toText(finals) {
  return finals.map((final) => `${labelled(final).join("\n")}\n`).join("\n");
}

export function toSrt(finals) {
  return cues(finals)
    .map((cue, i) => {
      const text = labelled(cue).join("\n").replaceAll("-->", "→");
      return `${i + 1}\n${clock(cue.start, ",")} --> ${clock(cue.end, ",")}\n${text}\n\n`;
    })
    .join("");
}

export function toVtt(finals) {
  const body = cues(finals).map(({ start, end, lines, speaker }) => {
    const voice = speaker ? `<v ${escaped(speaker)}>` : "";
    const text = `${voice}${escaped(lines.join("\n"))}`;
    return `${clock(start, ".")} --> ${clock(end, ".")}\n${text}\n\n`;
  });
  return `WEBVTT\n\n${body.join("")}`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// SubRip and text have no place for who speaks: it stands before the words.
function labelled({ lines: [first, ...others], speaker }) {
  return [speaker ? `${speaker}: ${first}` : first, ...others];
}

export function clock(ms, point) {
  const pad = (number, width = 2) => String(number).padStart(width, "0");
  const seconds = Math.floor(ms / 1_000);
  const whole = [seconds / 3_600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  return `${whole.map((part) => pad(part)).join(":")}${point}${pad(ms % 1_000, 3)}`;
}

function cues(finals) {
  return finals.flatMap(({ start, end, lines, speaker }) => {
    const count = Math.max(...lines.map((line) => Math.ceil(line.length / MOST)));
    const parts = lines.map((line) => split(line, count));
    const from = Math.floor(start / PER_MS);
    const to = Math.floor(end / PER_MS);
    const total = parts[0].reduce((sum, part) => sum + part.length, 0) || 1;
    let told = 0;
    return parts[0]
      .map((part, i) => {
        const at = from + Math.floor(((to - from) * told) / total);
        told += part.length;
        const until = from + Math.floor(((to - from) * told) / total);
        const shown = parts.map((one) => one[i]).filter(Boolean);
        return { start: at, end: Math.max(until, at + 1), lines: shown, speaker };
      })
      .filter((cue) => cue.lines.length);
  });
}

// Parts of about the same length, between words if there are any.
function split(text, count) {
  const parts = [];
  let first = 0;
  for (let i = 1; i < count; i++) {
    const target = Math.round((text.length * i) / count);
    const spaces = [text.lastIndexOf(" ", target), text.indexOf(" ", target)];
    const near = spaces
      .filter((space) => space >= first && Math.abs(space - target) <= MOST / 2)
      .sort((a, b) => Math.abs(a - target) - Math.abs(b - target))[0];
    const at = Math.max(near ?? target, first);
    parts.push(text.slice(first, at).trim());
    first = at;
  }
  return [...parts, text.slice(first).trim()];
}
