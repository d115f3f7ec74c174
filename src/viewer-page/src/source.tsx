/** Lines of the transcript as they stand there. */

import { useState } from "preact/hooks";
import { laidOut } from "./json";
import type { Payload } from "./payload";
import { LongText } from "./text";
import { useContent } from "./contents";

export function Source({ payload, number, name }: { payload: Payload; number: number; name: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{name}</summary>
      {isOpen && <Json payload={payload} number={number} />}
    </details>
  );
}

function Json({ payload, number }: { payload: Payload; number: number }) {
  const content = useContent(payload, number);
  if (content === undefined) return null;
  const fields = Object.entries(content.fields ?? {});
  return (
    <>
      {fields.length > 0 && (
        <dl class="facts">
          {fields.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
      <LongText class="json" text={laidOut(content.raw)} />
    </>
  );
}
