import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  MessageError, cleanName, encodeMessage, parseClientMessage, parseServerMessage,
} from "../../web/js/protocol.js";

const { vectors } = JSON.parse(
  readFileSync(new URL("../vectors/messages.json", import.meta.url), "utf8"),
);

const textOf = ({ json }) =>
  (typeof json === "string" ? json : json.map(([text, times]) => text.repeat(times)).join(""));

test("the golden messages are judged as the server judges them", () => {
  let judged = 0;
  for (const vector of vectors) {
    if (vector.server_only) continue;
    const parse = vector.direction === "to_server" ? parseClientMessage : parseServerMessage;
    if (vector.ok) {
      const message = parse(textOf(vector));
      if (vector.parsed) assert.deepEqual(read(message), vector.parsed, vector.name);
    } else {
      assert.throws(() => parse(textOf(vector)), (error) => {
        assert.ok(error instanceof MessageError, `${vector.name}: ${error}`);
        assert.equal(error.code, vector.code, vector.name);
        if (vector.field !== null) assert.equal(error.field, vector.field, vector.name);
        return true;
      }, vector.name);
    }
    judged += 1;
  }
  assert.ok(judged > 200);
});

/** As the server reads it: names as they are shown, defaults of `hello` left out. */
function read(message) {
  const { name, last_seq: lastSeq, reopen, groups, ...rest } = message;
  if (message.type !== "hello") return Object.is(message.seq, -0) ? { ...message, seq: 0 } : message;
  return {
    ...rest,
    ...(name === undefined ? {} : { name: cleanName(name) }),
    ...(lastSeq ? { last_seq: lastSeq } : {}),
    ...(reopen ? { reopen } : {}),
    ...(groups ? { groups } : {}),
  };
}

test("what the page says is what the server takes", () => {
  const id = 1;
  const participant = "p".repeat(22);
  for (const message of [
    { type: "hello", token: "t", secret: "s".repeat(22), instance: "i".repeat(8), name: undefined,
      last_seq: undefined, reopen: undefined },
    { type: "hello", token: "t", secret: "s".repeat(22), instance: "i".repeat(8), name: "Zoë",
      last_seq: 3, reopen: true, groups: true },
    { type: "admit", id, participant }, { type: "lock", id, locked: true }, { type: "end", id },
    { type: "signal", id: 0, to: participant, data: "again.AAAAAAAAAAAAAAAA.0." },
    { type: "ack", seq: 4 }, { type: "ping" },
    { type: "group_offer", id, generation: 1, sdp: "v=0\r\n", tracks: [
      { mid: "0", send: "camera", receive: undefined },
      { mid: "1", receive: { participant, source: "screen" } },
    ] },
    { type: "group_want", id, generation: 1, tiles: [
      { participant, source: "camera", width: 320, height: 180, pinned: undefined },
    ] },
    { type: "group_failed", id, generation: 1 }, { type: "p2p_failed", id, participant },
    { type: "ask_mute", id, participant }, { type: "invite_guest", id },
  ]) {
    parseClientMessage(encodeMessage(message));
  }
});
