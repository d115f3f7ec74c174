import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin, type Rolldown } from "vite";

const BUNDLED = ["preact", "uplot"];

/** One file: script and style stand in the page, and its policy lets nothing else run, look or load. */
function onePage(): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    generateBundle(_options, bundle) {
      const pieces = Object.values(bundle);
      const script = only(pieces, ".js");
      const style = only(pieces, ".css");
      const page = pieces.find((piece) => piece.fileName === "index.html") as Rolldown.OutputAsset;
      const code = inlined((script as Rolldown.OutputChunk).code, "script");
      const css = inlined(String((style as Rolldown.OutputAsset).source), "style");
      page.source = String(page.source)
        .replace(/\s*<(?:script type="module"|link rel="stylesheet")[^>]*>(?:<\/script>)?/g, "")
        .replace("<!--policy-->", () => `<meta http-equiv="Content-Security-Policy" content="${policy(code, css)}" />`)
        .replace("<!--style-->", () => `<style>${css}</style>`)
        .replace("</body>", () => `<script type="module">${code}</script>\n  ${notices()}\n  </body>`);
      page.fileName = "page.html";
      delete bundle[script.fileName];
      delete bundle[style.fileName];
    },
  };
}

function only(pieces: Rolldown.OutputBundle[string][], ending: string) {
  const found = pieces.filter((piece) => piece.fileName.endsWith(ending));
  if (found.length !== 1) throw new Error(`${found.length} files end with ${ending}`);
  return found[0]!;
}

function inlined(text: string, element: string): string {
  const code = text.replace(/\r\n?/g, "\n").trim();
  if (/<\/(script|style)|<!--/i.test(code)) throw new Error(`it would close its ${element} element`);
  return code;
}

function policy(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** What is bundled may be passed on with its notice. */
function notices(): string {
  const texts = BUNDLED.map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}`);
  return `<!--\nThis page holds:\n\n${texts.join("\n\n")}\n-->`;
}

export default defineConfig({
  plugins: [onePage()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../spanscript/viewer",
    emptyOutDir: false,
    target: "es2023",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    modulePreload: false,
    assetsInlineLimit: 0,
  },
});
