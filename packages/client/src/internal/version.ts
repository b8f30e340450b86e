/** The version of this package, as `package.json` has it: what a log-in tells the server of the device. */
export const version = "0.0.0"
