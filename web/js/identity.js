// @ts-check
/** The DTLS certificate of one page load, and its fingerprint, which every exchange commits to. */
import { parseFingerprint } from "./content.js";

/**
 * @typedef {{certificate: RTCCertificate, fingerprint: import("./bytes.js").Bytes}} Identity
 */

/** @type {Promise<Identity> | undefined} */
let own;

/** Made once per page load: making keys is too slow for the moment of admission. */
export function ownIdentity() {
  own ??= makeCertificate().then(identityOf);
  return own;
}

/**
 * @param {RTCCertificate} certificate
 * @returns {Promise<Identity>}
 */
export async function identityOf(certificate) {
  const text = certificate.getFingerprints?.()
    .find(({ algorithm }) => algorithm?.toLowerCase() === "sha-256")?.value
    ?? await describedFingerprint(certificate);
  const fingerprint = parseFingerprint(text);
  if (!fingerprint) throw new Error("the certificate has no SHA-256 fingerprint");
  return { certificate, fingerprint };
}

function makeCertificate() {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return RTCPeerConnection.generateCertificate(algorithm);
}

/** Firefox names a certificate's fingerprint in descriptions only. @param {RTCCertificate} certificate */
async function describedFingerprint(certificate) {
  const pc = new RTCPeerConnection({ certificates: [certificate] });
  try {
    pc.createDataChannel("");
    const { sdp = "" } = await pc.createOffer();
    return /^a=fingerprint:sha-256 (\S+)/im.exec(sdp)?.[1] ?? "";
  } finally {
    pc.close();
  }
}
