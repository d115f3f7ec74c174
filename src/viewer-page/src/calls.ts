/** What is computed of all calls once, and which of them a filter lets through. */

import type { Attempt, Call, Payload } from "./payload";

export type Kind = "ok" | "retried" | "failed" | "unknown";

/** A stretch of a call's time, in milliseconds from its beginning. */
export interface Stretch {
  from: number;
  to: number;
  /** A status of an attempt, or `wait`. */
  what: string;
}

export interface Row {
  number: number;
  call: Call;
  kind: Kind;
  /** Milliseconds since the epoch; `NaN` if no line of it says. */
  start: number;
  end: number;
  stretches: Stretch[];
  /** What is searched without looking into contents. */
  haystack: string;
}

export interface Filter {
  text: string;
  /** Calls in whose contents the text was found. */
  found: ReadonlySet<number>;
  kind: Kind | "";
  model: string;
  stage: string;
  slowest: boolean;
  range: [number, number] | null;
}

const STATUSES = new Set(["ok", "retrying", "retries_exhausted", "error", "cancelled", "abandoned", "unfinished"]);
const FAILED = new Set(["error", "retries_exhausted"]);
const SEARCHED = ["call_id", "model", "provider", "dialect", "client", "url", "trace_id", "stage", "status", "finish"] as const;

export function rowsOf(payload: Payload): Row[] {
  return payload.index.calls.map((call, number) => {
    const stretches = stretchesOf(call);
    const start = call.timestamp === undefined ? NaN : Date.parse(call.timestamp);
    const end = start + Math.max(call.ms ?? 0, stretches.at(-1)?.to ?? 0);
    const errors = call.attempt_list.map((attempt) => `${attempt.error_type ?? ""} ${attempt.error_message ?? ""} ${attempt.http_status ?? ""}`);
    const haystack = [...SEARCHED.map((key) => call[key] ?? ""), ...errors].join("\n").toLowerCase();
    return { number, call, kind: kindOf(call), start, end, stretches, haystack };
  });
}

function kindOf(call: Call): Kind {
  if (FAILED.has(call.status)) return "failed";
  if (call.status !== "ok") return "unknown";
  return call.attempt_list.length > 1 ? "retried" : "ok";
}

/** A class of our style sheet; a status is what somebody wrote into a file. */
export function classOf(status: string): string {
  return STATUSES.has(status) ? status : "unknown";
}

export function stretchesOf(call: Call): Stretch[] {
  const found: Stretch[] = [];
  let at = 0;
  const go = (what: string, length: number) => {
    found.push({ from: at, to: at + length, what });
    at += length;
  };
  call.attempt_list.forEach((attempt: Attempt) => {
    go(classOf(attempt.status), attempt.response_ms ?? 0);
    if (attempt.waited_ms !== undefined) go("wait", Math.max(0, attempt.waited_ms));
  });
  return found;
}

export function filtered(rows: Row[], filter: Filter): Row[] {
  const text = filter.text.trim().toLowerCase();
  const slow = filter.slowest ? slowFrom(rows) : 0;
  return rows.filter(
    (row) =>
      (filter.kind === "" || row.kind === filter.kind || (filter.kind === "retried" && row.call.attempt_list.length > 1)) &&
      (filter.model === "" || row.call.model === filter.model) &&
      (filter.stage === "" || row.call.stage === filter.stage) &&
      (slow === 0 || (row.call.ms ?? 0) >= slow) &&
      (filter.range === null || (row.end >= filter.range[0] && row.start <= filter.range[1])) &&
      (text === "" || row.haystack.includes(text) || filter.found.has(row.number)),
  );
}

/** Milliseconds that one call in twenty reaches. */
function slowFrom(rows: Row[]): number {
  const times = rows.map((row) => row.call.ms ?? 0).sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.95)] ?? 0;
}

/** The different values of a field, the most frequent first. */
export function valuesOf(rows: Row[], key: "model" | "stage"): [string, number][] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const value = row.call[key];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Sums over calls; what no call told is not known, and not 0. */
export interface Totals {
  calls: number;
  failed: number;
  retried: number;
  input?: number;
  output?: number;
  cost?: number;
  /** Calls that used tokens at a price that is not known. */
  unpriced: number;
}

export function totalsOf(rows: Row[]): Totals {
  const totals: Totals = { calls: rows.length, failed: 0, retried: 0, unpriced: 0 };
  for (const { call, kind } of rows) {
    totals.failed += Number(kind === "failed");
    totals.retried += Number(call.attempt_list.length > 1);
    totals.input = sum(totals.input, call.input_tokens);
    totals.output = sum(totals.output, call.output_tokens);
    totals.cost = sum(totals.cost, call.cost_usd);
    totals.unpriced += Number(call.cost_usd === undefined && (call.input_tokens ?? call.output_tokens) !== undefined);
  }
  return totals;
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : a + (b ?? 0);
}
