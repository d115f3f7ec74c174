import { render } from "preact";
import { App } from "./app";
import { open } from "./payload";
import "uplot/dist/uPlot.min.css";
import "./style.css";

const root = document.getElementById("app")!;

open().then(
  (payload) => {
    root.replaceChildren();
    render(<App payload={payload} />, root);
    document.title = `${payload.index.name} · spanscript`;
  },
  (error: unknown) => {
    const line = document.createElement("p");
    line.className = "opening failed";
    line.textContent = `This page cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
    root.replaceChildren(line);
  },
);
