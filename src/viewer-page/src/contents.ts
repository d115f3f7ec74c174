import { useEffect, useState } from "preact/hooks";
import type { Content, Payload } from "./payload";

/** A record; `undefined` until it is unpacked. */
export function useContent(payload: Payload, number: number): Content | undefined {
  return useContents(payload, [number])?.[0];
}

/** Several records, all at once. */
export function useContents(payload: Payload, numbers: readonly number[]): Content[] | undefined {
  const [contents, setContents] = useState<Content[]>();
  const key = numbers.join();
  useEffect(() => {
    let isStale = false;
    void Promise.all(numbers.map((number) => payload.content(number))).then((found) => {
      if (!isStale) setContents(found);
    });
    return () => {
      isStale = true;
    };
  }, [payload, key]);
  return contents;
}
