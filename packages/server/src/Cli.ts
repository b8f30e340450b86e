/**
 * The program `effect-realm`: serve an exported app, say what of it could not be served, take its users over, or look
 * after its server keys.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import { make as makeCommand, runWith, withDescription, withSubcommands } from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import * as Database from "./Database.ts"
import * as FunctionHttp from "./FunctionHttp.ts"
import { type CliFailure, database, failure, folder, load, warn } from "./internal/commands/commandLine.ts"
import { keysCommand } from "./internal/commands/keysCommand.ts"
import { usersCommand } from "./internal/commands/usersCommand.ts"
import * as DatabaseUrl from "./internal/engine/databaseUrl.ts"
import * as PublicUrl from "./internal/http/publicUrl.ts"
import * as ServerKeys from "./internal/serverKeys.ts"
import * as Listener from "./Listener.ts"
import * as Mail from "./Mail.ts"
import * as RealmServer from "./RealmServer.ts"

export { CliFailure } from "./internal/commands/commandLine.ts"

// -----------------------------------------------------------------------------
// Commands
// -----------------------------------------------------------------------------

const port = Flag.Int("port").pipe(
  Flag.withDescription("TCP port, 0 for a free one (EFFECT_REALM_PORT, 9090)"),
  Flag.optional
)

// Not by `withFallbackConfig`, which blames the flag for what is wrong in the environment.
const portOfEnvironment = Effect.mapError(
  Config.Int("EFFECT_REALM_PORT").pipe(Config.withDefault(9090)),
  () => failure("EFFECT_REALM_PORT is not a port. Set a number between 0 and 65535, or unset it.")
)

const host = Flag.String("host").pipe(
  Flag.withDescription("Address to listen on, 0.0.0.0 for all of the machine (EFFECT_REALM_HOST, 127.0.0.1)"),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_HOST")),
  Flag.optional
)

const changesAge = Flag.String("changes-age").pipe(
  Flag.withDescription(
    "How long changes are kept for those who watch, such as \"7 days\" (EFFECT_REALM_CHANGES_AGE, 24 hours)"
  ),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_CHANGES_AGE")),
  Flag.withDefault("24 hours")
)

const changesSize = Flag.String("changes-size").pipe(
  Flag.withDescription("How many MiB of them at most (EFFECT_REALM_CHANGES_SIZE, 64)"),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_CHANGES_SIZE")),
  Flag.withDefault("64")
)

/** How long the changes of watched collections are kept. */
const changesOf = Effect.fnUntraced(function*(options: {
  readonly changesAge: string
  readonly changesSize: string
}): Effect.fn.Return<Database.ChangeLogOptions, CliFailure> {
  // A text that is no duration decodes to none.
  const maxAge = Duration.fromInput(options.changesAge as Duration.Input)
  if (Option.isNone(maxAge) || !(Duration.toMillis(maxAge.value) > 0)) {
    return yield* failure(
      `${options.changesAge} is not how long changes can be kept. Say it as in "12 hours" or "7 days".`
    )
  }
  const mebibytes = /^\d+(\.\d+)?$/.test(options.changesSize) ? Number(options.changesSize) : 0
  if (mebibytes === 0 || mebibytes > 1024 * 1024) {
    return yield* failure(`${options.changesSize} is not a number of MiB. Choose one of more than 0, such as 64.`)
  }
  return { maxAge: maxAge.value, maxBytes: Math.ceil(mebibytes * 1024 * 1024) }
})

const publicUrl = Flag.String("public-url").pipe(
  Flag.withDescription("Origin that clients use, such as https://realm.example (EFFECT_REALM_PUBLIC_URL)"),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_PUBLIC_URL")),
  Flag.optional
)

const proxies = Flag.Int("proxies").pipe(
  Flag.withDescription(
    "How many proxies of your own are in front, which say for whom they ask (EFFECT_REALM_PROXIES, 0)"
  ),
  Flag.optional
)

const proxiesOfEnvironment = Effect.mapError(
  Config.Int("EFFECT_REALM_PROXIES").pipe(Config.withDefault(0)),
  () => failure("EFFECT_REALM_PROXIES is not a number of proxies. Set one between 0 and 16, or unset it.")
)

const httpHosts = Flag.String("http-hosts").pipe(
  Flag.withDescription(
    "Hosts that functions may reach, with commas between, such as *,127.0.0.1:8080; * is all public ones " +
      "(EFFECT_REALM_HTTP_HOSTS, *)"
  ),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_HTTP_HOSTS")),
  Flag.withDefault("*")
)

/** None, where nothing is between the commas: then functions reach nobody. */
const hostsOf = (text: string): Effect.Effect<ReadonlyArray<string>, CliFailure> => {
  const hosts = text.split(",").map((host) => host.trim()).filter((host) => host !== "")
  const wrong = hosts.find((host) => !FunctionHttp.isHost(host))
  return wrong === undefined ? Effect.succeed(hosts) : Effect.fail(
    failure(
      `${wrong} is not a host. Use names and addresses such as api.example, *.example or 127.0.0.1:8080, or * for all public hosts.`
    )
  )
}

const mailUrl = Flag.String("mail-url").pipe(
  Flag.withDescription(
    "Mail server, such as smtps://host:465; with a password only as EFFECT_REALM_MAIL_URL=smtps://user:password@host"
  ),
  Flag.optional
)

const mailFrom = Flag.String("mail-from").pipe(
  Flag.withDescription("Sender of mails, such as \"Shop <no-reply@shop.example>\" (EFFECT_REALM_MAIL_FROM)"),
  Flag.withFallbackConfig(Config.String("EFFECT_REALM_MAIL_FROM")),
  Flag.optional
)

/** How mails are sent; not at all when nothing is said about it. */
const mailLayer = Effect.fnUntraced(function*(options: {
  readonly mailUrl: Option.Option<string>
  readonly mailFrom: Option.Option<string>
}) {
  const { mailFrom, mailUrl } = options
  if (Option.exists(mailUrl, (url) => URL.canParse(url) && new URL(url).password !== "")) {
    return yield* failure(
      "--mail-url has a password, which everybody on this machine can read. Set EFFECT_REALM_MAIL_URL in its place."
    )
  }
  const url = Option.isSome(mailUrl)
    ? Option.map(mailUrl, (url) => Redacted.make(url))
    : yield* Effect.mapError(
      Config.option(Config.Redacted("EFFECT_REALM_MAIL_URL")),
      () => failure("EFFECT_REALM_MAIL_URL cannot be read. Set a URL such as smtps://user:password@host:465.")
    )
  if (Option.isNone(url) && Option.isNone(mailFrom)) return { isConfigured: false, layer: Layer.empty }
  if (Option.isNone(url) || Option.isNone(mailFrom)) {
    return yield* failure(
      "Mails need both a server and a sender. Set EFFECT_REALM_MAIL_URL and EFFECT_REALM_MAIL_FROM, or neither."
    )
  }
  const layer = Mail.layerUrl({ url: url.value, from: mailFrom.value })
  yield* Effect.mapError(Effect.provide(Effect.void, layer), (error) => failure(error.message))
  return { isConfigured: true, layer }
})

const serve = makeCommand(
  "serve",
  { folder, port, host, database, changesAge, changesSize, publicUrl, proxies, httpHosts, mailUrl, mailFrom },
  Effect.fnUntraced(function*(options) {
    const loaded = yield* load(options.folder)
    yield* warn(loaded.warnings)
    const port = Option.isSome(options.port) ? options.port.value : yield* portOfEnvironment
    if (port < 0 || port > 65_535) {
      return yield* failure(`${port} is not a port. Choose one between 0 and 65535.`)
    }
    const proxies = Option.isSome(options.proxies) ? options.proxies.value : yield* proxiesOfEnvironment
    if (proxies < 0 || proxies > 16) {
      return yield* failure(`There cannot be ${proxies} proxies. Choose a number between 0 and 16.`)
    }
    if (Option.contains(options.host, "")) {
      return yield* failure("--host is empty. Give an address to listen on, or leave it out.")
    }
    if (options.database === "") {
      return yield* failure("--database is empty. Give the path of a file, or memory:, or leave it out.")
    }
    const publicUrl = Option.getOrUndefined(options.publicUrl)
    if (publicUrl !== undefined && !PublicUrl.isOrigin(publicUrl)) {
      return yield* failure(`${publicUrl} is not an origin. Use one such as https://realm.example, without a path.`)
    }
    const changes = yield* changesOf(options)
    const allowedHosts = yield* hostsOf(options.httpHosts)
    const mail = yield* mailLayer(options)
    const server = Listener.layer({
      app: loaded.app,
      port,
      proxies,
      http: { allowedHosts },
      ...(Option.isSome(options.host) ? { host: options.host.value } : undefined),
      ...(publicUrl === undefined ? undefined : { publicUrl })
    })
    const place = DatabaseUrl.parse(options.database)
    const withControl = place._tag === "File"
      ? Layer.provideMerge(ServerKeys.layer({ appId: loaded.app.appId, filename: place.filename }), server)
      : server
    return yield* Effect.gen(function*() {
      const origin = yield* Listener.origin
      yield* Console.log(`Serving ${loaded.app.appId} at ${publicUrl ?? origin}`)
      return yield* Effect.onInterrupt(
        Effect.never,
        () => Console.log("Stopping: answers in flight are finished first, for up to 20 seconds.")
      )
    }).pipe(
      Effect.provide(Layer.provide(withControl, [Database.layerUrl(options.database, { changes }), mail.layer])),
      Effect.mapError((error) => failure(error.message))
    )
  })
).pipe(withDescription("Serve an app until interrupted"))

const check = makeCommand(
  "check",
  { folder, mailUrl, mailFrom },
  Effect.fnUntraced(function*(options) {
    const loaded = yield* load(options.folder)
    yield* warn(loaded.warnings)
    const mail = yield* mailLayer(options)
    for (const warning of RealmServer.warnings(loaded.app, { mail: mail.isConfigured })) {
      yield* Console.error(`warning: ${warning}`)
    }
    yield* Console.log(`${loaded.app.appId} can be served.`)
  })
).pipe(withDescription("Say what of an app is wrong or not supported, by file and line"))

const command = makeCommand("effect-realm").pipe(
  withDescription("A self-hosted MongoDB App Services"),
  withSubcommands([serve, check, keysCommand, usersCommand])
)

// -----------------------------------------------------------------------------
// Running
// -----------------------------------------------------------------------------

const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

// A release changes the manifest, and nothing else has to be changed with it.
const version = (): string =>
  Schema.decodeSync(Manifest)(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version

/**
 * Runs the program with these arguments. Whatever goes wrong is printed as one message, and then the effect fails.
 *
 * ```ts
 * import * as Cli from "@effect-realm/server/Cli"
 * import { Effect, Exit } from "effect"
 *
 * const exit = await Effect.runPromiseExit(Cli.run(["check", "/no/such/folder"]))
 * Exit.isFailure(exit) // => true
 * ```
 */
export const run = (args: ReadonlyArray<string>): Effect.Effect<void, CliFailure> =>
  Effect.suspend(() => runWith(command, { version: version() })(args)).pipe(
    Effect.catch((error) =>
      // The command line explains itself.
      CliError.isCliError(error)
        ? Effect.fail(failure("wrong command line"))
        : Effect.andThen(Console.error(`effect-realm: ${error.message}`), Effect.fail(error))
    ),
    Effect.catchDefect((defect) => {
      const error = failure(`effect-realm: ${defect instanceof Error ? defect.message : String(defect)}`)
      return Effect.andThen(Console.error(error.message), Effect.fail(error))
    }),
    Effect.provide(NodeServices.layer)
  )
