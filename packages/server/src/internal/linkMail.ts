/**
 * What the mails with a link say.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ConfirmationRequest, type LinkToken, linkTokenLifetime } from "../EmailAccounts.ts"
import { type Mail, MailError } from "../Mail.ts"

/** What an app says about one kind of mail. */
export interface Template {
  /** Where the page behind the link is. */
  readonly url: string | undefined
  /** In place of what the mail is for. */
  readonly subject: string | undefined
  /** What the mail is for, as one would ask for it. */
  readonly purpose: string
}

/** `true` for a URL that a link can be made of. */
export const isPage = (url: string | undefined): url is string => url !== undefined && URL.canParse(url)

/** The address of a page with the two halves of the link, under the names that App Services gave them (protocol section 6). */
export const linkOf = (page: string, { token, tokenId }: LinkToken): string => {
  const url = new URL(page)
  url.searchParams.set("token", Redacted.value(token))
  url.searchParams.set("tokenId", tokenId)
  return url.href
}

const entities: { readonly [character: string]: string } = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" }

const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => entities[character] ?? character)

// A subject is the app's own and becomes a header: it is one line, whatever the app says.
const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, " ").trim()

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** Sends mails of one kind. */
export const sender =
  (mail: Mail, { purpose, subject = "", url }: Template) =>
  ({ email, ...token }: ConfirmationRequest): Effect.Effect<void, MailError> => {
    if (!isPage(url)) {
      const detail = "the app names no page for its links: set emailConfirmationUrl or resetPasswordUrl"
      return Effect.fail(new MailError({ reason: { _tag: "BadSettings", detail } }))
    }
    const link = linkOf(url, token)
    const before = `Open this link to ${purpose}:`
    const minutes = Duration.toMinutes(linkTokenLifetime)
    const after = `It works once, and for ${minutes} minutes. If you did not ask for it, you need not do anything.`
    return mail.send({
      to: email,
      subject: oneLine(subject) || capitalised(purpose),
      text: `${before}\n\n${link}\n\n${after}\n`,
      html: `<p>${before}</p>\n<p><a href="${escape(link)}">${escape(link)}</a></p>\n<p>${after}</p>\n`
    })
  }
