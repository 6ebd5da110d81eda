// What a page or a Node program does with PouchDB: one order per line on standard input, as JSON;
// one answer per line on standard output.  {"do": NAME, …}; the database of the server is `remote`,
// the ones of this process are by name, in memory.
'use strict';
const readline = require('readline');
const PouchDB = require('pouchdb').plugin(require('pouchdb-adapter-memory'));

const [url, user, password] = process.argv.slice(2);
const auth = { username: user, password };
const remote = new PouchDB(url, { auth });
const locals = {};
const live = {};

function database(name) {
  if (name === 'remote') return remote;
  locals[name] = locals[name] || new PouchDB(name, { adapter: 'memory' });
  return locals[name];
}

async function leaves(db) {
  const found = {};
  const changes = await db.changes({ style: 'all_docs' });
  for (const change of changes.results) {
    found[change.id] = change.changes.map((one) => one.rev).sort();
  }
  return found;
}

const orders = {
  info: async (o) => database(o.on).info(),
  put: async (o) => database(o.on).put(o.doc, o.options || {}),
  get: async (o) => database(o.on).get(o.id, o.options || {}),
  remove: async (o) => database(o.on).remove(o.id, o.rev),
  bulk: async (o) => database(o.on).bulkDocs(o.docs, o.options || {}),
  all: async (o) => database(o.on).allDocs(o.options || {}),
  changes: async (o) => database(o.on).changes(o.options || {}),
  leaves: async (o) => leaves(database(o.on)),
  attach: async (o) =>
    database(o.on).putAttachment(o.id, o.name, o.rev, Buffer.from(o.data, 'base64'), o.type),
  attachment: async (o) =>
    (await database(o.on).getAttachment(o.id, o.name, o.options || {})).toString('base64'),
  detach: async (o) => database(o.on).removeAttachment(o.id, o.name, o.rev),
  replicate: async (o) => {
    const done = await PouchDB.replicate(database(o.from), database(o.to), o.options || {});
    return { ok: done.ok, read: done.docs_read, written: done.docs_written, errors: done.errors.length };
  },
  live: async (o) => {
    live[o.name] = PouchDB.sync(database(o.on), remote, { live: true, retry: true, heartbeat: 200 });
    live[o.name].on('error', () => {});
    return true;
  },
  stop: async (o) => {
    live[o.name].cancel();
    return true;
  },
  // Waits until a document is as it shall be; the time limit is that of whoever asks.
  until: async (o) => {
    for (;;) {
      try {
        const doc = await database(o.on).get(o.id);
        if (Object.entries(o.has).every(([name, value]) => doc[name] === value)) return doc;
      } catch (error) {
        if (error.status !== 404) throw error;
      }
      await new Promise((again) => setTimeout(again, 10));
    }
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await orders[order.do](order) };
  } catch (error) {
    answer = { error: error.name || String(error), status: error.status, reason: error.reason || error.message };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}).on('close', () => process.exit(0));
