/** Writes `docs/openapi.json`, or checks it with `--check`. Reads the built package, as a user would. */
import { Api } from "@effect-realm/protocol/Api"
import { OpenApi } from "effect/http-api"
import * as Generated from "./Generated.ts"

const file = "docs/openapi.json"
Generated.writeOrCheck(new Map([[file, `${JSON.stringify(OpenApi.fromApi(Api), null, 2)}\n`]]), file)
