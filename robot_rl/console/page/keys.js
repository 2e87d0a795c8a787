// What each key does. Keys are named by their place on the keyboard, so that W A S D lie together on all.

/** Key to the axis that it deflects, as [axis, sign]: x away, y left, z up, and turns about them. */
export const AXES = {
  KeyW: [0, +1],
  KeyS: [0, -1],
  KeyA: [1, +1],
  KeyD: [1, -1],
  KeyE: [2, +1],
  KeyQ: [2, -1],
  KeyX: [3, +1],
  KeyZ: [3, -1],
  ArrowUp: [4, +1],
  ArrowDown: [4, -1],
  ArrowLeft: [5, +1],
  ArrowRight: [5, -1],
};

/** Key to the device's button that it holds down. */
export const BUTTONS = {
  KeyG: "toggle",
  Digit1: "success",
  Numpad1: "success",
  Digit2: "failure",
  Numpad2: "failure",
  KeyL: "label",
  KeyK: "not_reached",
};

/** Key to what it tells the session. */
export const COMMANDS = {
  Enter: "start",
  NumpadEnter: "start",
  KeyP: "pause",
  KeyR: "reset",
  KeyU: "undo",
  KeyM: "demonstrate",
  KeyN: "label",
  KeyB: "practise",
};

/** Slower while it is held down or, where the robot asks for one, the dead-man's switch. */
export const SHIFT = ["ShiftLeft", "ShiftRight"];

/** Deflection of a key, and of one with Shift. */
export const FULL = 1.0;
export const SLOW = 0.45;

/** Rows of the help: keys, what they do. */
export function help(deadMan) {
  return [
    [["W", "S"], "away, towards you"],
    [["A", "D"], "left, right"],
    [["E", "Q"], "up, down"],
    [["←", "→"], "turn about the vertical"],
    [["↑", "↓"], "tilt forward, back"],
    [["X", "Z"], "tilt to the sides"],
    [["Shift"], deadMan ? "hold it, or nothing moves" : "slower while held"],
    [["T"], "take or give back control"],
  ];
}
