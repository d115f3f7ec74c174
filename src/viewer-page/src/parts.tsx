/** The parts of a message: text as it is, tool calls with their arguments, images as a line or as they look. */

import type { ComponentChild } from "preact";
import { laidOut } from "./json";
import type { Part } from "./payload";
import { LongText, Text } from "./text";

const KINDS: Readonly<Record<Part["kind"], (part: Part) => ComponentChild>> = {
  text: (part) => <LongText text={part.text} />,
  thinking: (part) => <Labelled name="thinking" part={part} />,
  refusal: (part) => <Labelled name="refusal" part={part} />,
  other: (part) => <LongText class="json" text={laidOut(part.text)} />,
  call: (part) => (
    <div class="tool">
      <b>→ <Text text={part.name ?? "?"} /></b> <small>{part.id}</small>
      {part.text !== "" && <LongText class="json" text={short(part.text)} />}
    </div>
  ),
  result: (part) => (
    <div class="tool">
      <b>← <Text text={part.name ?? ""} /></b> <small>{part.id}</small>
      <LongText text={part.text} />
    </div>
  ),
  media: (part) => (
    <div>
      {part.src !== undefined && <img src={part.src} alt="" />}
      <span>▣ {part.text}</span>
    </div>
  ),
};

export function Parts({ parts }: { parts: Part[] }) {
  return <>{parts.map((part, at) => <div key={at} class={`part part-${part.kind}`}>{KINDS[part.kind](part)}</div>)}</>;
}

function Labelled({ name, part }: { name: string; part: Part }) {
  return (
    <>
      <small class="label">{name}</small>
      <LongText text={part.text} />
    </>
  );
}

/** Arguments on one line, as they mostly fit; laid out if they do not. */
function short(text: string): string {
  return text.length <= 100 ? text : laidOut(text);
}

/** One line that tells what a message is about. */
export function gist(parts: Part[]): string {
  const told = parts.map((part) => (part.kind === "call" ? `→ ${part.name} ${part.text}` : part.kind === "result" ? `← ${part.text}` : part.text));
  return told.join("  ").slice(0, 240).replace(/\s+/g, " ");
}
