// Carries out calls of npm's client: a line of JSON in, what came of it a line out.
// Runs beside dtos.mjs, the classes that the server generated, and node_modules.

import { createInterface } from "node:readline";
import * as servicestack from "@servicestack/client";
import * as dtos from "./dtos.mjs";

const AsyncFunction = (async () => {}).constructor;
const names = { ...servicestack, ...dtos };

function made({ url, client, headers, bearer }) {
    const it = client === "JsonApiClient" ? servicestack.JsonApiClient.create(url) : new servicestack.JsonServiceClient(url);
    for (const [name, value] of Object.entries(headers ?? {})) it.headers.set(name, value);
    if (bearer) it.bearerToken = bearer;
    return it;
}

async function comeOf(given) {
    const call = new AsyncFunction("client", ...Object.keys(names), `return (${given.call})`);
    try {
        return { returned: await call(made(given), ...Object.values(names)) };
    } catch (error) {
        return { raised: error instanceof Error ? `${error}` : error };
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await comeOf(JSON.parse(line))));
}
