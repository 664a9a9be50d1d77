// Publishes three messages, then consumes and acks them, in JSON over WebSocket. A lost connection is made again.
// Server: twistd --pidfile= -n quickpulse --mode all
// Usage: npm install ws && node queue_ws_client.mjs [host:port]
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

const server = process.argv[2] ?? "127.0.0.1:8081";
const queue = "jobs";
// However often this is sent: under one batch_key its messages are stored once. Bytes are base64 in JSON.
const publish = { queue, batch: { texts: ["one", "two", "three"] }, batch_key: randomBytes(16).toString("base64") };
let confirmed = false;
let acked = 0;

class Refused extends Error {}

// One connection, to its end: resolves when all is done, rejects when the connection is lost before.
const session = () => new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://${server}/ws/v1`, "quickpulse.v1.json");
  const waiting = new Map();                                    // request_id -> what to do with the reply
  let lastId = 0;
  const ask = (request, done) => {
    waiting.set(++lastId, done);
    socket.send(JSON.stringify({ request_id: lastId, ...request }));
    return lastId;
  };
  let subscription;
  const work = (payload, receipt) => {
    console.log(payload.toString());
    ask({ settle: { queue, action: "ACK", receipts: [{ first: receipt, last: receipt }] } }, ({ settle }) => {
      if (settle.unknown) return console.error("too late: it comes again");
      if (++acked === 3) socket.close();
    });
    ask({ credit: { subscription_id: subscription, add_messages: 1 } });                 // has no reply
  };
  socket.on("open", () => {
    if (!confirmed) ask({ publish }, reply => { confirmed = true; console.log(reply.publish); });
    subscription = ask({ subscribe: { queue, credit_messages: 100 } }, ({ deliveries }) =>
      deliveries?.batch.payloads.forEach((payload, index) =>    // receipts are 64 bits: a string, and no number
        work(Buffer.from(payload, "base64"), String(BigInt(deliveries.first_receipt) + BigInt(index)))));
  });
  socket.on("message", text => {
    const { request_id: id, error, ...reply } = JSON.parse(text);
    if (!error) return waiting.get(id)?.(reply);
    if (!error.retry_after_ms) reject(new Refused(`${error.reason}: ${error.message}`));
    socket.close();
  });
  socket.on("unexpected-response", (request, { statusCode: status }) => {                // it was no WebSocket that opened
    request.destroy();
    reject(status < 500 ? new Refused(`status ${status}`) : new Error(`status ${status}`));
  });
  socket.on("error", reject);
  socket.on("close", (code, reason) => acked === 3 ? resolve() : reject(new Error(`closed: ${code} ${reason}`)));
});

for (;;) {
  try {
    await session();
    break;
  } catch (error) {
    if (error instanceof Refused) throw error;
    console.error(`again in a second: ${error.message}`);
    await sleep(1000);
  }
}
