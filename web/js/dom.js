// @ts-check
/**
 * DOM that follows state. A view is built once; whatever is given as a function instead of a value
 * is read again at every `update(state)` and written only when it has changed, so that focus,
 * running video and a screen reader's place survive every update.
 */

/**
 * @template S
 * @typedef {string | number | boolean | null | undefined | Listener
 *   | ((state: S) => string | number | boolean | null | undefined)} Prop
 */

/**
 * @template S
 * @typedef {Node | string | null | ((state: S) => string)} Child
 */

/**
 * A piece of a page: its element, how it follows the state, and what to release when it goes.
 * @template S
 * @typedef {{element: HTMLElement, update: (state: S) => void, remove?: () => void}} Part
 */

/**
 * @template I
 * @template S
 * @typedef {{element: HTMLElement, update: (item: I, state: S) => void, remove?: () => void}} Item
 */

/** Marks a function as a listener, to tell it from a binding. */
class Listener {
  /** @param {(event: any) => void} handle */
  constructor(handle) {
    this.handle = handle;
  }
}

/**
 * For properties named `on…`.
 * @param {(event: any) => void} handle
 */
export function on(handle) {
  return new Listener(handle);
}

/** Names that are properties of the element rather than attributes. */
const PROPERTIES = new Set([
  "hidden", "disabled", "checked", "value", "autoplay", "playsInline", "muted", "open", "tabIndex",
]);

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
function write(element, name, value) {
  if (PROPERTIES.has(name)) {
    Reflect.set(element, name, value);
  } else if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Keeps the keyboard's place when what had the focus is gone: at a neighbour, or at what surrounds it. Where
 * buttons decide about somebody, a neighbour takes the focus itself, and no button of it.
 * @param {HTMLElement} parent
 */
function focusNear(parent) {
  const near = parent.querySelector(':scope > [tabindex="-1"]') ?? parent.querySelector("button") ??
    parent.closest('[tabindex="-1"]');
  if (near instanceof HTMLElement) near.focus();
}

/**
 * However often it is pressed, the work is done once: the button is off meanwhile, and keeps the keyboard's place.
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
export async function once(button, work) {
  if (button.disabled) return;
  const focused = document.activeElement === button;
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
    if (focused && document.activeElement === document.body) button.focus();
  }
}

/** @template S */
export class View {
  /** @type {Array<(state: S) => void>} */
  #bindings = [];
  /** @type {Array<() => void>} */
  #removers = [];

  /**
   * Calls `apply` with what `read` gives, at the first update and whenever it differs.
   * @template V
   * @param {(state: S) => V} read
   * @param {(value: V) => void} apply
   */
  bind(read, apply) {
    /** @type {V | undefined} */
    let last;
    let fresh = true;
    this.#bindings.push((state) => {
      const value = read(state);
      if (fresh || value !== last) {
        fresh = false;
        last = value;
        apply(value);
      }
    });
  }

  /**
   * Makes an element. Functions among the properties and children are bindings.
   * @template {keyof HTMLElementTagNameMap} K
   * @param {K} tag
   * @param {Record<string, Prop<S>>} [props]
   * @param {...Child<S>} children
   * @returns {HTMLElementTagNameMap[K]}
   */
  h(tag, props = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (value instanceof Listener) {
        element.addEventListener(name.replace(/^on/, ""), value.handle);
      } else if (typeof value === "function") {
        this.bind(value, (v) => write(element, name, v));
      } else {
        write(element, name, value);
      }
    }
    for (const child of children) {
      if (child === null) continue;
      if (typeof child === "function") {
        const text = document.createTextNode("");
        this.bind(child, (v) => {
          text.data = v;
        });
        element.append(text);
      } else {
        element.append(child);
      }
    }
    return element;
  }

  /**
   * Keeps `parent`'s children in step with a list, by key.
   * @template I
   * @param {HTMLElement} parent
   * @param {(state: S) => readonly I[]} items
   * @param {(item: I) => string} key
   * @param {(item: I) => Item<I, S>} make
   */
  each(parent, items, key, make) {
    /** @type {Map<string, Item<I, S>>} */
    const shown = new Map();
    this.#removers.push(() => shown.forEach((item) => item.remove?.()));
    this.#bindings.push((state) => {
      const list = items(state);
      const keys = new Set(list.map(key));
      for (const [k, item] of shown) {
        if (keys.has(k)) continue;
        const focused = item.element.contains(document.activeElement);
        item.remove?.();
        item.element.remove();
        shown.delete(k);
        if (focused) focusNear(parent);
      }
      list.forEach((entry, index) => {
        const k = key(entry);
        let item = shown.get(k);
        if (item === undefined) {
          item = make(entry);
          shown.set(k, item);
        }
        item.update(entry, state);
        // Moving an element restarts its video, so it is moved only when it must be.
        if (parent.children[index] !== item.element) {
          parent.insertBefore(item.element, parent.children[index] ?? null);
        }
      });
    });
  }

  /**
   * Takes a part in: it is updated and removed with this view.
   * @param {Part<S>} part
   * @returns {HTMLElement} the part's element
   */
  use(part) {
    this.#bindings.push((state) => part.update(state));
    this.#removers.push(() => part.remove?.());
    return part.element;
  }

  /**
   * This view as a part of another.
   * @param {HTMLElement} element
   * @param {() => void} [remove] what else to release
   * @returns {Part<S>}
   */
  part(element, remove) {
    if (remove !== undefined) this.#removers.push(remove);
    return {
      element,
      update: (state) => this.update(state),
      remove: () => {
        for (const remover of this.#removers) remover();
      },
    };
  }

  /** @param {S} state */
  update(state) {
    for (const binding of this.#bindings) binding(state);
  }
}
