// Prices a basket such as { tea: 2, cake: 1 }, asking a private function for each price.
exports = async function(basket) {
  const lines = await Promise.all(
    Object.entries(basket).map(async ([item, count]) => {
      const price = await context.functions.execute("priceOf", item)
      return { item, count, cost: price * count }
    })
  )
  console.log(`${lines.length} lines ordered`)
  return {
    orderId: new BSON.ObjectId(),
    orderedAt: new Date(),
    lines,
    total: lines.reduce((total, line) => total + line.cost, 0)
  }
}
