// Shows what a client sees when a function throws.
exports = function(message) {
  throw new TypeError(message ?? "the till is jammed")
}
