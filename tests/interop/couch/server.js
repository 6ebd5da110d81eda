// A server of the CouchDB protocol on 127.0.0.1: PouchDB behind Express, in memory or in a folder.
//
//   node server.js [FOLDER] [PORT]
//
// Prints its port once it listens.  It ends with the process that started it: when stdin closes.
"use strict";

const [folder = "", port = "0"] = process.argv.slice(2);

// What the packages say of their own age is not the tests' business.
process.removeAllListeners("warning");
process.noDeprecation = true;

const express = require("express");
const expressPouch = require("express-pouchdb");
const PouchDB = require("pouchdb");

PouchDB.plugin(require("pouchdb-adapter-memory"));
const Database = PouchDB.defaults(folder ? { prefix: folder + "/" } : { adapter: "memory" });

const app = express();
app.use(
  "/",
  expressPouch(Database, {
    mode: "minimumForPouchDB",
    overrideMode: { include: ["validation"], exclude: ["compression"] },
  }),
);
const server = app.listen(Number(port), "127.0.0.1", () => {
  console.log(server.address().port);
});
server.keepAliveTimeout = 60_000;

process.stdin.on("end", () => process.exit(0)).resume();
