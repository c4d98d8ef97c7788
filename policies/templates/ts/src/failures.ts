// Lets the operator read what went wrong. An `Error` that leaves an export ends the instance, and the gateway sees a
// trap without a word; a string is the contract's error, goes to its log as it is, and the instance serves on.
import { write } from 'wasmgate:policy/log@2.0.0';

// In characters: messages quote the values that they are about.
const LONGEST_MESSAGE = 200;

/** The same functions, but an `Error` leaves them as a string, its stack in the log. Other things are thrown on. */
export function reporting<Hook extends object>(hook: Hook): Hook {
  return Object.fromEntries(Object.entries(hook).map(([name, run]) => [name, catching(run)])) as Hook;
}

function catching(run: (...args: unknown[]) => unknown) {
  return (...args: unknown[]) => {
    try {
      return run(...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      write('error', sentence(error, error.stack?.trim().replaceAll('\n', ', ')));
      throw sentence(error, error.stack?.split('\n')[0]);
    }
  };
}

// What and where: `TypeError: price is undefined, at estimate@built/cost.js:30:9`.
function sentence(error: Error, place: string | undefined): string {
  return `${error.name}: ${error.message.slice(0, LONGEST_MESSAGE)}, at ${place}`;
}
