// Waits for a debugger where the platform says so: as a module that stands in for the handler's, or by `--import` before a program.

import { existsSync } from "node:fs";
import inspector from "node:inspector";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { LAMBENT_DEBUG: port, LAMBENT_DEBUG_HANDLER: named, LAMBDA_TASK_ROOT: root = "/var/task" } = process.env;
// What this process starts is not debugged.
delete process.env.LAMBENT_DEBUG;
if (port) inspector.open(Number(port), "127.0.0.1", true);

async function load(named) {
  const at = named.lastIndexOf(".");
  const [path, name] = [join(root, named.slice(0, at)), named.slice(at + 1)];
  const file = [".js", ".mjs", ".cjs"].map((end) => path + end).find((file) => existsSync(file));
  if (!file) throw new Error(`Cannot find module '${named.slice(0, at)}'`);
  const module = await import(pathToFileURL(file));
  return module[name] ?? module.default?.[name];
}

export const handler = named ? await load(named) : undefined;
