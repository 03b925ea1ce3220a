// @ts-check
/**
 * State of a page: a table of (phase, event) -> phase, and one reducer made from it.
 *
 * @typedef {{type: string}} AnyEvent
 */

/**
 * Makes a reducer from a table. An event that the table does not name for the present phase changes
 * nothing, except those of `anywhere`, which may arrive at any time and never change the phase.
 *
 * @template {string} P
 * @template {{phase: P}} S
 * @template {AnyEvent} E
 * @param {Readonly<Record<P, Readonly<Record<string, P>>>>} table
 * @param {(event: E) => string} nameOf  name under which the table lists the event
 * @param {(state: S, event: E) => S} absorb  takes the event's data into the state
 * @param {ReadonlySet<string>} anywhere
 * @returns {(state: S, event: E) => S}
 */
export function machine(table, nameOf, absorb, anywhere) {
  return (state, event) => {
    const name = nameOf(event);
    if (anywhere.has(name)) return absorb(state, event);
    const row = table[state.phase];
    if (!Object.hasOwn(row, name)) return state;
    const phase = /** @type {P} */ (row[name]);
    return { ...absorb(state, event), phase };
  };
}

/**
 * @template S
 * @template E
 * @typedef {{
 *   readonly state: S,
 *   dispatch: (event: E) => void,
 *   subscribe: (listener: (state: S, previous: S) => void) => void,
 * }} Store
 */

/**
 * Holds the state. Events dispatched by a listener are taken after the present one, in order.
 *
 * @template S
 * @template E
 * @param {(state: S, event: E) => S} reduce
 * @param {S} initial
 * @returns {Store<S, E>}
 */
export function createStore(reduce, initial) {
  let state = initial;
  /** @type {Array<(state: S, previous: S) => void>} */
  const listeners = [];
  /** @type {E[]} */
  const queue = [];
  let busy = false;
  return {
    get state() {
      return state;
    },
    dispatch(event) {
      queue.push(event);
      if (busy) return;
      busy = true;
      try {
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const previous = state;
          state = reduce(state, next);
          if (state !== previous) for (const listener of listeners) listener(state, previous);
        }
      } finally {
        busy = false;
      }
    },
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}
