/**
 * A data source of the app, as a user sees it (`Realm.Services.MongoDB`, protocol section 9): the way from a user to a
 * collection. The handles are values, like the user they belong to: they say which, hold no connection and send nothing.
 * What a collection can do is in the module `Collection`.
 */
import * as Pipeable from "effect/Pipeable"
import { Collection, type DocumentSchema } from "./Collection.ts"
import type { Document } from "./Filter.ts"
import type { User } from "./User.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/**
 * A database of a data source (`Realm.Services.MongoDBDatabase`).
 *
 * ```ts
 * import { MongoDB, User } from "@effect-realm/client"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * User.mongoClient(user).db("shop") instanceof MongoDB.Database // => true
 * ```
 */
export class Database extends Pipeable.Class {
  readonly _tag = "Database"

  /** Whose rules apply. */
  readonly user: User
  /** The name of the data source. */
  readonly service: string
  readonly name: string

  constructor(options: { readonly user: User; readonly service: string; readonly name: string }) {
    super()
    this.user = options.user
    this.service = options.service
    this.name = options.name
    Object.freeze(this)
  }

  /**
   * A collection of the database. With a schema its documents are decoded and encoded by it, and filters and updates are
   * typed by what it encodes to; without one documents are BSON values as they come.
   *
   * @param name its name
   * @param schema what its documents look like
   *
   * ```ts
   * import { User } from "@effect-realm/client"
   * import { Schema } from "effect"
   *
   * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
   * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
   * const orders = User.mongoClient(user, "mongodb-atlas").db("shop").collection("orders", Order)
   * orders.name // => "orders"
   * ```
   */
  collection(name: string): Collection<Document, Document>
  collection<S extends DocumentSchema>(name: string, schema: S): Collection<S["Type"], S["Encoded"]>
  collection(name: string, schema?: DocumentSchema): Collection<unknown, object> {
    return new Collection({ user: this.user, service: this.service, database: this.name, name, schema })
  }
}

/**
 * A data source of the app (`Realm.Services.MongoDB`).
 *
 * ```ts
 * import { MongoDB, User } from "@effect-realm/client"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * User.mongoClient(user) instanceof MongoDB.MongoDB // => true
 * ```
 */
export class MongoDB extends Pipeable.Class {
  readonly _tag = "MongoDB"

  /** Whose rules apply. */
  readonly user: User
  /** The name of the data source, such as `mongodb-atlas`. */
  readonly service: string

  constructor(options: { readonly user: User; readonly service: string }) {
    super()
    this.user = options.user
    this.service = options.service
    Object.freeze(this)
  }

  /**
   * A database of the data source.
   *
   * ```ts
   * import { User } from "@effect-realm/client"
   *
   * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
   * User.mongoClient(user).db("shop").name // => "shop"
   * ```
   */
  db(name: string): Database {
    return new Database({ user: this.user, service: this.service, name })
  }
}
