// @ts-check
/**
 * Camera and microphone. One stream whose tracks come and go; the camera's track is stopped, not
 * blanked, while the camera is off, so that its light is off as well.
 */
import { Emitter } from "./emitter.js";
import { NO_DEVICES, statusOf, worthTrying } from "./devicestate.js";

/**
 * @typedef {import("./devicestate.js").Devices} DevicesState
 * @typedef {import("./devicestate.js").DeviceKind} DeviceKind
 * @typedef {import("./devicestate.js").DeviceStatus} DeviceStatus
 * @typedef {{microphone: boolean, camera: boolean, blur: boolean, microphoneId: string,
 *   cameraId: string}} Choice blur: of what is behind the person
 *
 * @typedef {object} DevicesEvents
 * @property {[state: DevicesState]} state
 * @property {[kind: "audio" | "video", track: MediaStreamTrack | null]} track another track is to be sent
 */

const MEDIA = Object.freeze({ camera: "video", microphone: "audio" });
const INPUT = Object.freeze({ camera: "videoinput", microphone: "audioinput" });
const KINDS = /** @type {const} */ (["microphone", "camera"]);

/** A device that is silent for less is not worth a word, ms. */
const BRIEF = 1000;

/** @extends {Emitter<DevicesEvents>} */
export class DeviceSet extends Emitter {
  /** @type {DevicesState} */
  state = NO_DEVICES;
  stream = new MediaStream();
  /** @type {Choice} */
  #choice;
  #closed = false;
  /** Counts requests per kind: an answer to an older one is thrown away. */
  #turn = { camera: 0, microphone: 0 };
  /** What the camera's picture is made into. @type {import("./blur.js").Blurred | null} */
  #blurred = null;
  /** Given by the device, and not made of something else. @type {Partial<Record<DeviceKind, MediaStreamTrack>>} */
  #sources = {};
  /** The system has taken them since they were opened: not all of these come back by themselves. @type {Set<DeviceKind>} */
  #paused = new Set();
  /** For a camera whose blur is loading: its light is on already. @type {AbortController | null} */
  #loading = null;

  /** @param {Choice} choice what the person chose before, where known */
  constructor(choice) {
    super();
    // Only these: whoever keeps `choice` must get back what was chosen here, and nothing else.
    const { microphone, camera, blur, microphoneId, cameraId } = choice;
    this.#choice = { microphone, camera, blur, microphoneId, cameraId };
    this.state = { ...NO_DEVICES, blur };
    navigator.mediaDevices?.addEventListener("devicechange", this.#changed);
    document.addEventListener("visibilitychange", this.#seen);
  }

  /** Asks for both; each that cannot be had gets a status that says why. Never throws. */
  async open() {
    this.#closed = false;
    const wanted = /** @type {DeviceKind[]} */ (["microphone", "camera"]);
    // A camera switched off before a reload stays dark after it.
    const first = wanted.filter((kind) => kind === "microphone" || this.#choice.camera);
    this.#set({
      microphone: "opening", camera: this.#choice.camera ? "opening" : "off",
    });
    const failure = await this.#acquire(first);
    if (failure !== null && first.length > 1) {
      const permissions = {
        camera: await permission("camera"), microphone: await permission("microphone"),
      };
      const again = worthTrying(failure, permissions);
      for (const kind of wanted) {
        if (!again.includes(kind)) this.#set({ [kind]: failure });
      }
      for (const kind of again) {
        const reason = await this.#acquire([kind]);
        if (reason !== null) this.#set({ [kind]: reason });
      }
    } else if (failure !== null) {
      this.#set({ microphone: failure });
    }
    await this.#list();
  }

  /**
   * Switches one kind on or off. On opens the device where it must.
   * @param {DeviceKind} kind
   * @param {boolean} on
   */
  async switch(kind, on) {
    this.#choice = { ...this.#choice, [kind]: on };
    const track = this.#track(kind);
    const dead = this.#paused.has(kind) || this.#sources[kind]?.muted;
    if (kind === "microphone" && track !== null && !(on && dead)) {
      track.enabled = on;
      this.#set({ microphone: on ? "on" : "off" });
    } else if (!on) {
      this.#nextTurn(kind);
      this.#drop(kind);
      this.#set({ [kind]: "off" });
    } else {
      await this.#reopen(kind);
    }
  }

  /**
   * Uses another device of a kind and switches it on.
   * @param {DeviceKind} kind
   * @param {string} id
   */
  async choose(kind, id) {
    this.#choice = { ...this.#choice, [kind]: true, [`${kind}Id`]: id };
    await this.#reopen(kind);
  }

  /**
   * Blurs what is behind the person, or no longer does; the camera goes on meanwhile.
   * @param {boolean} on
   */
  async blur(on) {
    this.#choice = { ...this.#choice, blur: on };
    this.#set({ blur: on });
    const track = this.#track("camera");
    const tried = this.#loading !== null || ["blur_slow", "blur_failed"].includes(this.state.camera);
    if (track === null && tried) await this.#reopen("camera");
    if (track === null) return;
    this.#nextTurn("camera");
    const raw = (this.#blurred?.raw ?? track).clone();
    if (on) await this.#takeBlurred(raw);
    else this.#take("camera", raw);
  }

  /** What to remember for a reload. */
  get choice() {
    return this.#choice;
  }

  /** Releases everything: no light stays on. */
  close() {
    this.#closed = true;
    for (const kind of /** @type {const} */ (["camera", "microphone"])) {
      this.#nextTurn(kind);
      this.#drop(kind);
    }
    this.#set({ camera: "idle", microphone: "idle" });
  }

  /** What is under way for the last one is of no use any more. @param {DeviceKind} kind */
  #nextTurn(kind) {
    if (kind === "camera") this.#loading?.abort();
    return (this.#turn[kind] += 1);
  }

  /** @param {DeviceKind} kind */
  async #reopen(kind) {
    // Two tracks of one camera cannot be had everywhere, so the old one goes first.
    this.#drop(kind);
    this.#set({ [kind]: "opening" });
    const failure = await this.#acquire([kind]);
    if (failure !== null) this.#set({ [kind]: failure });
    await this.#list();
  }

  /** Takes again what the system had taken, or ended. @param {DeviceKind} kind */
  async #revive(kind) {
    const before = this.state[kind];
    await this.#reopen(kind);
    const failed = ["none", "busy", "failed"].includes(this.state[kind]);
    // Still the reason, and tried again next time.
    if (failed && (before === "lost" || before === "paused")) this.#set({ [kind]: before });
  }

  /**
   * @param {readonly DeviceKind[]} kinds
   * @returns {Promise<DeviceStatus | null>} null where it succeeded or no longer matters
   */
  async #acquire(kinds) {
    const turns = kinds.map((kind) => this.#nextTurn(kind));
    const wanted = () => (this.#closed ? [] : kinds.filter((kind, i) => this.#turn[kind] === turns[i]));
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia(this.#constraints(kinds));
    } catch (error) {
      const left = wanted();
      if (left.length === kinds.length) return statusOf(error);
      return left.length > 0 ? this.#acquire(left) : null;
    }
    const left = wanted();
    for (const track of stream.getTracks()) {
      if (!left.some((kind) => MEDIA[kind] === track.kind)) track.stop();
    }
    for (const kind of left) {
      const track = stream.getTracks().find((one) => one.kind === MEDIA[kind]);
      if (track === undefined) continue;
      if (kind === "camera" && this.#choice.blur) await this.#takeBlurred(track);
      else this.#take(kind, track);
    }
    return null;
  }

  /**
   * Whoever wants what is behind blurred is never shown without it.
   * @param {MediaStreamTrack} raw the camera's
   */
  async #takeBlurred(raw) {
    const turn = this.#turn.camera;
    const fail = (/** @type {"slow" | "failed"} */ reason) => {
      if (turn !== this.#turn.camera) return;
      this.#drop("camera");
      this.#set({ camera: `blur_${reason}` });
    };
    const loading = new AbortController();
    loading.signal.addEventListener("abort", () => raw.stop());
    this.#loading = loading;
    try {
      const { blurred } = await import("./blur.js");
      const made = await blurred(raw, fail, loading.signal);
      if (this.#loading === loading) this.#loading = null;
      if (turn === this.#turn.camera) this.#take("camera", made.track, made);
      else made.end();
    } catch {
      if (this.#loading === loading) this.#loading = null;
      raw.stop();
      fail("failed");
    }
  }

  /** @param {readonly DeviceKind[]} kinds */
  #constraints(kinds) {
    // "ideal": a device remembered from before may have been unplugged since.
    const device = (/** @type {string} */ id) => (id === "" ? {} : { deviceId: { ideal: id } });
    /** @type {MediaStreamConstraints} */
    const constraints = {};
    if (kinds.includes("microphone")) {
      constraints.audio = {
        echoCancellation: true, noiseSuppression: true, autoGainControl: true,
        ...device(this.#choice.microphoneId),
      };
    }
    if (kinds.includes("camera")) {
      constraints.video = {
        width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 },
        ...(this.#choice.cameraId === "" ? { facingMode: "user" } : device(this.#choice.cameraId)),
      };
    }
    return constraints;
  }

  /**
   * @param {DeviceKind} kind
   * @param {MediaStreamTrack} track
   * @param {import("./blur.js").Blurred | null} [blurred] what the track belongs to
   */
  #take(kind, track, blurred = null) {
    this.#drop(kind, false);
    if (kind === "camera") this.#blurred = blurred;
    this.stream.addTrack(track);
    track.enabled = this.#choice[kind];
    track.contentHint = kind === "camera" ? "motion" : "speech";
    track.addEventListener("ended", async () => {
      if (this.#track(kind) !== track) return;
      this.#drop(kind);
      this.#set({ [kind]: "lost" });
      // A person has taken back the permission.
      if (await permission(kind) === "denied" && this.state[kind] === "lost") this.#set({ [kind]: "refused" });
    });
    const source = blurred?.raw ?? track;
    this.#listen(kind, source);
    const { deviceId = "", facingMode = "" } = source.getSettings();
    this.#set({
      [kind]: this.#choice[kind] ? "on" : "off", [`${kind}Id`]: deviceId, ...(kind === "camera" ? { facing: facingMode } : {}),
    });
    this.emit("track", MEDIA[kind], track);
  }

  /**
   * A telephone call or another program may take a device away for a while. Its track goes on, and gives nothing.
   * @param {DeviceKind} kind
   * @param {MediaStreamTrack} source
   */
  #listen(kind, source) {
    this.#sources[kind] = source;
    const used = () => this.#sources[kind] === source;
    const wait = () => setTimeout(() => {
      if (!used() || !source.muted) return;
      this.#paused.add(kind);
      if (this.state[kind] === "on") this.#set({ [kind]: "paused" });
    }, BRIEF);
    // What had given nothing yet is as good as new; what has been interrupted may stay dead.
    const fresh = source.muted;
    let timer = fresh ? wait() : undefined;
    source.addEventListener("mute", () => {
      clearTimeout(timer);
      timer = wait();
    });
    source.addEventListener("unmute", () => {
      clearTimeout(timer);
      if (!used() || this.state[kind] !== "paused") return;
      if (fresh || document.visibilityState !== "visible") this.#set({ [kind]: "on" });
      else void this.#revive(kind);
      if (fresh) this.#paused.delete(kind);
    });
  }

  /**
   * @param {DeviceKind} kind
   * @param {boolean} tell false where another track follows at once
   */
  #drop(kind, tell = true) {
    const track = this.#track(kind);
    if (track === null) return;
    this.stream.removeTrack(track);
    track.stop();
    delete this.#sources[kind];
    this.#paused.delete(kind);
    if (kind === "camera") {
      this.#blurred?.end();
      this.#blurred = null;
    }
    if (tell) this.emit("track", MEDIA[kind], null);
  }

  /** @param {DeviceKind} kind */
  #track(kind) {
    return this.stream.getTracks().find((one) => one.kind === MEDIA[kind]) ?? null;
  }

  async #list() {
    const all = await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? [];
    const named = (/** @type {DeviceKind} */ kind) =>
      all.filter((d) => d.kind === INPUT[kind] && d.deviceId !== "")
        .map((d) => ({ id: d.deviceId, label: d.label }));
    this.#set({ cameras: named("camera"), microphones: named("microphone") });
  }

  #changed = async () => {
    if (this.#closed || this.state === NO_DEVICES) return;
    await this.#list();
    // Plugged in (again): what was missing is taken into use without a click.
    for (const kind of KINDS) {
      const missing = this.state[kind] === "lost" || this.state[kind] === "none";
      const present = kind === "camera" ? this.state.cameras : this.state.microphones;
      if (missing && present.length > 0 && this.#choice[kind]) await this.#reopen(kind);
    }
  };

  /** Who comes back to the page finds what had gone meanwhile, where it can be had. */
  #seen = () => {
    if (this.#closed || document.visibilityState !== "visible") return;
    for (const kind of KINDS) {
      const gone = ["lost", "paused"].includes(this.state[kind]) || this.#paused.has(kind) || this.#sources[kind]?.muted;
      if (gone && this.#choice[kind] && this.state[kind] !== "opening") void this.#revive(kind);
    }
  };

  /** @param {Partial<DevicesState>} change */
  #set(change) {
    this.state = { ...this.state, ...change };
    this.emit("state", this.state);
  }
}

/**
 * @param {DeviceKind} name
 * @returns {Promise<PermissionState | "unknown">}
 */
async function permission(name) {
  try {
    const query = /** @type {PermissionDescriptor} */ (/** @type {unknown} */ ({ name }));
    return (await navigator.permissions.query(query)).state;
  } catch {
    return "unknown";
  }
}
