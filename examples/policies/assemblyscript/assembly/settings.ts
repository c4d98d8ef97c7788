// Settings: what one is called, what it means, what it may be and its default, in one place.
import { Kind, Meaning, Means, Setting, Value, get } from "./contract/host";

export function whole(name: string, summary: string, least: f64, most: f64, initial: i64): Setting {
  return new Setting(name, summary, new Value(Kind.Integer, initial), new Meaning(Means.Range, least, most));
}

export function number(name: string, summary: string, least: f64, most: f64, initial: f64): Setting {
  return new Setting(name, summary, new Value(Kind.Number, 0, initial), new Meaning(Means.Range, least, most));
}

export function text(
  name: string,
  summary: string,
  initial: string,
  meaning: Meaning = new Meaning(Means.Plain),
): Setting {
  return new Setting(name, summary, new Value(Kind.Text, 0, 0, initial), meaning);
}

export function texts(
  name: string,
  summary: string,
  initial: string[],
  meaning: Meaning = new Meaning(Means.Plain),
): Setting {
  return new Setting(name, summary, new Value(Kind.Texts, 0, 0, "", initial), meaning);
}

// The operator's value, which the gateway has checked to be of the setting's type, or the default.
export function read(setting: Setting): Value {
  const given = get(setting.name);
  return given ? given : setting.initial;
}

// As a number: an operator may write a whole one as well.
export function readNumber(setting: Setting): f64 {
  const value = read(setting);
  return value.kind == Kind.Integer ? <f64>value.integer : value.number;
}

// Why a number is refused; empty if it is in its range.
export function outside(setting: Setting, kind: string): string {
  const value = readNumber(setting);
  const least = setting.meaning.least;
  const most = setting.meaning.most;
  if (value >= least && value <= most) return "";
  return `setting ${setting.name} should be ${kind} from ${shown(least)} to ${shown(most)}, but is ${shown(value)}`;
}

// A number as people write it: a whole one without a point.
export function shown(value: f64): string {
  return value == Math.floor(value) && Math.abs(value) < 1e15 ? (<i64>value).toString() : value.toString();
}
