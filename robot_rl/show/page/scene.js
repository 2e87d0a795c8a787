// The 3-D picture: ground, references, paths, quadrotors, what pushes them.

import { Camera } from "./camera.js";
import { drawDrone } from "./drone.js";
import { FONT, hue } from "./theme.js";
import { add, times } from "./vectors.js";

const RECENT = 0.8; // part of a path that is drawn bold [s]
const PUSH = 2.0; // length of an arrow that stands for the weight [m]
const FOLLOWED = 0.7; // distance of the eye that follows [m]

/** Draws the flights of a recording at a time. */
export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.camera = new Camera();
    this.following = false;
  }

  /** Shows another recording, all of it in view. */
  show(recording) {
    this.recording = recording;
    const { low, high } = recording.box;
    this.ground = groundOf({ low, high });
    const { x, y, z, step } = this.ground;
    // What is to be seen: the flights, and all of the ground below them.
    this.box = { low: [x.low, y.low, z], high: [x.low + x.count * step, y.low + y.count * step, high[2]] };
    this.resize();
    this.fit();
  }

  fit() {
    this.camera.fit(this.box);
    if (this.following) this.camera.distance = Math.min(this.camera.distance, FOLLOWED);
  }

  follow(on) {
    this.following = on;
    this.fit();
  }

  /** Takes the size at which the canvas is shown; a view that nobody has moved still shows everything. */
  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.camera.resize(Math.max(width, 1), Math.max(height, 1));
    if (!this.camera.moved) this.fit();
  }

  /**
   * @param time [s]
   * @param shown Numbers of the flights.
   * @param colours Of the theme.
   */
  draw(time, shown, colours) {
    const { pen, camera, recording } = this;
    const poses = shown.map((i) => [i, recording.pose(i, time)]).filter(([, pose]) => pose);
    if (this.following && poses.length) {
      camera.look(times(1 / poses.length, poses.reduce((sum, [, pose]) => add(sum, pose.position), [0, 0, 0])));
    }
    pen.clearRect(0, 0, camera.width, camera.height);
    pen.font = FONT;
    pen.lineCap = pen.lineJoin = "round";
    this.drawGround(colours);
    const alone = shown.length === 1;
    for (const i of recording.reference.shared ? shown.slice(0, 1) : shown) this.drawReference(i, time, alone, colours);
    for (const i of shown) this.drawPath(i, time, alone, colours);
    poses.sort(([, a], [, b]) => camera.depth(b.position) - camera.depth(a.position));
    for (const [i, pose] of poses) {
      this.drawShadow(pose, colours);
      const look = { colour: hue(colours, i, recording.count), colours, full: alone };
      pen.globalAlpha = pose.crashed ? 0.45 : 1;
      drawDrone(pen, camera, pose, recording.places, look);
      pen.globalAlpha = 1;
      if (pose.crashed) this.drawCross(pose.position, colours);
      else if (alone) this.drawPush(pose, colours);
    }
  }

  drawGround(colours) {
    const { x, y, z, step } = this.ground;
    const [right, back] = [x.low + x.count * step, y.low + y.count * step];
    const along = (axis, draw) => {
      for (let i = 0; i <= axis.count; i++) {
        const at = axis.low + i * step;
        const whole = Math.abs(at - Math.round(at)) < 1e-6;
        // Every second number where lines lie close; none in the corner, where the axes are.
        const named = axis.count <= 6 || i % 2 === 0;
        draw(at, whole ? [colours.line, 1.4] : [colours.grid, 1], named && i > 1 && i < axis.count);
      }
    };
    along(x, (at, look, named) => {
      this.stroke([at, y.low, z], [at, back, z], ...look);
      if (named) this.label([at, y.low - 0.3 * step, z], number(at), colours.dim);
    });
    along(y, (at, look, named) => {
      this.stroke([x.low, at, z], [right, at, z], ...look);
      if (named) this.label([right + 0.3 * step, at, z], number(at), colours.dim);
    });
    const corner = [x.low, y.low, z];
    for (const [axis, colour, name] of [[0, colours.bad, "x"], [1, colours.good, "y"], [2, colours.accent, "z"]]) {
      const tip = (metres) => corner.map((value, i) => value + (i === axis ? metres : 0));
      this.stroke(corner, tip(0.8 * step), colour, 2);
      this.label(tip(1.05 * step), name, colour);
    }
  }

  /** The curve that is to be followed, and where it is now. */
  drawReference(flight, time, alone, colours) {
    const { recording, camera, pen } = this;
    pen.strokeStyle = colours.dim;
    if (!recording.reference.still) {
      pen.lineWidth = 1;
      pen.globalAlpha = alone || recording.reference.shared ? 1 : 0.25;
      pen.setLineDash([4, 4]);
      this.path(recording.reference, flight, 0, recording.rows[flight] - 1);
      pen.setLineDash([]);
      pen.globalAlpha = 1;
    }
    const goal = recording.goal(flight, time);
    const place = camera.project(goal);
    if (!place || (recording.reference.shared ? false : !alone)) return;
    pen.strokeStyle = colours.text;
    pen.lineWidth = 1.4;
    pen.beginPath();
    pen.arc(...place, 6, 0, 2 * Math.PI);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      pen.moveTo(place[0] + 4 * dx, place[1] + 4 * dy);
      pen.lineTo(place[0] + 10 * dx, place[1] + 10 * dy);
    }
    pen.stroke();
  }

  /** Where a flight has been: thin, and bold where it just was. */
  drawPath(flight, time, alone, colours) {
    const { recording, pen } = this;
    const now = recording.row(flight, time);
    const recent = Math.max(0, now - Math.round(RECENT / recording.period));
    pen.strokeStyle = hue(colours, flight, recording.count, alone ? 0.75 : 0.4);
    pen.lineWidth = 1.2;
    this.path(recording.position, flight, 0, now);
    pen.strokeStyle = hue(colours, flight, recording.count);
    pen.lineWidth = alone ? 2.6 : 2;
    this.path(recording.position, flight, recent, now);
  }

  drawShadow(pose, colours) {
    const { pen, camera } = this;
    const below = [pose.position[0], pose.position[1], this.ground.z];
    pen.globalAlpha = 0.5;
    pen.setLineDash([2, 4]);
    this.stroke(pose.position, below, colours.grid, 1);
    pen.setLineDash([]);
    const place = camera.project(below);
    if (place) {
      const radius = Math.max(0.02 * camera.scale(camera.depth(below)), 2);
      pen.fillStyle = colours.dim;
      pen.beginPath();
      pen.ellipse(...place, radius, radius * Math.abs(Math.sin(camera.pitch)), 0, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  drawCross(position, colours) {
    const place = this.camera.project(position);
    if (!place) return;
    const { pen } = this;
    pen.strokeStyle = colours.bad;
    pen.lineWidth = 2.4;
    pen.beginPath();
    for (const sign of [1, -1]) {
      pen.moveTo(place[0] - 6, place[1] - 6 * sign);
      pen.lineTo(place[0] + 6, place[1] + 6 * sign);
    }
    pen.stroke();
  }

  drawPush({ position, push }, colours) {
    const part = Math.hypot(...push);
    const ends = this.camera.line(position, add(position, times(PUSH, push)));
    if (part < 0.002 || !ends) return;
    const { pen } = this;
    const [[x1, y1], [x2, y2]] = ends;
    const angle = Math.atan2(y2 - y1, x2 - x1);
    pen.strokeStyle = pen.fillStyle = colours.bad;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    for (const side of [2.7, -2.7]) {
      pen.moveTo(x2, y2);
      pen.lineTo(x2 + 7 * Math.cos(angle + side), y2 + 7 * Math.sin(angle + side));
    }
    pen.stroke();
    pen.textAlign = x2 >= x1 ? "left" : "right";
    pen.fillText(`push, ${(100 * part).toFixed(0)} % of its weight`, x2 + (x2 >= x1 ? 8 : -8), y2 + 4);
  }

  /** Strokes rows `first` to `last` of a curve. */
  path(samples, flight, first, last) {
    const { pen, camera } = this;
    pen.beginPath();
    let down = false;
    for (let row = first; row <= last; row++) {
      const place = camera.project(samples.at(row, flight));
      if (place && down) pen.lineTo(...place);
      else if (place) pen.moveTo(...place);
      down = place !== null;
    }
    pen.stroke();
  }

  stroke(a, b, colour, width) {
    const ends = this.camera.line(a, b);
    if (!ends) return;
    const { pen } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(...ends[0]);
    pen.lineTo(...ends[1]);
    pen.stroke();
  }

  label(point, text, colour) {
    const place = this.camera.project(point);
    if (!place) return;
    const { pen } = this;
    pen.fillStyle = colour;
    pen.textAlign = "center";
    pen.fillText(text, place[0], place[1] + 4);
  }
}

/** A grid below everything, with round numbers: `low` and `count` of its lines along x and y. */
function groundOf({ low, high }) {
  const widest = Math.max(high[0] - low[0], high[1] - low[1], 0.4);
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((s) => widest / s <= 8) ?? 10;
  const along = (axis) => {
    const first = Math.floor((low[axis] - 0.3 * step) / step);
    const last = Math.ceil((high[axis] + 0.3 * step) / step);
    return { low: first * step, count: last - first };
  };
  return { x: along(0), y: along(1), z: Math.floor((low[2] - 0.02) / 0.1) * 0.1, step };
}

/** A number for people: with a real minus, without zeros at its end. */
export const number = (value) => String(Number(value.toFixed(2)) || 0).replace("-", "\u2212");
