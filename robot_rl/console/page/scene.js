// The 3-D view: another page of the same origin in a frame, whose keys are ours too.
//
// It shares our thread, so it must never keep us from hearing the operator's keys. Where there is no graphics
// card, or the frames come slowly all the same, it is drawn more coarsely and less often.

const SLOW = 70; // A frame that takes longer is a slow one [ms].
const MANY = 12; // So many more slow frames than quick ones, and it is drawn more coarsely.
const COARSEST = 4;
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const SOFTWARE_PERIOD = 100; // Without a graphics card, a picture no more often than this [ms].
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
    watch(this.frame, software ? 2 : 1);
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

/** Draws one pixel of the frame as `coarseness` by `coarseness` of the screen. */
function draw(frame, coarseness) {
  frame.style.width = frame.style.height = `${100 / coarseness}%`;
  frame.style.transform = `scale(${coarseness})`;
}

/** Keeps the frames coming. */
function watch(frame, coarseness) {
  let last = performance.now();
  let slow = 0;
  draw(frame, coarseness);
  const look = (now) => {
    slow = Math.max(0, slow + (now - last > SLOW ? 1 : -1));
    last = now;
    if (slow > MANY && coarseness < COARSEST && !document.hidden) {
      draw(frame, (coarseness += 1));
      slow = 0;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
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
