// Mouse and touch turn, move and zoom the view.

/**
 * One pointer turns, with Shift or another button it moves; two move and zoom. `changed` is called after each.
 */
export function pointAt(canvas, camera, changed) {
  const down = new Map();
  const spread = () => {
    const [a, b] = [...down.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    const wide = down.size === 2 ? spread() : 1;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (down.size === 2) {
      camera.zoom(wide / Math.max(spread(), 1));
      camera.pan(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons > 1) camera.pan(dx, dy);
    else camera.orbit(dx, dy);
    changed();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => down.delete(event.pointerId));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    camera.zoom(Math.exp(0.0012 * event.deltaY));
    changed();
  }, { passive: false });
}
