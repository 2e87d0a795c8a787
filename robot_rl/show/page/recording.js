// Recorded flights of one group, as `robot_rl.show.flight_page` wrote them.

import { clamp, mix, subtract, length, turn } from "./vectors.js";

/** Centimetres of a metre. */
export const CM = 100;

const OVER = -32768;

/** An array (rows, flights, components) of 16-bit numbers; an axis of length 1 stands for all rows or flights. */
class Samples {
  constructor({ shape, scale, data }) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    this.values = Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
      const number = view.getInt16(2 * i, true);
      return number === OVER ? NaN : scale * number;
    });
    const [rows, flights, size] = shape;
    this.size = size;
    this.perRow = rows > 1 ? flights * size : 0;
    this.perFlight = flights > 1 ? size : 0;
    this.shared = flights === 1;
    this.still = rows === 1;
  }

  at(row, flight) {
    const first = row * this.perRow + flight * this.perFlight;
    return Array.from(this.values.subarray(first, first + this.size));
  }
}

/** The flights of one group. */
export class Recording {
  constructor({ name, period, steps, count, rows, completed, places, arrays }) {
    Object.assign(this, { name, period, steps, count, rows, completed, places });
    for (const [part, packed] of Object.entries(arrays)) this[part] = new Samples(packed);
    this.duration = (steps - 1) * period;
    this.flights = Array.from({ length: count }, (_, i) => i);
    const each = (value) => this.flights.map((i) => Float32Array.from({ length: rows[i] }, (_, row) => value(row, i)));
    /** [m] */
    this.distance = each((row, i) => length(subtract(this.position.at(row, i), this.reference.at(row, i))));
    /** [degrees] */
    this.tilt = each((row, i) => tilt(this.attitude.at(row, i)));
    /** Four curves of each flight, in [0, 1]. */
    this.speeds = this.flights.map((i) =>
      [0, 1, 2, 3].map((rotor) => Float32Array.from({ length: rows[i] }, (_, row) => this.rotors.at(row, i)[rotor]))
    );
    this.meanSpeed = each((row, i) => this.rotors.at(row, i).reduce((sum, s) => sum + s / 4, 0));
  }

  /** Time of a flight's last row [s]. */
  end(flight) {
    return Math.max(this.rows[flight] - 1, 0) * this.period;
  }

  /** What a flight is like at a time; after its end, as it was then. Null for one without a single row. */
  pose(flight, time) {
    const last = this.rows[flight] - 1;
    if (last < 0) return null;
    const at = clamp(time / this.period, 0, last);
    const row = Math.min(Math.floor(at), Math.max(last - 1, 0));
    const next = Math.min(row + 1, last);
    const between = (samples, blend) => blend(samples.at(row, flight), samples.at(next, flight), at - row);
    return {
      position: between(this.position, mix),
      attitude: between(this.attitude, turn),
      rotors: between(this.rotors, mix),
      push: between(this.push, mix),
      crashed: !this.completed[flight] && time >= this.end(flight),
    };
  }

  /** Where a flight should be at a time. */
  goal(flight, time) {
    const last = Math.max(this.rows[flight] - 1, 0);
    const at = clamp(time / this.period, 0, last);
    const row = Math.floor(at);
    return mix(this.reference.at(row, flight), this.reference.at(Math.min(row + 1, last), flight), at - row);
  }

  /** Row of a flight at a time, or the last one. */
  row(flight, time) {
    return clamp(Math.round(time / this.period), 0, Math.max(this.rows[flight] - 1, 0));
  }

  /** Corners of the box around everything [m]. */
  get box() {
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    for (const i of this.flights) {
      for (let row = 0; row < this.rows[i]; row++) {
        for (const point of [this.position.at(row, i), this.reference.at(row, i)]) {
          point.forEach((x, axis) => {
            low[axis] = Math.min(low[axis], x);
            high[axis] = Math.max(high[axis], x);
          });
        }
      }
    }
    return low[0] <= high[0] ? { low, high } : { low: [-0.5, -0.5, -0.5], high: [0.5, 0.5, 0.5] };
  }
}

/** Angle between the body's z axis and the vertical [degrees]. */
function tilt([x, y]) {
  return (Math.acos(clamp(1 - 2 * (x * x + y * y), -1, 1)) * 180) / Math.PI;
}
