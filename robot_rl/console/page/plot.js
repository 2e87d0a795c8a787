// Curves on canvases: small, dark, with the newest values in the heading.

const COLOURS = ["#5aa9ff", "#4cc38a", "#ffb454", "#c792ea"];
const TEXT = "#dbe2ea";
const DIM = "#8a97a8";
const LINE = "#1f2833";
const FONT = "11px system-ui, sans-serif";
const SMALL = "10px system-ui, sans-serif";
const LEFT = 34;
const RIGHT = 8;
const TOP = 22;
const BOTTOM = 15;

/** The charts of one element: `show` takes what the console sends, as `robot_rl.console.history` makes it. */
export class Plots {
  constructor(panel) {
    this.panel = panel;
    this.charts = [];
    this.canvases = [];
    new ResizeObserver(() => this.draw()).observe(panel);
    document.addEventListener("visibilitychange", () => this.draw());
  }

  /** Shows other curves, or new points of the same ones. */
  show(charts) {
    this.charts = charts;
    if (this.canvases.length !== charts.length) {
      this.canvases = charts.map(() => document.createElement("canvas"));
      this.panel.replaceChildren(...this.canvases);
    }
    this.draw();
  }

  draw() {
    if (document.hidden) return;
    this.charts.forEach((chart, i) => drawChart(this.canvases[i], chart));
  }
}

/** Draws one chart as large as its canvas is shown. */
function drawChart(canvas, chart) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  if (width < LEFT + RIGHT + 20 || height < TOP + BOTTOM + 10) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const box = { left: LEFT, top: TOP, right: width - RIGHT, bottom: height - BOTTOM };
  drawHeading(pen, chart, box);
  const all = chart.series.flatMap((curve) => curve.points);
  const x = scale(range(all.map((point) => point[0]), 0, null), box.left, box.right);
  const y = heights(chart, all, box);
  drawGrid(pen, all.length === 0, x, chart.apart ? null : y, box);
  chart.series.forEach((curve, i) => {
    drawCurve(pen, curve.points, COLOURS[i % COLOURS.length], x, chart.apart ? heights(chart, curve.points, box) : y, box);
  });
  const words = chart.series.filter((curve) => curve.points.length).map((curve) => `${curve.name} ${last(curve, chart)}`);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${chart.title}: ${words.join(", ") || "no data yet"}`);
  canvas.title = words.join(", ") + (chart.apart ? " (each on a scale of its own)" : "");
}

/** Title on the left; on the right the newest value of each curve in its colour, with its name where there is room. */
function drawHeading(pen, chart, box) {
  pen.textBaseline = "alphabetic";
  pen.font = FONT;
  pen.textAlign = "left";
  pen.fillStyle = TEXT;
  pen.fillText(chart.title, 2, 12);
  const start = 2 + pen.measureText(chart.title).width + 10;
  const shown = chart.series.map((curve, i) => [curve, COLOURS[i % COLOURS.length]]).filter(([c]) => c.points.length);
  const width = (words) => words.reduce((sum, word) => sum + pen.measureText(word).width + 10, -10);
  let words = shown.map(([curve]) => (chart.series.length > 1 ? `${curve.name} ${last(curve, chart)}` : last(curve, chart)));
  if (width(words) > box.right - start) words = shown.map(([curve]) => last(curve, chart));
  let at = box.right - width(words);
  shown.forEach(([, colour], i) => {
    pen.fillStyle = colour;
    pen.fillText(words[i], at, 12);
    at += pen.measureText(words[i]).width + 10;
  });
}

/** The scale of the heights of some points. */
function heights(chart, points, box) {
  return scale(range(points.map((point) => point[1]), chart.low, chart.high), box.bottom, box.top);
}

/** From a value to its place [pixels], with its `low` and `high`. */
function scale([low, high], from, to) {
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  return Object.assign(place, { low, high });
}

/** The least and the greatest of some values, with some room where the end is not given. */
function range(values, low, high) {
  let least = low ?? Infinity;
  let greatest = high ?? -Infinity;
  for (const value of values) {
    if (low === null) least = Math.min(least, value);
    if (high === null) greatest = Math.max(greatest, value);
  }
  if (!Number.isFinite(least)) least = Number.isFinite(greatest) ? Math.min(0, greatest) : 0;
  if (!Number.isFinite(greatest)) greatest = least + 1;
  if (greatest <= least) greatest = least + Math.max(Math.abs(least), 1) * 0.1;
  const room = 0.06 * (greatest - least);
  return [low === null ? least - room : least, high === null ? greatest + room : greatest];
}

/** Lines at round heights, unless there is no common scale, and round steps below. */
function drawGrid(pen, empty, x, y, box) {
  pen.font = SMALL;
  pen.lineWidth = 1;
  pen.strokeStyle = LINE;
  pen.fillStyle = DIM;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const value of y === null || empty ? [] : ticks(y.low, y.high, (box.bottom - box.top) / 22)) {
    const at = Math.round(y(value)) + 0.5;
    line(pen, box.left, at, box.right, at);
    pen.fillText(short(value), box.left - 5, at);
  }
  pen.textBaseline = "top";
  line(pen, box.left, box.bottom + 0.5, box.right, box.bottom + 0.5);
  if (empty) {
    pen.textAlign = "center";
    pen.fillText("no data yet", (box.left + box.right) / 2, (box.top + box.bottom) / 2 - 5);
    return;
  }
  const free = box.right - pen.measureText("steps").width - 6;
  pen.textAlign = "center";
  for (const value of ticks(x.low, x.high, (box.right - box.left) / 50)) {
    const word = short(value);
    if (x(value) + pen.measureText(word).width / 2 <= free) pen.fillText(word, x(value), box.bottom + 4);
  }
  pen.textAlign = "right";
  pen.fillText("steps", box.right, box.bottom + 4);
}

function drawCurve(pen, points, colour, x, y, box) {
  if (points.length === 0) return;
  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top - 4, box.right - box.left + 4, box.bottom - box.top + 8);
  pen.clip();
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  pen.beginPath();
  for (const [a, b] of points) pen.lineTo(x(a), y(b));
  pen.stroke();
  // Few points are measurements of their own, such as evaluations; the newest one is always marked.
  const marked = points.length <= 12 ? points : points.slice(-1);
  for (const [a, b] of marked) {
    pen.beginPath();
    pen.arc(x(a), y(b), 2.3, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.restore();
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** Round values between two, about so many. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) values.push(i * step);
  return values;
}

/** The newest value of a curve with its unit. */
function last(curve, chart) {
  const value = curve.points[curve.points.length - 1][1];
  const unit = chart.unit ? `\u202f${chart.unit}` : "";
  return short(value) + unit;
}

/** A number in at most about five characters. */
function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size < 1e-3 && size > 0) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}
