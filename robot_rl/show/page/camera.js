// The viewer's eye: it looks at a point from a direction, z up, in perspective.

import { add, clamp, cross, dot, subtract, times } from "./vectors.js";

const FIELD = 0.6; // vertical angle of view [rad]
const NEAR = 0.01; // [m]
const YAW = -1.1;
const PITCH = 0.4;
const FILLED = 0.92; // part of the picture that a box takes, seen from its usual side

/** An eye that orbits about a target. */
export class Camera {
  constructor() {
    this.target = [0, 0, 0];
    this.distance = 1;
    this.yaw = YAW;
    this.pitch = PITCH;
    this.moved = false; // by hand, since it looked at a box
    this.resize(1, 1);
  }

  /** Takes the size of the picture [pixels]. */
  resize(width, height) {
    Object.assign(this, { width, height });
    this.aim();
  }

  /** Looks at a box from its usual side, so that all of it is seen. */
  fit({ low, high }) {
    this.target = times(0.5, add(low, high));
    this.yaw = YAW;
    this.pitch = PITCH;
    this.moved = false;
    this.aim();
    this.distance = 0;
    for (let corner = 0; corner < 8; corner++) {
      const place = subtract([0, 1, 2].map((axis) => ((corner >> axis) & 1 ? high : low)[axis]), this.target);
      for (const [side, pixels] of [[this.right, this.width], [this.up, this.height]]) {
        const beside = (2 * this.focal * Math.abs(dot(place, side))) / (FILLED * pixels);
        this.distance = Math.max(this.distance, beside - dot(place, this.ahead));
      }
    }
    this.aim();
  }

  /** Turns by so many pixels of a pointer's way. */
  orbit(dx, dy) {
    this.yaw -= 0.007 * dx;
    this.pitch = clamp(this.pitch + 0.007 * dy, -1.5, 1.5);
    this.moved = true;
    this.aim();
  }

  /** Moves the target with the pointer. */
  pan(dx, dy) {
    const metres = this.distance / this.focal;
    this.target = add(this.target, add(times(-dx * metres, this.right), times(dy * metres, this.up)));
    this.moved = true;
    this.aim();
  }

  zoom(factor) {
    this.distance = clamp(this.distance * factor, 0.1, 50);
    this.moved = true;
    this.aim();
  }

  look(target) {
    this.target = target;
    this.aim();
  }

  aim() {
    const [sy, cy, sp, cp] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    const outwards = [cp * cy, cp * sy, sp];
    this.eye = add(this.target, times(this.distance, outwards));
    this.ahead = times(-1, outwards);
    this.right = [-sy, cy, 0];
    this.up = cross(this.right, this.ahead);
    this.focal = this.height / 2 / Math.tan(FIELD / 2);
  }

  /** How far a point is ahead of the eye [m]. */
  depth(point) {
    return dot(subtract(point, this.eye), this.ahead);
  }

  /** Pixels that a metre takes at this depth. */
  scale(depth) {
    return this.focal / depth;
  }

  /** Place of a point in the picture [pixels], or null behind the eye. */
  project(point) {
    const seen = subtract(point, this.eye);
    const depth = dot(seen, this.ahead);
    if (depth < NEAR) return null;
    const scale = this.focal / depth;
    return [this.width / 2 + scale * dot(seen, this.right), this.height / 2 - scale * dot(seen, this.up)];
  }

  /** Both ends of a line in the picture, cut off where it goes behind the eye; null if all of it is there. */
  line(a, b) {
    const [da, db] = [this.depth(a) - NEAR, this.depth(b) - NEAR];
    if (da < 0 && db < 0) return null;
    const cut = (from, to, df, dt) => (df >= 0 ? from : add(from, times((1.001 * df) / (df - dt), subtract(to, from))));
    const ends = [this.project(cut(a, b, da, db)), this.project(cut(b, a, db, da))];
    return ends[0] && ends[1] ? ends : null;
  }
}
