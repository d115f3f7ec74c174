/** The data of the page: an index that is there at once, and records that are unpacked when they are looked at. */

export interface Attempt {
  status: string;
  http_status?: number;
  error_type?: string;
  error_message?: string;
  retry_after_ms?: number;
  first_chunk_ms?: number;
  response_ms?: number;
  waited_ms?: number;
  request?: number;
  answer?: number;
}

/** A call as the list knows it. Numbers that point somewhere: records, messages (`context`, `shared`), calls (`continues`). */
export interface Call {
  call_id: string;
  timestamp?: string;
  model?: string;
  provider?: string;
  dialect?: string;
  client?: string;
  url?: string;
  stream?: boolean;
  trace_id?: string;
  iteration?: number;
  stage?: string;
  status: string;
  finish?: string;
  ms?: number;
  input_tokens?: number;
  output_tokens?: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  reasoning_tokens?: number;
  cost_usd?: number;
  attempt_list: Attempt[];
  system?: number;
  tools?: number;
  context?: number;
  shared?: number;
  continues?: number;
  interpreted?: number;
  notes?: (number | null)[];
}

export interface Part {
  kind: "text" | "thinking" | "call" | "result" | "media" | "refusal" | "other";
  text: string;
  name?: string;
  id?: string;
  src?: string;
}

export interface Tool {
  name: string;
  text: string;
}

/** Any record; which fields it has depends on what it is of. */
export interface Content {
  raw: string;
  hash?: string;
  role?: string;
  name?: string;
  parts?: Part[];
  choices?: Part[][];
  tools?: Tool[];
  errors?: string[];
  tool_format?: string;
  error?: string;
  event?: string;
  timestamp?: string;
  call_id?: string;
  fields?: Readonly<Record<string, string>>;
}

interface Index {
  name: string;
  calls: Call[];
  starts: number[];
  owners: number[];
  messages: number[];
  parents: number[];
  problems: string[];
  problem_count: number;
}

export const ROOT = -1;
export const LOST = -2;
const KEPT = 32;

export class Payload {
  private readonly unpacked = new Map<number, Promise<string[]>>();

  constructor(
    readonly index: Index,
    private readonly pieces: string[],
  ) {}

  /** The record with that number. */
  async content(number: number): Promise<Content> {
    const piece = this.pieceOf(number);
    const lines = await this.lines(piece);
    return JSON.parse(lines[number - this.index.starts[piece]!]!) as Content;
  }

  /** The JSON lines of each piece, in their order, with the number of its first record. */
  async *all(): AsyncGenerator<{ start: number; lines: string[]; done: number }> {
    for (let piece = 0; piece < this.pieces.length; piece++) {
      const lines = (await unpack(this.pieces[piece]!)).split("\n");
      yield { start: this.index.starts[piece]!, lines, done: (piece + 1) / this.pieces.length };
    }
  }

  /** Numbers of the messages that a call sent, the oldest first; `isLost`: there were more before them. */
  chain(call: Call): { numbers: number[]; isLost: boolean } {
    const numbers: number[] = [];
    let at = call.context ?? ROOT;
    for (; at >= 0; at = this.index.parents[at]!) numbers.push(at);
    return { numbers: numbers.reverse(), isLost: at === LOST };
  }

  private pieceOf(number: number): number {
    const starts = this.index.starts;
    let low = 0;
    for (let high = starts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= number) low = middle;
      else high = middle;
    }
    return low;
  }

  private lines(piece: number): Promise<string[]> {
    const known = this.unpacked.get(piece);
    this.unpacked.delete(piece);
    const lines = known ?? unpack(this.pieces[piece]!).then((text) => text.split("\n"));
    this.unpacked.set(piece, lines); // the last one used stands last
    if (this.unpacked.size > KEPT) this.unpacked.delete(this.unpacked.keys().next().value!);
    return lines;
  }
}

/** Reads what stands in the page. Throws if the page was cut short. */
export async function open(): Promise<Payload> {
  const packed = document.querySelector("script.index");
  if (packed === null) throw new Error("The page is not whole: the list of calls is missing. Write it again.");
  const index = JSON.parse(await unpack(packed.textContent)) as Index;
  const pieces = Array.from(document.querySelectorAll("script.contents"), (element) => element.textContent);
  return new Payload(index, pieces);
}

async function unpack(base64: string): Promise<string> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
