// Carries out calls of npm's official clients: a line of JSON in, what came of it a line out.
// Runs beside node_modules.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const AsyncFunction = (async () => {}).constructor;
const SHOWN = ["status", "code", "type", "message", "error"];

function made({ client, url, key }) {
    let requests = 0;
    const counting = (...request) => (requests++, fetch(...request));
    const options = { baseURL: url, apiKey: key, fetch: counting };
    return { client: client === "openai" ? new OpenAI(options) : new Anthropic(options), count: () => requests };
}

async function comeOf(given) {
    const { client, count } = made(given);
    const collect = async (stream) => {
        const all = [];
        for await (const each of stream) all.push(each);
        return all;
    };
    const first = async (stream) => {
        for await (const each of stream) return each;
    };
    const call = new AsyncFunction("client", "collect", "first", `return (${given.call})`);
    try {
        return { returned: await call(client, collect, first), requests: count() };
    } catch (error) {
        const shown = Object.fromEntries(SHOWN.map((name) => [name, error[name]]));
        return { raised: { ...shown, name: error.constructor.name }, requests: count() };
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await comeOf(JSON.parse(line))));
}
