// The page: which group and flights are shown, and what buttons, pointers and keys do.

import { Charts } from "./charts.js";
import { Player } from "./player.js";
import { CM, Recording } from "./recording.js";
import { Scene, number } from "./scene.js";
import { hue, theme } from "./theme.js";

const KEYS = [
  [["Space"], "play, pause"],
  [["←", "→"], "0.1 s back, on; with Shift 0.02 s"],
  [["↑", "↓"], "another flight"],
  [["A"], "all flights"],
  [["G"], "another group"],
  [["F"], "follow"],
  [["R"], "reset the view"],
  [["−", "+"], "slower, faster"],
];
const LEGEND = {
  one: [
    "stalk above a rotor: its thrust; the fuller its amber, the faster it turns",
    "coloured rims: the rotors in front",
    "red arrow: the force that the policy does not know of",
  ],
  all: ["colour: one flight each, bold where it was in the last 0.8 s", "the fuller the amber of a rotor, the faster it turns"],
  both: "crosshair: where the quadrotor should be",
  crashed: "red cross: left its box around the reference, or stopped its rotors",
};

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const recordings = data.groups.map((group) => new Recording(group));
const scene = new Scene(find("scene"));
const player = new Player(redraw);
const charts = new Charts(find("charts"), (time) => player.seek(time));
let colours = theme();
let group = 0;
let shown = [];

/** Shows the flights of another group, from their beginning. */
function chooseGroup(index) {
  group = (index + recordings.length) % recordings.length;
  const recording = recordings[group];
  [...find("groups").children].forEach((button, i) => button.setAttribute("aria-pressed", i === group));
  find("flights").replaceChildren(...flightButtons(recording));
  const done = recording.completed.filter(Boolean).length;
  find("completed").textContent = `${done} of ${recording.count} to the end`;
  find("completed").classList.toggle("bad", done < recording.count);
  find("time").max = recording.duration;
  scene.show(recording);
  find("scale").textContent = `Squares of ${number(scene.ground.step)} m, at z = ${number(scene.ground.z)} m`;
  player.load(recording.duration);
  chooseFlights(recording.flights);
}

function flightButtons(recording) {
  const all = document.createElement("button");
  all.textContent = "All";
  all.addEventListener("click", () => chooseFlights(recording.flights));
  const each = recording.flights.map((i) => {
    const button = document.createElement("button");
    button.textContent = recording.completed[i] ? i + 1 : `${i + 1} ✕`;
    button.classList.toggle("crashed", !recording.completed[i]);
    button.title = recording.completed[i] ? "" : `ended after ${recording.end(i).toFixed(2)} s`;
    button.addEventListener("click", (event) => {
      const several = event.shiftKey || event.ctrlKey || event.metaKey;
      chooseFlights(several ? toggled(shown, i) : [i]);
    });
    return button;
  });
  return recording.count > 1 ? [all, ...each] : each;
}

/** Some numbers with or without one of them, and never none. */
function toggled(numbers, one) {
  const others = numbers.filter((i) => i !== one);
  return others.length === numbers.length ? [...numbers, one].sort((a, b) => a - b) : others.length ? others : numbers;
}

function chooseFlights(numbers) {
  shown = numbers;
  const recording = recordings[group];
  const all = shown.length === recording.count;
  const buttons = [...find("flights").children];
  const each = buttons.slice(-recording.count);
  if (buttons.length > each.length) buttons[0].setAttribute("aria-pressed", all);
  each.forEach((button, i) => button.setAttribute("aria-pressed", shown.includes(i) && (!all || recording.count === 1)));
  find("outcome").textContent = outcome(recording);
  const lines = [...(shown.length === 1 ? LEGEND.one : LEGEND.all), LEGEND.both];
  if (recording.completed.includes(false)) lines.push(LEGEND.crashed);
  find("legend").replaceChildren(...lines.map((line) => element("li", line)));
  refresh();
}

/** What became of the flights that are shown, in words. */
function outcome(recording) {
  const last = (values) => values.slice(-Math.round(1 / recording.period));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
  const late = (i) => `${(CM * mean(last(recording.distance[i]))).toFixed(1)} cm`;
  if (shown.length > 1) {
    const alive = shown.filter((i) => recording.completed[i]);
    const errors = alive.map((i) => mean(last(recording.distance[i])));
    return alive.length ? `Off by ${(CM * mean(errors)).toFixed(1)} cm on average in the last second.` : "";
  }
  const [i] = shown;
  const at = recording.row(i, 0);
  if (recording.rows[i] === 0) return `Flight ${i + 1} has no valid row.`;
  const start = `Starts ${(CM * recording.distance[i][at]).toFixed(0)} cm off, tilted by ${recording.tilt[i][at].toFixed(0)}°.`;
  return recording.completed[i]
    ? `${start} Off by ${late(i)} on average in the last second.`
    : `${start} Ended after ${recording.end(i).toFixed(2)} s.`;
}

/** Takes sizes and colours anew, and what is shown. */
function refresh() {
  colours = theme();
  const recording = recordings[group];
  [...find("flights").children].slice(-recording.count).forEach((button, i) => {
    button.style.setProperty("--colour", hue(colours, i, recording.count));
  });
  scene.resize();
  charts.show(recording, shown, colours);
  player.ask();
}

function redraw() {
  scene.draw(player.time, shown, colours);
  charts.draw(player.time);
  find("time").value = player.time;
  find("clock").textContent = `${player.time.toFixed(2)} / ${player.duration.toFixed(2)} s`;
  find("speed").textContent = `${player.speed}×`;
  find("play").setAttribute("aria-pressed", player.playing);
  find("play").textContent = player.playing ? "Pause" : "Play";
}

function follow() {
  scene.follow(!scene.following);
  find("follow").setAttribute("aria-pressed", scene.following);
  player.ask();
}

function step(seconds) {
  player.pause();
  player.seek(player.time + seconds);
}

/** The next flight; from all of them the first one. */
function another(by) {
  const { count } = recordings[group];
  chooseFlights([shown.length === 1 ? (shown[0] + by + count) % count : by > 0 ? 0 : count - 1]);
}

function listen() {
  find("play").addEventListener("click", () => player.toggle());
  find("time").addEventListener("input", () => player.seek(Number(find("time").value)));
  find("slower").addEventListener("click", () => player.faster(-1));
  find("faster").addEventListener("click", () => player.faster(+1));
  find("follow").addEventListener("click", follow);
  find("home").addEventListener("click", reset);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions(event.shiftKey ? 0.02 : 0.1)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  // Space plays, whichever button was pressed before; Enter presses it again.
  document.addEventListener("keyup", (event) => event.key === " " && event.preventDefault());
  new ResizeObserver(refresh).observe(find("stage"));
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", refresh);
  pointers(find("scene"));
}

function reset() {
  scene.fit();
  player.ask();
}

const actions = (seconds) => ({
  " ": () => player.toggle(),
  ArrowLeft: () => step(-seconds),
  ArrowRight: () => step(seconds),
  ArrowUp: () => another(-1),
  ArrowDown: () => another(+1),
  Home: () => player.seek(0),
  End: () => player.seek(player.duration),
  a: () => chooseFlights(recordings[group].flights),
  g: () => chooseGroup(group + 1),
  f: follow,
  r: reset,
  "-": () => player.faster(-1),
  "+": () => player.faster(+1),
  "=": () => player.faster(+1),
});

/** One pointer turns, with Shift or another button it moves; two move and zoom. */
function pointers(canvas) {
  const down = new Map();
  const spread = () => {
    const [a, b] = [...down.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    const wide = down.size === 2 ? spread() : 1;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 2) {
      scene.camera.zoom(wide / Math.max(spread(), 1));
      scene.camera.pan(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons > 1) scene.camera.pan(dx, dy);
    else scene.camera.orbit(dx, dy);
    player.ask();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => down.delete(event.pointerId));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    scene.camera.zoom(Math.exp(0.0012 * event.deltaY));
    player.ask();
  }, { passive: false });
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Fills in what does not change. */
function furnish() {
  find("groups").replaceChildren(
    ...recordings.map((recording, i) => {
      const button = element("button", recording.name);
      button.addEventListener("click", () => chooseGroup(i));
      return button;
    })
  );
  find("groups").hidden = recordings.length < 2;
  find("facts").hidden = data.facts.length === 0;
  for (const [name, value] of data.facts) {
    const row = document.createElement("div");
    row.append(element("dt", name), element("dd", value));
    find("facts").lastElementChild.append(row);
  }
  for (const [keys, meaning] of KEYS) {
    const names = document.createElement("dt");
    names.append(...keys.map((key) => element("kbd", key)));
    find("keys").lastElementChild.append(names, element("dd", meaning));
  }
}

furnish();
chooseGroup(0);
listen();
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) player.toggle();
