// Ollama's client in JavaScript: `node ollama.mjs URL MODEL`. Prints a line of JSON for each case: what it returned.
import { Ollama } from "ollama";

import { PNG, run } from "./cases.mjs";

const [url, model] = process.argv.slice(2);
const ollama = new Ollama({ host: url });
const hello = [{ role: "user", content: "Hello there" }];
const parameters = { type: "object", required: ["city"], properties: { city: { type: "string" } } };
const tools = [{ type: "function", function: { name: "weather", description: "Tells the temperature.", parameters } }];

const told = ({ message, done_reason, prompt_eval_count, eval_count }) => ({
  role: message.role,
  content: message.content,
  done_reason,
  usage: [prompt_eval_count, eval_count],
});

/** A stream as one answer. */
async function whole(stream) {
  let content = "";
  const calls = [];
  let last;
  for await (const part of stream) {
    content += part.message.content;
    calls.push(...(part.message.tool_calls ?? []));
    last = part;
  }
  return { ...told({ ...last, message: { role: "assistant", content } }), calls };
}

const called = (calls) => calls.map((call) => [call.function.name, call.function.arguments]);

/** Asks for a call, sends its result, and gives all that was answered. */
async function useTool(stream) {
  const messages = [{ role: "user", content: 'Please CALL weather {"city":"Paris"} END' }];
  const ask = async () => {
    if (stream) return await whole(await ollama.chat({ model, messages, tools, stream }));
    const answer = await ollama.chat({ model, messages, tools });
    return { ...told(answer), calls: answer.message.tool_calls ?? [] };
  };
  const first = await ask();
  messages.push({ role: "assistant", content: first.content, tool_calls: first.calls });
  messages.push({ role: "tool", tool_name: "weather", content: "21 degrees" });
  const second = await ask();
  return [first, second].map((answer) => ({ ...answer, calls: called(answer.calls) }));
}

await run({
  async chat() {
    return told(await ollama.chat({ model, messages: [{ role: "system", content: "Be brief." }, ...hello] }));
  },
  async stream() {
    return await whole(await ollama.chat({ model, messages: hello, stream: true }));
  },
  async options() {
    const options = { temperature: 0, num_ctx: 8192, num_predict: 50, seed: 7, repeat_penalty: 1.1 };
    return told(await ollama.chat({ model, messages: hello, options, keep_alive: "5m", think: false }));
  },
  async tools() {
    return await useTool(false);
  },
  async streamedTools() {
    return await useTool(true);
  },
  async structured() {
    const properties = { city: { type: "string" }, celsius: { type: "number" } };
    const format = { type: "object", properties, required: ["city", "celsius"] };
    const answer = await ollama.chat({ model, messages: [{ role: "user", content: "How warm is it?" }], format });
    return JSON.parse(answer.message.content);
  },
  async image() {
    return told(await ollama.chat({ model, messages: [{ role: "user", content: "What is this?", images: [PNG] }] }));
  },
  async generate() {
    const { response, done_reason } = await ollama.generate({ model, prompt: "Hello there", system: "Be brief." });
    return { response, done_reason };
  },
  async streamedGenerate() {
    let text = "";
    for await (const part of await ollama.generate({ model, prompt: "Hello there", stream: true })) {
      text += part.response;
    }
    return text;
  },
  async list() {
    return (await ollama.list()).models.length > 0;
  },
  async show() {
    return Array.isArray((await ollama.show({ model })).capabilities);
  },
  async ps() {
    return Array.isArray((await ollama.ps()).models);
  },
  async version() {
    return /^\d+\.\d+\.\d+/.test((await ollama.version()).version);
  },
});
