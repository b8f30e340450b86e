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

/** A client of MongoDB, as App Services gave it to functions (server section 4.5). */
const mongodb: Face = (ask) => {
  type Fields = Record<string, unknown>

  /** An argument without the members that were not given. */
  const given = (fields: Fields): Fields =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

  const unavailable = (what: string, instead: string) => (): never => {
    const error: Error & { code?: string } = new Error(`${what} is not supported by this server: ${instead}`)
    error.name = "NotSupportedError"
    error.code = "NotSupported"
    throw error
  }

  /** Documents of a read that begins with the first that is asked for. */
  const cursor = (read: (options: Fields) => Promise<unknown>, adjustable: ReadonlyArray<string>): object => {
    const options: Fields = {}
    let found: Promise<Array<unknown>> | undefined
    let position = 0
    const all = (): Promise<Array<unknown>> => found ??= read(options) as Promise<Array<unknown>>
    const own: Fields = {
      toArray: async () => (await all()).slice(position),
      next: async () => (await all())[position++],
      [Symbol.asyncIterator]: async function*() {
        yield* (await all()).slice(position)
      }
    }
    for (const name of adjustable) {
      own[name] = (value: unknown) => {
        if (found !== undefined) throw new Error(`${name}() comes before the first document is read`)
        options[name] = value
        return own
      }
    }
    return Object.freeze(own)
  }

  const collection = (database: unknown, name: unknown): object => {
    const send = (operation: string, args: Fields): Promise<unknown> =>
      ask(operation, given({ database, collection: name, ...args }))

    const bulk = (ordered: boolean): object => {
      const operations: Array<Fields> = []
      const add = (operation: Fields): object => {
        operations.push(operation)
        return own
      }
      const own = Object.freeze({
        insert: (document: unknown) => add({ insertOne: { document } }),
        find: (filter: unknown) => {
          let upsert: boolean | undefined
          const found = Object.freeze({
            upsert: () => {
              upsert = true
              return found
            },
            update: (update: unknown) => add({ updateMany: given({ filter, update, upsert }) }),
            updateOne: (update: unknown) => add({ updateOne: given({ filter, update, upsert }) }),
            replaceOne: (replacement: unknown) => add({ replaceOne: given({ filter, replacement, upsert }) }),
            remove: () => add({ deleteMany: { filter } }),
            removeOne: () => add({ deleteOne: { filter } })
          })
          return found
        },
        execute: () => send("bulkWrite", { operations, ordered })
      })
      return own
    }

    return Object.freeze({
      find: (query: unknown, project: unknown, options: Fields = {}) =>
        cursor(
          (adjusted) => {
            const { collation, limit, skip, sort } = { ...options, ...adjusted }
            return send("find", { query, project, sort, limit, skip, collation })
          },
          ["limit", "skip", "sort"]
        ),
      findOne: (query: unknown, project: unknown, { collation, sort }: Fields = {}) =>
        send("findOne", { query, project, sort, collation }),
      findOneAndUpdate: (filter: unknown, update: unknown, options: Fields = {}) => {
        const { arrayFilters, collation, projection, returnNewDocument, sort, upsert } = options
        const how = { projection, returnNewDocument, sort, upsert, collation }
        return send("findOneAndUpdate", { filter, update, arrayFilters, ...how })
      },
      findOneAndReplace: (filter: unknown, update: unknown = {}, options: Fields = {}) => {
        const { collation, projection, returnNewDocument, sort, upsert } = options
        return send("findOneAndReplace", { filter, update, projection, returnNewDocument, sort, upsert, collation })
      },
      findOneAndDelete: (filter: unknown, { collation, projection, sort }: Fields = {}) =>
        send("findOneAndDelete", { filter, projection, sort, collation }),
      insertOne: (document: unknown) => send("insertOne", { document }),
      insertMany: (documents: unknown, { ordered }: Fields = {}) => send("insertMany", { documents, ordered }),
      updateOne: (query: unknown, update: unknown, { arrayFilters, collation, upsert }: Fields = {}) =>
        send("updateOne", { query, update, arrayFilters, upsert, collation }),
      updateMany: (query: unknown, update: unknown, { arrayFilters, collation, upsert }: Fields = {}) =>
        send("updateMany", { query, update, arrayFilters, upsert, collation }),
      deleteOne: (query: unknown, { collation }: Fields = {}) => send("deleteOne", { query, collation }),
      deleteMany: (query: unknown, { collation }: Fields = {}) => send("deleteMany", { query, collation }),
      aggregate: (pipeline: unknown, { collation }: Fields = {}) =>
        cursor(
          ({ skip }) =>
            send("aggregate", {
              pipeline: skip === undefined ? pipeline : [...pipeline as [], { $skip: skip }],
              collation
            }),
          ["skip"]
        ),
      count: (query: unknown, { collation, limit, skip }: Fields = {}) =>
        send("count", { query, limit, skip, collation }),
      distinct: (field: unknown, query: unknown, { collation }: Fields = {}) =>
        send("distinct", { field, query, collation }),
      bulkWrite: (operations: unknown, { ordered }: Fields = {}) => send("bulkWrite", { operations, ordered }),
      initializeOrderedBulkOp: () => bulk(true),
      initializeUnorderedBulkOp: () => bulk(false),
      watch: unavailable("watch() in a function", "watch from a client, or from a program of your own")
    })
  }

  return Object.freeze({
    db: (database: unknown) =>
      Object.freeze({
        collection: (name: unknown) => collection(database, name),
        getCollectionNames: unavailable("getCollectionNames()", "name the collections in a value of the app"),
        aggregate: unavailable("aggregate() on a database", "call it on a collection")
      }),
    admin: unavailable("admin()", "name the databases in a value of the app"),
    startSession: unavailable(
      "startSession(), and with it transactions,",
      "each write is atomic by itself, so keep in one document what belongs together"
    )
  })
}

/** Push messages to the devices of a user. */
const push: Face = (ask) =>
  Object.freeze({
    registrations: (userId: unknown) => ask("registrations", userId),
    send: (userId: unknown, message: unknown) => ask("send", userId, message)
  })

/** All faces. */
export const faces = { http, mongodb, push } as const

/** What kind of service there is to talk to. */
export type ServiceKind = keyof typeof faces
