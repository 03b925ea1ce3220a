// Two ends of a pair of data channels, in memory, as browsers have them: in order, later, until cut.
const later = () => new Promise((resolve) => setImmediate(resolve));

/** One end. What it sends is given to the other when `settle` carries it. */
class End {
  sent = [];
  handlers = null;
  open = true;
  buffered = 0;
  other = null;
  early = [];
  /** May change or drop what goes: (what, data) -> what arrives instead, as a list. */
  through = (what, data) => [[what, data]];

  take(handlers) {
    this.handlers = handlers;
    for (const message of this.early.splice(0)) handlers.message(message);
  }

  send(message) {
    return this.#put("message", message);
  }

  sendChunk(chunk) {
    return this.#put("chunk", chunk.slice().buffer);
  }

  close() {
    this.cut();
  }

  cut() {
    for (const end of [this, this.other]) {
      if (!end.open) continue;
      end.open = false;
      end.sent = [];
      end.handlers?.closed();
    }
  }

  #put(what, data) {
    if (!this.open) return false;
    this.sent.push([what, data]);
    return true;
  }
}

export function wire() {
  const [a, b] = [new End(), new End()];
  a.other = b;
  b.other = a;
  return { a, b };
}

/** Carries what was sent, in order, until nobody sends anything more. */
export async function settle(...wires) {
  for (let quiet = 0; quiet < 5;) {
    await later();
    let moved = false;
    for (const { a, b } of wires) {
      for (const end of [a, b]) {
        const next = end.sent.shift();
        if (next === undefined) continue;
        moved = true;
        for (const [what, data] of end.through(...next)) {
          if (end.other.handlers) end.other.handlers[what](data);
          else if (what === "message") end.other.early.push(data);
        }
        end.handlers?.low();
      }
    }
    quiet = moved ? 0 : quiet + 1;
  }
}
