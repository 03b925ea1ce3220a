// @ts-check
/**
 * The pictures of the help page: web/img/help/LANGUAGE/NAME.webp, one for each language. `make pictures`
 * makes them by playing a consultation, in the sizes said here. Pure.
 */

/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {{width: number, height: number, says: Key, alt: Key}} Picture  sizes in pixels of the file */

/** @satisfies {Readonly<Record<string, Readonly<Picture>>>} */
export const PICTURES = Object.freeze({
  devices: { width: 400, height: 711, says: "help.devices_says", alt: "help.devices_alt" },
  join: { width: 400, height: 711, says: "help.join_says", alt: "help.join_alt" },
  waiting: { width: 400, height: 711, says: "help.waiting_says", alt: "help.waiting_alt" },
  call: { width: 400, height: 711, says: "help.talk_says", alt: "help.talk_alt" },
  chat: { width: 400, height: 711, says: "help.chat_says", alt: "help.chat_alt" },
  code: { width: 400, height: 356, says: "help.digits_says", alt: "help.digits_alt" },
  compare: { width: 400, height: 498, says: "help.compare_says", alt: "help.compare_alt" },
  links: { width: 440, height: 601, says: "help.links_says", alt: "help.links_alt" },
  list: { width: 480, height: 300, says: "help.list_says", alt: "help.list_alt" },
  admit: { width: 800, height: 524, says: "help.admit_says", alt: "help.admit_alt" },
  room: { width: 800, height: 524, says: "help.room_says", alt: "help.room_alt" },
});

/** @typedef {keyof typeof PICTURES} PictureName */
