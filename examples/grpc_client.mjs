// Puts a message in and takes it out. Server: twistd --pidfile= -n quickpulse --mode grpc
// Usage: npm install @grpc/grpc-js @grpc/proto-loader && node grpc_client.mjs [host:port]
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const server = process.argv[2] ?? "127.0.0.1:50051";
const proto = fileURLToPath(new URL("../proto/messagequeue.proto", import.meta.url));
const { messagequeue } = grpc.loadPackageDefinition(loadSync(proto));
const queue = new messagequeue.MessageQueue(server, grpc.credentials.createInsecure());

const call = (method, request) =>
  new Promise((resolve, reject) => queue[method](request, (error, reply) => (error ? reject(error) : resolve(reply))));

console.log(await call("Produce", { payload: Buffer.from("hello") }));  // { success: true }
const reply = await call("Consume", {});
console.log(reply.error || reply.payload.toString());                   // hello
console.log((await call("Consume", {})).error);                         // queue is empty
queue.close();
