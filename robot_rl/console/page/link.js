// The WebSocket to the console, which comes back by itself.

// Names this page to the console's 3-D view, also after the connection was lost.
const KEY = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
const FIRST_RETRY = 300; // [ms]
const LONGEST_RETRY = 3000; // [ms]

/** Connects `on.setup`, `on.state`, `on.curves`, `on.notice`, `on.picture` and `on.link` to the console. */
export class Link {
  constructor(on) {
    this.on = on;
    this.retry = FIRST_RETRY;
    this.open();
  }

  get up() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/ws?key=${KEY}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.retry = FIRST_RETRY;
      this.on.link(true);
    };
    this.socket.onmessage = (event) => this.hear(event.data);
    this.socket.onclose = () => {
      this.on.link(false);
      setTimeout(() => this.open(), this.retry);
      this.retry = Math.min(2 * this.retry, LONGEST_RETRY);
    };
  }

  hear(data) {
    if (typeof data !== "string") {
      const camera = new Uint8Array(data, 0, 1)[0];
      this.on.picture(camera, new Blob([new Uint8Array(data, 1)], { type: "image/jpeg" }));
      return;
    }
    const message = JSON.parse(data);
    this.on[message.type](message);
  }

  /** Sends a message; false when there is nobody to send it to. */
  send(message) {
    if (!this.up) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
}
