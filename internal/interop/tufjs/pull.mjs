// Pulls one repository with the client named as argument: job as JSON on stdin, answer as JSON on stdout.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { TUFClient } from "@freedomofpress/tuf-browser";
import { FSBackend } from "@freedomofpress/tuf-browser/node";
import tuf from "tuf-js";

const clients = { "tuf-js": tufJS, "tuf-browser": tufBrowser };

async function tufJS(job) {
  const root = join(job.dir, "root.json");
  if (!existsSync(root)) {
    writeFileSync(root, job.root);
  }
  const updater = await ask("load the trusted root", () => new tuf.Updater({
    metadataDir: job.dir,
    metadataBaseUrl: job.metadataURL,
    targetBaseUrl: job.targetsURL,
  }));
  await ask("refresh", () => updater.refresh());
  const sums = new Map();
  for (const name of job.targets) {
    const info = await ask(`look up target "${name}"`, () => updater.getTargetInfo(name));
    if (!info) {
      throw new Refused(`look up target "${name}": not found`);
    }
    sums.set(name, await withTempFile(async (file) => {
      await ask(`download target "${name}"`, () => updater.downloadTarget(info, file));
      const hash = createHash("sha256");
      await pipeline(createReadStream(file), hash);
      return hash.digest("hex");
    }));
  }
  return sums;
}

async function tufBrowser(job) {
  const client = new TUFClient(
    `${job.metadataURL}/`,
    job.root.toString(),
    job.dir,
    `${job.targetsURL}/`,
    { backend: new FSBackend() },
  );
  await ask("update", () => client.updateTUF());
  const sums = new Map();
  for (const name of job.targets) {
    const data = await ask(`get target "${name}"`, () => client.getTarget(name));
    sums.set(name, createHash("sha256").update(new Uint8Array(data)).digest("hex"));
  }
  return sums;
}

async function withTempFile(use) {
  const dir = mkdtempSync(join(tmpdir(), "interop-"));
  try {
    return await use(join(dir, "target"));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

// What a client throws is its refusal; what this script throws is a fault of the harness and ends the process.
class Refused extends Error {}

async function ask(doing, call) {
  try {
    return await call();
  } catch (error) {
    throw new Refused(`${doing}: ${words(error)}`);
  }
}

// Node's fetch says only "fetch failed"; why is in the cause.
function words(error) {
  const all = [];
  for (let e = error; e; e = e.cause) {
    all.push(e.message || String(e));
  }
  return all.join(": ");
}

const pull = clients[process.argv[2]];
const job = JSON.parse(await text(process.stdin));
job.root = Buffer.from(job.root, "base64");
console.log = console.error; // stdout is for the answer
let answer;
try {
  answer = { sha256: Object.fromEntries(await pull(job)) };
} catch (error) {
  if (!(error instanceof Refused)) {
    throw error;
  }
  answer = { refused: error.message };
}
process.stdout.write(JSON.stringify(answer));
