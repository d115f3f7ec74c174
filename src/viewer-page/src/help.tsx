import { KEYS } from "./keys";

const NAMES: Readonly<Record<string, string>> = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };

export function Help({ close }: { close: () => void }) {
  const meanings = new Map<string, string[]>();
  for (const [key, , meaning] of KEYS) meanings.set(meaning, [...(meanings.get(meaning) ?? []), NAMES[key] ?? key]);
  return (
    <div class="veil" onClick={close}>
      <section class="help" role="dialog" aria-label="Keys" onClick={(event) => event.stopPropagation()}>
        <h2>Keys</h2>
        <dl>
          {[...meanings].map(([meaning, keys]) => (
            <div key={meaning}>
              <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </section>
    </div>
  );
}
