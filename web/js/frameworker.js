// @ts-check
/**
 * The worker through which every frame of a group goes, out and in: seals what leaves, opens what comes,
 * and lets nothing pass that it could not seal or open. It gets its keys from the page.
 */
import { FrameOpener, FrameRefusal, FrameSealer, contextOf } from "./frames.js";

/**
 * @typedef {import("./frames.js").Kind} Kind
 * @typedef {import("./frames.js").Source} Source
 *
 * What a transform is for. A slot is one receiving section; what comes in it may change.
 * @typedef {{side: "send", source: Source, kind: Kind} | {side: "receive", slot: number, kind: Kind}}
 *   TransformOptions
 *
 * @typedef {{type: "start", room: string, self: string}
 *   | {type: "seal", epoch: number, key: CryptoKey | null}
 *   | {type: "open", from: string, epoch: number, key: CryptoKey}
 *   | {type: "forget", from: string}
 *   | {type: "slot", slot: number, of: {participant: string, source: Source} | null}} ToWorker
 *
 * `opened`: the first frame of a slot since it was given what it now has. `shut`: frames come in it that do
 * not open; told once a second at most.
 * @typedef {{type: "opened", slot: number} | {type: "shut", slot: number,
 *   fault: import("./frames.js").FrameFault}} FromWorker
 *
 * @typedef {{data: ArrayBuffer, getMetadata: () => {synchronizationSource?: number}}} EncodedFrame
 * @typedef {{options: TransformOptions, readable: ReadableStream<EncodedFrame>,
 *   writable: WritableStream<EncodedFrame>, sendKeyFrameRequest?: () => Promise<void>}} Transformer
 *
 * @typedef {object} Slot
 * @property {Kind} kind
 * @property {{participant: string, source: Source, context: import("./bytes.js").Bytes} | null} of
 * @property {boolean} opened
 * @property {number} told when the page was last told that nothing opens, ms
 * @property {number} asked when a key frame was last asked for, ms
 * @property {Transformer | null} transformer
 */

const TOLD_PAUSE = 1_000;
/** The forwarder heeds no more of them than two a second either. */
const ASKED_PAUSE = 500;

let room = "";
let self = "";
const sealer = new FrameSealer();
/** @type {Map<string, FrameOpener>} */
const openers = new Map();
/** @type {Map<number, Slot>} */
const slots = new Map();

/** @param {FromWorker} message */
const tell = (message) => globalThis.postMessage(message);

globalThis.addEventListener("message", ({ data }) => {
  const message = /** @type {ToWorker} */ (data);
  switch (message.type) {
    case "start":
      ({ room, self } = message);
      return;
    case "seal":
      sealer.setKey(message.epoch, message.key);
      return;
    case "open": {
      const opener = openers.get(message.from) ?? new FrameOpener();
      openers.set(message.from, opener);
      opener.addKey(message.epoch, message.key);
      for (const slot of slots.values()) {
        if (slot.of?.participant === message.from) askKeyFrame(slot);
      }
      return;
    }
    case "forget":
      openers.delete(message.from);
      return;
    case "slot": {
      const slot = slotOf(message.slot);
      slot.of = message.of && {
        ...message.of,
        context: contextOf({ room, sender: message.of.participant, source: message.of.source }),
      };
      slot.opened = false;
      return;
    }
  }
});

globalThis.addEventListener("rtctransform", (event) => {
  const { transformer } = /** @type {Event & {transformer: Transformer}} */ (event);
  const { options } = transformer;
  const transform = options.side === "send" ? sending(options) : receiving(options, transformer);
  transformer.readable
    .pipeThrough(new TransformStream({ transform }))
    .pipeTo(transformer.writable)
    // The connection has been closed under it.
    .catch(() => {})
    .finally(() => {
      if (options.side === "receive") slots.delete(options.slot);
    });
});

/**
 * @param {TransformOptions & {side: "send"}} options
 * @returns {(frame: EncodedFrame, out: TransformStreamDefaultController) => Promise<void>}
 */
function sending({ source, kind }) {
  /** One stream per encoding. @type {Map<number, number>} */
  const streams = new Map();
  const context = contextOf({ room, sender: self, source });
  return async (frame, out) => {
    const ssrc = frame.getMetadata().synchronizationSource ?? 0;
    const stream = streams.get(ssrc) ?? sealer.newStream();
    streams.set(ssrc, stream);
    try {
      frame.data = (await sealer.seal({ context, kind, stream }, new Uint8Array(frame.data))).buffer;
    } catch (error) {
      if (error instanceof FrameRefusal) return;
      throw error;
    }
    out.enqueue(frame);
  };
}

/**
 * @param {TransformOptions & {side: "receive"}} options
 * @param {Transformer} transformer
 * @returns {(frame: EncodedFrame, out: TransformStreamDefaultController) => Promise<void>}
 */
function receiving({ slot: number, kind }, transformer) {
  const slot = slotOf(number);
  slot.kind = kind;
  slot.transformer = transformer;
  return async (frame, out) => {
    const { of } = slot;
    // Between two sources: whatever still comes is of the former.
    if (of === null) return;
    const now = performance.now();
    try {
      const opener = openers.get(of.participant);
      if (!opener) throw new FrameRefusal("no_key");
      const { context, source } = of;
      const opened = await opener.open({ context, kind, source }, new Uint8Array(frame.data), now);
      frame.data = opened.buffer;
    } catch (error) {
      if (!(error instanceof FrameRefusal)) throw error;
      if (slot.of === of) refused(number, slot, error.fault, now);
      return;
    }
    if (slot.of !== of) return;
    if (!slot.opened) {
      slot.opened = true;
      tell({ type: "opened", slot: number });
    }
    out.enqueue(frame);
  };
}

/**
 * @param {number} number
 * @param {Slot} slot
 * @param {import("./frames.js").FrameFault} fault
 * @param {number} now
 */
function refused(number, slot, fault, now) {
  // Pictures after it build on one that is missing.
  if (fault !== "replayed" && openers.has(slot.of?.participant ?? "")) askKeyFrame(slot);
  if (now - slot.told < TOLD_PAUSE) return;
  slot.told = now;
  tell({ type: "shut", slot: number, fault });
}

/** @param {Slot} slot */
function askKeyFrame(slot) {
  const now = performance.now();
  if (slot.kind !== "video" || now - slot.asked < ASKED_PAUSE) return;
  slot.asked = now;
  // Where the browser cannot, the decoder asks for one itself, a little later.
  slot.transformer?.sendKeyFrameRequest?.().catch(() => {});
}

/** @param {number} number @returns {Slot} */
function slotOf(number) {
  const slot = slots.get(number) ?? {
    kind: "audio", of: null, opened: false, told: -TOLD_PAUSE, asked: -ASKED_PAUSE, transformer: null,
  };
  slots.set(number, slot);
  return slot;
}
