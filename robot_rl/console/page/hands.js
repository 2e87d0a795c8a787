// The operator's hands: keys and buttons that are held down, sent at once and again all the time.

import { AXES, BUTTONS, COMMANDS, FULL, SHIFT, SLOW } from "./keys.js";

const PERIOD = 33; // [ms]
const SHORTEST = 80; // A button counts as held for at least this long, or a tap could be missed [ms].

/**
 * Listens to keys and buttons.
 *
 * `act` has: `hands(message)`, `command(name)`, `stop()`, `takeOver()`, `control()`, and the flags `mine`, that
 * this page has control, and `deadMan`.
 */
export class Hands {
  constructor(act) {
    this.act = act;
    this.keys = new Set();
    this.held = new Map(); // button to the number of keys and pointers on it
    this.listen(window);
    window.addEventListener("blur", () => this.release());
    window.addEventListener("pagehide", () => this.release());
    document.addEventListener("visibilitychange", () => this.release());
    setInterval(() => this.send(), PERIOD);
  }

  /** Takes the keys of a window: this one's, or that of the 3-D view. */
  listen(target) {
    target.addEventListener("keydown", (event) => this.down(event), { capture: true });
    target.addEventListener("keyup", (event) => this.up(event), { capture: true });
    if (target !== window) target.addEventListener("blur", () => this.release());
  }

  down(event) {
    if (event.code === "Escape") {
      event.preventDefault();
      if (!event.repeat) this.act.stop();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const known = event.code in AXES || event.code in BUTTONS || event.code in COMMANDS
      || SHIFT.includes(event.code) || event.code === "Space" || event.code === "KeyT";
    if (!known) return;
    // A focused button shall not be pressed by Space or Enter, nor the page scrolled by an arrow.
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat || this.keys.has(event.code)) return;
    if (event.code in COMMANDS) this.act.command(COMMANDS[event.code]);
    else if (event.code === "Space") this.act.takeOver();
    else if (event.code === "KeyT") this.act.control();
    else {
      this.keys.add(event.code);
      if (event.code in BUTTONS) this.hold(BUTTONS[event.code]);
      else this.send();
    }
  }

  up(event) {
    if (!this.keys.delete(event.code)) return;
    event.preventDefault();
    if (event.code in BUTTONS) this.letGo(BUTTONS[event.code]);
    else this.send();
  }

  /** Holds a button of the device down. */
  hold(button) {
    const old = this.held.get(button);
    this.held.set(button, { count: (old?.count ?? 0) + 1, since: performance.now() });
    this.send();
  }

  /** Lets it go, once it has been held long enough to be seen. */
  letGo(button) {
    const held = this.held.get(button);
    if (held === undefined) return;
    const left = SHORTEST - (performance.now() - held.since);
    if (left > 0) {
      setTimeout(() => this.letGo(button), left);
    } else {
      held.count -= 1;
      if (held.count <= 0) this.held.delete(button);
      this.send();
    }
  }

  /** Holds a button for a moment. */
  press(button) {
    this.hold(button);
    this.letGo(button);
  }

  /** Lets go of everything: who looks elsewhere does not hold the robot. */
  release() {
    this.keys.clear();
    this.held.clear();
    this.send();
  }

  axes() {
    const shift = SHIFT.some((code) => this.keys.has(code));
    const share = shift && !this.act.deadMan ? SLOW : FULL;
    const axes = [0, 0, 0, 0, 0, 0];
    for (const code of this.keys) {
      if (code in AXES) axes[AXES[code][0]] += AXES[code][1] * share;
    }
    return axes;
  }

  buttons() {
    const buttons = [...this.held.keys()];
    if (this.act.deadMan && SHIFT.some((code) => this.keys.has(code))) buttons.push("dead_man");
    return buttons;
  }

  send() {
    if (this.act.mine) this.act.hands({ type: "hands", axes: this.axes(), buttons: this.buttons() });
  }
}
