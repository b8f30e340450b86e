/** An OpenID provider on this machine, and a browser that goes where it is sent. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import { Provider } from "oidc-provider"

/** Listens on a free port of this machine until the scope ends. */
export const listen = (server: Server): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`
    }),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )

/** What an account tells of itself. */
export type Account = { readonly [claim: string]: unknown }

export interface Issuer {
  readonly url: string
  /** The accounts by their subject; a test changes them as it likes. */
  readonly accounts: Map<string, Account>
  /** Who is in front of the browser; nobody wants to log in as `""`. */
  readonly user: { sub: string }
  /** Where codes go to, until the first request: the app's own page unless told otherwise. */
  readonly client: { redirectUri: string }
}

export const client = { id: "shop-client", secret: "the secret of the shop's client" }

/** The page that the app's own sign-in comes back to. */
export const page = "https://shop.example/signed-in"

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 })

/** @param options.isTerse id tokens say who somebody is and nothing else, as the specification wants it */
export const make = (options: {
  readonly isTerse?: boolean
  readonly requiresPkce?: boolean
} = {}): Effect.Effect<Issuer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const accounts = new Map<string, Account>()
    const user = { sub: "ann" }
    const server = createServer()
    const url = yield* listen(server)
    const asked = { redirectUri: page }
    const makeProvider = () =>
      new Provider(url, {
        clients: [{
          client_id: client.id,
          client_secret: client.secret,
          redirect_uris: [asked.redirectUri],
          token_endpoint_auth_method: "client_secret_post"
        }],
        allowOmittingSingleRegisteredRedirectUri: true,
        claims: {
          openid: ["sub"],
          email: ["email", "email_verified"],
          profile: ["name", "given_name", "family_name", "picture"]
        },
        conformIdTokenClaims: options.isTerse === true,
        cookies: { keys: ["a key for tests"] },
        features: { devInteractions: { enabled: false } },
        findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...accounts.get(sub), sub }) }),
        interactions: { url: (_, { uid }) => `/interaction/${uid}` },
        jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "issuer-key", alg: "RS256", use: "sig" }] },
        // Everybody agrees to everything.
        loadExistingGrant: async (context) => {
          const grant = new context.oidc.provider.Grant({
            accountId: context.oidc.session?.accountId ?? "",
            clientId: context.oidc.client?.clientId ?? ""
          })
          grant.addOIDCScope("openid email profile")
          await grant.save()
          return grant
        },
        pkce: { required: () => options.requiresPkce === true },
        ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 }
      })
    let provider: Provider | undefined
    server.on("request", (request, response) => {
      provider ??= makeProvider()
      if (request.url?.startsWith("/interaction/") !== true) return void provider.callback()(request, response)
      void (user.sub === ""
        ? provider.interactionFinished(request, response, { error: "access_denied" })
        : provider.interactionFinished(request, response, { login: { accountId: user.sub } }))
    })
    return { url, accounts, user, client: asked }
  })

/** Where a browser ended up: the first address that is not of this machine, or the answer there was no way on from. */
export interface Arrived {
  readonly url: string
  readonly response: Response
  readonly text: string
}

/** A browser with its cookies, by the host they came from; each test has its own. */
export const makeBrowser = () => {
  const jars = new Map<string, Map<string, string>>()

  const visit = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const { host } = new URL(url)
    const jar = jars.get(host) ?? new Map<string, string>()
    jars.set(host, jar)
    const headers = new Headers(init.headers)
    // What one site posts to another comes without cookies.
    if (jar.size > 0 && init.method !== "POST") {
      headers.set("cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "))
    }
    const response = await fetch(url, { ...init, headers, redirect: "manual" })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (/expires=thu, 01 jan 1970|max-age=0/i.test(cookie)) jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }

  /** Follows redirections, and submits forms that submit themselves, for as long as they stay on this machine. */
  const open = async (url: string): Promise<Arrived> => {
    let at = url
    let init: RequestInit = {}
    for (let step = 0; step < 20; step++) {
      const response = await visit(at, init)
      init = {}
      const text = await response.text()
      const location = response.headers.get("location")
      const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1]
      if (location !== null) at = new URL(location, at).href
      else if (action === undefined) return { url: at, response, text }
      else {
        const inputs = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]+)"/g)]
        const body = new URLSearchParams(inputs.map(([, name = "", value = ""]) => [name, value]))
        init = { method: "POST", body, headers: { origin: new URL(at).origin } }
        at = new URL(action, at).href
      }
      if (new URL(at).hostname !== "127.0.0.1") return { url: at, response, text }
    }
    throw new Error(`No end of redirections at ${at}`)
  }
  return { visit, open, jars }
}

/** A code as the app's own sign-in gets one. */
export const code = (
  { url }: Issuer,
  parameters: { readonly [name: string]: string } = {}
): Effect.Effect<string> =>
  Effect.promise(async () => {
    const authorize = new URL(`${url}/auth`)
    const asked = {
      client_id: client.id,
      response_type: "code",
      scope: "openid email profile",
      redirect_uri: page,
      ...parameters
    }
    for (const [name, value] of Object.entries(asked)) authorize.searchParams.set(name, value)
    const arrived = await makeBrowser().open(authorize.href)
    const found = new URL(arrived.url).searchParams.get("code")
    if (found === null) throw new Error(`No code at ${arrived.url}: ${arrived.text}`)
    return found
  })

/** An id token as the app's own sign-in gets one. */
export const idToken = (issuer: Issuer): Effect.Effect<string> =>
  Effect.flatMap(code(issuer), (code) =>
    Effect.promise(async () => {
      const response = await fetch(`${issuer.url}/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "authorization_code",
          client_id: client.id,
          client_secret: client.secret,
          redirect_uri: page,
          code
        })
      })
      const body: { readonly id_token?: string } = await response.json()
      if (body.id_token === undefined) throw new Error(`No id token: ${JSON.stringify(body)}`)
      return body.id_token
    }))
