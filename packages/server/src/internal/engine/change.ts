/**
 * One change of a document, as it is recorded: the bytes before and after it.
 */
import { decode, type Fields } from "./bsonValue.ts"
import { describeUpdate, type UpdateDescription } from "./updateDescription.ts"

export type ChangeKind = "insert" | "update" | "replace" | "delete"

export interface Images {
  readonly before: Uint8Array | undefined
  readonly after: Uint8Array | undefined
}

/** What a change takes in a file beside its documents, in bytes. */
export const changeOverhead = 64

/** The bytes that a change is counted with. */
export const changeSize = (images: number): number => changeOverhead + images

export class Change {
  readonly sequence: number
  /** In milliseconds. */
  readonly time: number
  readonly kind: ChangeKind
  readonly size: number
  /** What resumes after it, once somebody has asked. */
  token: Fields | undefined
  readonly #images: Images
  #before: Fields | undefined
  #after: Fields | undefined
  #description: UpdateDescription | undefined

  constructor(place: { readonly sequence: number; readonly time: number }, kind: ChangeKind, images: Images) {
    this.sequence = place.sequence
    this.time = place.time
    this.kind = kind
    this.size = changeSize((images.before?.length ?? 0) + (images.after?.length ?? 0))
    this.#images = images
  }

  // Decoded once for all who watch, who must not change them.
  get before(): Fields | undefined {
    return this.#before ??= this.#images.before && decode(this.#images.before)
  }

  get after(): Fields | undefined {
    return this.#after ??= this.#images.after && decode(this.#images.after)
  }

  /** What is different after it. */
  get description(): UpdateDescription {
    return this.#description ??= describeUpdate(this.before ?? {}, this.after ?? {})
  }
}
