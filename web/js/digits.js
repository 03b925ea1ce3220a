// @ts-check
/** Codes as people type them and read them aloud. Pure. */

/** As it is read aloud: in threes. @param {string} code */
export function spoken(code) {
  return code.replace(/(\d{3})(?=\d)/g, "$1 ");
}

/**
 * The digits of what was typed, however they were set apart.
 * @param {string} typed
 * @returns {string | null} null where they are not nine
 */
export function cleanCode(typed) {
  const digits = typed
    .normalize("NFKC")
    .replace(/[\s.\-–/]/g, "")
    .replace(/\p{Nd}/gu, westernDigit);
  return /^[0-9]{9}$/.test(digits) ? digits : null;
}

/** Digits of other scripts stand in tens from zero on. @param {string} digit */
function westernDigit(digit) {
  let zero = /** @type {number} */ (digit.codePointAt(0));
  const own = zero;
  while (/^\p{Nd}$/u.test(String.fromCodePoint(zero - 1)) && own - zero < 9) zero -= 1;
  return String(own - zero);
}
