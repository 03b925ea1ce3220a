// The tools of a call, when the call's screen goes while the visit does not: back to the waiting room.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answers, seen, until } from "./paper.mjs";

answers(async () => new Response("{}"));

/** A microphone's track; `copies` of it are what is listened to. */
class Track {
  kind = "audio";
  enabled = true;
  readyState = "live";
  copies = [];

  clone() {
    const copy = new Track();
    this.copies.push(copy);
    return copy;
  }

  stop() {
    this.readyState = "ended";
  }
}

const meters = new Set();
Object.assign(globalThis, {
  window: globalThis,
  MediaStream: class {
    constructor(tracks = []) {
      this.tracks = tracks;
    }

    getAudioTracks() {
      return this.tracks;
    }
  },
  AudioContext: class {
    state = "running";

    constructor() {
      meters.add(this);
    }

    createAnalyser() {
      return { getFloatTimeDomainData: () => {} };
    }

    createMediaStreamSource() {
      return { connect: () => {}, disconnect: () => {} };
    }

    async close() {
      meters.delete(this);
    }
  },
});

const { CallTools } = await import("../../web/js/calltools.js");
const { Chat } = await import("../../web/js/chat.js");
const { NO_DEVICES } = await import("../../web/js/devicestate.js");
const { JOIN_START } = await import("../../web/js/joinstate.js");
const { peopleOf } = await import("../../web/js/callstate.js");

const OTHER = "b".repeat(22);
const room = {
  version: 1, you: "in_call", host_present: true, locked: false, place: null,
  participants: [{
    id: OTHER, instance: "i", name: "B", role: "host", status: "in_call", connected: true, since: 0,
  }],
};

let chat;
let tools;
let track;
before(() => {
  chat = new Chat({ secret: "s", memory: { files: "unasked", live: true }, remember: () => {} });
  track = new Track();
  tools = new CallTools(chat, {
    devices: { state: { ...NO_DEVICES, microphone: "on" }, stream: new MediaStream([track]) },
    streams: new Map([[OTHER, new MediaStream()]]),
    dispatch: () => {},
    refine: (refine) => refine([]),
    reports: async () => ({ forwarded: false, all: [] }),
    sendPicture: () => {},
  });
});
after(() => {
  tools.close();
  chat.close();
});

function screen() {
  const [element, stage, banners, bar, beside] = ["section", "div", "div", "div", "button"]
    .map((tag) => document.createElement(tag));
  document.body.replaceChildren(element);
  element.append(stage, bar);
  stage.append(banners);
  bar.append(beside);
  return { element, view: tools.show({ element, stage, banners, bar, beside }) };
}

test("nobody listens any more and the small window is gone; both come back with the call", async () => {
  const state = { ...JOIN_START, phase: "call", call: peopleOf([], room, "me") };
  for (let time = 1; time <= 2; time += 1) {
    const { element, view } = screen();
    view.update(state);
    assert.equal(meters.size, 1, "the microphone is listened to");
    seen(element, "floating-button").click();
    await until(() => tools.floating.shown !== null, "the window is there");
    assert.notEqual(document.pictureInPictureElement, null);

    view.remove();
    await until(() => tools.floating.shown === null, "the window is gone");
    assert.equal(document.pictureInPictureElement, null);
    assert.equal(meters.size, 0);
    assert.equal(track.copies.length, time);
    assert.ok(track.copies.every(({ readyState }) => readyState === "ended"));
    assert.equal(track.readyState, "live", "what the waiting room's preview has stays");
  }
});

test("a window that comes only when the screen has gone does not stay", async () => {
  const state = { ...JOIN_START, phase: "call", call: peopleOf([], room, "me") };
  const { element, view } = screen();
  view.update(state);
  const { requestPictureInPicture } = HTMLVideoElement.prototype;
  let open = () => {};
  let opened = false;
  HTMLVideoElement.prototype.requestPictureInPicture = async function late() {
    await new Promise((resolve) => {
      open = resolve;
    });
    opened = true;
    return requestPictureInPicture.call(this);
  };
  seen(element, "floating-button").click();
  view.remove();
  open();
  await until(() => opened, "the browser opens it");
  await until(() => document.pictureInPictureElement === null, "it is closed");
  assert.equal(tools.floating.shown, null);
  HTMLVideoElement.prototype.requestPictureInPicture = requestPictureInPicture;
});
