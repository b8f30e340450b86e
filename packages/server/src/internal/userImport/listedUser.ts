/**
 * One user as App Services' Admin API listed them (server section 3.7), read with its Extended JSON.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { ObjectId } from "bson"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import type { Identity, IdentityData, User } from "../../Accounts.ts"
import * as ApiKeys from "../../ApiKeys.ts"
import * as EmailAccounts from "../../EmailAccounts.ts"
import { isProviderType, providerNames, type ProviderType } from "../providers/providerNames.ts"

/** A user to be taken over. */
export interface Listed {
  readonly user: User
  /** What they log in with, if it is an email address. */
  readonly address: { readonly email: string; readonly identityId: string } | undefined
  /** What of them does not come along. */
  readonly notes: ReadonlyArray<string>
}

/** Why an entry is no user to be taken over: there is nothing to take, or it has to be mended first. */
export interface Unread {
  readonly _tag: "LeftOut" | "Refused"
  readonly message: string
}

type Fields = { readonly [name: string]: unknown }

// The year 9999, in seconds; the milliseconds of any year in use are beyond.
const lastSecond = 253_402_300_799

// As deep as the data of a provider is kept, and what is around it.
const maxDepth = 70

const refused = (message: string): Result.Result<never, Unread> => Result.fail({ _tag: "Refused", message })

const leftOut = (message: string): Result.Result<never, Unread> => Result.fail({ _tag: "LeftOut", message })

const fieldsOf = (value: unknown): Fields | undefined =>
  // Dates and ids of Extended JSON are objects too.
  Predicate.isReadonlyObject(value) && Object.getPrototypeOf(value) === Object.prototype ? { ...value } : undefined

const textOf = (value: unknown): string | undefined => {
  const text = value instanceof ObjectId ? value.toHexString() : value
  // A database writes half a surrogate pair as another character.
  return typeof text === "string" && text !== "" && text.isWellFormed() ? text : undefined
}

const dateOf = (entry: Fields, name: string, otherwise: Date): Result.Result<Date, Unread> => {
  const value = entry[name] ?? otherwise
  if (value instanceof Date && !Number.isNaN(value.getTime())) return Result.succeed(value)
  return typeof value === "number" && value >= 0 && value <= lastSecond
    ? Result.succeed(new Date(value * 1000))
    : refused(`"${name}" is no time in seconds since 1970`)
}

const dataOf = (value: unknown): Result.Result<IdentityData, Unread> => {
  const fields = fieldsOf(value ?? {})
  // What was read as Extended JSON can be written so.
  return fields === undefined
    ? refused("the data of an identity is no object")
    : Result.succeed(Result.getOrThrow(Ejson.encode(fields, { relaxed: true })) as IdentityData)
}

/** For an address whose identity is not known, the same each time, in the form that such ids have. */
const identityIdOf = (userId: string): string => {
  const bytes = createHash("sha256").update(userId).digest().subarray(0, 24)
  return `${userId}-${String.fromCharCode(...bytes.map((byte) => 97 + byte % 26))}`
}

const keyName = ({ id, provider_data: data }: Fields): string => {
  const name = fieldsOf(data)?.["name"]
  return typeof name === "string" ? `"${name}"` : String(textOf(id))
}

type ListedIdentity = Fields & { readonly providerType: ProviderType }

const isKey = ({ providerType }: ListedIdentity): boolean => providerType === ApiKeys.providerType
const isAnonymous = ({ providerType }: ListedIdentity): boolean => providerType === "anon-user"
const isEmail = ({ providerType }: Pick<Identity, "providerType">): boolean =>
  providerType === EmailAccounts.providerType

const identitiesOf = (value: unknown): Result.Result<ReadonlyArray<ListedIdentity>, Unread> =>
  Result.gen(function*() {
    if (!Array.isArray(value)) return yield* refused("\"identities\" is no array")
    const identities: Array<ListedIdentity> = []
    for (const [index, identity] of value.entries()) {
      const fields = fieldsOf(identity)
      const providerType = fields?.["provider_type"]
      if (fields === undefined || typeof providerType !== "string" || !isProviderType(providerType)) {
        return yield* refused(
          `"identities[${index}].provider_type" is none of ${Object.keys(providerNames).join(", ")}`
        )
      }
      identities.push({ ...fields, providerType })
    }
    return identities
  })

/** @param told what the entry tells of the identity elsewhere than in it */
const identityOf = (
  listed: ListedIdentity,
  { told, userId }: { readonly userId: string; readonly told: unknown }
): Result.Result<Omit<Identity, "providerId">, Unread> =>
  Result.gen(function*() {
    const { providerType } = listed
    const data = yield* dataOf(isAnonymous(listed) ? {} : listed["provider_data"] ?? listed["data"] ?? told)
    const email = isEmail(listed) ? textOf(data["email"]) : undefined
    if (isEmail(listed) && email === undefined) {
      return yield* refused(
        `the identity ${providerType} has no address: add "provider_data": { "email": "<address>" }`
      )
    }
    const id = email !== undefined && listed["id"] === undefined ? identityIdOf(userId) : textOf(listed["id"])
    if (id === undefined) return yield* refused(`the identity ${providerType} has no "id"`)
    return { id, providerType, data: email === undefined ? data : { email } }
  })

/**
 * Reads one entry of a list.
 *
 * @param providerId the id of a provider's configuration here
 */
export const read = (
  text: string,
  providerId: (providerType: string) => string
): Result.Result<Listed, Unread> =>
  Result.gen(function*() {
    const parsed = Ejson.parse(text, { maxDepth })
    if (Result.isFailure(parsed)) {
      const { message, reason } = parsed.failure
      return yield* refused(
        reason._tag === "InvalidText" ? "it is no JSON: it was cut off, or comes from somewhere else" : message
      )
    }
    const entry = fieldsOf(parsed.success)
    if (entry === undefined) return yield* refused("it is no object")
    if (entry["login_ids"] !== undefined && entry["identities"] === undefined) {
      return yield* leftOut("it is a registration with which nobody has logged in, and no user yet: register anew")
    }

    const userId = textOf(entry["_id"] ?? entry["id"])
    if (userId === undefined || !/^[0-9a-f]{24}$/.test(userId)) {
      return yield* refused("\"_id\" is no id of a user, which has 24 hexadecimal digits")
    }
    const { disabled = false, type = "normal" } = entry
    if (type !== "normal" && type !== "server") return yield* refused("\"type\" is neither \"normal\" nor \"server\"")
    if (typeof disabled !== "boolean") return yield* refused("\"disabled\" is neither true nor false")
    const createdAt = yield* dateOf(entry, "creation_date", new ObjectId(userId).getTimestamp())
    const lastAuthenticatedAt = yield* dateOf(entry, "last_authentication_date", createdAt)

    const listed = yield* identitiesOf(entry["identities"])
    const keys = listed.filter(isKey)
    const proofs = listed.filter((identity) => !isKey(identity) && !isAnonymous(identity))
    if (proofs.length === 0) {
      return yield* leftOut(
        `nobody can log in as ${userId} any more, who was ` +
          (keys.length === 0 ? "anonymous" : "known by API keys, whose secrets cannot be taken over: make new ones")
      )
    }

    // What is told of a user as a whole is the data of their identities together: of one alone, if there is no other.
    const told = proofs.length === 1 ? entry["data"] : undefined
    const identities: Array<Identity> = []
    for (const one of listed.filter((identity) => !isKey(identity))) {
      const identity = yield* identityOf(one, { userId, told })
      if (identities.some(({ id, providerType }) => id === identity.id && providerType === identity.providerType)) {
        return yield* refused(`the identity ${identity.providerType} ${identity.id} is there twice`)
      }
      identities.push({ ...identity, providerId: providerId(identity.providerType) })
    }
    const [address, another] = identities.filter(isEmail)
    if (another !== undefined) return yield* refused("it has two email addresses")
    return {
      user: { id: userId, type, identities, disabled, createdAt, lastAuthenticatedAt },
      address: address && { email: String(address.data["email"]), identityId: address.id },
      notes: keys.map((key) =>
        `the API key ${keyName(key)} of ${userId} does not come along, as only its secret proves it: make a new one`
      )
    }
  })
