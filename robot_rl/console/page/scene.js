// The 3-D view: another page of the same origin in a frame, whose keys are ours too.
//
// It shares our thread, so it must not keep us from hearing the operator's keys. Where no graphics card draws it,
// it takes most of that thread: there it is off until she asks for it.

const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const LONGEST_WAIT = 20000; // [ms]
const REMEMBERED = "robot_rl.scene";

/** The 3-D view, which the operator can switch off. `listen` is given its window at each load. */
export class Scene {
  constructor(listen) {
    this.panel = document.getElementById("scene");
    this.frame = this.panel.querySelector("iframe");
    this.button = this.panel.querySelector("button");
    this.address = "";
    const software = SOFTWARE.test(renderer());
    this.shown = (localStorage.getItem(REMEMBERED) ?? (software ? "off" : "on")) === "on";
    this.panel.dataset.why = software ? "This browser has no graphics card for 3-D, and would hear keys late." : "";
    this.frame.addEventListener("load", () => {
      listen(this.frame.contentWindow);
      this.showWhenDark(performance.now() + LONGEST_WAIT);
    });
    this.button.addEventListener("click", () => this.toggle());
  }

  /** Shows what is served at `address`, "" for nothing. */
  show(address) {
    this.address = address;
    const wanted = this.shown && address ? address : "about:blank";
    // After a lost connection the view is still there, and to load it again takes long.
    if (this.frame.getAttribute("src") !== wanted) this.frame.src = wanted;
    this.panel.classList.toggle("off", !this.shown || !address);
    this.button.textContent = this.shown ? "Hide 3-D" : "Show 3-D";
    this.button.hidden = !address;
  }

  /** Hides the view until it has taken on its dark colours, for it is white before. */
  showWhenDark(deadline) {
    const scheme = this.frame.contentDocument?.documentElement?.dataset.mantineColorScheme;
    const ready = scheme === "dark" || performance.now() > deadline;
    this.panel.classList.toggle("loading", !ready);
    if (!ready) setTimeout(() => this.showWhenDark(deadline), 100);
  }

  toggle() {
    this.shown = !this.shown;
    localStorage.setItem(REMEMBERED, this.shown ? "on" : "off");
    this.show(this.address);
  }
}

/** What draws 3-D in this browser. */
function renderer() {
  const context = document.createElement("canvas").getContext("webgl");
  const info = context?.getExtension("WEBGL_debug_renderer_info");
  const name = info ? context.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return name;
}
