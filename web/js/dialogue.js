// @ts-check
/**
 * The page's side of the signaling dialogue: hello, resume, reconnect, acknowledge, repeat
 * (docs/protocol.md sections 1 to 6). Pure: channel.js moves its bytes, timers and events.
 *
 * Times are monotonic ms, handed in. Every input may leave outputs, which `poll` takes away.
 */
import { judge, judgeBye } from "./ending.js";
import { Outbox } from "./outbox.js";
import { MessageError, encodeMessage, parseServerMessage } from "./protocol.js";
import { RECOVERY, Recovery, isLost } from "./recovery.js";

/**
 * @typedef {import("./protocol.js").Command} Command
 * @typedef {import("./protocol.js").ClientMessage} ClientMessage
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {import("./protocol.js").ErrorMessage} ErrorMessage
 * @typedef {import("./protocol.js").ParticipantView} ParticipantView
 * @typedef {import("./protocol.js").RoomView} RoomView
 * @typedef {import("./channel.js").ChannelEvents} ChannelEvents
 * @typedef {import("./channel.js").ChannelError} ChannelError
 * @typedef {import("./channel.js").ChannelState} ChannelState
 *
 * @typedef {object} DialogueOptions
 * @property {{token: string, secret: string, instance: string, name?: string, reopen?: boolean,
 *   groups?: boolean}} hello
 * @property {string} again what tells a recipient that signals are repeated (section 7.4)
 * @property {() => number} random at least 0, below 1
 *
 * @typedef {{[Name in keyof ChannelEvents]: {type: "event", name: Name, args: ChannelEvents[Name]}
 *   }[keyof ChannelEvents]} EventOutput
 * @typedef {import("./protocol.js").OkMessage | import("./protocol.js").GroupAnswerMessage
 *   | import("./protocol.js").GuestLinkMessage} Answer
 * @typedef {{type: "connect"} | {type: "disconnect"} | {type: "send", text: string}
 *   | {type: "settled", id: number, error: ChannelError | null, answer: Answer | null}
 *   | EventOutput} Output
 *
 * opening: a socket is being opened. greeting: hello is sent. open: welcome has come. pausing: before
 * the next try.
 * @typedef {"opening" | "greeting" | "open" | "pausing" | "closed"} Phase
 */

const CONNECT_DEADLINE = 10_000;
const SILENCE = 10_000; // then a ping, and as long again until the path counts as dead
const PROBE_DEADLINE = 3_000; // the same, when something says that the network has changed
const ACK_AFTER = 1_000;
const ACK_COUNT = 32;
const FIRST_PAUSE = 500; // doubled with every try, and of it a random half to whole
const LONGEST_PAUSE = 8_000;
const STEADY = 5_000; // open for so long, the next loss starts with the first pause again

export class Dialogue {
  /** @type {Phase} */
  #phase = "opening";
  /** @type {ChannelState} */
  #state = "connecting";
  #options;
  /** @type {Output[]} */
  #outputs = [{ type: "connect" }];
  #outbox = new Outbox();
  #nextId = 1;
  #lastSeq = 0;
  #welcomedOnce = false;
  #tries = 0;
  #unacknowledged = 0;
  /** @type {ErrorMessage | null} the last message, where it was an error that answered no command */
  #lastError = null;
  /** @type {Map<string, ParticipantView>} */
  #people = new Map();
  /** As the server has told it last, and as it was told on. @type {{real: RoomView, told: RoomView} | null} */
  #room = null;
  /** @type {Recovery | null} */
  #recovery = null;
  /** When each timer is due. */
  #timers = {
    connect: 0, retry: Infinity, silence: Infinity, pong: Infinity, ack: Infinity, steady: Infinity,
    recovery: Infinity,
  };

  /**
   * @param {DialogueOptions} options
   * @param {number} now
   */
  constructor(options, now) {
    this.#options = options;
    this.#timers.connect = now + CONNECT_DEADLINE;
  }

  get state() {
    return this.#state;
  }

  poll() {
    return this.#outputs.splice(0);
  }

  /** @param {number} now @returns {number | null} when handleTimer is due */
  nextTimeout(now) {
    if (this.#phase === "closed") return null;
    const outbox = this.#phase === "open" ? this.#outbox.nextTimeout(now) : null;
    const next = Math.min(outbox ?? Infinity, ...Object.values(this.#timers));
    return Number.isFinite(next) ? next : null;
  }

  /** @param {number} now */
  opened(now) {
    if (this.#phase !== "opening") return;
    this.#phase = "greeting";
    const { token, secret, instance, name, reopen, groups } = this.#options.hello;
    this.#send({
      type: "hello", token, secret, instance, name, groups,
      // A wish for the first time only: what has ended since then must stay so.
      reopen: this.#welcomedOnce ? undefined : reopen,
      last_seq: this.#lastSeq === 0 ? undefined : this.#lastSeq,
    });
    this.#timers.connect = now + CONNECT_DEADLINE;
  }

  /**
   * @param {string} text
   * @param {number} now
   */
  received(text, now) {
    if (this.#phase !== "greeting" && this.#phase !== "open") return;
    if (this.#phase === "open") this.#heard(now);
    /** @type {ServerMessage} */
    let message;
    try {
      message = parseServerMessage(text);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      // Not for us to guess: the server speaks another version, or is broken.
      this.#lose(judge(null, 1002), now);
      return;
    }
    this.#handle(message, now);
    if (this.#phase === "open") this.#flush(now);
  }

  /**
   * The socket is closed, or could not be opened.
   *
   * @param {number} code
   * @param {number} now
   */
  closed(code, now) {
    if (this.#phase === "closed" || this.#phase === "pausing") return;
    // 1006: the path broke, whatever was said before.
    this.#lose(judge(code === 1006 ? null : this.#lastError, code), now);
  }

  /** @param {number} now */
  handleTimer(now) {
    const timers = this.#timers;
    if (now >= timers.connect || now >= timers.pong) this.#lose(judge(null, 1006), now);
    if (now >= timers.retry) this.#connect(now);
    if (now >= timers.steady) {
      timers.steady = Infinity;
      this.#tries = 0;
    }
    if (now >= timers.recovery) this.#giveUpRecovery();
    if (this.#phase !== "open") return;
    if (now >= timers.silence) this.#probe(now, SILENCE);
    if (now >= timers.ack) this.#acknowledge();
    this.#flush(now);
  }

  /** The network has come back, or the page is looked at again. @param {number} now */
  wake(now) {
    const timers = this.#timers;
    if (this.#phase === "pausing") this.#connect(now);
    else if (this.#phase === "open") this.#probe(now, PROBE_DEADLINE);
    // A try that was begun on the old network may hang.
    else timers.connect = Math.min(timers.connect, now + PROBE_DEADLINE);
  }

  /**
   * @param {Command["type"]} type
   * @param {import("./channel.js").CommandFields} fields
   * @param {number} now
   * @returns {number} the id that `settled` will name
   */
  command(type, fields, now) {
    const id = this.#nextId;
    this.#nextId += 1;
    const taken = this.#phase !== "closed"
      && this.#outbox.add(/** @type {Command} */ ({ type, id, ...fields }));
    if (!taken) {
      const code = this.#phase === "closed" ? "closed" : "slow_down";
      this.#settle(id, { code, detail: "", fatal: this.#phase === "closed" });
    } else if (this.#phase === "open") {
      this.#flush(now);
    }
    return id;
  }

  /**
   * @param {string} to
   * @param {string} data
   * @param {number} now
   */
  signal(to, data, now) {
    if (this.#phase === "closed") return;
    const id = this.#nextId;
    this.#nextId += 1;
    if (!this.#outbox.add({ type: "signal", id, to, data })) {
      this.#outbox.forget(to);
      this.#event("overflow", to);
    } else if (this.#phase === "open") {
      this.#flush(now);
    }
  }

  /**
   * A signal that is neither kept nor repeated; lost when there is no connection.
   *
   * @param {string} to
   * @param {string} data
   */
  notice(to, data) {
    // Its id is below all others, so that its delivery says nothing of theirs.
    if (this.#phase === "open") this.#send({ type: "signal", id: 0, to, data });
  }

  /** The page wants no more of it. */
  close() {
    if (this.#phase !== "closed") this.#end("closed");
  }

  /**
   * @param {ServerMessage} message
   * @param {number} now
   */
  #handle(message, now) {
    const greeting = this.#phase === "greeting";
    this.#lastError = null;
    switch (message.type) {
      case "welcome":
        if (greeting) this.#welcomed(message, now);
        return;
      case "room": {
        const { type, ...room } = message;
        this.#tell(room);
        return;
      }
      case "signal":
        this.#take(message, now);
        return;
      case "delivered":
        this.#outbox.delivered(message.to, message.id);
        return;
      case "ok":
        this.#answered(message.id, null, message);
        return;
      case "error":
        this.#refused(message, now);
        return;
      case "closing":
        this.#event("closing", { closes_at: message.closes_at });
        return;
      case "bye": {
        this.#event("bye", { reason: message.reason });
        const verdict = judgeBye(message.reason);
        if (verdict.fatal) this.#end(message.reason);
        else this.#lose(verdict, now);
        return;
      }
      case "group_answer":
      case "guest_link":
        this.#answered(message.id, null, message);
        return;
      case "group_sources":
        this.#event("sources", message);
        return;
      case "group_speakers":
        this.#event("speakers", message);
        return;
      case "group_gone":
        this.#event("gone", message);
        return;
      case "told":
        this.#event("told", message);
        return;
      case "mute_asked":
        this.#event("mute", { from: message.from });
        return;
      case "pong":
        return;
      default: {
        /** @type {never} */
        const unknown = message;
        return unknown;
      }
    }
  }

  /** @param {import("./protocol.js").Welcome} welcome @param {number} now */
  #welcomed(welcome, now) {
    this.#phase = "open";
    this.#welcomedOnce = true;
    if (!welcome.resumed) this.#lastSeq = welcome.seq;
    this.#unacknowledged = 0;
    Object.assign(this.#timers, {
      connect: Infinity, silence: now + SILENCE, pong: Infinity, ack: Infinity, steady: now + STEADY,
    });
    this.#outbox.reopened(now);
    const before = this.#room?.told ?? null;
    if (!welcome.resumed && !this.#recovery && isLost(before, welcome.room)) {
      this.#recovery = new Recovery(before, welcome);
      this.#timers.recovery = now + RECOVERY;
    }
    this.#become("open");
    this.#event("welcome", welcome);
    this.#tell(welcome.room);
  }

  /** @param {RoomView} real */
  #tell(real) {
    const { view: told, admit } = this.#recovery?.take(real) ?? { view: real, admit: [] };
    this.#room = { real, told };
    for (const participant of admit) {
      this.#outbox.add({ type: "admit", id: this.#nextId, participant });
      this.#nextId += 1;
    }
    if (this.#recovery?.done) this.#endRecovery();
    this.#see(told.participants);
    this.#event("room", told);
  }

  #endRecovery() {
    this.#recovery = null;
    this.#timers.recovery = Infinity;
  }

  /** Somebody has not come back in time; now the server's word counts alone. */
  #giveUpRecovery() {
    this.#endRecovery();
    if (this.#room) this.#tell(this.#room.real);
  }

  /** @param {import("./protocol.js").SignalMessage} signal @param {number} now */
  #take({ seq, from, data }, now) {
    if (seq <= this.#lastSeq) return;
    this.#lastSeq = seq;
    this.#unacknowledged += 1;
    this.#event("signal", { from, data });
    if (this.#unacknowledged >= ACK_COUNT) this.#acknowledge();
    else this.#timers.ack = Math.min(this.#timers.ack, now + ACK_AFTER);
  }

  #acknowledge() {
    this.#send({ type: "ack", seq: this.#lastSeq });
    this.#unacknowledged = 0;
    this.#timers.ack = Infinity;
  }

  /** @param {ErrorMessage} error @param {number} now */
  #refused(error, now) {
    const { type, id, ...rest } = error;
    const verdict = judge(error, 0);
    if (id !== undefined) {
      if (this.#outbox.get(id) && !verdict.fatal && POSTPONED.has(error.code)) {
        this.#outbox.postpone(id, now + (error.retry_after ?? 1) * 1000);
      } else {
        this.#answered(id, { ...rest, fatal: false });
      }
      return;
    }
    this.#lastError = error;
    const fatal = this.#phase === "greeting" && verdict.fatal;
    this.#event("error", { ...rest, fatal });
    if (fatal) this.#end(error.code);
  }

  /** @param {number} id @param {ChannelError | null} error @param {Answer | null} [answer] */
  #answered(id, error, answer = null) {
    const message = this.#outbox.get(id);
    if (!message) return;
    if (message.type === "signal") {
      // `ok` says that the server has it; it is kept until its recipient has.
      if (error) this.#outbox.settle(id);
      return;
    }
    this.#outbox.settle(id);
    this.#settle(id, error, answer);
  }

  /** Signals to those who are gone, or whose page is another, will never be wanted again.
   *
   * @param {ParticipantView[]} participants
   */
  #see(participants) {
    const people = new Map(participants.map((person) => [person.id, person]));
    for (const to of this.#outbox.recipients()) {
      const [before, after] = [this.#people.get(to), people.get(to)];
      if (!after || (before && before.instance !== after.instance)) this.#outbox.forget(to);
      else if (before && !before.connected && after.connected) this.#outbox.repeat(to);
    }
    this.#people = people;
  }

  /** @param {number} now */
  #flush(now) {
    const reaches = (/** @type {string} */ to) => this.#recovery?.reaches(to) ?? true;
    for (const { message, again } of this.#outbox.due(now, reaches)) {
      if (again && message.type === "signal") this.notice(message.to, this.#options.again);
      this.#send(message);
    }
  }

  /** @param {number} now */
  #heard(now) {
    this.#timers.silence = now + SILENCE;
    this.#timers.pong = Infinity;
  }

  /** @param {number} now @param {number} patience ms */
  #probe(now, patience) {
    this.#send({ type: "ping" });
    this.#timers.silence = Infinity;
    this.#timers.pong = Math.min(this.#timers.pong, now + patience);
  }

  /** @param {import("./ending.js").Verdict} verdict @param {number} now */
  #lose(verdict, now) {
    this.#outputs.push({ type: "disconnect" });
    if (verdict.fatal) {
      const { type, id, ...told } = this.#lastError ?? { type: "error", detail: "" };
      this.#event("error", { ...told, code: verdict.code, fatal: true });
      this.#end(verdict.code);
      return;
    }
    this.#phase = "pausing";
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#tries);
    const pause = verdict.atOnce ? this.#options.random() * 250
      : longest * (0.5 + this.#options.random() / 2);
    this.#tries += 1;
    Object.assign(this.#timers, {
      connect: Infinity, silence: Infinity, pong: Infinity, ack: Infinity, steady: Infinity,
      retry: now + Math.max(pause, verdict.pause ?? 0),
    });
    this.#become("reconnecting");
  }

  /** @param {number} now */
  #connect(now) {
    this.#phase = "opening";
    this.#lastError = null;
    this.#timers.retry = Infinity;
    this.#timers.connect = now + CONNECT_DEADLINE;
    this.#outputs.push({ type: "connect" });
  }

  /** @param {string} code why, for commands that are cut short */
  #end(code) {
    this.#phase = "closed";
    this.#outputs.push({ type: "disconnect" });
    for (const { id, type } of this.#outbox.commands()) {
      const done = (type === "leave" && code === "left") || (type === "end" && code === "ended");
      this.#settle(id, done ? null : { code: "closed", detail: code, fatal: true });
    }
    this.#outbox.clear();
    this.#become("closed");
  }

  /** @param {ChannelState} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#event("state", state);
  }

  /** @param {number} id @param {ChannelError | null} error @param {Answer | null} [answer] */
  #settle(id, error, answer = null) {
    this.#outputs.push({ type: "settled", id, error, answer });
  }

  /**
   * @template {keyof ChannelEvents} Name
   * @param {Name} name
   * @param {ChannelEvents[Name]} args
   */
  #event(name, ...args) {
    this.#outputs.push(/** @type {EventOutput} */ ({ type: "event", name, args }));
  }

  /** @param {ClientMessage} message */
  #send(message) {
    this.#outputs.push({ type: "send", text: encodeMessage(message) });
  }
}

/** Errors after which the same command, or signal, is tried again by itself. */
const POSTPONED = new Set(["slow_down", "store_unavailable"]);
