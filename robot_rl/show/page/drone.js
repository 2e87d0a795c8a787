// A quadrotor in the picture: arms, body, and rotors whose colour and stalk show how fast they turn.

import { add, dot, rotate, subtract } from "./vectors.js";

const CORNERS = 20;
const BODY = [[1, 0.45], [0.6, 0.8], [-1, 0.8], [-1, -0.8], [0.6, -0.8], [1, -0.45]];

/** Draws one quadrotor.
 *
 * @param pen The canvas's context.
 * @param camera Where it is seen from.
 * @param pose Of the recording.
 * @param places (4, 2) of the rotors [m].
 * @param look `colour` of its body, `colours` of the theme, `full` for one that is looked at closely.
 */
export function drawDrone(pen, camera, pose, places, look) {
  const depth = camera.depth(pose.position);
  if (depth < 0.03) return;
  const scale = camera.scale(depth);
  const inWorld = (v) => add(pose.position, rotate(pose.attitude, v));
  const arm = Math.max(...places.map((place) => Math.hypot(...place)));
  const hubs = places.map(([x, y]) => inWorld([x, y, 0.12 * arm]));
  const up = rotate(pose.attitude, [0, 0, 1]);
  const fromAbove = dot(up, subtract(camera.eye, pose.position)) > 0;
  const frame = () => {
    drawArms(pen, camera, pose.position, hubs, Math.max(0.11 * arm * scale, 1), look.colours.metal);
    drawBody(pen, camera, BODY.map(([x, y]) => inWorld([0.34 * arm * x, 0.34 * arm * y, 0.06 * arm])), look);
  };
  const rotors = () => {
    const radius = 0.8 * neighbour(places);
    const order = [0, 1, 2, 3].sort((a, b) => camera.depth(hubs[b]) - camera.depth(hubs[a]));
    for (const i of order) {
      const [x, y] = places[i];
      const rim = Array.from({ length: CORNERS }, (_, k) => {
        const angle = (2 * Math.PI * k) / CORNERS;
        return inWorld([x + radius * Math.cos(angle), y + radius * Math.sin(angle), 0.16 * arm]);
      });
      // Thrust goes about with the square of the speed.
      const tip = inWorld([x, y, arm * (0.16 + 2.2 * pose.rotors[i] ** 2)]);
      drawRotor(pen, camera, [hubs[i], look.full ? tip : null], rim, pose.rotors[i], x > 0, look);
    }
  };
  for (const part of fromAbove ? [frame, rotors] : [rotors, frame]) part();
}

/** Half the least distance between two rotors [m]. */
function neighbour(places) {
  const gaps = places.flatMap((a, i) => places.slice(i + 1).map((b) => Math.hypot(a[0] - b[0], a[1] - b[1])));
  return Math.min(...gaps) / 2;
}

function drawArms(pen, camera, centre, hubs, width, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  for (const hub of hubs) {
    const ends = camera.line(centre, hub);
    if (!ends) continue;
    pen.beginPath();
    pen.moveTo(...ends[0]);
    pen.lineTo(...ends[1]);
    pen.stroke();
  }
}

function drawBody(pen, camera, corners, look) {
  if (!outline(pen, camera, corners)) return;
  pen.fillStyle = look.colour;
  pen.fill();
}

function drawRotor(pen, camera, [hub, tip], rim, speed, front, { colour, colours }) {
  if (!outline(pen, camera, rim)) return;
  const alpha = pen.globalAlpha;
  pen.globalAlpha = alpha * (0.1 + 0.65 * speed * speed);
  pen.fillStyle = colours.warm;
  pen.fill();
  pen.globalAlpha = alpha;
  pen.lineWidth = front ? 1.8 : 0.8;
  pen.strokeStyle = front ? colour : colours.dim;
  pen.stroke();
  const ends = tip && camera.line(hub, tip);
  if (!ends) return;
  pen.strokeStyle = colours.warm;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(...ends[0]);
  pen.lineTo(...ends[1]);
  pen.stroke();
}

/** Makes a polygon the path of the pen; false if part of it is behind the eye. */
function outline(pen, camera, corners) {
  const seen = corners.map((corner) => camera.project(corner));
  if (seen.includes(null)) return false;
  pen.beginPath();
  for (const corner of seen) pen.lineTo(...corner);
  pen.closePath();
  return true;
}
