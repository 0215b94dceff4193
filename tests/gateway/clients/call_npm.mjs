// Carries out calls of npm's official clients: a line of JSON in, what came of it a line out. While a call is under
// way, {"abort": true} aborts it as a page or a server does, by the AbortController that it was given.
// Runs beside node_modules.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const AsyncFunction = (async () => {}).constructor;
const SHOWN = ["status", "code", "type", "message", "error"];
let abort = new AbortController();

function made({ client, url, key, options }) {
    const retries = [];
    const noting = (input, init) => {
        retries.push(new Headers(init.headers).get("x-stainless-retry-count"));
        return fetch(input, init);
    };
    const all = { baseURL: url, apiKey: key, fetch: noting, ...options };
    return { client: client === "openai" ? new OpenAI(all) : new Anthropic(all), retries };
}

async function comeOf(given) {
    const { client, retries } = made(given);
    abort = new AbortController();
    const pieces = [];
    const collect = async (stream) => {
        for await (const each of stream) pieces.push(each);
        return pieces;
    };
    const first = async (stream) => {
        for await (const each of stream) return each;
    };
    const abortAfterFirst = async (stream) => {
        for await (const each of stream) {
            pieces.push(each);
            abort.abort();
        }
        return pieces;
    };
    const names = ["client", "collect", "first", "abortAfterFirst", "signal"];
    const call = new AsyncFunction(...names, `return (${given.call})`);
    const told = () => ({ pieces, retries, requests: retries.length });
    try {
        return { returned: await call(client, collect, first, abortAfterFirst, abort.signal), ...told() };
    } catch (error) {
        const shown = Object.fromEntries(SHOWN.map((name) => [name, error[name]]));
        return { raised: { ...shown, name: error.constructor.name }, ...told() };
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    const given = JSON.parse(line);
    if (given.abort) abort.abort();
    else comeOf(given).then((told) => console.log(JSON.stringify(told)));
}
