// What the page says: its keys, its legend, what became of flights.

import { CM } from "./recording.js";

/** Keys, and what they do. */
export const KEYS = [
  [["Space"], "play, pause"],
  [["←", "→"], "0.1 s back, on; with Shift 0.02 s"],
  [["↑", "↓"], "another flight"],
  [["A"], "all flights"],
  [["G"], "another group"],
  [["F"], "follow"],
  [["R"], "reset the view"],
  [["−", "+"], "slower, faster"],
];

const LEGEND = {
  one: [
    "stalk above a rotor: its thrust; the fuller its amber, the faster it turns",
    "coloured rims: the rotors in front",
    "red arrow: the force that the policy does not know of",
  ],
  all: ["colour: one flight each, bold where it was in the last 0.8 s", "the fuller the amber of a rotor, the faster it turns"],
  both: "crosshair: where the quadrotor should be",
  crashed: "red cross: left its box around the reference, or stopped its rotors",
};

/** What is to be seen of so many flights of a recording. */
export function legend(recording, shown) {
  const lines = [...(shown.length === 1 ? LEGEND.one : LEGEND.all), LEGEND.both];
  return recording.completed.includes(false) ? [...lines, LEGEND.crashed] : lines;
}

/** What became of these flights. */
export function outcome(recording, shown) {
  const second = Math.round(1 / recording.period);
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const late = (i) => CM * mean(recording.distance[i].slice(-second));
  const alive = shown.filter((i) => recording.completed[i]);
  const off = alive.length ? `Off by ${mean(alive.map(late)).toFixed(1)} cm on average in the last second.` : "";
  if (shown.length > 1) return off;
  const [i] = shown;
  if (recording.rows[i] === 0) return "Nothing was recorded of this flight.";
  const [distance, tilt] = [CM * recording.distance[i][0], recording.tilt[i][0]];
  const start = `Starts ${distance.toFixed(0)} cm off, tilted by ${tilt.toFixed(0)}°.`;
  return `${start} ${off || `Ended after ${recording.end(i).toFixed(2)} s.`}`;
}
