/** A text is looked for in everything that was said; the page stays usable meanwhile. */

import { useEffect, useState } from "preact/hooks";
import type { Payload } from "./payload";

export interface Search {
  /** Calls that said it, or were the first to send it. */
  found: ReadonlySet<number>;
  /** From 0 to 1. */
  done: number;
}

const NOTHING: Search = { found: new Set(), done: 1 };
const BEGUN: Search = { ...NOTHING, done: 0 };
const SHORTEST = 2;
const PAUSE_MS = 180;
/** Until the first look at what was found so far; each further look takes twice as long to come, for a look costs too. */
const FIRST_MS = 250;

export function useSearch(payload: Payload, text: string): Search {
  const [search, setSearch] = useState(NOTHING);
  useEffect(() => {
    const wanted = text.trim().toLowerCase();
    setSearch(wanted.length < SHORTEST ? NOTHING : BEGUN);
    if (wanted.length < SHORTEST) return;
    let isStale = false;
    const later = setTimeout(async () => {
      const found = new Set<number>();
      let next = performance.now() + FIRST_MS;
      let pause = FIRST_MS;
      for await (const { start, lines, done } of payload.all()) {
        lines.forEach((line, at) => {
          if (holds(line, wanted)) found.add(payload.index.owners[start + at]!);
        });
        if (isStale) return;
        if (done < 1 && performance.now() < next) continue;
        setSearch({ found: new Set(found), done });
        pause *= 2;
        next = performance.now() + pause;
      }
    }, PAUSE_MS);
    return () => {
      isStale = true;
      clearTimeout(later);
    };
  }, [payload, text]);
  return search;
}

/** Looks at the line first: most do not have it, and need not be parsed. */
function holds(line: string, wanted: string): boolean {
  const escaped = JSON.stringify(wanted).slice(1, -1);
  return line.toLowerCase().includes(escaped) && isIn(JSON.parse(line), wanted);
}

function isIn(value: unknown, wanted: string): boolean {
  if (typeof value === "string") return value.toLowerCase().includes(wanted);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, item]) => key !== "kind" && isIn(item, wanted));
}
