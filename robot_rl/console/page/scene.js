// The 3-D view: another page of the same origin in a frame, whose keys are ours too.

/** Shows the 3-D view at `address`; `listen` is given its window at each load. */
export function showScene(address, listen) {
  const panel = document.getElementById("scene");
  const frame = panel.querySelector("iframe");
  panel.hidden = !address;
  if (!address) return;
  frame.onload = () => listen(frame.contentWindow);
  frame.src = address;
}
