// Vectors are arrays of three numbers, rotations quaternions xyzw.

export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const times = (s, a) => [s * a[0], s * a[1], s * a[2]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const length = (a) => Math.hypot(...a);
export const mix = (a, b, part) => a.map((x, i) => x + part * (b[i] - x));
export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** v turned by q: v + 2 w (u x v) + 2 u x (u x v), with u the vector part of q. */
export function rotate(q, v) {
  const once = times(2, cross(q, v));
  return add(add(v, times(q[3], once)), cross(q, once));
}

/** Between two rotations: linear, normalised; for rows of a recording, which are close to each other. */
export function turn(a, b, part) {
  const sign = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] < 0 ? -1 : 1;
  const q = mix(a, b.map((x) => sign * x), part);
  const size = Math.hypot(...q) || 1;
  return q.map((x) => x / size);
}
