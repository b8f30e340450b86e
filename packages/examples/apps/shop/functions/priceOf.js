// Private: other functions may ask for a price, clients may not.
exports = function(item) {
  const price = context.values.get("prices")[item]
  if (price === undefined) throw new Error(`the shop sells no ${item}`)
  return price
}
