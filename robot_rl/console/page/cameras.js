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
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `What the camera ${name} sees`);
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(canvas, caption);
      root.append(figure);
      return { figure, canvas, pen: canvas.getContext("2d"), at: 0, shown: 0 };
    });
  }

  /** Shows a picture, unless it is older than the one that is shown by the time it is decoded. */
  async show(index, blob) {
    const view = this.views[index];
    if (view === undefined) return;
    const at = performance.now();
    const picture = await createImageBitmap(blob);
    if (at >= view.at) {
      const { canvas } = view;
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      view.pen.drawImage(picture, 0, 0);
      view.at = at;
      view.shown += 1;
      canvas.dataset.shown = view.shown;
      view.figure.classList.remove("late");
    }
    picture.close();
  }

  tick() {
    for (const view of this.views) {
      view.figure.classList.toggle("late", performance.now() - view.at > LATE);
    }
  }
}
