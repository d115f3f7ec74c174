/** The calls, one row each, and their attempts and waits on the time of what is in sight. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Row, Stretch } from "./calls";
import { brief, clock, ms, usd } from "./format";

const HEIGHT = 24;
const BEYOND = 8;

interface Props {
  rows: Row[];
  selected: Row | null;
  select: (row: Row) => void;
}

export function List({ rows, selected, select }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const height = useHeight(box);
  const at = selected === null ? -1 : rows.indexOf(selected);
  useLayoutEffect(() => reveal(box.current!, at), [at]);
  const first = Math.floor(top / HEIGHT);
  const last = Math.ceil((top + height) / HEIGHT);
  const scale = scaleOf(rows.slice(first, last));
  const begin = Math.max(0, first - BEYOND);
  const visible = rows.slice(begin, last + BEYOND);
  return (
    <section class="list" aria-label="calls">
      <div class="row heading">
        <span>time (UTC)</span>
        <span>model</span>
        <span>stage</span>
        <span class="number">in</span>
        <span class="number">out</span>
        <span class="number">cost</span>
        <span class="number">took</span>
        <span class="scale">{scale === null ? "" : `↔ ${ms(scale.length)}`}</span>
      </div>
      <div ref={box} class="rows" role="listbox" aria-label="calls" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div style={{ height: `${rows.length * HEIGHT}px` }}>
          <div style={{ transform: `translateY(${begin * HEIGHT}px)` }}>
            {visible.map((row) => (
              <Line key={row.number} row={row} isSelected={row === selected} select={select} scale={scale} />
            ))}
          </div>
        </div>
        {rows.length === 0 && <p class="nothing">No call is like that. Esc takes all filters off.</p>}
      </div>
    </section>
  );
}

interface Scale {
  from: number;
  length: number;
}

function scaleOf(rows: Row[]): Scale | null {
  const timed = rows.filter((row) => !Number.isNaN(row.start));
  if (timed.length === 0) return null;
  const from = Math.min(...timed.map((row) => row.start));
  return { from, length: Math.max(1, Math.max(...timed.map((row) => row.end)) - from) };
}

function Line({ row, isSelected, select, scale }: { row: Row; isSelected: boolean; select: Props["select"]; scale: Scale | null }) {
  const { call, kind } = row;
  const attempts = call.attempt_list.length;
  return (
    <div class={`row ${kind}`} role="option" aria-selected={isSelected} data-call={call.call_id} onClick={() => select(row)}>
      <span class="time">{clock(call.timestamp)}</span>
      <span class="model">
        {attempts > 1 && <b class="count" title={`${attempts} attempts`}>{attempts}×</b>}
        {call.model ?? call.dialect}
      </span>
      <span class="stage">{[call.iteration, call.stage].filter((value) => value !== undefined).join(" ")}</span>
      {kind === "failed" || kind === "unknown" ? (
        <span class="error">{errorOf(row)}</span>
      ) : (
        <>
          <span class="number">{brief(call.input_tokens)}</span>
          <span class="number">{brief(call.output_tokens)}</span>
          <span class="number">{usd(call.cost_usd)}</span>
        </>
      )}
      <span class="number">{ms(call.ms)}</span>
      <span class="bar">{scale !== null && <Bars row={row} scale={scale} />}</span>
    </div>
  );
}

function errorOf({ call }: Row): string {
  const last = call.attempt_list.at(-1);
  return [last?.http_status, last?.error_type ?? call.status].filter((value) => value !== undefined).join(" ");
}

function Bars({ row, scale }: { row: Row; scale: Scale }) {
  return <>{row.stretches.map((stretch, at) => <Bar key={at} stretch={stretch} offset={row.start - scale.from} length={scale.length} />)}</>;
}

export function Bar({ stretch, offset, length }: { stretch: Stretch; offset: number; length: number }) {
  const left = (100 * (offset + stretch.from)) / length;
  const width = (100 * (stretch.to - stretch.from)) / length;
  if (stretch.what === "wait" && width <= 0) return null;
  return <i class={`stretch ${stretch.what}`} style={{ left: `${left}%`, width: `${width}%` }} title={`${stretch.what} ${ms(stretch.to - stretch.from)}`} />;
}

function reveal(box: HTMLElement, at: number): void {
  if (at < 0) return;
  const top = at * HEIGHT;
  const beyond = Math.max(box.scrollTop - top, top + HEIGHT - box.scrollTop - box.clientHeight);
  if (beyond <= 0) return;
  // The next row is let in; after a jump, the row stands amid its neighbours.
  if (beyond > HEIGHT) box.scrollTop = top - box.clientHeight / 2;
  else box.scrollTop = top < box.scrollTop ? top : top + HEIGHT - box.clientHeight;
}

function useHeight(box: { current: HTMLElement | null }): number {
  const [height, setHeight] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 0));
    observer.observe(box.current!);
    setHeight(box.current!.clientHeight);
    return () => observer.disconnect();
  }, [box]);
  return height;
}
