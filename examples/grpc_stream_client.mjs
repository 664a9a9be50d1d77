// Sends messages on one stream and prints the answers. Server: twistd --pidfile= -n quickpulse --mode grpc_stream
// Usage: npm install @grpc/grpc-js @grpc/proto-loader && node grpc_stream_client.mjs [host:port]
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const server = process.argv[2] ?? "127.0.0.1:50051";
const proto = fileURLToPath(new URL("../proto/messagequeue.proto", import.meta.url));
const { messagequeue } = grpc.loadPackageDefinition(loadSync(proto));
const queue = new messagequeue.MessageQueue(server, grpc.credentials.createInsecure());

const stream = queue.StreamMessages();
stream.on("data", answer => console.log(answer.error || answer.payload.toString()));
stream.on("end", () => queue.close());
stream.on("error", error => { console.error(error.message); process.exitCode = 1; });
stream.write({ payload: Buffer.from("hello") });   // put in, and the oldest message is the answer: hello
stream.write({ payload: Buffer.alloc(0) });        // an empty payload only takes: queue is empty
stream.end();
