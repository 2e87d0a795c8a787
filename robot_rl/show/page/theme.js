// Colours of the style sheet, for canvases.

const NAMES = ["ground", "panel", "line", "grid", "text", "dim", "accent", "warm", "good", "bad", "metal"];

/** The colours that hold now, light or dark. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, lightness: style.getPropertyValue("--lightness").trim() };
}

/** Colours of so many flights, all equally bright: `i` of `count`. */
export function hue(colours, i, count, alpha = 1) {
  const angle = (250 + (300 * i) / Math.max(count, 4)) % 360;
  return `oklch(${colours.lightness} 0.13 ${angle.toFixed(0)} / ${alpha})`;
}

export const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
