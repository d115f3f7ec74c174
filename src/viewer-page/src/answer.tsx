/** What came back, and what the app made of it. */

import { useContent, useContents } from "./contents";
import { clock } from "./format";
import { Parts } from "./parts";
import type { Attempt, Payload } from "./payload";
import { Text } from "./text";

interface Props {
  payload: Payload;
  attempt: Attempt;
  at: number;
  of: number;
}

/** The answer of an attempt; of a failed one, as far as it came. */
export function Answer({ payload, attempt, at, of }: Props) {
  if (attempt.answer === undefined) {
    return at === of - 1 ? <p class="lost">There is no answer: the process did not live to see one, or its line is lost.</p> : null;
  }
  return <Came payload={payload} number={attempt.answer} attempt={attempt} name={of > 1 ? ` to attempt ${at}` : ""} isLast={at === of - 1} />;
}

function Came({ payload, number, attempt, name, isLast }: { payload: Payload; number: number; attempt: Attempt; name: string; isLast: boolean }) {
  const content = useContent(payload, number);
  const choices = content?.choices ?? [];
  const isEmpty = choices.every((parts) => parts.length === 0);
  if (content === undefined || (isEmpty && !isLast)) return null;
  return (
    <section class="answer" aria-label="answer">
      <h2>
        Answer{name} <small>{attempt.status === "ok" ? "" : `${attempt.status}${isEmpty ? "" : ", as far as it came"}`}</small>
      </h2>
      {content.error !== undefined && <p class="error"><Text text={content.error} /></p>}
      {content.fields?.empty !== undefined && <p class="lost">The model said nothing: neither text nor tool calls.</p>}
      {choices.filter((parts) => parts.length > 0).map((parts, at) => (
        <div key={at} class="message role-assistant">
          {choices.length > 1 && <small class="label">choice {at}</small>}
          <Parts parts={parts} />
        </div>
      ))}
      {content.fields?.truncated !== undefined && <p class="lost">The answer was longer than what is kept of one.</p>}
    </section>
  );
}

/** What the app says happened in a call, or after it. */
export function Notes({ payload, numbers }: { payload: Payload; numbers: number[] }) {
  const contents = useContents(payload, numbers);
  return (
    <section class="notes" aria-label="annotations">
      <h2>
        Annotations <small>by the app</small>
      </h2>
      {contents?.map((content, at) => (
        <div key={at} class="message">
          <b>{content.event}</b> <small>{clock(content.timestamp)}{content.call_id === undefined ? ", meanwhile or afterwards" : ""}</small>
          <Parts parts={content.parts ?? []} />
        </div>
      ))}
    </section>
  );
}

export function Interpretation({ payload, number }: { payload: Payload; number: number }) {
  const content = useContent(payload, number);
  const errors = content?.errors ?? [];
  const parts = content?.parts ?? [];
  // What says nothing that the answer does not say.
  if (content === undefined || (errors.length === 0 && parts.length === 0)) return null;
  return (
    <section class="answer" aria-label="interpretation">
      <h2>
        What the app made of it <small>tools as {content.tool_format ?? "?"}</small>
      </h2>
      {errors.map((error, at) => <p key={at} class="error"><Text text={error} /></p>)}
      <div class="message role-assistant"><Parts parts={parts} /></div>
    </section>
  );
}
