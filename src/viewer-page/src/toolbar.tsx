import { totalsOf, valuesOf, type Filter, type Kind, type Row } from "./calls";
import { brief, count, usd } from "./format";
import type { Action } from "./keys";
import type { Payload } from "./payload";
import type { Search } from "./search";

type Settings = Omit<Filter, "found">;

interface Props {
  payload: Payload;
  rows: Row[];
  shown: Row[];
  filter: Settings;
  change: (part: Partial<Settings>) => void;
  search: Search;
  act: (action: Action) => void;
}

const KINDS: readonly [Kind | "", string][] = [
  ["", "all"],
  ["failed", "failed"],
  ["retried", "retried"],
  ["unknown", "no end"],
];

export function Toolbar({ payload, rows, shown, filter, change, search, act }: Props) {
  const problems = payload.index.problem_count;
  return (
    <header class="toolbar">
      <strong title={payload.index.name}>{payload.index.name.split("/").findLast(Boolean)}</strong>
      <input
        id="search"
        type="search"
        placeholder="search everything that was said  ( / )"
        aria-label="search"
        spellcheck={false}
        value={filter.text}
        onInput={(event) => change({ text: event.currentTarget.value })}
      />
      <span class="kinds" role="group" aria-label="which calls">
        {KINDS.map(([kind, name]) => (
          <Kinds key={kind} kind={kind} name={name} rows={rows} filter={filter} change={change} />
        ))}
        <button aria-pressed={filter.slowest} title="the slowest twentieth" onClick={() => change({ slowest: !filter.slowest })}>
          slow
        </button>
      </span>
      <Choice name="model" rows={rows} filter={filter} change={change} />
      <Choice name="stage" rows={rows} filter={filter} change={change} />
      {filter.range !== null && (
        <button class="range" onClick={() => change({ range: null })}>
          whole time ✕
        </button>
      )}
      <Totals rows={shown} of={rows.length} search={search} />
      {problems > 0 && (
        <button class="problems" title="what could not be read" onClick={() => act("back")}>
          {count(problems)} {problems === 1 ? "problem" : "problems"}
        </button>
      )}
      <button class="icon" title="light or dark (t)" aria-label="light or dark" onClick={() => act("theme")}>
        ◐
      </button>
      <button class="icon" title="keys (?)" aria-label="help" onClick={() => act("help")}>
        ?
      </button>
    </header>
  );
}

function Kinds({ kind, name, rows, filter, change }: { kind: Kind | ""; name: string } & Pick<Props, "rows" | "filter" | "change">) {
  const isOf = (row: Row) => row.kind === kind || (kind === "retried" && row.call.attempt_list.length > 1);
  const number = kind === "" ? rows.length : rows.filter(isOf).length;
  if (number === 0 && kind !== "") return null;
  return (
    <button class={`kind ${kind}`} aria-pressed={filter.kind === kind} onClick={() => change({ kind })}>
      {name} <small>{brief(number)}</small>
    </button>
  );
}

function Choice({ name, rows, filter, change }: { name: "model" | "stage" } & Pick<Props, "rows" | "filter" | "change">) {
  const values = valuesOf(rows, name);
  if (values.length < 2) return null;
  return (
    <select aria-label={name} value={filter[name]} onChange={(event) => change({ [name]: event.currentTarget.value })}>
      <option value="">any {name}</option>
      {values.map(([value, number]) => (
        <option key={value} value={value}>{`${value} (${count(number)})`}</option>
      ))}
    </select>
  );
}

function Totals({ rows, of, search }: { rows: Row[]; of: number; search: Search }) {
  const totals = totalsOf(rows);
  const calls = rows.length === of ? count(of) : `${count(rows.length)} of ${count(of)}`;
  return (
    <span class="totals" role="status">
      <b>{calls}</b> calls
      {totals.input !== undefined && <> · <b>{brief(totals.input)}</b> in</>}
      {totals.output !== undefined && <> · <b>{brief(totals.output)}</b> out</>}
      {totals.cost !== undefined && (
        <span title={totals.unpriced > 0 ? `without ${count(totals.unpriced)} calls whose price is not known` : "by list prices"}>
          {totals.unpriced > 0 ? " · ≥ " : " · "}
          <b>{usd(totals.cost)}</b>
        </span>
      )}
      {search.done < 1 && ` · searching ${Math.round(search.done * 100)}%`}
    </span>
  );
}
