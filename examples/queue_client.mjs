// Publishes three messages, then consumes and acks them over one gRPC stream. What ends meanwhile is begun again.
// Server: twistd --pidfile= -n quickpulse --mode all
// Usage: npm install @grpc/grpc-js @grpc/proto-loader && node queue_client.mjs [host:port]
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const server = process.argv[2] ?? "127.0.0.1:50051";
const proto = fileURLToPath(new URL("../proto/quickpulse/v1/queues.proto", import.meta.url));
// keepCase: fields are called as in the file, and not maxMessages. longs: receipts do not fit into a number.
const { quickpulse } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true, longs: String }));
const keepalive = { "grpc.keepalive_time_ms": 20_000 };         // finds a connection that has died in silence
const queues = new quickpulse.v1.Queues(server, grpc.credentials.createInsecure(), keepalive);

// Calls again as long as the server cannot be reached, or has had no time to answer.
async function persist(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (![grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED].includes(error.code)) throw error;
      console.error(`again in a second: ${error.details}`);
      await sleep(1000);
    }
  }
}

// However often a request is sent: under one batch_key its messages are stored once.
function publish(queue, payloads) {
  const request = { queue, batch: { payloads }, batch_key: randomBytes(16) };
  return persist(() => new Promise((resolve, reject) =>
    queues.Publish(request, { deadline: Date.now() + 5000 }, (error, reply) => error ? reject(error) : resolve(reply))));
}

// Hands each message to work(payload, deliveryCount), which says whether to go on. A message whose work throws comes again.
async function subscribe(queue, work) {
  const stream = queues.Connect();
  let lastId = 0;
  let more = true;
  const send = request => stream.write({ request_id: ++lastId, ...request });
  send({ subscribe: { queue, credit_messages: 100, release_on_disconnect: true } });   // request_id 1
  for await (const { error, deliveries, subscription_ended: ended } of stream) {
    if (error) throw new Error(`${error.reason}: ${error.message}`);
    if (ended) stream.end();
    const count = more && deliveries ? deliveries.batch.payloads.length : 0;
    for (let index = 0; more && index < count; index++) {
      const receipt = String(BigInt(deliveries.first_receipt) + BigInt(index));
      let action = "ACK";
      try {
        more = await work(deliveries.batch.payloads[index], deliveries.delivery_counts?.[index] ?? 1);
      } catch (failure) {
        console.error(failure);
        action = "NACK";
      }
      send({ settle: { queue, action, receipts: [{ first: receipt, last: receipt }] } });
      send({ credit: { subscription_id: 1, add_messages: 1 } });
      if (!more) stream.end();                                  // what was sent is answered, then the stream ends
    }
  }
  return more;
}

console.log(await publish("jobs", ["one", "two", "three"].map(text => Buffer.from(text))));
let seen = 0;
const work = async (payload, deliveryCount) => {
  console.log(`${payload}, delivery ${deliveryCount}`);
  return ++seen < 3;
};
while (await persist(() => subscribe("jobs", work))) await sleep(1000);
queues.close();
