/**
 * A text that nobody can guess and nobody else has, in hexadecimal digits. Not by Effect's `Random`, which may be seeded.
 *
 * @param bytes how many random bytes are in it
 */
export const unguessable = (bytes: number): string =>
  Array.from(globalThis.crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0"))
    .join("")
