/**
 * Whom an operation is about. A caller without types may hand in something else: nobody, or the `Option` of a user that
 * `App.currentUser` answers. It is named here, where every operation passes.
 */

/** The id of an app. */
export const app = (app: { readonly id: string }): string => {
  if (typeof app?.id !== "string") throw new TypeError("app: expected an App")
  return app.id
}

/** The id of a user's app. */
export const user = (user: { readonly appId: string; readonly id: string }): string => {
  if (typeof user?.appId !== "string" || typeof user.id !== "string") {
    throw new TypeError("user: expected a User, not an Option")
  }
  return user.appId
}
