// The answers of the hooks, written as the gateway reads them.
import { Tier } from "./host";
import { place, putList, putText } from "./memory";

// Sends the request to candidates, by index, best first. The reason is a text.
export function route(ranking: u32[], complexity: f64, tier: Tier, reason: string): usize {
  const answer = verdict(0);
  const indexes = place(ranking.length * 4);
  for (let i = 0; i < ranking.length; i++) store<u32>(indexes + i * 4, ranking[i]);
  putList(answer + 16, indexes, ranking.length);
  store<u8>(answer, 1, 24);
  store<f64>(answer, complexity, 32);
  store<u8>(answer, 1, 40);
  store<u8>(answer, <u8>tier, 41);
  store<u8>(answer, 0, 44);
  putText(answer + 48, reason);
  return answer;
}

// Refuses the request.
export function deny(code: string, reason: string): usize {
  const answer = verdict(1);
  putText(answer + 16, code);
  putText(answer + 24, reason);
  return answer;
}

// No opinion: the gateway's own default decides.
export function pass(): usize {
  return verdict(2);
}

// A result whose first byte, 0, says that it is no error.
function verdict(kind: u8): usize {
  const answer = place(64);
  store<u8>(answer, kind, 8);
  return answer;
}

// The cost of a candidate without a price.
export const UNPRICED = u64.MAX_VALUE;

// Estimates of the cost, one for each candidate.
export class Estimates {
  private answer: usize = place(12);
  private items: usize;

  constructor(count: i32) {
    this.items = place(count * 16);
    putList(this.answer + 4, this.items, count);
  }

  // A cost that is not known is UNPRICED.
  put(at: i32, input: u32, output: u32, cost: u64): void {
    const item = this.items + <usize>at * 16;
    store<u32>(item, input);
    store<u32>(item, output, 4);
    store<u64>(item, cost, 8);
  }

  done(): usize {
    return this.answer;
  }
}
