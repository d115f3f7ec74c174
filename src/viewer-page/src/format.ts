/** Numbers as people read them. What is not known is an empty text. */

export function ms(value: number | undefined): string {
  if (value === undefined) return "";
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 9_995) return `${(value / 1000).toFixed(2)} s`;
  if (value < 120_000) return `${(value / 1000).toFixed(1)} s`;
  return `${(value / 60_000).toFixed(1)} min`;
}

export function count(value: number | undefined): string {
  if (value === undefined) return "";
  return value.toLocaleString("en-US");
}

/** Short, for axes and totals. */
export function brief(value: number | undefined): string {
  if (value === undefined) return "";
  if (value >= 999_950_000) return `${(value / 1e9).toFixed(1)}G`;
  if (value >= 999_950) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 9_999.5) return `${(value / 1e3).toFixed(0)}k`;
  return String(Math.round(value));
}

export function usd(value: number | undefined): string {
  if (value === undefined) return "";
  if (value === 0) return "$0";
  // Two digits that count, and never fewer than cents.
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(value))));
  return `$${value.toFixed(digits)}`;
}

/** `02:40:01.123` of a timestamp, in UTC. */
export function clock(timestamp: string | undefined): string {
  return timestamp?.slice(11, 23) ?? "";
}

/** Times of an axis in UTC, with days if there are several. */
export function axisTimes(ticks: number[]): string[] {
  const texts = ticks.map((seconds) => new Date(seconds * 1000).toISOString());
  const isDays = ticks.length > 1 && ticks[1]! - ticks[0]! >= 86_400;
  const isSeconds = ticks.length > 1 && ticks[1]! - ticks[0]! < 60;
  return texts.map((text) => (isDays ? text.slice(5, 10) : text.slice(11, isSeconds ? 19 : 16)));
}

export function percent(part: number, whole: number): string {
  return whole === 0 ? "" : `${Math.round((100 * part) / whole)}%`;
}
