// The memory of a call: what the gateway writes before it, and what it reads after it.

// Blocks of the call, freed when the gateway has read the answer.
const blocks: usize[] = [];

// A block of zeros, aligned for every type of the contract. Its place does not change.
export function place(size: usize): usize {
  const block = heap.alloc(size > 0 ? size : 1);
  memory.fill(block, 0, size);
  blocks.push(block);
  return block;
}

// Ends the call. No function runs now, so the collector finds only what globals hold.
export function release(): void {
  for (let i = 0; i < blocks.length; i++) heap.free(blocks[i]);
  blocks.length = 0;
  __collect();
}

// Where the gateway puts what it passes.
export function cabi_realloc(old: usize, oldSize: usize, alignment: usize, size: usize): usize {
  const block = place(size);
  memory.copy(block, old, min(oldSize, size));
  return block;
}

// The text at an address. The contract has UTF-8, AssemblyScript UTF-16.
export function textAt(address: usize): string {
  return String.UTF8.decodeUnsafe(load<usize>(address), load<usize>(address, 4));
}

// Writes a text to an address.
export function putText(address: usize, text: string): void {
  const size = String.UTF8.byteLength(text);
  const block = place(size);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, block);
  putList(address, block, <i32>size);
}

// Writes a list to an address: where its items are, and how many.
export function putList(address: usize, items: usize, count: i32): void {
  store<usize>(address, items);
  store<i32>(address, count, 4);
}

// The result of a configuration; `refusal` is empty if the settings are fine.
export function configured(refusal: string): usize {
  const result = place(12);
  if (refusal.length > 0) {
    store<u8>(result, 1);
    putText(result + 4, refusal);
  }
  return result;
}
