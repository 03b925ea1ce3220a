// As much of a browser's document as a view needs: elements that hold one another, and hear of events.
import { readFileSync } from "node:fs";

const WEB = new URL("../../web/", import.meta.url);

class Paper extends EventTarget {
  parentElement = null;
  nodes = [];
  attributes = new Map();
  hidden = false;
  disabled = false;
  value = "";
  style = {};
  dataset = {};

  constructor(tag) {
    super();
    this.tag = tag;
  }

  get id() {
    return this.attributes.get("id") ?? "";
  }

  get children() {
    return this.nodes.filter((node) => node instanceof Paper);
  }

  get textContent() {
    return this.nodes.map((node) => (node instanceof Paper ? node.textContent : node.data)).join("");
  }

  set textContent(text) {
    this.nodes = [{ data: text }];
  }

  get isConnected() {
    return this === document.body || (this.parentElement?.isConnected ?? false);
  }

  append(...nodes) {
    for (const node of nodes) this.insertBefore(typeof node === "string" ? { data: node } : node, null);
  }

  after(node) {
    const { nodes } = this.parentElement;
    this.parentElement.insertBefore(node, nodes[nodes.indexOf(this) + 1] ?? null);
  }

  insertBefore(node, before) {
    node.parentElement?.take(node);
    node.parentElement = this;
    this.nodes.splice(before === null ? this.nodes.length : this.nodes.indexOf(before), 0, node);
    // A style sheet is there at once.
    if (node.tag === "link") setImmediate(() => node.onload());
  }

  replaceChildren(...nodes) {
    for (const node of this.nodes) node.parentElement = null;
    this.nodes = [];
    this.append(...nodes);
  }

  take(node) {
    this.nodes = this.nodes.filter((one) => one !== node);
    node.parentElement = null;
  }

  remove() {
    this.parentElement?.take(this);
  }

  contains(node) {
    return node !== null && (node === this || this.contains(node.parentElement ?? null));
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  removeAttribute(name) {
    this.attributes.delete(name);
  }

  /** By tag, or by test id as pages write it. */
  querySelector(selector) {
    const [, testid] = /^\[data-testid="?([\w-]+)"?\]$/.exec(selector) ?? [];
    for (const child of this.children) {
      if (testid === undefined ? child.tag === selector : child.attributes.get("data-testid") === testid) return child;
      const found = child.querySelector(selector);
      if (found) return found;
    }
    return null;
  }

  closest() {
    return null;
  }

  focus() {
    document.activeElement = this;
  }

  /** As a person does: what is disabled hears nothing. */
  click() {
    if (!this.disabled) this.dispatchEvent(new Event("click"));
  }
}

class Documented extends EventTarget {
  body = new Paper("body");
  head = new Paper("head");
  documentElement = new Paper("html");
  activeElement = null;
  pictureInPictureEnabled = true;
  pictureInPictureElement = null;

  createElement(tag) {
    return tag === "video" ? new Video() : new Paper(tag);
  }

  createElementNS(_space, tag) {
    return new Paper(tag);
  }

  createTextNode(data) {
    return { data };
  }

  querySelector(selector) {
    return this.body.querySelector(selector);
  }

  async exitPictureInPicture() {
    const left = this.pictureInPictureElement;
    this.pictureInPictureElement = null;
    left?.dispatchEvent(new Event("leavepictureinpicture"));
  }
}

class Video extends Paper {
  readyState = 4;
  srcObject = null;
  paused = true;

  constructor() {
    super("video");
  }

  async play() {
    this.paused = false;
  }

  async requestPictureInPicture() {
    document.pictureInPictureElement = this;
    return Object.assign(new EventTarget(), { width: 320, height: 180 });
  }
}

const document = new Documented();
const shelf = new Map();
Object.assign(globalThis, {
  document,
  HTMLElement: Paper,
  HTMLVideoElement: Video,
  HTMLMediaElement: { HAVE_METADATA: 1 },
  Option: class extends Paper {
    constructor(text, value) {
      super("option");
      this.textContent = text;
      this.value = value;
    }
  },
  requestAnimationFrame: setImmediate,
  addEventListener: () => {},
  removeEventListener: () => {},
  sessionStorage: {
    getItem: (key) => shelf.get(key) ?? null,
    setItem: (key, text) => shelf.set(key, text),
    removeItem: (key) => shelf.delete(key),
  },
});

// A note that would still be shown for seconds keeps no test from its end.
const { setTimeout: start } = globalThis;
globalThis.setTimeout = (...options) => start(...options).unref();

/** What is asked of the server that is no file. @type {(path: string) => Promise<Response>} */
let api = async () => new Response(null, { status: 404 });

/** @param {typeof api} answer */
export function answers(answer) {
  api = answer;
}

globalThis.fetch = async (path) => {
  if (!path.startsWith("/static/")) return api(path);
  return new Response(readFileSync(new URL(path.slice("/static/".length), WEB)));
};

export const seen = (element, testid) => element.querySelector(`[data-testid="${testid}"]`);

/** Until something is so; what is loaded meanwhile comes from the disk. */
export async function until(condition, what) {
  for (let turns = 0; turns < 100_000; turns += 1) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`in vain: ${what}`);
}
