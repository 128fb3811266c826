/*
 * Loaded into a program before its own code: it may be told over IPC that time has passed. Timers take as long as ever.
 */

/** What the parent sends; the program sends it back when it is done. */
export interface ClockMove {
  /** How far the monotonic clock goes forward. */
  readonly monotonicMs?: number;
  /** How far the wall clock goes, in either direction. */
  readonly wallMs?: number;
}

// Without IPC this is the module that others import for its type.
if (process.channel != null) {
  const monotonicNow = performance.now.bind(performance);
  const wallNow = Date.now.bind(Date);
  let monotonicShiftMs = 0;
  let wallShiftMs = 0;
  performance.now = () => monotonicNow() + monotonicShiftMs;
  globalThis.Date = new Proxy(Date, {
    construct: (target, args: [] | [number]) => new target(args[0] ?? wallNow() + wallShiftMs),
    get: (target, key, receiver) =>
      key === "now" ? () => wallNow() + wallShiftMs : (Reflect.get(target, key, receiver) as unknown),
  });
  process.on("message", (move: ClockMove) => {
    monotonicShiftMs += move.monotonicMs ?? 0;
    wallShiftMs += move.wallMs ?? 0;
    process.send?.(move);
  });
  // A listener would keep the program alive.
  process.channel.unref();
}
