/** One call: what it is, its attempts and waits, what it sent and what came back. */

import { useState } from "preact/hooks";
import { classOf, type Row } from "./calls";
import { Answer, Interpretation, Notes } from "./answer";
import { Conversation } from "./conversation";
import { clock, count, ms, percent, usd } from "./format";
import { Bar } from "./list";
import type { Attempt, Call, Payload } from "./payload";
import { Source } from "./source";

interface Props {
  payload: Payload;
  rows: Row[];
  row: Row;
  select: (row: Row) => void;
  isExpanded: boolean;
  change: (part: { text: string }) => void;
}

export function CallView({ payload, rows, row, select, isExpanded, change }: Props) {
  const { call } = row;
  const before = call.continues === undefined ? undefined : rows[call.continues];
  const after = rows.find((other) => other.call.continues === row.number);
  return (
    <article class="call" tabIndex={-1} aria-label="call">
      <header>
        <h1>
          <span class={`status ${row.kind}`}>{status(call)}</span> {call.model ?? call.dialect}
        </h1>
        <p class="about">
          {[call.provider, call.dialect, call.client, call.url, call.stream ? "streamed" : ""].filter(Boolean).join(" · ")}
        </p>
        <p class="about">
          call <Copied text={call.call_id} /> {call.trace_id && <>· trace <Only text={call.trace_id} change={change} /> <Copied text={call.trace_id} /></>}
        </p>
        <Facts call={call} />
        <nav>
          {before && <button onClick={() => select(before)}>⟵ continues {clock(before.call.timestamp)} <kbd>[</kbd></button>}
          {after && <button onClick={() => select(after)}>continued {clock(after.call.timestamp)} ⟶ <kbd>]</kbd></button>}
        </nav>
      </header>
      <Attempts row={row} />
      <Conversation payload={payload} row={row} before={before} isExpanded={isExpanded} />
      {call.attempt_list.map((attempt, at) => (
        <Answer key={at} payload={payload} attempt={attempt} at={at} of={call.attempt_list.length} />
      ))}
      {call.interpreted !== undefined && <Interpretation payload={payload} number={call.interpreted} />}
      {call.notes && <Notes payload={payload} numbers={call.notes.filter((note) => note !== null)} />}
      <Requests payload={payload} call={call} />
    </article>
  );
}

function status({ status, attempt_list }: Call): string {
  return attempt_list.length > 1 ? `${status} · ${attempt_list.length} attempts` : status;
}

function Copied({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true), () => setCopied(false));
  return (
    <button class="copy" title="copy" onClick={copy}>
      <code>{text}</code> {isCopied ? "✓" : ""}
    </button>
  );
}

/** All calls of a trace, and no others. */
function Only({ text, change }: { text: string; change: Props["change"] }) {
  return (
    <button class="copy" title="list the calls of this trace alone" onClick={() => change({ text })}>
      ⌕
    </button>
  );
}

function Facts({ call }: { call: Call }) {
  const cached = call.cache_read_tokens ? ` (${percent(call.cache_read_tokens, call.input_tokens ?? 0)} cached)` : "";
  const written = call.cache_write_tokens ? `, ${count(call.cache_write_tokens)} written to cache` : "";
  const reasoning = call.reasoning_tokens ? ` (${count(call.reasoning_tokens)} reasoning)` : "";
  const facts: [string, string][] = [
    ["began", call.timestamp?.replace("T", " ") ?? ""],
    ["stage", call.stage ?? ""],
    ["iteration", String(call.iteration ?? "")],
    ["took", ms(call.ms)],
    ["first chunk", ms(call.attempt_list.at(-1)?.first_chunk_ms)],
    ["in", call.input_tokens === undefined ? "" : count(call.input_tokens) + cached + written],
    ["out", count(call.output_tokens) + reasoning],
    ["cost", usd(call.cost_usd)],
    ["finish", call.finish ?? ""],
  ];
  return (
    <dl class="facts">
      {facts.filter(([, value]) => value !== "").map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Attempts({ row }: { row: Row }) {
  const length = Math.max(1, row.stretches.at(-1)?.to ?? 0);
  const bars = row.stretches.map((stretch, at) => <Bar key={at} stretch={stretch} offset={0} length={length} />);
  // One attempt is one stretch, and perhaps a wait after it.
  let at = 0;
  return (
    <section class="attempts" aria-label="attempts">
      {row.call.attempt_list.map((attempt, number) => {
        const bar = bars[at++];
        const wait = attempt.waited_ms === undefined ? null : bars[at++];
        return (
          <div key={number}>
            <OneAttempt attempt={attempt} number={number} bar={bar} />
            {wait && (
              <div class="attempt">
                <span />
                <span class="bar">{wait}</span>
                <span class="waited">{waited(attempt)}</span>
              </div>
            )}
          </div>
        );
      })}
    </section>
  );
}

function OneAttempt({ attempt, number, bar }: { attempt: Attempt; number: number; bar: preact.ComponentChild }) {
  const what = [attempt.status, attempt.http_status, ms(attempt.response_ms)].filter((value) => value !== undefined && value !== "");
  const error = [attempt.error_type, attempt.error_message].filter(Boolean).join(": ");
  return (
    <div class="attempt">
      <span class="ordinal">{number}</span>
      <span class="bar">{bar}</span>
      <span>
        <b class={`word ${classOf(attempt.status)}`}>{what.join(" · ")}</b> <span class="error">{error}</span>
      </span>
    </div>
  );
}

function waited(attempt: Attempt): string {
  const asked = attempt.retry_after_ms === undefined ? "" : ` (asked to wait ${ms(attempt.retry_after_ms)})`;
  return `waited ${ms(attempt.waited_ms)}${asked}`;
}

function Requests({ payload, call }: { payload: Payload; call: Call }) {
  return (
    <section class="sources">
      {call.attempt_list.map((attempt, at) => (
        <div key={at}>
          {attempt.request !== undefined && <Source payload={payload} number={attempt.request} name={`request, attempt ${at}`} />}
          {attempt.answer !== undefined && <Source payload={payload} number={attempt.answer} name={`outcome, attempt ${at}`} />}
        </div>
      ))}
    </section>
  );
}
