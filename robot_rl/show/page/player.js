// The time that is shown: it runs, stops, and can be set.

import { clamp } from "./vectors.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

/** A clock that asks for a new picture, `redraw`, whenever its time changes. */
export class Player {
  constructor(redraw) {
    this.redraw = redraw;
    this.time = 0;
    this.duration = 1;
    this.speed = 1;
    this.playing = false;
    this.asked = false;
  }

  /** Starts at the beginning of a recording. */
  load(duration) {
    this.duration = Math.max(duration, 1e-3);
    this.seek(0);
  }

  seek(time) {
    this.time = clamp(time, 0, this.duration);
    this.ask();
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && this.time >= this.duration) this.time = 0;
    this.before = null;
    this.ask();
  }

  pause() {
    if (this.playing) this.toggle();
  }

  faster(by) {
    const at = clamp(SPEEDS.indexOf(this.speed) + by, 0, SPEEDS.length - 1);
    this.speed = SPEEDS[at];
    this.ask();
  }

  /** Asks for a picture. */
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame((now) => this.advance(now));
  }

  advance(now) {
    this.asked = false;
    if (this.playing) {
      this.time = Math.min(this.time + (this.speed * (now - (this.before ?? now))) / 1000, this.duration);
      this.before = now;
      this.playing = this.time < this.duration;
    }
    this.redraw();
    if (this.playing) this.ask();
  }
}
