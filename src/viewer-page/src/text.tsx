/** Texts of others, as text: cut where they are long, with what is searched for marked. */

import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { count } from "./format";

export const Query = createContext("");

const LONG = 4000;
const MOST_MARKS = 500;

export function Text({ text }: { text: string }) {
  const query = useContext(Query);
  return <>{query.length < 2 ? text : marked(text, query)}</>;
}

export function LongText({ text, class: name = "text" }: { text: string; class?: string }) {
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && text.length > LONG;
  return (
    <pre class={name}>
      <Text text={isCut ? text.slice(0, LONG) : text} />
      {isCut && (
        <button class="more" onClick={() => setWhole(true)}>
          … all {count(text.length)} characters
        </button>
      )}
    </pre>
  );
}

function marked(text: string, query: string) {
  const found = [];
  const lower = text.toLowerCase();
  // A few characters change their length with their case; then places would be wrong.
  if (lower.length !== text.length) return text;
  const wanted = query.toLowerCase();
  let done = 0;
  for (let at = lower.indexOf(wanted); at >= 0 && found.length < MOST_MARKS; at = lower.indexOf(wanted, done)) {
    found.push(text.slice(done, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    done = at + wanted.length;
  }
  return [...found, text.slice(done)];
}
