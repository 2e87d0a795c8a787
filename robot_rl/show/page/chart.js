// A curve chart on a canvas with a cursor: the curves are drawn once, the cursor at each picture.

import { FONT } from "./theme.js";

const LEFT = 38;
const RIGHT = 10;
const TOP = 24;
const BOTTOM = 18;

/** One chart; `seek` is called with the time that a pointer asks for. */
export class Chart {
  constructor(canvas, seek) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.still = document.createElement("canvas");
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      seek(this.timeAt(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) seek(this.timeAt(event));
    });
  }

  /**
   * Takes other curves.
   *
   * @param plan `title`, `unit`, `log`, `low` and `high` (the ends of the scale), `period` and `duration` [s], and
   *   `curves`: `values` a row each, `colour`, `width`, `crashed`.
   * @param colours Of the theme.
   */
  show(plan, colours) {
    Object.assign(this, { plan, colours });
    const { width, height } = this.canvas.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.still]) {
      canvas.width = Math.max(1, Math.round(width * this.ratio));
      canvas.height = Math.max(1, Math.round(height * this.ratio));
    }
    this.box = { left: LEFT, top: TOP, right: width - RIGHT, bottom: height - BOTTOM };
    const pen = this.still.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.font = FONT;
    this.drawGrid(pen);
    for (const curve of plan.curves) this.drawCurve(pen, curve);
  }

  /** Draws the cursor, and beside the title what holds there. */
  draw(time, reading) {
    const { pen, plan, box, colours, ratio } = this;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.still, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const x = this.x(time);
    pen.strokeStyle = colours.text;
    pen.lineWidth = 1;
    line(pen, x, box.top - 4, x, box.bottom);
    for (const { values, colour } of plan.curves) {
      const value = values[Math.round(time / plan.period)];
      if (value === undefined) continue;
      pen.fillStyle = colour;
      pen.beginPath();
      pen.arc(x, this.y(value), 2.4, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.font = FONT;
    pen.fillStyle = colours.text;
    pen.textAlign = "right";
    pen.textBaseline = "alphabetic";
    pen.fillText(reading, box.right, 13);
    this.canvas.setAttribute("aria-label", `${plan.title}: ${reading}`);
  }

  x(time) {
    return this.box.left + (time / this.plan.duration) * (this.box.right - this.box.left);
  }

  y(value) {
    const { log, low, high } = this.plan;
    const place = log ? (v) => Math.log(Math.max(v, low)) : (v) => v;
    const part = (place(value) - place(low)) / (place(high) - place(low));
    return this.box.bottom - Math.min(Math.max(part, 0), 1) * (this.box.bottom - this.box.top);
  }

  timeAt(event) {
    const at = event.clientX - this.canvas.getBoundingClientRect().left;
    return ((at - this.box.left) / (this.box.right - this.box.left)) * this.plan.duration;
  }

  drawGrid(pen) {
    const { plan, box, colours } = this;
    pen.fillStyle = colours.dim;
    pen.lineWidth = 1;
    pen.textAlign = "left";
    pen.fillText(plan.title, 4, 13);
    pen.strokeStyle = colours.grid;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const value of plan.log ? decades(plan.low, plan.high) : steps(plan.low, plan.high, 4)) {
      const y = Math.round(this.y(value)) + 0.5;
      line(pen, box.left, y, box.right, y);
      pen.fillText(String(Number(value.toPrecision(3))), box.left - 6, y);
    }
    pen.textBaseline = "top";
    pen.textAlign = "center";
    for (const value of steps(0, plan.duration, (box.right - box.left) / 60)) {
      pen.fillText(`${Number(value.toPrecision(3))} s`, Math.min(this.x(value), box.right - 8), box.bottom + 5);
    }
    pen.textBaseline = "alphabetic";
  }

  drawCurve(pen, { values, colour, width, crashed }) {
    const { plan } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.beginPath();
    values.forEach((value, row) => pen.lineTo(this.x(row * plan.period), this.y(value)));
    pen.stroke();
    if (!crashed || values.length === 0) return;
    const [x, y] = [this.x((values.length - 1) * plan.period), this.y(values[values.length - 1])];
    pen.strokeStyle = this.colours.bad;
    pen.lineWidth = 2;
    line(pen, x - 4, y - 4, x + 4, y + 4);
    line(pen, x - 4, y + 4, x + 4, y - 4);
  }
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** Powers of ten between two values. */
function decades(low, high) {
  const values = [];
  for (let value = 10 ** Math.ceil(Math.log10(low) - 1e-9); value <= high * 1.001; value *= 10) values.push(value);
  return values;
}

/** Round values between two, at most about so many. */
function steps(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) values.push(i * step);
  return values;
}
