/** What the keys do: one table, for the keyboard and for the help. */

import { useEffect } from "preact/hooks";

export type Action =
  | "next" | "previous" | "first" | "last" | "nextFailed" | "previousFailed" | "search" | "open" | "back"
  | "continued" | "continuedBy" | "expand" | "plots" | "theme" | "help";

export const KEYS: readonly [key: string, action: Action, meaning: string][] = [
  ["j", "next", "next call"],
  ["ArrowDown", "next", "next call"],
  ["k", "previous", "previous call"],
  ["ArrowUp", "previous", "previous call"],
  ["g", "first", "first call"],
  ["G", "last", "last call"],
  ["n", "nextFailed", "next call that failed or was retried"],
  ["N", "previousFailed", "previous call that failed or was retried"],
  ["[", "continued", "the call that this one continues"],
  ["]", "continuedBy", "the call that continues this one"],
  ["Enter", "open", "read the call: the arrows then scroll it"],
  ["o", "expand", "open or close all of its messages"],
  ["/", "search", "search"],
  ["Escape", "back", "leave: help, search box, call, search"],
  ["p", "plots", "show or hide the plots"],
  ["t", "theme", "light or dark"],
  ["?", "help", "this list"],
];

const ACTIONS = new Map(KEYS.map(([key, action]) => [key, action]));
const WRITING = new Set(["INPUT", "SELECT", "TEXTAREA"]);

/** Calls back for a key. In a field only Escape and Enter count; in the open call the arrows scroll. */
export function useKeys(act: (action: Action) => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const action = ACTIONS.get(event.key);
      if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (WRITING.has(target.tagName) && action !== "back" && action !== "open") return;
      if (event.key.startsWith("Arrow") && target.closest(".call") !== null) return;
      if (event.key === "Enter" && target.closest("button, summary, a, select") !== null) return;
      event.preventDefault();
      act(action);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [act]);
}
