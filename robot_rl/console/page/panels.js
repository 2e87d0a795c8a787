// What is shown of the robot and the session, from one state of the console.

const $ = (id) => document.getElementById(id);

const MODES = { demo: "Demonstration", train: "Practice", eval: "Evaluation", label: "Labels" };
const PHASES = {
  labels: "Collecting labels",
  demonstrations: "Collecting demonstrations",
  practice: "Practice",
  evaluation: "Evaluation",
  "final evaluation": "Final evaluation",
  starting: "Starting",
  held: "Held",
  done: "Done",
};
const WHY = {
  motion: "since the hand moved",
  button: "since the button",
  still: "since the hand came to rest",
  "dead man": "since the dead-man's switch was let go",
  lost: "its device is lost: the arm holds still",
  back: "its device is back",
  episode: "",
  "": "",
};
const LATE = 1.0; // What has not been heard of for this long is late [s].

/** Writes a text where it has changed. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows the panels that are made of the setup and the state. */
export class Panels {
  constructor(setup) {
    this.setup = setup;
    write($("task"), setup.task);
    document.title = `${setup.task} · robot_rl`;
    this.stages = setup.thresholds.map((threshold, index) => meter(setup.thresholds, threshold, index));
    $("stages").replaceChildren(...this.stages.map((stage) => stage.row));
    $("probability").hidden = this.stages.length === 0;
  }

  show(state) {
    this.showHeader(state);
    this.showFault(state);
    this.showWho(state);
    this.showSession(state);
    this.showProbability(state);
    this.showLimits(state);
    this.showProcesses(state);
  }

  showHeader(state) {
    const session = state.session;
    write($("phase"), session ? `${PHASES[session.phase] ?? session.phase} · ${thousands(session.steps)} steps` : "");
    const chip = $("robot");
    const [text, kind] = robot(state);
    write(chip, text);
    chip.title = text;
    chip.className = `chip ${kind}`;
    const control = $("control");
    const mine = state.holder === this.setup.you;
    control.hidden = this.setup.person !== "operator";
    control.disabled = state.holder !== "" && !mine;
    const label = mine ? "Give control back" : state.holder ? `${state.holder} has control` : "Take control";
    if (control.dataset.label !== label) {
      control.dataset.label = label;
      control.innerHTML = `${label}<kbd>T</kbd>`;
    }
  }

  showFault(state) {
    const fault = state.safety?.fault ?? "";
    $("fault").hidden = fault === "";
    write($("fault_reason"), fault ? `The robot is stopped: ${fault}` : "");
    write($("fault_advice"), state.safety?.advice ?? "");
    if (!fault) askAboutClearing(false);
  }

  showWho(state) {
    const [acting, name, why] = who(state, this.setup.you);
    document.body.dataset.acting = acting;
    write($("who_name"), name);
    write($("who_why"), why);
    const toggle = document.querySelector("[data-toggle=take_over] span");
    write(toggle, acting === "person" ? "Hand back" : "Take over");
  }

  showSession(state) {
    const { session, episode, arm } = state;
    const running = episode !== null && episode.event === "begin";
    write($("episode_name"), running ? `${MODES[episode.mode]} ${episode.index}` : "");
    const [text, waits] = says(state, running && arm ? stepOf(episode, arm, this.setup.control_rate) : null);
    write($("says"), text);
    $("says").classList.toggle("wait", waits);
    const undo = document.querySelector("[data-command=undo]");
    undo.dataset.off = session !== null && session.undo >= 0 ? "" : "nothing";
  }

  showProbability(state) {
    const stages = state.probability?.stages ?? [];
    this.stages.forEach((stage, index) => {
      const p = stages[index] ?? 0;
      stage.fill.style.transform = `scaleX(${p})`;
      stage.row.classList.toggle("reached", p >= this.setup.thresholds[index]);
      write(stage.output, stages.length ? `${Math.round(100 * p)} %` : "none");
    });
  }

  showLimits(state) {
    const { arm, safety } = state;
    const limited = safety?.fault ? "" : safety?.limited ?? "";
    write($("limited"), limited && `limited by ${limited}`);
    $("limited").title = limited;
    if (!arm) return;
    const limits = this.setup.limits;
    level("force", arm.force, limits.force, "N", 0);
    level("speed", arm.speed, limits.linear_speed, "m/s", 2);
    ["x", "y", "z"].forEach((axis, i) => {
      place(axis, arm.position[i], arm.target[i], limits.workspace_min[i], limits.workspace_max[i]);
    });
  }

  showProcesses(state) {
    const late = state.permit?.late ?? {};
    const names = Object.keys({ ...state.processes, ...late }).sort();
    const text = names.map((name) => (name in late ? `${name} ${late[name].toFixed(1)} s late` : name));
    const key = text.join();
    if (this.processes === key) return;
    this.processes = key;
    $("processes").replaceChildren(...names.map((name, i) => {
      const chip = document.createElement("span");
      chip.textContent = text[i];
      chip.classList.toggle("late", name in late);
      return chip;
    }));
  }
}

/** Offers the two answers to "Clear fault…", or takes them away. */
export function askAboutClearing(asked) {
  $("confirm").hidden = !asked;
  $("clear").hidden = asked;
}

function meter(thresholds, threshold, index) {
  const row = document.createElement("div");
  row.className = "meter big";
  const label = document.createElement("label");
  label.textContent = thresholds.length > 1 ? `stage ${index + 1}` : "success";
  const bar = document.createElement("div");
  bar.className = "bar";
  const fill = document.createElement("i");
  const mark = document.createElement("b");
  mark.style.left = `${100 * threshold}%`;
  mark.title = `counts from ${threshold.toFixed(2)}`;
  bar.append(fill, mark);
  const output = document.createElement("output");
  row.append(label, bar, output);
  return { row, fill, output };
}

/** The robot in two words, and how that is. */
function robot(state) {
  const { arm, safety, permit, ages } = state;
  if (!arm) return ["no robot heard of", "bad"];
  if (ages.arm > LATE) return [`robot silent for ${Math.floor(ages.arm)} s`, "bad"];
  if (safety?.fault) return ["robot stopped", "bad"];
  if (permit && !permit.allowed) return [permit.reason || "robot not permitted", "bad"];
  if (safety?.holding) return ["robot holds", "warn"];
  return ["robot moves", "good"];
}

/** [kind, name, why] of whoever acts. */
function who(state, you) {
  const { safety, session, control, episode, holder } = state;
  if (safety?.fault) return ["stopped", "Stopped", "the arm holds its place"];
  const activity = session?.activity ?? "running";
  if (activity === "held") return ["stopped", "Held", session.reason];
  if (activity === "paused") return ["nobody", "Nobody", "the session is paused"];
  if (activity === "waiting") return ["nobody", "Nobody yet", "the next episode waits for its start"];
  if (session?.phase === "done") return ["nobody", "Nobody", "the session is done"];
  if (episode?.event === "begin" && episode.mode === "eval") {
    return ["policy", "The policy", "evaluation: nobody helps"];
  }
  // Before the first change it is whom the episode is for.
  const showing = episode?.mode === "demo" || episode?.mode === "label";
  const actor = control?.who ?? (episode?.event === "begin" ? (showing ? "the person" : "policy") : "");
  if (!actor) return ["nobody", "Nobody", ""];
  const why = WHY[control?.reason ?? ""] ?? control.reason;
  const shows = { demo: "shows the task", label: "shows success and failure" }[episode?.mode] ?? "corrects the policy";
  if (actor === "policy") return ["policy", "The policy", why];
  if (actor === "script") return ["person", "A script", why || shows];
  const name = actor === "console" ? (holder === you ? "You" : holder || "The console") : actor;
  return ["person", name, why || shows];
}

function stepOf(episode, arm, rate) {
  return Math.max(0, Math.round(((arm.stamp - episode.stamp) / 1e9) * rate));
}

/** [text, whether it waits for the operator] about the episode. */
function says({ session, episode }, step) {
  if (!session) return ["Waiting for the actor.", false];
  const kind = (MODES[episode?.mode] ?? "episode").toLowerCase();
  switch (session.activity) {
    case "waiting":
      return [sentence(session.reason || "press Start to begin the next episode"), true];
    case "paused":
      return [sentence(session.reason || "paused: press Start to go on"), true];
    case "held":
      return [sentence(session.reason || "held by a fault"), true];
  }
  if (session.phase === "done") return ["All done.", false];
  if (step !== null) return [`Step ${step}`, false];
  if (episode?.event === "end") {
    const success = episode.result.success > 0;
    return [`The ${kind} ended: ${success ? "success" : "no success"}.`, false];
  }
  if (episode?.event === "abort") return [`Given up: ${episode.reason}`, false];
  if (episode?.event === "undo") return [`Episode ${episode.index} was taken back.`, false];
  return [session.reason || "Running.", false];
}

function level(id, value, limit, unit, digits) {
  const row = $(id);
  const share = Math.min((value ?? 0) / limit, 1);
  row.querySelector("i").style.transform = `scaleX(${share})`;
  row.classList.toggle("near", share > 0.7 && share < 1);
  row.classList.toggle("over", share >= 1);
  write(row.querySelector("output"), `${value?.toFixed(digits) ?? "?"} / ${limit} ${unit}`);
}

function place(id, value, target, low, high) {
  const row = $(id);
  const share = (x) => `${(100 * Math.min(Math.max((x - low) / (high - low), 0), 1)).toFixed(1)}%`;
  row.querySelector("i").style.left = share(value);
  row.querySelector("u").style.left = share(target);
  const margin = value === null ? 1 : Math.min(value - low, high - value) / (high - low);
  row.classList.toggle("near", margin < 0.04);
  write(row.querySelector("output"), value === null ? "?" : `${value.toFixed(3)} m`);
}

function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}

function thousands(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
