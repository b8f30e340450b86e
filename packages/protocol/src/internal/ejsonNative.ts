/** How a declaration of BSON values says what decoding with native numbers made of them. */

/** Annotates the declaration with a {@link FromNative}. */
export const annotation = "~effect-realm/Ejson/fromNative"

/** From what decoding with native numbers yields; `undefined` for values that decode to themselves. */
export type FromNative = ((value: unknown) => unknown) | undefined
