/** What a call sent: system prompt, tools, messages; what is new in it stands open and marked. */

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Row } from "./calls";
import { useContent, useContents } from "./contents";
import { count } from "./format";
import { laidOut } from "./json";
import { gist, Parts } from "./parts";
import type { Call, Content, Payload } from "./payload";
import { LongText, Text } from "./text";

const LATEST = 4;
const STEP = 100;

interface Props {
  payload: Payload;
  row: Row;
  before: Row | undefined;
  isExpanded: boolean;
}

export function Conversation({ payload, row, before, isExpanded }: Props) {
  const { call, number } = row;
  const chain = useMemo(() => payload.chain(call), [payload, call]);
  const { owners, messages } = payload.index;
  const isNew = (message: number) => owners[messages[message]!] === number;
  const old = chain.numbers.filter((message) => !isNew(message)).length;
  const [shown, setShown] = useState(LATEST);
  const hidden = Math.max(0, old - shown);
  const contents = useContents(payload, chain.numbers.slice(hidden).map((message) => messages[message]!));
  const named = useMemo(() => (contents === undefined ? [] : withNames(contents)), [contents]);
  if (call.context === undefined && call.system === undefined && call.tools === undefined) return null;
  return (
    <section class="conversation" aria-label="conversation">
      <h2>
        Sent <small>{sizes(chain.numbers.length, chain.numbers.length - old)}</small>
      </h2>
      <Named payload={payload} name="system" number={call.system} before={before?.call.system} />
      <Named payload={payload} name="tools" number={call.tools} before={before?.call.tools} />
      {chain.isLost && <p class="lost">Earlier messages are lost: their lines are missing from the transcript.</p>}
      {hidden > 0 && (
        <button class="fold" onClick={() => setShown(shown + STEP)}>
          {count(hidden)} earlier {hidden === 1 ? "message" : "messages"}
        </button>
      )}
      {named.map((content, at) => (
        <Message key={chain.numbers[hidden + at]} content={content} isNew={isNew(chain.numbers[hidden + at]!)} isExpanded={isExpanded} />
      ))}
      {before && <Dropped payload={payload} call={call} before={before.call} />}
    </section>
  );
}

function sizes(all: number, fresh: number): string {
  return `${count(all)} ${all === 1 ? "message" : "messages"}, ${count(fresh)} new`;
}

/** Results get the name of the tool that was called. */
function withNames(contents: Content[]): Content[] {
  const names = new Map(contents.flatMap((content) => content.parts ?? []).filter((part) => part.kind === "call").map((part) => [part.id, part.name]));
  const named = (content: Content) => content.parts?.map((part) => (part.kind === "result" && names.has(part.id) ? { ...part, name: names.get(part.id) } : part));
  return contents.map((content) => ({ ...content, parts: named(content) }) as Content);
}

/** The system prompt or the tools; marked if they are not those of the call before. */
function Named({ payload, name, number, before }: { payload: Payload; name: string; number: number | undefined; before: number | undefined }) {
  if (number === undefined) return null;
  if (number < 0) return <p class="lost">The {name} cannot be read: the line is missing from the transcript.</p>;
  return <NamedContent payload={payload} number={number} name={name} isChanged={before !== undefined && before !== number} />;
}

function NamedContent({ payload, name, number, isChanged }: { payload: Payload; name: string; number: number; isChanged: boolean }) {
  const content = useContent(payload, number);
  if (content === undefined) return null;
  const { tools } = content;
  const line = tools === undefined ? gist(content.parts ?? []) : tools.map((tool) => tool.name).join(", ");
  return (
    <Foldable class={`message ${name}`} role={name} line={line} mark={isChanged ? "changed" : ""} isOpenAtFirst={isChanged} content={content}>
      {tools === undefined ? <Parts parts={content.parts ?? []} /> : <ToolList tools={tools} />}
    </Foldable>
  );
}

function ToolList({ tools }: { tools: NonNullable<Content["tools"]> }) {
  return (
    <dl class="tool-list">
      {tools.map((tool, at) => (
        <div key={at}>
          <dt>{tool.name}</dt>
          <dd><Text text={tool.text} /></dd>
        </div>
      ))}
    </dl>
  );
}

function Message({ content, isNew, isExpanded }: { content: Content; isNew: boolean; isExpanded: boolean }) {
  const parts = content.parts ?? [];
  const role = content.name ? `${content.role} ${content.name}` : (content.role ?? "?");
  return (
    <Foldable class={`message role-${known(content.role)}`} role={role} line={gist(parts)} mark={isNew ? "new" : ""} isOpenAtFirst={isNew} isExpanded={isExpanded} content={content}>
      <Parts parts={parts} />
    </Foldable>
  );
}

const ROLES = new Set(["user", "assistant", "tool", "system", "developer", "model"]);

function known(role: string | undefined): string {
  return role !== undefined && ROLES.has(role) ? role : "other";
}

interface FoldableProps {
  class: string;
  role: string;
  line: string;
  mark: string;
  isOpenAtFirst: boolean;
  isExpanded?: boolean;
  content: Content;
  children: preact.ComponentChildren;
}

function Foldable({ class: name, role, line, mark, isOpenAtFirst, isExpanded = false, content, children }: FoldableProps) {
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  const [isSource, setSource] = useState(false);
  useEffect(() => setOpen(isOpenAtFirst || isExpanded), [isExpanded, isOpenAtFirst]);
  return (
    <div class={`${name} ${mark}`}>
      <div class="fold-line">
        <button class="opener" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <b class="role">{role}</b>
          {mark !== "" && <em>{mark}</em>}
          {!isOpen && <span class="gist"><Text text={line} /></span>}
        </button>
        {isOpen && (
          <button class="source" aria-pressed={isSource} title="as it was sent" onClick={() => setSource(!isSource)}>
            {"{ }"}
          </button>
        )}
      </div>
      {isOpen && <div class="body">{isSource ? <LongText class="json" text={laidOut(content.raw)} /> : children}</div>}
    </div>
  );
}

/** Messages that the call before had after what both share: an edit, a fork or a compaction took them away. */
function Dropped({ payload, call, before }: { payload: Payload; call: Call; before: Call }) {
  const numbers = useMemo(() => {
    const chain = payload.chain(before).numbers;
    return chain.slice(chain.indexOf(call.shared ?? -1) + 1);
  }, [payload, call, before]);
  const [isOpen, setOpen] = useState(false);
  if (numbers.length === 0) return null;
  return (
    <div class="dropped">
      <button class="fold" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {count(numbers.length)} {numbers.length === 1 ? "message" : "messages"} of the call before {numbers.length === 1 ? "is" : "are"} not in this one
      </button>
      {isOpen && <Gone payload={payload} numbers={numbers.slice(0, STEP)} />}
    </div>
  );
}

function Gone({ payload, numbers }: { payload: Payload; numbers: number[] }) {
  const contents = useContents(payload, numbers.map((number) => payload.index.messages[number]!));
  return <>{contents?.map((content, at) => <Message key={at} content={content} isNew={false} isExpanded={false} />)}</>;
}
