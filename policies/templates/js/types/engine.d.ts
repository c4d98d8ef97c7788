/** What the engine has beside the language. What is printed becomes lines of the gateway's log: no prompts, please. */
declare const console: Record<'debug' | 'error' | 'info' | 'log' | 'warn', (...values: unknown[]) => void>;

/** Makes bytes of UTF-8 of a string. */
declare class TextEncoder {
  encode(text: string): Uint8Array;
}

/** Makes a string of bytes. */
declare class TextDecoder {
  constructor(label: 'utf-8', options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}
