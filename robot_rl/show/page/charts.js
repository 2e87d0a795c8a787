// What the three charts show of some flights.

import { Chart } from "./chart.js";
import { CM } from "./recording.js";
import { hue } from "./theme.js";

/** Distance, tilt and rotors over time, with one cursor. */
export class Charts {
  constructor(panel, seek) {
    this.charts = Array.from({ length: 3 }, () => {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      panel.append(canvas);
      return new Chart(canvas, seek);
    });
  }

  /** Takes the flights that are shown. */
  show(recording, shown, colours) {
    Object.assign(this, { recording, shown });
    const alone = shown.length === 1;
    const { period, duration } = recording;
    const curve = (values, i) => ({
      values,
      colour: hue(colours, i, recording.count),
      width: alone ? 1.8 : 1.1,
      crashed: !recording.completed[i],
    });
    this.distances = shown.map((i) => recording.distance[i].map((metres) => CM * metres));
    this.speeds = shown.map((i) => recording.meanSpeed[i].map(percent));
    const farthest = Math.max(1, ...this.distances.map(greatest));
    const steepest = Math.max(10, ...shown.map((i) => greatest(recording.tilt[i])));
    const rotors = alone
      ? recording.speeds[shown[0]].map((values, i) => ({ ...curve(values.map(percent), shown[0]), colour: hue(colours, i, 4) }))
      : shown.map((i, k) => curve(this.speeds[k], i));
    const plans = [
      {
        title: "Distance [cm]",
        log: true,
        low: 0.1,
        high: 10 ** Math.ceil(Math.log10(farthest)),
        curves: shown.map((i, k) => curve(this.distances[k], i)),
      },
      { title: "Tilt [°]", low: 0, high: steepest, curves: shown.map((i) => curve(recording.tilt[i], i)) },
      { title: alone ? "Rotors [%]" : "Rotors, mean of four [%]", ...tens(rotors), curves: rotors },
    ];
    this.charts.forEach((chart, i) => chart.show({ ...plans[i], period, duration }, colours));
  }

  draw(time) {
    const { recording, shown } = this;
    const row = Math.round(time / recording.period);
    // A flight that is over has no value any more.
    const now = (curves) => curves.map((values) => values[row]).filter((value) => value !== undefined);
    const tilts = shown.map((i) => recording.tilt[i]);
    const readings = [reading(now(this.distances), " cm", 1), reading(now(tilts), "°"), reading(now(this.speeds), " %")];
    this.charts.forEach((chart, i) => chart.draw(time, readings[i]));
  }
}

/** The values of some flights in words: one, or the median and the largest. */
function reading(values, unit, digits = 0) {
  if (values.length === 0) return "over";
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)].toFixed(digits);
  if (sorted.length === 1) return `${middle}${unit}`;
  return `median ${middle}, max ${sorted[sorted.length - 1].toFixed(digits)}${unit}`;
}

const percent = (part) => 100 * part;
/** The ends of a scale around some curves, at multiples of ten. */
function tens(curves) {
  const least = Math.min(...curves.map(({ values }) => Math.min(100, ...values)));
  const most = Math.max(...curves.map(({ values }) => greatest(values)));
  const low = 10 * Math.floor(least / 10);
  return { low, high: Math.max(10 * Math.ceil(most / 10), low + 20) };
}

const greatest = (values) => Math.max(0, ...values);
