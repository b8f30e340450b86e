/** The name of a header as functions see it, such as `Content-Type`. */
export const headerName = (name: string): string =>
  name.split("-").map((part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase()).join("-")
