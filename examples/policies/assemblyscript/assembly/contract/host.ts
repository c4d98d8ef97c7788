// What the gateway offers a policy: settings and the log, and what a policy says of itself.
import { place, putList, putText, textAt } from "./memory";

// The kinds of settings, as the contract counts them.
export enum Kind {
  Boolean,
  Integer,
  Number,
  Text,
  Texts,
}

// A setting's value; only the field of its kind counts.
export class Value {
  constructor(
    public kind: Kind,
    public integer: i64 = 0,
    public number: f64 = 0,
    public text: string = "",
    public texts: string[] = [],
  ) {}
}

// How demanding a request is.
export enum Tier {
  Low,
  Medium,
  High,
}

// What a setting's value means beyond its type, as the contract counts it.
export enum Means {
  Plain,
  Range,
  Models,
  Tier,
  Labels,
}

// Of a range the two ends, both included; of a tier which one.
export class Meaning {
  constructor(
    public means: Means,
    public least: f64 = 0,
    public most: f64 = 0,
    public tier: Tier = Tier.Low,
  ) {}
}

export class Setting {
  constructor(
    public name: string,
    public summary: string,
    public initial: Value,
    public meaning: Meaning,
  ) {}
}

// How much of the conversation a policy reads.
export enum Reads {
  Nothing,
  Newest,
  Conversation,
}

// @ts-ignore: decorator
@external("wasmgate:policy/settings@2.0.0", "get")
declare function settingsGet(name: usize, size: usize, answer: usize): void;

// @ts-ignore: decorator
@external("wasmgate:policy/log@2.0.0", "write")
declare function logWrite(level: i32, line: usize, size: usize): void;

// @ts-ignore: decorator
@external("wasmgate:policy/request-facts@2.0.0", "label")
declare function factsLabel(name: usize, size: usize, answer: usize): void;

// The value of a label; empty if the request has none of that name, or the policy does not read it.
export function label(name: string): string {
  const text = place(8);
  putText(text, name);
  const answer = place(12);
  factsLabel(load<usize>(text), load<usize>(text, 4), answer);
  return load<u8>(answer) == 0 ? "" : textAt(answer + 4);
}

// The operator's value of a setting; null if the operator gave none.
export function get(name: string): Value | null {
  const text = place(8);
  putText(text, name);
  const answer = place(24);
  settingsGet(load<usize>(text), load<usize>(text, 4), answer);
  if (load<u8>(answer) == 0) return null;
  const value = new Value(load<u8>(answer, 8));
  switch (value.kind) {
    case Kind.Boolean:
      value.integer = load<u8>(answer, 16);
      break;
    case Kind.Integer:
      value.integer = load<i64>(answer, 16);
      break;
    case Kind.Number:
      value.number = load<f64>(answer, 16);
      break;
    case Kind.Text:
      value.text = textAt(answer + 16);
      break;
    default:
      for (let i: usize = 0; i < load<usize>(answer, 20); i++) {
        value.texts.push(textAt(load<usize>(answer, 16) + i * 8));
      }
  }
  return value;
}

// Writes a line to the operator's log, at the level of errors. Never write prompts to it.
export function logError(line: string): void {
  const text = place(8);
  putText(text, line);
  logWrite(3, load<usize>(text), load<usize>(text, 4));
}

// What the policy is, as the gateway reads it.
export function described(
  name: string,
  version: string,
  summary: string,
  reads: Reads,
  denies: bool,
  settings: Setting[],
): usize {
  const manifest = place(60);
  putText(manifest, name);
  putText(manifest + 8, version);
  putText(manifest + 16, summary);
  const entries = place(settings.length * 56);
  for (let i = 0; i < settings.length; i++) {
    const entry = entries + i * 56;
    putText(entry, settings[i].name);
    putText(entry + 8, settings[i].summary);
    putValue(entry + 16, settings[i].initial);
    putMeaning(entry + 32, settings[i].meaning);
  }
  putList(manifest + 24, entries, settings.length);
  store<u8>(manifest, <u8>reads, 32);
  store<bool>(manifest, denies, 48);
  return manifest;
}

function putMeaning(address: usize, meaning: Meaning): void {
  store<u8>(address, <u8>meaning.means);
  if (meaning.means == Means.Range) {
    store<f64>(address, meaning.least, 8);
    store<f64>(address, meaning.most, 16);
  } else if (meaning.means == Means.Tier) {
    store<u8>(address, <u8>meaning.tier, 8);
  }
}

function putValue(address: usize, value: Value): void {
  store<u8>(address, <u8>value.kind);
  switch (value.kind) {
    case Kind.Boolean:
      store<u8>(address, <u8>value.integer, 8);
      break;
    case Kind.Integer:
      store<i64>(address, value.integer, 8);
      break;
    case Kind.Number:
      store<f64>(address, value.number, 8);
      break;
    case Kind.Text:
      putText(address + 8, value.text);
      break;
    default: {
      const items = place(value.texts.length * 8);
      for (let i = 0; i < value.texts.length; i++) putText(items + i * 8, value.texts[i]);
      putList(address + 8, items, value.texts.length);
    }
  }
}

// What AssemblyScript calls where the program cannot go on. The message holds no values of the program.
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  logError((message ? message : "the policy cannot go on") + " in " + (file ? file : "") + ":" + line.toString());
  unreachable();
}
