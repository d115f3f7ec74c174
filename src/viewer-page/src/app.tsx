import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { CallView } from "./call";
import { filtered, rowsOf, type Filter, type Row } from "./calls";
import { Help } from "./help";
import { useKeys, type Action } from "./keys";
import { List } from "./list";
import { Overview } from "./overview";
import type { Payload } from "./payload";
import { Plots } from "./plots";
import { useSearch } from "./search";
import { Query } from "./text";
import { Toolbar } from "./toolbar";

const HASH = "#call=";
const EVERYTHING: Omit<Filter, "found"> = { text: "", kind: "", model: "", stage: "", slowest: false, range: null };

export function App({ payload }: { payload: Payload }) {
  const rows = useMemo(() => rowsOf(payload), [payload]);
  const [filter, setFilter] = useState(EVERYTHING);
  const [selected, select] = useSelected(rows);
  const [isHelp, setHelp] = useState(false);
  const [hasPlots, setPlots] = useState(rows.length > 1);
  const [isExpanded, setExpanded] = useState(false);
  const [theme, flipTheme] = useTheme();
  const search = useSearch(payload, filter.text);
  const shown = useMemo(() => filtered(rows, { ...filter, found: search.found }), [rows, filter, search.found]);
  const change = useCallback((part: Partial<typeof EVERYTHING>) => setFilter((now) => ({ ...now, ...part })), []);
  const act = useActions({ rows, shown, selected, select, isHelp, setHelp, setPlots, setExpanded, flipTheme, change });
  useKeys(act);
  useEffect(() => setExpanded(false), [selected]);

  return (
    <Query.Provider value={filter.text.trim()}>
      <Toolbar payload={payload} rows={rows} shown={shown} filter={filter} change={change} search={search} act={act} />
      {hasPlots && <Plots rows={shown} selected={selected} theme={theme} range={filter.range} change={change} select={select} />}
      <main>
        <List rows={shown} selected={selected} select={select} />
        {selected === null ? (
          <Overview payload={payload} rows={shown} change={change} />
        ) : (
          <CallView key={selected.call.call_id} payload={payload} rows={rows} row={selected} select={select} isExpanded={isExpanded} change={change} />
        )}
      </main>
      {isHelp && <Help close={() => setHelp(false)} />}
    </Query.Provider>
  );
}

/** The call that the address names, by any beginning of its id. */
function useSelected(rows: Row[]): [Row | null, (row: Row | null) => void] {
  const named = useCallback(() => {
    const id = location.hash.startsWith(HASH) ? decodeURIComponent(location.hash.slice(HASH.length)) : "";
    return (id !== "" && rows.find((row) => row.call.call_id.startsWith(id))) || null;
  }, [rows]);
  const [selected, setSelected] = useState(named);
  useEffect(() => {
    const onHash = () => setSelected(named());
    addEventListener("hashchange", onHash);
    return () => removeEventListener("hashchange", onHash);
  }, [named]);
  const select = useCallback((row: Row | null) => {
    history.replaceState(null, "", row === null ? "#" : HASH + encodeURIComponent(row.call.call_id));
    setSelected(row);
  }, []);
  return [selected, select];
}

type Theme = "light" | "dark";

function useTheme(): [Theme, () => void] {
  const dark = useMemo(() => matchMedia("(prefers-color-scheme: dark)"), []);
  const [theme, setTheme] = useState<Theme>(dark.matches ? "dark" : "light");
  useEffect(() => {
    const onChange = () => setTheme(dark.matches ? "dark" : "light");
    dark.addEventListener("change", onChange);
    return () => dark.removeEventListener("change", onChange);
  }, [dark]);
  document.documentElement.dataset.theme = theme;
  return [theme, useCallback(() => setTheme((now) => (now === "dark" ? "light" : "dark")), [])];
}

interface State {
  rows: Row[];
  shown: Row[];
  selected: Row | null;
  isHelp: boolean;
  select: (row: Row | null) => void;
  setHelp: (change: (now: boolean) => boolean) => void;
  setPlots: (change: (now: boolean) => boolean) => void;
  setExpanded: (change: (now: boolean) => boolean) => void;
  flipTheme: () => void;
  change: (part: Partial<typeof EVERYTHING>) => void;
}

/** What each action does now. */
function useActions(state: State): (action: Action) => void {
  const latest = useRef(state);
  latest.current = state;
  return useCallback((action: Action) => actions(latest.current)[action](), []);
}

function actions(state: State): Record<Action, () => void> {
  const { rows, shown, selected, select } = state;
  const at = selected === null ? -1 : place(shown, selected);
  const go = (row: Row | undefined) => row !== undefined && select(row);
  const isNotable = (row: Row) => row.kind !== "ok";
  return {
    next: () => go(shown[at < 0 && selected !== null ? ~at : at + 1]),
    previous: () => go(at === -1 && selected === null ? shown.at(-1) : shown[(at < 0 ? ~at : at) - 1]),
    first: () => go(shown[0]),
    last: () => go(shown.at(-1)),
    nextFailed: () => go(shown.find((row) => isNotable(row) && row.number > (selected?.number ?? -1))),
    previousFailed: () => go(shown.findLast((row) => isNotable(row) && row.number < (selected?.number ?? rows.length))),
    continued: () => go(rows[selected?.call.continues ?? -1]),
    continuedBy: () => go(rows.find((row) => selected !== null && row.call.continues === selected.number)),
    open: () => {
      if (selected === null) go(shown[0]);
      // After what was chosen is there.
      requestAnimationFrame(() => focusOn(".call"));
    },
    search: () => focusOn("#search"),
    back: () => back(state),
    expand: () => state.setExpanded((now) => !now),
    plots: () => state.setPlots((now) => !now),
    theme: state.flipTheme,
    help: () => state.setHelp((now) => !now),
  };
}

/** Where a row stands; `~` of where it would, if it is filtered out. */
function place(shown: Row[], row: Row): number {
  const at = shown.findIndex((other) => other.number >= row.number);
  if (at < 0) return ~shown.length;
  return shown[at] === row ? at : ~at;
}

function back({ isHelp, setHelp, selected, select, change }: State): void {
  const active = document.activeElement as HTMLElement | null;
  if (isHelp) setHelp(() => false);
  else if (active !== null && active.matches("input, select, .call, .call *")) active.blur();
  else if (selected !== null) select(null);
  else change(EVERYTHING);
}

function focusOn(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.focus();
}
