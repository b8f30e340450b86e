/**
 * What a function holds of a service of the server: the object that `context.services.get` answers, by kind of service.
 *
 * A face is compiled inside a function's context from its own text, as {@link Face} says. The other half of a service is the
 * handler in the server's process, a `FunctionService` (`functionServices.ts`). To plug in another kind of service, add its face here
 * and provide its handlers to `Functions.layer`.
 */

/**
 * Asks the service. The arguments travel as Extended JSON and the answer comes back as a value of the function's own, its
 * numbers with their BSON types remembered. Rejects with an `Error` of the function's own, with the `name`, `message` and
 * `code` of what the service failed with.
 */
export type Ask = (operation: string, ...args: ReadonlyArray<unknown>) => Promise<unknown>

/**
 * Makes what one call holds of a service. It must not refer to anything outside of itself, imports and other functions of this
 * file included, nor keep anything from one call to the next. What it throws is thrown in the function.
 */
export type Face = (ask: Ask) => unknown

/** `context.http`. */
const http: Face = (ask) => {
  const methods = ["get", "post", "put", "patch", "delete", "head"]
  return Object.freeze(
    Object.fromEntries(methods.map((method) => [method, (request: unknown) => ask(method, request)]))
  )
}

/** All faces. */
export const faces = { http } as const

/** What kind of service there is to talk to. */
export type ServiceKind = keyof typeof faces
