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
      const named = [...is.matchAll(/`(ApiKeys|App|Collection|Credentials|EmailPassword|TokenStore|User)\.(\w+)/g)]
      for (const [, module = "", name = ""] of named) {
        assert.property(modules[module], name, `${was} became ${is}`)
      }
      assert.isTrue(is === "later" || is === "no" || is.includes("`") || is.startsWith("end the fiber"), was)
    }
  })
})
