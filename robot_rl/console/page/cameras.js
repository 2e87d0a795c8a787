// The pictures of the robot's cameras, as they come.

const LATE = 1500; // A camera without a picture for this long is said to have none [ms].

export class Cameras {
  constructor(names) {
    const root = document.getElementById("cameras");
    root.replaceChildren();
    root.hidden = names.length === 0;
    this.views = names.map((name) => {
      const figure = document.createElement("figure");
      figure.className = "camera panel late";
      const image = document.createElement("img");
      image.alt = `What the camera ${name} sees`;
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(image, caption);
      root.append(figure);
      return { figure, image, at: 0 };
    });
  }

  show(index, blob) {
    const view = this.views[index];
    if (view === undefined) return;
    const old = view.image.src;
    view.image.src = URL.createObjectURL(blob);
    if (old) URL.revokeObjectURL(old);
    view.at = performance.now();
    view.figure.classList.remove("late");
  }

  tick() {
    for (const view of this.views) {
      view.figure.classList.toggle("late", performance.now() - view.at > LATE);
    }
  }
}
