// The 3-D view: another page of the same origin in a frame, whose keys are ours too.
//
// It shares our thread, so it must not keep us from hearing the operator's keys: where no graphics card draws
// it, it is drawn less often, and she can switch it off.

const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const SOFTWARE_PERIOD = 150; // Without a graphics card, a picture no more often than this [ms].
const REMEMBERED = "robot_rl.scene";

/** The 3-D view, which the operator can switch off. `listen` is given its window at each load. */
export class Scene {
  constructor(listen) {
    this.panel = document.getElementById("scene");
    this.frame = this.panel.querySelector("iframe");
    this.button = this.panel.querySelector("button");
    this.address = "";
    this.shown = localStorage.getItem(REMEMBERED) !== "off";
    const software = SOFTWARE.test(renderer());
    this.frame.addEventListener("load", () => {
      listen(this.frame.contentWindow);
      if (software) slowDown(this.frame.contentWindow);
    });
    this.button.addEventListener("click", () => this.toggle());
  }

  /** Shows what is served at `address`, "" for nothing. */
  show(address) {
    this.address = address;
    this.frame.src = this.shown && address ? address : "about:blank";
    this.panel.classList.toggle("off", !this.shown || !address);
    this.button.textContent = this.shown ? "Hide 3-D" : "Show 3-D";
    this.button.hidden = !address;
  }

  toggle() {
    this.shown = !this.shown;
    localStorage.setItem(REMEMBERED, this.shown ? "on" : "off");
    this.show(this.address);
  }
}

/** Gives a window fewer frames. */
function slowDown(target) {
  const next = target.requestAnimationFrame.bind(target);
  let due = 0;
  target.requestAnimationFrame = (callback) => {
    const wait = Math.max(0, due - performance.now());
    return target.setTimeout(() => next((now) => {
      due = performance.now() + SOFTWARE_PERIOD;
      callback(now);
    }), wait);
  };
}

/** What draws 3-D in this browser. */
function renderer() {
  const context = document.createElement("canvas").getContext("webgl");
  const info = context?.getExtension("WEBGL_debug_renderer_info");
  const name = info ? context.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return name;
}
