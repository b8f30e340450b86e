import { Endpoint } from "@effect-realm/protocol"
import { type Effect, type Redacted, Schema } from "effect"
import { HttpApiEndpoint } from "effect/http-api"
import { describe, expect, test } from "tstyche"
// The one module that turns an endpoint into a request; everything the client sends goes through it.
import type * as Request from "../src/internal/requests/request.ts"
import type * as Transport from "../src/internal/requests/transport.ts"

describe("a field renamed in protocol breaks the client when it is compiled", () => {
  const endpoint = Endpoint.register
  const renamed = HttpApiEndpoint.post("register", endpoint.path, {
    disableCodecs: true,
    params: { appId: Schema.NonEmptyString },
    payload: Schema.Struct({ emailAddress: Schema.String, password: Schema.RedactedFromValue(Schema.String) }),
    success: Schema.Struct({ registered: Schema.Boolean })
  })

  type Sent = {
    readonly baseUrl: string
    readonly params: { readonly appId: string }
    readonly payload: { readonly email: string; readonly password: Redacted.Redacted<string> }
  }

  test("of a payload", () => {
    expect<Sent>().type.toBeAssignableTo<Request.Input<typeof endpoint>>()
    expect<Sent>().type.not.toBeAssignableTo<Request.Input<typeof renamed>>()
  })

  test("of a path", () => {
    expect<Omit<Sent, "params">>().type.not.toBeAssignableTo<Request.Input<typeof endpoint>>()
  })

  test("of an answer", () => {
    type Answer<E> = Effect.Success<ReturnType<Transport.Send<E>>>
    expect<Answer<typeof Endpoint.refreshSession>>().type.toBe<{ readonly accessToken: Redacted.Redacted }>()
    expect<Answer<typeof endpoint>>().type.toBe<void>()
    expect<Answer<typeof renamed>>().type.toBe<{ readonly registered: boolean }>()
  })

  test("of a refusal", () => {
    expect<Effect.Error<ReturnType<Transport.Send<typeof Endpoint.location>>>["_tag"]>().type.toBe<
      "TransportError" | "InvalidResponseError" | "RequestError" | "AppError" | "UnknownServiceError"
    >()
  })
})
