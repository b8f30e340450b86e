// Adds up whatever numbers it is given.
exports = function(...numbers) {
  return numbers.reduce((total, number) => total + number, 0)
}
