/** What the engine has beside the language. What is printed becomes lines of the gateway's log: no prompts, please. */
declare const console: Record<'debug' | 'error' | 'info' | 'log' | 'warn', (...values: unknown[]) => void>;
