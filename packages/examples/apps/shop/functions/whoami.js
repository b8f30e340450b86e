// Tells a user what the server knows of them.
exports = function() {
  const { id, type, data, custom_data, identities } = context.user
  return { id, type, data, customData: custom_data, providers: identities.map((identity) => identity.provider_type) }
}
