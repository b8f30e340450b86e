/**
 * Who listens to which changes. Publishing never waits and never fails: each subscriber has a bounded buffer of its own,
 * and one that overruns is emptied and refilled with a snapshot of the present state.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { TokenStoreError } from "../../ClientError.ts"

/** How many events a subscriber may be behind before it gets a snapshot instead of them. */
const capacity = 256

// How long after it was out of reach a store is asked again for the present state.
const pause = 500

interface Subscriber<Event> {
  /** What to tell; `undefined` only says that something was missed. */
  readonly queue: Queue.Queue<Event | undefined>
  missed: number
}

export interface Changes<Event> {
  /** Hands an event to all who listen to the topic. */
  readonly publish: (topic: string, event: Event) => void
  /** Says that so many events were lost before they could be published; each subscriber may have missed them. */
  readonly skip: (topics: (topic: string) => boolean, missed: number) => void
  /** The events of a topic from now on, the present state first. */
  readonly subscribe: <Snapshot>(
    topic: string,
    subscription: Subscription<Event, Snapshot>
  ) => Stream.Stream<Event | Snapshot, TokenStoreError>
}

export interface Subscription<Event, Snapshot> {
  /** Reads the present state, when all that is in it has been published. */
  readonly present: Effect.Effect<Present<Event, Snapshot>, TokenStoreError>
  /** Keeps commits away while the subscription begins and the state is read, where that can be done. */
  readonly lock: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

export interface Present<Event, Snapshot> {
  /** The state, with the number of events that were missed: none at the beginning. */
  readonly snapshot: (missed: number) => Snapshot
  /** Whether an event that was published while the state was read is in it already. */
  readonly includes: (event: Event) => boolean
}

export const make = <Event>(): Changes<Event> => {
  const topics = new Map<string, Set<Subscriber<Event>>>()

  const publish: Changes<Event>["publish"] = (topic, event) => {
    const subscribers = topics.get(topic)
    if (subscribers === undefined) return
    for (const subscriber of subscribers) {
      // Once behind, a subscriber gets nothing more until its snapshot: what it sees stays in order.
      if (subscriber.missed > 0 || !Queue.offerUnsafe(subscriber.queue, event)) subscriber.missed++
    }
  }

  const skip: Changes<Event>["skip"] = (isTopic, missed) => {
    for (const [topic, subscribers] of topics) {
      if (!isTopic(topic)) continue
      for (const subscriber of subscribers) {
        subscriber.missed += missed
        // A subscriber with an empty buffer waits for something to come.
        Queue.offerUnsafe(subscriber.queue, undefined)
      }
    }
  }

  const acquire = (topic: string): Effect.Effect<Subscriber<Event>> =>
    Effect.map(Queue.dropping<Event | undefined>(capacity), (queue) => {
      const subscriber: Subscriber<Event> = { queue, missed: 0 }
      const subscribers = topics.get(topic)
      if (subscribers === undefined) topics.set(topic, new Set([subscriber]))
      else subscribers.add(subscriber)
      return subscriber
    })

  const release = (topic: string, subscriber: Subscriber<Event>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const subscribers = topics.get(topic)
      subscribers?.delete(subscriber)
      if (subscribers?.size === 0) topics.delete(topic)
      return Effect.asVoid(Queue.shutdown(subscriber.queue))
    })

  const events = (told: ReadonlyArray<Event | undefined>): Array<Event> => told.filter((event) => event !== undefined)

  const subscribe = <Snapshot>(
    topic: string,
    { lock, present }: Subscription<Event, Snapshot>
  ): Stream.Stream<Event | Snapshot, TokenStoreError> =>
    Stream.unwrap(Effect.gen(function*() {
      const subscriber = yield* Effect.acquireRelease(acquire(topic), (subscriber) => release(topic, subscriber))
      const resynchronise = lock(Effect.gen(function*() {
        // What is buffered by now happened before the state that is read next.
        const missed = subscriber.missed + events(yield* Queue.clear(subscriber.queue)).length
        subscriber.missed = 0
        const { includes, snapshot } = yield* Effect.onError(present, () =>
          Effect.sync(() => {
            subscriber.missed += missed
          }))
        const meanwhile = events(yield* Queue.clear(subscriber.queue))
        const later = meanwhile.filter((event) => !includes(event))
        return { later, snapshot, missed: missed + meanwhile.length - later.length }
      }))
      const first = Effect.map(
        resynchronise,
        ({ later, snapshot }): ReadonlyArray<Event | Snapshot> => [snapshot(0), ...later]
      )
      // Whoever has begun stays while the store is out of reach. Not by a schedule, which every page would have to load.
      const patiently: typeof resynchronise = Effect.catchIf(
        resynchronise,
        ({ reason }) => reason._tag === "Unavailable",
        () => Effect.andThen(Effect.sleep(pause), patiently)
      )
      const next = Effect.suspend((): Effect.Effect<ReadonlyArray<Event | Snapshot>, TokenStoreError> =>
        subscriber.missed > 0 && Queue.sizeUnsafe(subscriber.queue) === 0
          ? Effect.map(patiently, ({ later, missed, snapshot }) => [snapshot(missed), ...later])
          : Effect.map(Queue.takeAll(subscriber.queue), events)
      )
      return Stream.concat(Stream.fromEffect(first), Stream.fromEffectRepeat(next)).pipe(Stream.flattenIterable)
    }))

  return { publish, skip, subscribe }
}
