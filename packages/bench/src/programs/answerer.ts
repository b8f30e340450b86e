/**
 * The program behind `Answerer.ts`: a plain `node:http` server in a process of its own.
 */
import { createServer } from "node:http"
import * as PlainServer from "../PlainServer.ts"

const server = PlainServer.make()

const http = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const { authorization, host } = request.headers
  const path = (request.url ?? "").split("?", 1)[0] ?? ""
  // A body is read to its end, as a server would, and not looked at.
  request.resume()
  request.on("end", () => {
    const { body, status } = server.answer(request.method ?? "", path, authorization, `http://${host}`)
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    response.end(body)
  })
})

process.on("message", (message) => {
  if (message === "expire") server.expire()
  process.send?.(server.counts())
})

// The parent has gone: nobody else would end this process.
process.on("disconnect", () => process.exit())

http.listen(0, "127.0.0.1", 4096, () => {
  const address = http.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : undefined)
})
