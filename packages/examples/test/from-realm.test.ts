import * as Client from "@effect-realm/client"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const page = readFileSync(fileURLToPath(new URL("../../../docs/from-realm.md", import.meta.url)), "utf8")

/** The rows of all tables: what was, and what it is now. */
const rows = page.split("\n")
  .filter((line) => line.startsWith("|") && !/^\| *(-|old)/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, was = "", is = ""]) => ({ was, is }))

/** The programs of the page, which run as tests of their own. */
const programs = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, program = ""]) => program).join("\n")

/** What the tables name of the library's modules. */
const named = (text: string): ReadonlyArray<readonly [module: string, name: string]> =>
  [...text.matchAll(/`(ApiKeys|App|Collection|Credentials|EmailPassword|OAuth|Policy|Push|TokenStore|User)\.(\w+)/g)]
    .map(([, module = "", name = ""]) => [module, name])

/** The members of the old classes, by the table that has to tell of them. */
const members = {
  "app.": ["id", "logIn", "currentUser", "allUsers", "switchUser", "removeUser", "deleteUser", "emailPasswordAuth"]
    .concat(["addListener", "removeListener", "removeAllListeners"]),
  "user.": ["accessToken", "refreshToken", "customData", "deviceId", "functions", "id", "identities", "isLoggedIn"]
    .concat(["profile", "providerType", "state", "addListener", "removeListener", "apiKeys", "mongoClient", "push"])
    .concat(["callFunction", "linkCredentials", "logOut", "refreshCustomData"]),
  "Credentials.": ["anonymous", "emailPassword", "function", "apiKey", "jwt", "google"],
  "": ["registerUser", "confirmUser", "resendConfirmationEmail", "retryCustomConfirmation", "resetPassword"]
    .concat(["sendResetPasswordEmail", "callResetPasswordFunction", "create", "fetch", "fetchAll", "delete", "enable"])
    .concat(["disable", "register", "deregister", "find", "findOne", "count", "aggregate", "insertOne", "insertMany"])
    .concat(["updateOne", "updateMany", "deleteOne", "deleteMany", "findOneAndUpdate", "findOneAndReplace"])
    .concat(["findOneAndDelete", "watch"])
}

describe("the table from the Realm SDK", () => {
  it.each(Object.entries(members))("has a row for each member `%s…`", (prefix, names) => {
    const missing = names.filter((name) =>
      !rows.some(({ was }) => new RegExp(`\`${prefix.replace(".", "\\.")}${name}\\b`).test(was))
    )
    assert.deepStrictEqual(missing, [])
  })

  it("names only what is there, and says of the rest that it comes later or why there is no need for it", () => {
    const modules: Readonly<Record<string, object>> = { ...Client }
    for (const { is, was } of rows) {
      for (const [module, name] of named(is)) assert.property(modules[module], name, `${was} became ${is}`)
      assert.isTrue(is === "later" || is === "no" || is.includes("`") || is.startsWith("end the fiber"), was)
    }
  })

  it("shows each that it names in a program of the page", () => {
    const missing = rows.flatMap(({ is }) => named(is))
      .map(([module, name]) => `${module}.${name}`)
      .filter((name) => !new RegExp(`\\b${name.replace(".", "\\.")}\\b`).test(programs))
    assert.deepStrictEqual([...new Set(missing)], [])
  })
})
