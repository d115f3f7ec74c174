/** JSON texts laid out for reading. */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]|[^\s"[\]{},:]+|"/gs;
const DEEPEST = 40;

/**
 * An object or array over several lines; any other text as it is. Nothing is parsed: numbers, escapes and order stay as
 * they were sent.
 */
export function laidOut(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  const lines: string[] = [];
  let line = "";
  let depth = 0;
  const end = () => {
    lines.push(line);
    line = "  ".repeat(Math.min(depth, DEEPEST));
  };
  const tokens = text.match(TOKEN) ?? [];
  tokens.forEach((token, at) => {
    const isEmpty = /[\]}]/.test(tokens[at + 1] ?? "");
    if (token === "{" || token === "[") {
      line += token;
      depth++;
      if (!isEmpty) end();
    } else if (token === "}" || token === "]") {
      depth--;
      if (!/[[{]/.test(tokens[at - 1] ?? "")) end();
      line += token;
    } else if (token === ",") {
      line += token;
      end();
    } else {
      line += token === ":" ? ": " : token;
    }
  });
  lines.push(line);
  return lines.join("\n");
}
