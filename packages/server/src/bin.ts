#!/usr/bin/env node
import * as Module from "node:module"

// Half of the time to the first answer is spent on compiling what was compiled at the last start.
Module.enableCompileCache()
await import("./internal/main.ts")
