// The Vercel AI SDK and Ollama's client with keys of the gateway: `node keys.mjs URL MODEL KEYS`. Each asks once with each key,
// as it comes, with the retries that it does by itself. Prints a line of JSON for each SDK and key.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
import { Ollama } from "ollama";

const [url, name, keys] = process.argv.slice(2);

const sdks = {
  async vercel(apiKey) {
    const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });
    return (await generateText({ model: openai.chat(name), prompt: "Hello there" })).text;
  },
  async ollama(key) {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const messages = [{ role: "user", content: "Hello there" }];
    return (await new Ollama({ host: url, headers }).chat({ model: name, messages })).message.content;
  },
};

for (const [sdk, ask] of Object.entries(sdks)) {
  for (const [key, text] of Object.entries(JSON.parse(keys))) {
    let told;
    try {
      told = { answer: await ask(text) };
    } catch (error) {
      // What the SDK gave up with may hold the last of its tries.
      const last = error.lastError ?? error;
      told = { error: error.name, status: last.statusCode ?? last.status_code, message: last.message };
    }
    console.log(JSON.stringify({ sdk, key, ...told }));
  }
}
