/** What is shown while no call is chosen: what could not be read, what went wrong, and sums. */

import { totalsOf, valuesOf, type Filter, type Row } from "./calls";
import { brief, count, percent, usd } from "./format";
import type { Payload } from "./payload";

const MOST = 30;

interface Props {
  payload: Payload;
  rows: Row[];
  change: (part: Partial<Filter>) => void;
}

export function Overview({ payload, rows, change }: Props) {
  return (
    <section class="overview" aria-label="overview">
      <Problems payload={payload} />
      <Errors rows={rows} change={change} />
      <Sums name="model" rows={rows} change={change} />
      <Sums name="stage" rows={rows} change={change} />
      <p class="hint">
        <kbd>j</kbd> <kbd>k</kbd> choose a call, <kbd>n</kbd> goes to the next one that failed or was retried, <kbd>?</kbd> lists all keys.
      </p>
    </section>
  );
}

function Problems({ payload }: { payload: Payload }) {
  const { problems, problem_count } = payload.index;
  if (problem_count === 0) return null;
  return (
    <>
      <h2 class="failed">Could not be read in whole</h2>
      <ul class="problem-list">{problems.map((problem, at) => <li key={at}>{problem}</li>)}</ul>
      {problem_count > problems.length && <p>… and {count(problem_count - problems.length)} more: `spanscript check` lists all.</p>}
    </>
  );
}

/** Why attempts failed, the most frequent first. */
function Errors({ rows, change }: Omit<Props, "payload">) {
  const counts = new Map<string, { attempts: number; final: number }>();
  for (const { call } of rows) {
    for (const { error_type, status } of call.attempt_list) {
      if (error_type === undefined) continue;
      const known = counts.get(error_type) ?? { attempts: 0, final: 0 };
      counts.set(error_type, { attempts: known.attempts + 1, final: known.final + Number(status !== "retrying") });
    }
  }
  if (counts.size === 0) return null;
  return (
    <>
      <h2>Errors</h2>
      <table class="errors">
        <Heads names={["error", "attempts", "ended a call"]} />
        <tbody>
          {[...counts].sort((a, b) => b[1].attempts - a[1].attempts).slice(0, MOST).map(([error, { attempts, final }]) => (
            <tr key={error}>
              <td><button onClick={() => change({ text: error })}>{error}</button></td>
              <td class="retried">{count(attempts)}</td>
              <td class="failed">{final === 0 ? "" : count(final)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Sums({ name, rows, change }: { name: "model" | "stage" } & Omit<Props, "payload">) {
  const values = valuesOf(rows, name).slice(0, MOST);
  if (values.length === 0) return null;
  return (
    <>
      <h2>By {name}</h2>
      <table>
        <Heads names={[name, "calls", "failed", "retried", "in", "out", "cost"]} />
        <tbody>
          {values.map(([value]) => (
            <Sum key={value} value={value} rows={rows.filter((row) => row.call[name] === value)} choose={() => change({ [name]: value })} />
          ))}
        </tbody>
      </table>
    </>
  );
}

function Heads({ names }: { names: string[] }) {
  return <thead><tr>{names.map((name) => <th key={name}>{name}</th>)}</tr></thead>;
}

function Sum({ value, rows, choose }: { value: string; rows: Row[]; choose: () => void }) {
  const totals = totalsOf(rows);
  const share = (number: number) => (number === 0 ? "" : `${count(number)} (${percent(number, totals.calls)})`);
  return (
    <tr>
      <td><button onClick={choose}>{value}</button></td>
      <td>{count(totals.calls)}</td>
      <td class="failed">{share(totals.failed)}</td>
      <td class="retried">{share(totals.retried)}</td>
      <td>{brief(totals.input)}</td>
      <td>{brief(totals.output)}</td>
      <td>{usd(totals.cost)}</td>
    </tr>
  );
}
