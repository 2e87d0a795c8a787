// Puts the page together: what comes from the console goes to the panels, what the operator does goes back.

import { Cameras } from "./cameras.js";
import { Hands } from "./hands.js";
import { help } from "./keys.js";
import { Link } from "./link.js";
import { askAboutClearing, Panels, write } from "./panels.js";
import { Plots } from "./plot.js";
import { Scene } from "./scene.js";

const $ = (id) => document.getElementById(id);
const UNHEARD = 600; // A stop that the robot has not confirmed by then is said to be unheard [ms].
const NOTICE = 6000; // [ms]

let setup = null;
let state = null;
let panels = null;
let cameras = new Cameras([]);

/** What keys and buttons lead to. */
const act = {
  get mine() {
    return state !== null && state.holder === setup.you;
  },
  /** Whether this page commands the session: the one in control does and, where no operator helps, all do. */
  get leads() {
    return act.mine || (setup !== null && ["scripted", "none"].includes(setup.person));
  },
  get deadMan() {
    return setup !== null && setup.dead_man;
  },
  hands: (message) => link.send(message),
  command: (name) => link.send({ type: "command", name }),
  control: () => link.send({ type: "control", take: !act.mine }),
  takeOver: () => act.mine
    ? hands.press(document.body.dataset.acting === "person" ? "hand_back" : "take_over")
    : link.send({ type: "control", take: true }),
  stop() {
    const sent = link.send({ type: "e_stop" });
    $("e_stop").classList.add("down");
    if (!sent) notice("The console is not connected: use the robot's own emergency stop.", true);
    setTimeout(() => {
      $("e_stop").classList.remove("down");
      if (sent && !state?.safety?.fault) {
        notice("The robot has not confirmed the stop: use its own emergency stop.", true);
      }
    }, UNHEARD);
  },
};

const hands = new Hands(act);

const plots = new Plots($("curves"));

const scene = new Scene((target) => hands.listen(target));

const link = new Link({
  setup(message) {
    setup = message;
    panels = new Panels(setup);
    cameras = new Cameras(setup.cameras);
    scene.show(setup.scene);
    showHelp();
    watch();
  },
  state(message) {
    state = message;
    panels.show(state);
    cameras.tick();
    enable();
  },
  curves: (message) => plots.show(message.curves),
  notice: (message) => notice(message.text, message.bad),
  picture: (camera, blob) => cameras.show(camera, blob),
  link(up) {
    document.body.dataset.link = up ? "up" : "down";
    const chip = $("link");
    write(chip, up ? "connected" : "no connection to the console");
    chip.className = `chip ${up ? "good" : "bad"}`;
    if (!up) state = null;
    enable();
  },
});

/** Tells the console whether somebody looks. */
function watch() {
  link.send({ type: "watch", cameras: !document.hidden });
}

/** Buttons that do something now can be pressed. */
function enable() {
  for (const button of document.querySelectorAll("#buttons button")) {
    const may = "command" in button.dataset ? act.leads : act.mine;
    button.disabled = state === null || !may || Boolean(button.dataset.off);
  }
}

function notice(text, bad) {
  const line = document.createElement("div");
  line.className = bad ? "bad" : "";
  line.textContent = text;
  $("notices").append(line);
  setTimeout(() => line.remove(), NOTICE);
}

function showHelp() {
  const table = document.createElement("table");
  for (const [keys, text] of help(setup.dead_man)) {
    const row = table.insertRow();
    row.insertCell().append(...keys.map((key) => {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      return cap;
    }));
    row.insertCell().textContent = text;
  }
  $("help").replaceChildren(table);
  // Where the cameras would be there is room for it.
  if (setup.cameras.length === 0) document.querySelector(".sight").append($("help"));
}

$("e_stop").addEventListener("pointerdown", () => act.stop());
$("control").addEventListener("click", () => act.control());
$("clear").addEventListener("click", () => {
  if (!act.leads) act.control();
  askAboutClearing(true);
});
$("clear_no").addEventListener("click", () => askAboutClearing(false));
$("clear_yes").addEventListener("click", () => {
  link.send({ type: "clear_fault" });
  askAboutClearing(false);
});
for (const button of document.querySelectorAll("[data-command]")) {
  button.addEventListener("click", () => act.command(button.dataset.command));
}
for (const button of document.querySelectorAll("[data-button]")) {
  const name = button.dataset.button;
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    hands.hold(name);
  });
  button.addEventListener("lostpointercapture", () => hands.letGo(name));
}
document.querySelector("[data-toggle]").addEventListener("click", () => act.takeOver());
// A button that was clicked shall not have the keys after that.
document.addEventListener("click", () => document.activeElement?.blur());
document.addEventListener("visibilitychange", watch);
document.addEventListener("contextmenu", (event) => event.preventDefault());
