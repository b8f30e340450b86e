/**
 * Who listens to which changes. Publishing never waits and never fails: each subscriber has a bounded buffer of its own,
 * and one that overruns is emptied and refilled with a snapshot of the present state.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** How many events a subscriber may be behind before it gets a snapshot instead of them. */
const capacity = 256

interface Subscriber<Event> {
  readonly queue: Queue.Queue<Event>
  missed: number
}

export interface Changes<Event> {
  /** Hands an event to all who listen to the topic. */
  readonly publish: (topic: string, event: Event) => void
  /**
   * The events of a topic from now on, `snapshot` first. `snapshot` is read with the number of events that were missed:
   * none at the beginning. `lock` keeps commits away while the subscription begins and the snapshot is read.
   */
  readonly subscribe: <Snapshot, E>(
    topic: string,
    options: Subscription<Snapshot, E>
  ) => Stream.Stream<Event | Snapshot, E>
}

interface Subscription<Snapshot, E> {
  readonly snapshot: (missed: number) => Effect.Effect<Snapshot, E>
  readonly lock: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
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

  const acquire = (topic: string): Effect.Effect<Subscriber<Event>> =>
    Effect.map(Queue.dropping<Event>(capacity), (queue) => {
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

  const subscribe = <Snapshot, E>(
    topic: string,
    { lock, snapshot }: Subscription<Snapshot, E>
  ): Stream.Stream<Event | Snapshot, E> =>
    Stream.unwrap(Effect.gen(function*() {
      const subscriber = yield* Effect.acquireRelease(acquire(topic), (subscriber) => release(topic, subscriber))
      const resynchronise: Effect.Effect<ReadonlyArray<Event | Snapshot>, E> = lock(Effect.suspend(() => {
        const missed = subscriber.missed
        subscriber.missed = 0
        // What is buffered by now happened before the snapshot that is read next.
        return Effect.andThen(Queue.clear(subscriber.queue), Effect.map(snapshot(missed), (state) => [state]))
      }))
      const next = Effect.suspend((): Effect.Effect<ReadonlyArray<Event | Snapshot>, E> =>
        subscriber.missed > 0 && Queue.sizeUnsafe(subscriber.queue) === 0
          ? resynchronise
          : Queue.takeAll(subscriber.queue)
      )
      return Stream.concat(Stream.fromEffect(resynchronise), Stream.fromEffectRepeat(next)).pipe(Stream.flattenIterable)
    }))

  return { publish, subscribe }
}
