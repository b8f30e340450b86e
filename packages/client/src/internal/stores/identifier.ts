/** Ids of apps and users as parts of names: whatever a server has sent, also half of a character, has one (law 12). */
export const written = (id: string): string => encodeURIComponent(id.toWellFormed())
