// PouchDB's own replicator, told what to do line by line; one line of JSON comes back for each.
//
//   node replication.js MODULES FOLDER        MODULES holds pouchdb, FOLDER its databases (LevelDB)
"use strict";

const path = require("path");
const readline = require("readline");

const [modules, folder] = process.argv.slice(2);
process.noDeprecation = true;
process.removeAllListeners("warning");
const PouchDB = require(path.join(modules, "pouchdb")).defaults({ prefix: folder + "/" });

const open = new Map();
const database = (name) => {
  if (!open.has(name)) open.set(name, new PouchDB(name));
  return open.get(name);
};

const orders = {
  async fill({ name, first, count, width }) {
    const docs = [];
    for (let n = first; n < first + count; n++) {
      docs.push({ _id: `doc-${String(n).padStart(6, "0")}`, n, text: "x".repeat(width) });
    }
    await database(name).bulkDocs(docs);
    return {};
  },
  async put({ name, id }) {
    await database(name).put({ _id: id, text: "one" });
    return {};
  },
  async replicate({ name, url, way, batch }) {
    const local = database(name);
    const remote = new PouchDB(url, { skip_setup: true });
    const options = { batch_size: batch };
    const began = process.hrtime.bigint();
    const result = await (way === "push"
      ? PouchDB.replicate(local, remote, options)
      : PouchDB.replicate(remote, local, options));
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    return { seconds, written: result.docs_written, ok: result.ok };
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { order, ...given } = JSON.parse(line);
    console.log(JSON.stringify(await orders[order](given)));
  }
})();
