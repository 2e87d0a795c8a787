// The page: which group and flights are shown, and what buttons, pointers and keys do.

import { Charts } from "./charts.js";
import { Player } from "./player.js";
import { pointAt } from "./pointers.js";
import { Recording } from "./recording.js";
import { Scene, number } from "./scene.js";
import { hue, theme } from "./theme.js";
import { KEYS, legend, outcome } from "./words.js";

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
  find("outcome").textContent = outcome(recording, shown);
  find("legend").replaceChildren(...legend(recording, shown).map((line) => element("li", line)));
  refresh();
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
  redraw(); // at once: a canvas of another size is blank
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
  pointAt(find("scene"), scene.camera, () => player.ask());
  find("scene").addEventListener("dblclick", reset);
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
