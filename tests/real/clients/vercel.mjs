// The Vercel AI SDK with its default, `openai()`, which speaks the Responses API: `node vercel.mjs URL MODEL`.
// Prints a line of JSON for each case: what the SDK made of the answers.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { PNG, run } from "./cases.mjs";

const [url, name] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "unused" });
const model = openai(name);
const often = { model, maxRetries: 0 };
const asked = 'Please CALL weather {"city":"Paris"} END and CALL weather {"city":"Rome"} END';

/** A tool, and the cities that it was asked for. */
function weather() {
  const cities = [];
  const weather = tool({
    description: "Tells the temperature.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      cities.push(city);
      return `${city.length} degrees`;
    },
  });
  return { cities, often: { ...often, tools: { weather }, stopWhen: stepCountIs(5) } };
}

const told = ({ text, finishReason, usage }) => ({
  text,
  finishReason,
  usage: [usage.inputTokens, usage.outputTokens, usage.totalTokens],
});

await run({
  async text() {
    return told(await generateText({ ...often, system: "Be brief.", prompt: "Hello there" }));
  },
  async stream() {
    const result = streamText({ ...often, prompt: "Hello there" });
    const parts = [];
    for await (const part of result.fullStream) {
      if (part.type === "error") throw part.error;
      parts.push(part.type);
    }
    const usage = await result.totalUsage;
    return { ...told({ text: await result.text, finishReason: await result.finishReason, usage }), last: parts.at(-1) };
  },
  async conversation() {
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hello to you" },
      { role: "user", content: "And again" },
    ];
    return told(await generateText({ ...often, messages }));
  },
  async tools() {
    const { cities, often } = weather();
    const result = await generateText({ ...often, prompt: asked });
    return { ...told(result), steps: result.steps.length, cities };
  },
  async streamedTools() {
    const { cities, often } = weather();
    const result = streamText({ ...often, prompt: asked, onError: () => {} });
    return { text: await result.text, steps: (await result.steps).length, cities };
  },
  async structured() {
    const schema = z.object({ city: z.string(), celsius: z.number() });
    const result = await generateText({ ...often, output: Output.object({ schema }), prompt: "How warm is it?" });
    return result.output;
  },
  async image() {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "file", data: PNG, mediaType: "image/png" },
    ];
    return told(await generateText({ ...often, messages: [{ role: "user", content }] }));
  },
  async effort() {
    const providerOptions = { openai: { reasoningEffort: "low", store: false, user: "somebody" } };
    return told(await generateText({ ...often, prompt: "Hello there", maxOutputTokens: 50, providerOptions }));
  },
  async embeddings() {
    const embedded = await embedMany({ model: openai.embedding(name), values: ["one", "two and more"], maxRetries: 0 });
    return embedded.embeddings;
  },
  async chatCompletions() {
    return told(await generateText({ ...often, model: openai.chat(name), prompt: "Hello there" }));
  },
  async chatTools() {
    const { cities, often } = weather();
    const result = await generateText({ ...often, model: openai.chat(name), prompt: asked });
    return { ...told(result), steps: result.steps.length, cities };
  },
});
