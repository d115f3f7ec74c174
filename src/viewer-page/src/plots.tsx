/** Tokens, cost and waiting over time. Dragging over a plot takes that stretch of time alone. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Filter, Row } from "./calls";
import { axisTimes, brief, ms, usd } from "./format";

interface Props {
  rows: Row[];
  selected: Row | null;
  theme: string;
  range: Filter["range"];
  change: (part: { range: Filter["range"] }) => void;
  select: (row: Row) => void;
}

interface Plot {
  name: string;
  data: uPlot.AlignedData;
  series: uPlot.Series[];
  value: (value: number) => string;
  isLog?: boolean;
}

const HEIGHT = 92;
const BUCKETS = 150;
const NEAR_PX = 12;

export function Plots({ rows, selected, theme, range, change, select }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot[]>([]);
  useEffect(() => {
    const timed = rows.filter((row) => !Number.isNaN(row.start)).sort((a, b) => a.start - b.start);
    const plots = timed.length < 2 ? [] : plotsOf(timed, colours(box.current!));
    drawn.current = plots.map((plot, at) => draw(plot, box.current!.children[at] as HTMLElement, timed, change, select));
    const observer = new ResizeObserver(() => drawn.current.forEach((plot) => plot.setSize({ width: widthOf(plot.root), height: HEIGHT })));
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      drawn.current.forEach((plot) => plot.destroy());
    };
  }, [rows, theme, change, select]);
  useEffect(() => drawn.current.forEach((plot) => mark(plot, selected)), [selected, rows, theme]);
  return (
    <div ref={box} class="plots" aria-label="plots" data-range={range === null ? "" : range.join()}>
      <figure><figcaption>tokens <i class="input">in</i> <i class="cached">cached</i> <i class="output">out</i></figcaption></figure>
      <figure><figcaption>cost, summed up</figcaption></figure>
      <figure><figcaption>time a call took <i class="ok">ok</i> <i class="retried">retried</i> <i class="failed">failed</i></figcaption></figure>
    </div>
  );
}

type Colours = Record<"input" | "cached" | "output" | "cost" | "ok" | "retried" | "failed" | "grid" | "text", string>;

/** Colours of the theme, as a canvas takes them. */
function colours(box: HTMLElement): Colours {
  const probe = box.appendChild(document.createElement("i"));
  const names = ["input", "cached", "output", "cost", "ok", "retried", "failed", "grid", "text"] as const;
  const found = names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(found) as Colours;
}

function plotsOf(rows: Row[], colour: Colours): Plot[] {
  return [tokens(rows, colour), cost(rows, colour), times(rows, colour)];
}

function tokens(rows: Row[], colour: Colours): Plot {
  const first = rows[0]!.start / 1000;
  const step = Math.max((rows.at(-1)!.start / 1000 - first) / BUCKETS, 1e-3);
  const sums = [0, 1, 2].map(() => new Array<number>(BUCKETS + 1).fill(0));
  for (const { call, start } of rows) {
    const at = Math.min(BUCKETS, Math.floor((start / 1000 - first) / step));
    sums[0]![at]! += call.input_tokens ?? 0;
    sums[1]![at]! += call.cache_read_tokens ?? 0;
    sums[2]![at]! += call.output_tokens ?? 0;
  }
  const paths = uPlot.paths.bars!({ size: [0.9, 100] });
  const bar = (name: "input" | "cached" | "output"): uPlot.Series => ({ label: name, paths, points: { show: false }, fill: colour[name], stroke: colour[name], width: 0 });
  const x = sums[0]!.map((_, at) => first + (at + 0.5) * step);
  return { name: "tokens", data: [x, ...sums] as uPlot.AlignedData, series: [bar("input"), bar("cached"), bar("output")], value: brief };
}

function cost(rows: Row[], colour: Colours): Plot {
  let sum = 0;
  const isKnown = rows.some((row) => row.call.cost_usd !== undefined);
  const sums = rows.map((row) => (isKnown ? (sum += row.call.cost_usd ?? 0) : null));
  const series = { label: "cost", stroke: colour.cost, fill: faint(colour.cost), width: 1.5, points: { show: false } };
  return { name: "cost", data: [rows.map((row) => row.start / 1000), sums], series: [series], value: usd };
}

function times(rows: Row[], colour: Colours): Plot {
  const kinds = ["ok", "retried", "failed"] as const;
  const of = (kind: string) => rows.map((row) => (row.kind === kind ? Math.max(1, row.call.ms ?? 1) : null));
  const dots = (name: (typeof kinds)[number], size: number): uPlot.Series => ({
    label: name,
    paths: () => null,
    points: { show: true, size, fill: colour[name], stroke: colour[name], width: 0 },
  });
  const data = [rows.map((row) => row.start / 1000), ...kinds.map(of)] as uPlot.AlignedData;
  return { name: "time", data, series: [dots("ok", 3), dots("retried", 5), dots("failed", 6)], value: ms, isLog: true };
}

function faint(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.15)");
}

function draw(plot: Plot, place: HTMLElement, rows: Row[], change: Props["change"], select: Props["select"]): uPlot {
  const axis = (size: number) => ({ font: "10px system-ui", stroke: () => colours(place).text, grid: { stroke: colours(place).grid, width: 1 }, ticks: { show: false }, size });
  return new uPlot(
    {
      width: widthOf(place),
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"), // ticks at whole hours of UTC
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: { x: { time: true }, y: plot.isLog ? { distr: 3 } : { range: (_self, _min, max) => [0, Math.max(max, 1e-9)] } },
      axes: [{ ...axis(18), space: 70, values: (_self, ticks) => axisTimes(ticks) }, { ...axis(58), space: 26, grid: { ...axis(0).grid, filter: (_self, splits) => splits.map((split) => (plot.isLog && Math.log10(split) % 1 !== 0 ? null : split)) }, values: (_self, ticks) => ticks.map((tick) => (tick === null ? "" : plot.value(tick))) }],
      series: [{}, ...plot.series],
      hooks: { setSelect: [(self) => taken(self, change)], ready: [(self) => onClick(self, rows, select)] },
    },
    plot.data,
    place,
  );
}

function taken(plot: uPlot, change: Props["change"]): void {
  const { left, width } = plot.select;
  if (width > 3) change({ range: [plot.posToVal(left, "x") * 1000, plot.posToVal(left + width, "x") * 1000] });
}

/** A click takes the call that began nearest to it. */
function onClick(plot: uPlot, rows: Row[], select: Props["select"]): void {
  plot.over.addEventListener("click", (event) => {
    const at = event.clientX - plot.over.getBoundingClientRect().left;
    const distance = (row: Row) => Math.abs(plot.valToPos(row.start / 1000, "x") - at);
    const nearest = rows.reduce((best, row) => (distance(row) < distance(best) ? row : best));
    if (distance(nearest) < NEAR_PX) select(nearest);
  });
}

function mark(plot: uPlot, selected: Row | null): void {
  let line = plot.over.querySelector<HTMLElement>(".now");
  line ??= plot.over.appendChild(Object.assign(document.createElement("i"), { className: "now" }));
  const left = selected === null || Number.isNaN(selected.start) ? -1 : plot.valToPos(selected.start / 1000, "x");
  line.hidden = !(left >= 0 && left <= plot.over.clientWidth);
  line.style.left = `${left}px`;
}

function widthOf(place: HTMLElement): number {
  return Math.max(120, place.closest("figure")!.clientWidth);
}
