// Greets by name, with the words of the environment the app runs in.
exports = function(name) {
  const { custom_data, data } = context.user
  const who = name ?? custom_data.name ?? data.name ?? data.email ?? "stranger"
  return `${context.environment.values.greeting}, ${who}. This is ${context.values.get("shopName")}.`
}
